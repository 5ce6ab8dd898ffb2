"""softmax, log_softmax, softmin, hardmax, sigmoid, log_sigmoid: the mathematics."""

from __future__ import annotations

from softaxis._axes import Axis, as_tuple
from softaxis._dtypes import DType, as_held, cast, default_integral, kind, to_working
from softaxis._generic import _complex
from softaxis._generic._indices import flattened, positions, restored
from softaxis._generic._rows import (
    Rows,
    each_by_itself,
    expanded,
    frozen,
    heated_along,
    masked,
    maximum,
    rows,
    shift_of,
)
from softaxis._libraries import Array, Namespace

_INF = float("inf")
_NAN = float("nan")


@each_by_itself(full=(0,))
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
    """exp(x - m) / (k + rest)."""
    x, final = to_working(x, dtype, xp)
    if kind(x.dtype, xp) == "complex floating":
        return _complex.softmax(x, axis=axis, where=where, temperature=temperature, xp=xp)
    r, temperature = _rows_of(x, axis, where, temperature, xp)
    empty = r.empty()
    if sink is None:
        p = xp.where(empty, _NAN, r.e / (r.safe_k(xp) + r.rest))
    else:
        gap = _gap(sink, r, temperature, axis, xp)
        above = xp.where(gap > 0, gap, 0.0)  # how far the sink stands above the maximum
        below = xp.exp(xp.where(gap > 0, 0.0, gap))
        p = xp.exp(r.z - above) / ((r.safe_k(xp) + r.rest) * xp.exp(-above) + below)
        p = xp.where(empty & ~(gap > -_INF), _NAN, xp.where(empty, 0.0, p))
    return cast(p if where is None else xp.where(where, p, 0.0), final, xp)


@each_by_itself(full=(0,))
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
    """(x - m) - (log(k) + log1p(rest / k))."""
    x, final = to_working(x, dtype, xp)
    if kind(x.dtype, xp) == "complex floating":
        return _complex.log_softmax(x, axis=axis, where=where, temperature=temperature, xp=xp)
    r, temperature = _rows_of(x, axis, where, temperature, xp)
    empty = r.empty()
    if sink is None:
        y = xp.where(empty, _NAN, r.z - r.log_sum(xp))
    else:
        gap = _gap(sink, r, temperature, axis, xp)
        y = xp.where(empty, -_INF, r.z - _log_sum_with(gap, r, xp))
        y = xp.where(empty & ~(gap > -_INF), _NAN, y)
    return cast(y if where is None else xp.where(where, y, -_INF), final, xp)


def softmin(
    x: Array, /, *, axis: Axis, dtype: DType | None = None, xp: Namespace, **rest: Array
) -> Array:
    """softmax(-x); integers become floating before the sign changes."""
    x, final = to_working(x, dtype, xp)
    return softmax(-x, axis=axis, dtype=final, xp=xp, **rest)


@each_by_itself(full=(0,))
def hardmax(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    dtype: DType | None = None,
    xp: Namespace,
) -> Array:
    """1 at the first maximum, 0 elsewhere; NaN among the unmasked spreads over its row."""
    x, final = to_working(x, dtype, xp)
    live = masked(x, where, xp)
    if 0 in x.shape:
        return cast(live, final, xp)
    m = maximum(live, axis, xp)
    top = live == m if where is None else (live == m) & where
    top = flattened(top, axis, xp)
    first = xp.argmax(xp.astype(top, default_integral(x, xp)), axis=-1, keepdims=True)
    one = restored(top & (positions(top, -1, xp) == first), x.shape, axis, xp)
    y = xp.where(xp.isnan(m), m, xp.astype(one, x.dtype))
    return cast(y if where is None else xp.where(where, y, 0.0), final, xp)


def sigmoid(x: Array, /, *, dtype: DType | None = None, xp: Namespace) -> Array:
    """1 / (1 + exp(-x)), or e / (1 + e) with e = exp(x) for negative x."""
    x, final = to_working(x, dtype, xp)
    e = xp.exp(xp.where(x >= 0, -x, x))
    return cast(xp.where(x >= 0, 1.0, e) / (1.0 + e), final, xp)


def log_sigmoid(x: Array, /, *, dtype: DType | None = None, xp: Namespace) -> Array:
    """min(x, 0) - log1p(exp(-abs(x)))."""
    x, final = to_working(x, dtype, xp)
    e = xp.exp(xp.where(x >= 0, -x, x))
    return cast(xp.where(x >= 0, 0.0, x) - xp.log1p(e), final, xp)


def _rows_of(
    x: Array,
    axis: Axis,
    where: Array | None,
    temperature: Array | float | None,
    xp: Namespace,
) -> tuple[Rows, Array | float | None]:
    """Return the rows, and the temperature that their maximum is still to be divided by."""
    if isinstance(temperature, float):
        temperature = as_held(temperature, x.dtype, xp)
    elif temperature is not None:
        temperature = cast(temperature, x.dtype, xp)
        if _varies_along(temperature, x, axis):
            return rows(masked(heated_along(x, temperature, xp), where, xp), axis, None, xp), None
    return rows(masked(x, where, xp), axis, temperature, xp), temperature


def _varies_along(t: Array, x: Array, axis: Axis) -> bool:
    missing = x.ndim - t.ndim
    return any(i >= missing and t.shape[i - missing] != 1 for i in as_tuple(axis))


def _gap(
    sink: Array | float,
    r: Rows,
    temperature: Array | float | None,
    axis: Axis,
    xp: Namespace,
) -> Array:
    """sink - m / temperature: the sink in the coordinates of z; -inf for -inf, come what may."""
    m = shift_of(r.m, xp)
    top = _cooled_maximum(m, temperature, xp)
    if isinstance(sink, float):
        return sink - top if sink > -_INF else xp.where(xp.isnan(top), top, sink)
    for _ in range(m.ndim - len(as_tuple(axis)) - sink.ndim):
        sink = xp.expand_dims(sink, axis=0)
    sink = cast(expanded(sink, axis, xp), m.dtype, xp)
    return xp.where(sink == -_INF, sink, sink - top)


def _cooled_maximum(m: Array, temperature: Array | float | None, xp: Namespace) -> Array:
    if temperature is None:
        return m
    if isinstance(temperature, float):
        if temperature == 0:
            return frozen(m, xp)
        return m / temperature
    temperature = cast(temperature, m.dtype, xp)
    return xp.where(
        temperature == 0, frozen(m, xp), m / xp.where(temperature == 0, 1.0, temperature)
    )


def _log_sum_with(gap: Array, r: Rows, xp: Namespace) -> Array:
    """log(k + rest + exp(gap)), by whichever is larger."""
    above = gap > 0
    k = r.safe_k(xp)
    small = xp.exp(xp.where(above, -gap, gap))
    low = xp.log(k) + xp.log1p((r.rest + small) / k)
    high = xp.where(above, gap, 0.0) + xp.log1p((k + r.rest) * small)
    return xp.where(above, high, low)
