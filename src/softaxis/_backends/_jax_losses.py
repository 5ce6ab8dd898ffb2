"""Cross-entropy on JAX with integer labels: its residual is the derivative, of any order.

With x_y the logit of the label, and s, L as in `_jax_rows`,

    loss = (m - x_y) + L,    d loss / d x_c = p_c, and at the label -(1 - p_y),

where 1 - p_y is rest / s for a label whose logit is the only maximum.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from softaxis._backends._jax_namespace import sharding_of
from softaxis._backends._jax_rows import Array, probabilities, product, sums, sums_alone


@partial(jax.custom_jvp, nondiff_argnums=(4, 5))
def cross_entropy(
    x: Array,
    index: Array,
    counted: Array,
    live: Array,  # noqa: ARG001 - the derivative looks at it
    axis: int,
    alone: bool = True,
) -> Array:
    """Return each row's loss, the axis kept, of labels in 0..C-1; 0 where it does not count.

    The derivative of a row that is not `live` is 0; `alone` as in `_jax_rows.log_softmax`.
    """
    r = sums_alone(x, axis) if alone else sums(x, axis)
    loss = (r.shift - of_label(x, index, axis)) + r.log
    loss = jnp.where(r.s == jnp.inf, jnp.nan, loss)
    return jnp.where(counted, loss, 0)


def of_label(x: Array, index: Array, axis: int) -> Array:
    """Return x_y: by a gather, or by a sum where the axis is explicitly sharded."""
    sharding = sharding_of(x)
    if sharding is None or sharding.spec[axis] is None:
        return jnp.take_along_axis(x, index, axis)
    return jnp.sum(jnp.where(_is_label(x, index, axis), x, 0), axis, keepdims=True)


def _is_label(x: Array, index: Array, axis: int) -> Array:
    sharding = sharding_of(x)
    how = {"out_sharding": sharding} if sharding is not None and any(sharding.spec) else {}
    return jax.lax.broadcasted_iota(index.dtype, x.shape, axis, **how) == index


def _cross_entropy_jvp(axis: int, _: bool, primals: Any, tangents: Any) -> Any:
    x, index, __, live = primals
    slope = jnp.sum(residual(x, index, live, axis) * tangents[0], axis, keepdims=True)
    return cross_entropy(*primals, axis, False), jnp.where(live, slope, 0)


cross_entropy.defjvp(_cross_entropy_jvp)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def residual(x: Array, index: Array, live: Array, axis: int) -> Array:
    """Return p minus one-hot labels; 0 in rows that are not live, NaN where p is."""
    r = sums(x, axis)
    p = r.e * r.scale
    others = jnp.where((r.e == 1) & (r.scale > 1 / 2), r.rest / r.s, 1 - p)
    return jnp.where(live, jnp.where(_is_label(x, index, axis), -others, p), 0)


def _residual_jvp(axis: int, primals: Any, tangents: Any) -> Any:
    x, index, live = primals
    p, scale = probabilities(x, axis)
    t = product(p, scale, tangents[0], axis)
    return residual(x, index, live, axis), jnp.where(live, t, 0)


residual.defjvp(_residual_jvp)
