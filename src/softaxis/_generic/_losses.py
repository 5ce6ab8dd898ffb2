"""cross_entropy and its gradient: the mathematics.

With v the weight of each class in a row's loss (labels, smoothed, times the class weights),
V its sum, and z, k, rest as in `_rows`:

    loss     = sum_c v_c (L - z_c) + z_loss lse**2,   L = log(k) + log1p(rest / k),  lse = m + L
    gradient = p_c (V - v_c) - v_c (1 - p_c) + 2 z_loss lse p_c

Every term of the loss is >= 0 and 1 - p_c is summed from the other classes where p_c is the
largest, so that neither cancels near certainty.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from softaxis._axes import Axis, as_tuple
from softaxis._dtypes import DType, as_integral, cast, default_integral, kind, to_working
from softaxis._generic._indices import positions
from softaxis._generic._rows import Rows, expanded, masked, rows, shift_of, squeezed
from softaxis._generic._summation import total
from softaxis._libraries import Array, Namespace

_INF = float("inf")
_NAN = float("nan")

Reduction = Literal["none", "sum", "mean"]


class _Terms(NamedTuple):
    """Everything both functions need; `loss` and `weight` have the axis kept with length 1."""

    r: Rows
    v: Array
    loss: Array
    lse: Array
    counted: Array | None
    """Rows that are not ignored; None where all count."""
    valid: Array | None
    """Rows whose label names a class; None where labels are probabilities."""
    weight: Array
    """What a row adds to the divisor of a mean."""
    final: DType


def cross_entropy(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    class_weights: Array | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Reduction = "none",
    xp: Namespace,
) -> Array:
    """sum_c v_c (L - z_c) + z_loss lse**2."""
    t = _terms(
        logits, labels, axis, where, class_weights, ignore_index, label_smoothing, z_loss, xp
    )
    return _reduced(t, axis, reduction, xp)


def cross_entropy_and_grad(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    class_weights: Array | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: Reduction = "none",
    xp: Namespace,
) -> tuple[Array, Array]:
    """The loss, and p_c (V - v_c) - v_c (1 - p_c) + 2 z_loss lse p_c."""
    t = _terms(
        logits, labels, axis, where, class_weights, ignore_index, label_smoothing, z_loss, xp
    )
    k = t.r.safe_k(xp)
    divisor = k + t.r.rest
    p = xp.where(t.r.empty(), _NAN, t.r.e / divisor)
    others = xp.where(t.r.top, k - 1.0 + t.r.rest, divisor - t.r.e) / divisor
    grad = p * (total(t.v, axis, xp) - t.v) - t.v * others
    if z_loss:
        grad = grad + 2.0 * z_loss * (t.lse * p)
    if where is not None:
        grad = xp.where(where, grad, 0.0)
    if t.valid is not None:
        grad = xp.where(t.valid, grad, _NAN)
    if reduction == "mean":
        grad = grad / _divisor(t, xp)
    if t.counted is not None:
        grad = xp.where(t.counted, grad, 0.0)
    return _reduced(t, axis, reduction, xp), cast(grad, t.final, xp)


def _terms(
    logits: Array,
    labels: Array,
    axis: Axis,
    where: Array | None,
    class_weights: Array | None,
    ignore_index: int | None,
    label_smoothing: float,
    z_loss: float,
    xp: Namespace,
) -> _Terms:
    x, final = to_working(logits, None, xp)
    if class_weights is not None:
        class_weights = _along(cast(class_weights, x.dtype, xp), x.ndim, axis, xp)
    y, counted, valid = _probabilities(x, labels, axis, ignore_index, xp)
    v = _smoothed(y, where, axis, label_smoothing, xp)
    weight = None
    if class_weights is not None:
        weight = total(y * class_weights, axis, xp)
        v = v * class_weights
    if counted is not None:  # what an ignored row holds reaches neither loss nor derivative
        x = xp.where(counted, x, 0.0)
    r = rows(masked(x, where, xp), axis, None, xp)
    log_sum = r.log_sum(xp)
    loss = total(xp.where(v == 0, 0.0, v * _distance(r, log_sum, v, xp)), axis, xp)
    loss = loss + _without_derivative(r, where, axis, xp)
    lse = xp.where(r.m == -_INF, -_INF, shift_of(r.m, xp) + log_sum)
    if z_loss:
        loss = loss + z_loss * lse * lse
    if class_weights is None:
        weight = xp.ones_like(loss)
    if valid is not None:
        loss = xp.where(valid, loss, _NAN)
    if counted is not None:
        loss, weight = (xp.where(counted, a, 0.0) for a in (loss, weight))
    return _Terms(r, v, loss, lse, counted, valid, weight, final)


def _without_derivative(r: Rows, where: Array | None, axis: Axis, xp: Namespace) -> Array:
    """0, whose derivative is NaN in a row that is all -inf, as p is; 0 in one masked entirely."""
    empty = r.empty()
    if where is not None:
        seen = xp.broadcast_to(where, r.z.shape)
        empty = empty & xp.any(seen, axis=as_tuple(axis), keepdims=True)
    return xp.where(empty, xp.sqrt(r.k + r.rest), 0.0)


def _distance(r: Rows, log_sum: Array, v: Array, xp: Namespace) -> Array:
    """-log p_c = L - z_c where class c weighs anything; 0 elsewhere, so that 0 * log 0 = 0."""
    return log_sum - xp.where(v == 0, 0.0, r.z)


def _probabilities(
    x: Array, labels: Array, axis: Axis, ignore_index: int | None, xp: Namespace
) -> tuple[Array, Array | None, Array | None]:
    """Return labels as probabilities of full shape, the rows that count, and the valid ones."""
    if kind(labels.dtype, xp) == "real floating":
        return cast(labels, x.dtype, xp), None, None
    (one,) = as_tuple(axis)
    index = expanded(cast(labels, default_integral(x, xp), xp), one, xp)
    y = xp.astype(_along(positions(x, one, xp), x.ndim, one, xp) == index, x.dtype)
    valid = (index >= 0) & (index < x.shape[one])
    ignored = None if ignore_index is None else as_integral(ignore_index, labels.dtype, x, xp)
    if ignored is None:
        return y, None, valid
    counted = index != ignored
    return xp.where(counted, y, 0.0), counted, valid | ~counted


def _along(a: Array, ndim: int, axis: Axis, xp: Namespace) -> Array:
    """Turn a vector into an array of `ndim` dimensions that varies along `axis`."""
    (one,) = as_tuple(axis)
    for _ in range(ndim - 1 - one):
        a = xp.expand_dims(a, axis=-1)
    return a


def _smoothed(y: Array, where: Array | None, axis: Axis, amount: float, xp: Namespace) -> Array:
    """(1 - a) y + a sum(y) / u, u being the number of unmasked classes, which share it."""
    if not amount:
        return y
    ones = xp.ones_like(y)
    if where is not None:
        ones = xp.where(where, ones, 0.0)
    unmasked = total(ones, axis, xp)
    share = amount * total(y, axis, xp) / xp.where(unmasked == 0, 1.0, unmasked)
    return (1.0 - amount) * y + share * ones


def _divisor(t: _Terms, xp: Namespace) -> Array:
    """The number, or the summed class weights, of the rows that count; 1 for none at all."""
    n = total(t.weight, tuple(range(t.weight.ndim)), xp)
    return xp.where(n == 0, 1.0, n)


def _reduced(t: _Terms, axis: Axis, reduction: Reduction, xp: Namespace) -> Array:
    loss = t.loss
    if reduction != "none":
        axis = tuple(range(loss.ndim))
        loss = total(loss, axis, xp)
    if reduction == "mean":
        loss = loss / _divisor(t, xp)
    return squeezed(cast(loss, t.final, xp), axis, False, xp)
