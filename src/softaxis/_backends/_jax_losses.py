"""Cross-entropy on JAX with integer labels: its residual is the derivative, of any order.

With x_y the logit of the label, and s, L as in `_jax_rows`,

    loss = (m - x_y) + L,    d loss / d x_c = p_c, and at the label -(1 - p_y),

where 1 - p_y is summed from the others where the label's logit is the maximum.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from softaxis._backends._jax_rows import Array, Sums, probabilities, product, sums


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def cross_entropy(x: Array, index: Array, counted: Array, axis: int) -> Array:
    """Return each row's loss, the axis kept, of labels in 0..C-1; 0 where it does not count."""
    r = sums(x, axis)
    loss = (r.shift - jnp.take_along_axis(x, index, axis)) + r.log
    loss = jnp.where(r.s == jnp.inf, jnp.nan, loss)
    return jnp.where(counted, loss, 0)


@cross_entropy.defjvp
def _(axis: int, primals: Any, tangents: Any) -> Any:
    x, index, counted = primals
    slope = jnp.sum(residual(x, index, counted, axis) * tangents[0], axis, keepdims=True)
    return cross_entropy(x, index, counted, axis), jnp.where(counted, slope, 0)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def residual(x: Array, index: Array, counted: Array, axis: int) -> Array:
    """Return p minus one-hot labels; 0 in rows that do not count or hold nothing but -inf."""
    r = sums(x, axis)
    inverse = jnp.where(r.s == 0, 0, 1 / r.s)
    inverse = jnp.where(r.s == jnp.inf, jnp.nan, inverse)
    others = _others(jnp.take_along_axis(x, index, axis), r)
    w = jnp.where(_positions(x, axis) == index, -others * inverse, r.e * inverse)
    return jnp.where(counted, w, 0)


def _others(at: Array, r: Sums) -> Array:
    """s minus the exponential of one element."""
    return jnp.where((at == r.shift) & (r.s < 2), r.rest, r.s - jnp.exp(at - r.shift))


def _positions(x: Array, axis: int) -> Array:
    return jax.lax.broadcasted_iota(jnp.int32, x.shape, axis)


@residual.defjvp
def _(axis: int, primals: Any, tangents: Any) -> Any:
    x, index, counted = primals
    p, s = probabilities(x, axis)
    t = product(p, s, tangents[0], axis)
    return residual(x, index, counted, axis), jnp.where(counted, t, 0)
