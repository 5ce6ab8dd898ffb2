"""The functions that `_jax_rows` and `_jax_losses` serve; what they do not is `_generic`'s."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from softaxis import _generic
from softaxis._axes import Axis
from softaxis._backends import _jax_losses, _jax_rows
from softaxis._backends._jax_rows import Array
from softaxis._dtypes import as_integral, cast, default_integral, to_working
from softaxis._generic._rows import masked, squeezed

DType = Any
Namespace = Any


def softmax(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    temperature: Array | float | None = None,
    sink: Array | float | None = None,
    dtype: DType | None = None,
    xp: Namespace,
) -> Array:
    """exp(x - m) / s."""
    if not (temperature is sink is None and _has_rows(x, axis)):
        return _generic.softmax(
            x, axis=axis, where=where, temperature=temperature, sink=sink, dtype=dtype, xp=xp
        )
    x, final = to_working(x, dtype, xp)
    p = _jax_rows.softmax(masked(x, where, xp), axis)
    return cast(p if where is None else jnp.where(where, p, 0), final, xp)


def log_softmax(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    temperature: Array | float | None = None,
    sink: Array | float | None = None,
    dtype: DType | None = None,
    xp: Namespace,
) -> Array:
    """x - m - L."""
    if not (temperature is sink is None and _has_rows(x, axis)):
        return _generic.log_softmax(
            x, axis=axis, where=where, temperature=temperature, sink=sink, dtype=dtype, xp=xp
        )
    x, final = to_working(x, dtype, xp)
    y = _jax_rows.log_softmax(masked(x, where, xp), axis)
    return cast(y if where is None else jnp.where(where, y, -jnp.inf), final, xp)


def softmin(x: Array, /, *, dtype: DType | None = None, xp: Namespace, **rest: Any) -> Array:
    """softmax(-x); integers become floating before the sign changes."""
    x, final = to_working(x, dtype, xp)
    return softmax(-x, dtype=final, xp=xp, **rest)


def logsumexp(
    x: Array,
    /,
    *,
    axis: Axis,
    weights: Array | None = None,
    where: Array | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    dtype: DType | None = None,
    xp: Namespace,
) -> Any:
    """m + L."""
    if weights is not None or return_sign or not _has_rows(x, axis):
        return _generic.logsumexp(
            x,
            axis=axis,
            weights=weights,
            where=where,
            keepdims=keepdims,
            return_sign=return_sign,
            dtype=dtype,
            xp=xp,
        )
    x, final = to_working(x, dtype, xp)
    y = _jax_rows.logsumexp(masked(x, where, xp), axis)
    return squeezed(cast(y, final, xp), axis, keepdims, xp)


def cross_entropy(logits: Array, labels: Array, /, *, xp: Namespace, **arguments: Any) -> Array:
    """(m - x_y) + L + z_loss lse**2."""
    if not _has_plain_labels(logits, labels, **arguments):
        return _generic.cross_entropy(logits, labels, xp=xp, **arguments)
    return _loss(logits, labels, alone=True, xp=xp, **arguments)[0]


def cross_entropy_and_grad(
    logits: Array, labels: Array, /, *, xp: Namespace, **arguments: Any
) -> tuple[Array, Array]:
    """The loss, and p minus one-hot labels."""
    if arguments.get("z_loss", 0.0) or not _has_plain_labels(logits, labels, **arguments):
        return _generic.cross_entropy_and_grad(logits, labels, xp=xp, **arguments)
    return _loss(logits, labels, alone=False, xp=xp, **arguments)


def _loss(
    logits: Array,
    labels: Array,
    *,
    axis: int,
    where: Array | None = None,
    ignore_index: int | None = None,
    z_loss: float = 0.0,
    reduction: str = "none",
    alone: bool,
    xp: Namespace,
    **_: Any,
) -> tuple[Array, Array]:
    """The loss and, without `z_loss`, its gradient, of which one may be wanted `alone`."""
    x, final = to_working(logits, None, xp)
    x = masked(x, where, xp)
    index = jnp.expand_dims(cast(labels, default_integral(x, xp), xp), axis)
    valid = (index >= 0) & (index < x.shape[axis])
    counted = jnp.ones_like(valid)
    ignored = None if ignore_index is None else as_integral(ignore_index, labels.dtype, x, xp)
    if ignored is not None:
        counted = index != ignored
    live = counted
    if where is not None:
        live = counted & jnp.any(jnp.broadcast_to(where, x.shape), axis, keepdims=True)
    at = jnp.where(valid, index, 0)
    loss = _jax_losses.cross_entropy(x, at, counted, live, axis, alone)
    grad = _jax_losses.residual(x, at, live, axis)
    if z_loss:
        lse = _jax_rows.logsumexp(jnp.where(counted, x, 0), axis)
        loss = loss + z_loss * jnp.where(counted, lse, 0) ** 2
    loss = jnp.where(valid | ~counted, loss, jnp.nan)
    grad = jnp.where(valid | ~counted, grad, jnp.nan)
    if where is not None:
        grad = jnp.where(where, grad, 0)
    if reduction != "none":
        loss = jnp.sum(loss, keepdims=True)
    if reduction == "mean":
        divisor = jnp.maximum(jnp.sum(counted, dtype=x.dtype), 1)
        loss, grad = loss / divisor, grad / divisor
    axes = axis if reduction == "none" else tuple(range(x.ndim))
    return squeezed(cast(loss, final, xp), axes, False, xp), cast(grad, final, xp)


def _has_rows(x: Array, axis: Axis) -> bool:
    """Whether x is real and has rows of some length."""
    return x.size > 0 and axis != () and not jnp.issubdtype(x.dtype, jnp.complexfloating)


def _has_plain_labels(
    logits: Array,
    labels: Array,
    *,
    axis: Axis,
    class_weights: Array | None = None,
    label_smoothing: float = 0.0,
    **_: Any,
) -> bool:
    plain = class_weights is None and not label_smoothing
    return plain and jnp.issubdtype(labels.dtype, jnp.integer) and _has_rows(logits, axis)
