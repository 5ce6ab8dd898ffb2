"""`jax.numpy` as `_generic` should see it: with sums and a maximum that suit XLA."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp

from softaxis._axes import Axis, as_tuple

Array = Any
Term = Callable[[Array], Array]


class _Namespace(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)


def _itself(a: Array) -> Array:
    return a


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def total(a: Array, axis: Axis) -> Array:
    """Sum with dimensions kept.

    Its derivative is XLA's sum, whose transpose is a broadcast; that of the slices would be a pad
    for each of them.
    """
    return plain_total(a, axis)


def plain_total(a: Array, axis: Axis, term: Term = _itself) -> Array:
    """Sum `term` of each element pairwise, since XLA's own sum gives other bits in another batch.

    To slice an axis that is cut over devices would make them talk at every slice: there XLA sums.
    """
    if is_cut(a, axis):
        return jnp.sum(term(a), axis, keepdims=True)
    for one in as_tuple(axis):
        a, term = _folded(a, one, term), _itself
    return term(a)


def _folded(a: Array, axis: int, term: Term = _itself) -> Array:
    """Sum `term` of each element along one axis, pairwise.

    Quarters of the row are added at a time: of halves and their halves, XLA on the CPU would
    compute the first sums twice.
    """
    n = a.shape[axis]
    if not isinstance(n, int) or n == 0:
        return jnp.sum(term(a), axis, keepdims=True)
    if n == 1:
        return term(a)
    ways = 4 if n > 3 else 2
    size = n // ways
    parts = [term(_part(a, axis, i * size, (i + 1) * size)) for i in range(ways)]
    halves = parts[0] + parts[1] if ways == 2 else (parts[0] + parts[2]) + (parts[1] + parts[3])
    y = _folded(halves, axis)
    return y if n == ways * size else y + _folded(_part(a, axis, ways * size, n), axis, term)


def _part(a: Array, axis: int, start: int, stop: int) -> Array:
    return jax.lax.slice_in_dim(a, start, stop, axis=axis)


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
