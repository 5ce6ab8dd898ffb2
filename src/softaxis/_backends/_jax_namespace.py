"""`jax.numpy` as `_generic` should see it: with sums and a maximum that suit XLA."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from softaxis._axes import Axis, as_tuple
from softaxis._generic import _summation

Array = Any


class _Namespace(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def total(a: Array, axis: Axis) -> Array:
    """Sum with dimensions kept.

    Its derivative is XLA's sum, whose transpose is a broadcast; that of the slices would be a pad
    for each of them.
    """
    return plain_total(a, axis)


def plain_total(a: Array, axis: Axis) -> Array:
    """Sum pairwise, since XLA's own sum gives other bits in another batch.

    To slice an axis that is cut over devices would make them talk at every slice: there XLA sums.
    """
    if is_cut(a, axis):
        return jnp.sum(a, axis, keepdims=True)
    return _summation.total(a, axis, jnp)


def is_cut(a: Array, axis: Axis) -> bool:
    """Return whether an axis of `a` lies, or may lie, on several devices."""
    sharding = sharding_of(a)
    if sharding is None:
        return False
    parts = [sharding.spec[i] for i in as_tuple(axis)]
    may_be = sharding.mesh.size > 1 and jax.sharding.AxisType.Auto in sharding.mesh.axis_types
    return may_be or any(part is not None for part in parts)


def sharding_of(a: Array) -> Any:
    """Return the sharding in the type of `a`, if it has one."""
    if not hasattr(jax, "typeof"):  # older versions have no such types
        return None
    sharding = jax.typeof(a).sharding
    return sharding if sharding.mesh.axis_names else None


def _total_jvp(axis: Axis, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return total(primals[0], axis), jnp.sum(tangents[0], axis, keepdims=True)


total.defjvp(_total_jvp)


def largest(a: Array, axis: Axis | None = None, keepdims: bool = False) -> Array:
    """Return the maximum, NaN where there is one: on the CPU, XLA drops it in large arrays."""
    m = jnp.max(a, axis, keepdims=keepdims)
    if not jnp.issubdtype(a.dtype, jnp.floating):
        return m
    return m + jnp.sum(jnp.where(jnp.isnan(a), a, 0), axis, keepdims=keepdims)


namespace = _Namespace(jnp.__name__)
namespace.max = largest  # type: ignore[attr-defined]
namespace.total = total  # type: ignore[attr-defined]
