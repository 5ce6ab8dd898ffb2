"""logsumexp and logmeanexp: the mathematics."""

from __future__ import annotations

from math import prod

from softaxis._axes import Axis, as_tuple
from softaxis._dtypes import DType, cast, kind, to_working
from softaxis._generic import _complex
from softaxis._generic._rows import (
    each_by_itself,
    masked,
    maximum,
    rows,
    shift_of,
    squeezed,
)
from softaxis._generic._summation import total
from softaxis._libraries import Array, Namespace

_INF = float("inf")
_NAN = float("nan")


@each_by_itself(full=(0,))
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
) -> Array | tuple[Array, Array]:
    """m + log(k) + log1p(rest / k)."""
    x, final = to_working(x, dtype, xp)
    if "complex floating" in (kind(x.dtype, xp), weights is not None and kind(weights.dtype, xp)):
        y, sign = _complex_logsumexp(x, final, axis, weights, where, return_sign, xp)
    else:
        y, sign = _real_logsumexp(x, axis, weights, where, xp)
        if weights is not None and not return_sign:
            y = xp.where(sign < 0, _NAN, y)
        y, sign = cast(y, final, xp), cast(sign, final, xp)
    y = squeezed(y, axis, keepdims, xp)
    return (y, squeezed(sign, axis, keepdims, xp)) if return_sign else y


@each_by_itself(full=(0,))
def logmeanexp(
    x: Array,
    /,
    *,
    axis: Axis,
    weights: Array | None = None,
    where: Array | None = None,
    keepdims: bool = False,
    dtype: DType | None = None,
    xp: Namespace,
) -> Array:
    """m + log(k / n) + log1p(rest / k), n being the number of elements that take part."""
    x, final = to_working(x, dtype, xp)
    if weights is None:
        y = _unweighted_mean(x, axis, where, xp)
    else:
        weights = cast(weights, x.dtype, xp)
        y, sign = _weighted(x, weights, axis, where, xp)
        w = weights if where is None else xp.where(where, weights, 0.0)
        n = total(w + xp.zeros_like(x), axis, xp)
        y = y - xp.log(xp.where(n == 0, 1.0, xp.abs(n)))
        y = xp.where((n == 0) | (sign * n < 0), _NAN, y)
    return squeezed(cast(y, final, xp), axis, keepdims, xp)


def _real_logsumexp(
    x: Array, axis: Axis, weights: Array | None, where: Array | None, xp: Namespace
) -> tuple[Array, Array]:
    if weights is not None:
        return _weighted(x, cast(weights, x.dtype, xp), axis, where, xp)
    r = rows(masked(x, where, xp), axis, None, xp)
    y = _unless_infinite(r.m, shift_of(r.m, xp) + r.log_sum(xp), xp)
    return y, xp.where(r.empty(), 0.0, xp.where(xp.isnan(r.m), r.m, 1.0))


def _unless_infinite(m: Array, y: Array, xp: Namespace) -> Array:
    """Return y; -inf for an empty row, which passes no gradient on; +inf or NaN as m is."""
    return xp.where(m == -_INF, -_INF, xp.where(xp.isfinite(m), y, m))


def _unweighted_mean(x: Array, axis: Axis, where: Array | None, xp: Namespace) -> Array:
    r = rows(masked(x, where, xp), axis, None, xp)
    sizes = [x.shape[i] for i in as_tuple(axis)]
    if where is None and all(isinstance(size, int) for size in sizes):
        n = xp.zeros_like(r.m) + float(prod(sizes))
    else:
        ones = xp.ones_like(x)
        n = total(ones if where is None else xp.where(where, ones, 0.0), axis, xp)
    k = r.safe_k(xp)
    mean = xp.log(k / xp.where(n == 0, 1.0, n)) + xp.log1p(r.rest / k)
    return xp.where(n == 0, _NAN, _unless_infinite(r.m, shift_of(r.m, xp) + mean, xp))


def _weighted(
    x: Array, weights: Array, axis: Axis, where: Array | None, xp: Namespace
) -> tuple[Array, Array]:
    """log|s| and the sign of s = sum(w exp(x)), shifted by the x of the largest |w| exp(x)."""
    live = weights != 0 if where is None else (weights != 0) & where
    w = xp.where(live, weights, 0.0)
    x = xp.where(live, x, -_INF)
    size = x + xp.log(xp.where(w == 0, 1.0, xp.abs(w)))
    largest = maximum(size, axis, xp)
    top = size == largest
    m = maximum(xp.where(top, x, -_INF), axis, xp)
    m = xp.where(xp.isnan(largest), _NAN, m)
    shift = shift_of(m, xp)
    # exp(x - m) may overflow where w is tiny: half before the product, half after it
    half = xp.exp((x - shift) / 2)
    terms = w * half * half
    top = top & (x == m)
    k = total(xp.where(top, terms, 0.0), axis, xp)
    rest = total(xp.where(top, 0.0, terms), axis, xp)
    y = shift + _log_abs_sum(k, rest, xp)
    sign = _sign(k + rest, xp)
    return _with_infinities(x, w, axis, m, xp.where(sign == 0, -_INF, y), sign, xp)


def _sign(s: Array, xp: Namespace) -> Array:
    """-1, 0, 1 or NaN. (`sign` of array-api-compat assigns through a mask, which vmap cannot.)"""
    return xp.where(s > 0, 1.0, xp.where(s < 0, -1.0, s))


def _log_abs_sum(k: Array, rest: Array, xp: Namespace) -> Array:
    """log|k + rest|, by log1p where k dominates."""
    near = xp.abs(rest) < xp.abs(k) / 2
    ratio = xp.where(near, rest, 0.0) / xp.where(near, k, 1.0)
    first = xp.where(near, xp.abs(k), xp.abs(k + rest))
    return xp.log(xp.where(first == 0, 1.0, first)) + xp.log1p(ratio)


def _with_infinities(
    x: Array, w: Array, axis: Axis, m: Array, y: Array, sign: Array, xp: Namespace
) -> tuple[Array, Array]:
    """+inf among x decides the sum by the sign of its weight; two opposite ones are NaN."""
    infinite = x == _INF
    high = maximum(xp.where(infinite, _sign(w, xp), -1.0), axis, xp)
    low = -maximum(xp.where(infinite, -_sign(w, xp), -1.0), axis, xp)
    sign = xp.where(m == _INF, xp.where(high == low, high, _NAN), sign)
    y = xp.where(m == _INF, xp.where(high == low, m, _NAN), y)
    return xp.where(m == -_INF, -_INF, y), xp.where(m == -_INF, 0.0, sign)


def _complex_logsumexp(
    x: Array,
    final: DType,
    axis: Axis,
    weights: Array | None,
    where: Array | None,
    return_sign: bool,
    xp: Namespace,
) -> tuple[Array, Array]:
    x = xp.astype(x, xp.result_type(x.dtype, xp.complex64))
    size, angle, sign = _complex.logsumexp(x, weights, axis=axis, where=where, xp=xp)
    if return_sign:
        real = kind(final, xp) == "real floating"
        return (cast(size, final, xp) if real else size), sign
    return _complex.joined(size, angle, x.dtype, xp), sign
