"""`jax.numpy` as `_generic` should see it: what XLA sums and compares, for speed or for NaN."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax.numpy as jnp

from softaxis._axes import Axis

Array = Any


class _Namespace(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)


def total(a: Array, axis: Axis) -> Array:
    """Sum with dimensions kept. XLA adds in trees, whose derivative it knows: a broadcast."""
    return jnp.sum(a, axis, keepdims=True)


def largest(a: Array, axis: Axis | None = None, keepdims: bool = False) -> Array:
    """Return the maximum, NaN where there is one: on the CPU, XLA drops it in large arrays."""
    m = jnp.max(a, axis, keepdims=keepdims)
    if not jnp.issubdtype(a.dtype, jnp.floating):
        return m
    return m + jnp.sum(jnp.where(jnp.isnan(a), a, 0), axis, keepdims=keepdims)


namespace = _Namespace(jnp.__name__)
namespace.max = largest  # type: ignore[attr-defined]
namespace.total = total  # type: ignore[attr-defined]
