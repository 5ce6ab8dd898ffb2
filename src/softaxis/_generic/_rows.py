"""Rows: the maxima taken out of the sum, which is what every function here is built on.

With m the maximum of a row, k the number of elements equal to it and `rest` the sum of
exp(x - m) over the others,

    sum exp(x) = exp(m) (k + rest),    logsumexp(x) = m + log(k) + log1p(rest / k),

and the last line keeps its relative accuracy where one element dominates and a plain
log(sum) would round to 0. No step makes an invalid operation (inf - inf, 0 / 0, log 0), so
that neither warnings nor NaN gradients come out of rows that are masked or all -inf.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from softaxis._axes import Axis, as_tuple
from softaxis._generic._summation import total
from softaxis._libraries import Array, Namespace

F = TypeVar("F", bound=Callable[..., Any])

_INF = float("inf")
_NAN = float("nan")


class Rows(NamedTuple):
    """The parts of each row; all but `z`, `e` and `top` have the reduced dimensions kept."""

    m: Array
    """The maximum: -inf for a row with nothing in it, +inf or NaN for a row that holds them."""
    z: Array
    """x - m <= 0, divided by the temperature; -inf where masked, NaN where m is +inf or NaN."""
    e: Array
    """exp(z)."""
    top: Array
    """Where x == m."""
    k: Array
    """How many elements equal m; 0 for an empty row. (A sum of exp(0), so that it is live
    under automatic differentiation and second derivatives are right at ties.)"""
    rest: Array
    """The sum of exp(z) over the elements below m."""

    def empty(self) -> Array:
        """Where the row has nothing but -inf in it."""
        return self.m == -_INF

    def safe_k(self, xp: Namespace) -> Array:
        """Return k, or 1 for an empty row."""
        return xp.where(self.k == 0, 1.0, self.k)

    def log_sum(self, xp: Namespace) -> Array:
        """log(k + rest) = log(k) + log1p(rest / k); 0 for an empty row."""
        k = self.safe_k(xp)
        return xp.log(k) + xp.log1p(self.rest / k)


def masked(x: Array, where: Array | None, xp: Namespace) -> Array:
    """Return `x` with -inf for what `where` leaves out."""
    return x if where is None else xp.where(where, x, -_INF)


def maximum(x: Array, axis: Axis, xp: Namespace) -> Array:
    """Return the maximum over `axis` with dimensions kept; -inf over no elements.

    Libraries refuse a maximum over nothing, and Dask one that leaves nothing as well.
    """
    if 0 in x.shape:
        return xp.sum(x, axis=axis, keepdims=True) - _INF
    return xp.max(x, axis=axis, keepdims=True)


def shift_of(m: Array, xp: Namespace) -> Array:
    """Return what to subtract: m, 0 where m is -inf, NaN where it is +inf or NaN."""
    return xp.where(m == -_INF, 0.0, xp.where(xp.isfinite(m), m, _NAN))


def rows(x: Array, axis: Axis, temperature: Array | float | None, xp: Namespace) -> Rows:
    """Take the maxima out of the rows of `x`, masked with -inf already."""
    m = maximum(x, axis, xp)
    shift = shift_of(m, xp)
    z = x - shift if temperature is None else cooled(x, shift, temperature, xp)
    e = xp.exp(z)
    top = x == m if temperature is None else z == 0
    top = top & xp.isfinite(m)
    k = total(xp.where(top, e, 0.0), axis, xp)
    rest = total(xp.where(top, 0.0, e), axis, xp)
    return Rows(m, z, e, top, k, rest)


def cooled(x: Array, shift: Array, temperature: Array | float, xp: Namespace) -> Array:
    """Return (x - shift) / temperature with the limits 0 (maxima only) and inf (uniform).

    Halves keep the difference finite: float64 1e308 - (-1e308) overflows, its half does not.
    """
    if isinstance(temperature, float):
        if temperature == 0:
            return _coldest(x - shift, xp)
        if temperature == _INF:
            return _hottest(x, x - shift, xp)
        return (x / 2 - shift / 2) / temperature * 2
    ordinary = (temperature > 0) & (temperature < _INF)
    safe = xp.where(ordinary, temperature, 1.0)
    z = (x / 2 - shift / 2) / safe * 2
    z = xp.where(temperature == 0, _coldest(z, xp), z)
    z = xp.where(temperature == _INF, _hottest(x, z, xp), z)
    return xp.where(temperature >= 0, z, _NAN)


def _coldest(z: Array, xp: Namespace) -> Array:
    return xp.where(z < 0, -_INF, z)


def _hottest(x: Array, z: Array, xp: Namespace) -> Array:
    return xp.where(z < 0, xp.where(x == -_INF, x, 0.0), z)


def heated_along(x: Array, temperature: Array, xp: Namespace) -> Array:
    """Return x / temperature, element by element, for a temperature that varies along a row."""
    ordinary = (temperature > 0) & (temperature < _INF) & xp.isfinite(x)
    y = xp.where(ordinary, x, 0.0) / xp.where(ordinary, temperature, 1.0)
    y = xp.where((temperature == 0) | ~xp.isfinite(x), frozen(x, xp), y)
    return xp.where(temperature >= 0, y, _NAN)


def frozen(x: Array, xp: Namespace) -> Array:
    """Return the limit of x / temperature at 0: infinity with the sign of x; 0 and NaN stay."""
    return xp.where(x > 0, _INF, xp.where(x < 0, -_INF, x))


def squeezed(y: Array, axis: Axis, keepdims: bool, xp: Namespace) -> Array:
    """Drop the reduced dimensions, down to what the library's own sum returns."""
    if keepdims:
        return y
    y = xp.squeeze(y, axis=as_tuple(axis))
    return y[()] if y.ndim == 0 else y


def expanded(y: Array, axis: Axis, xp: Namespace) -> Array:
    """Put the reduced dimensions back with length 1."""
    for one in as_tuple(axis):
        y = xp.expand_dims(y, axis=one)
    return y


def each_by_itself(*, full: tuple[int, ...]) -> Callable[[F], F]:
    """Give `axis=()` its meaning, every element a row of its own: one more axis of length 1.

    `full` are the positions of the arguments that have the shape of the first one.
    """

    def decorator(function: F) -> F:
        @functools.wraps(function)
        def wrapper(*arrays: Array, axis: Axis, xp: Namespace, **rest: Any) -> Any:
            if axis != ():
                return function(*arrays, axis=axis, xp=xp, **rest)
            ndim = arrays[0].ndim
            arrays = tuple(_longer(a, xp) if i in full else a for i, a in enumerate(arrays))
            rest = {n: _longer(a, xp) if n in _BROADCAST else a for n, a in rest.items()}
            if "keepdims" in rest:  # there are no dimensions to keep but the one added here
                rest["keepdims"] = False
            result = function(*arrays, axis=ndim, xp=xp, **rest)
            if isinstance(result, tuple):
                return tuple(_shorter(a, ndim, xp) for a in result)
            return _shorter(result, ndim, xp)

        return wrapper  # type: ignore[return-value]

    return decorator


_BROADCAST = ("where", "temperature", "weights")


def _longer(a: Any, xp: Namespace) -> Any:
    return xp.expand_dims(a, axis=-1) if hasattr(a, "ndim") else a


def _shorter(a: Array, ndim: int, xp: Namespace) -> Array:
    return xp.squeeze(a, axis=ndim) if a.ndim > ndim else a
