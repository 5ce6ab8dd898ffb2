"""JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from softaxis._libraries._record import Array, Library

_DOUBLE = 8


def _is_tracer(x: Array) -> bool:
    return isinstance(x, jax.core.Tracer)


def _device(x: Array) -> str:
    """Return the kind of device; of what is traced that where programs run by default."""
    return str(jax.default_backend() if _is_tracer(x) else next(iter(x.devices())).platform)


def _dtype(value: Any) -> Any:
    dtype = jnp.dtype(value)
    if dtype.itemsize == _DOUBLE and not jax.config.jax_enable_x64:
        raise TypeError(f"JAX has no {dtype} unless jax_enable_x64 is set")
    return dtype


LIBRARY = Library(
    "jax",
    jnp,
    tracing=_is_tracer,
    differentiating=_is_tracer,
    device=_device,
    dtype=_dtype,
    immutable=True,
)
