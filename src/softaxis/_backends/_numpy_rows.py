"""NumPy: softmax, log_softmax and logsumexp of contiguous rows that fit in the cache.

`x` is one row or a matrix of rows, in the dtype to compute in; a single row stays 1-D, because
a scalar meets an array at half the cost of a (1, 1) array. `e` is room for exp(x - shift), which
must not be `x`; `y` is where the result goes, and may be either. None asks for a new array.
"""

from __future__ import annotations

from math import inf
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softaxis._backends._numpy_shift import (
    LEAST,
    LOGARITHMIC,
    NEAR,
    PROBABLE,
    fits,
    is_promising,
    or_itself,
    shift_by_maximum,
)

NDArray: TypeAlias = npt.NDArray[Any]

_FEW = 16
_LONG = 4096


def softmax(x: NDArray, e: NDArray | None = None, y: NDArray | None = None) -> Any:
    """e / sum(e), e = exp(x - shift)."""
    e, s, _ = _exp(x, e, PROBABLE)
    return np.divide(e, s, e if y is None else y)


def log_softmax(x: NDArray, e: NDArray | None = None, y: NDArray | None = None) -> Any:
    """z - log1p(rest), z = x - m, rest = sum(exp(z)) without one maximum."""
    at, m = _argmax(x)
    z = np.subtract(x, m, y)
    e = np.exp(z, e)
    e.put(at, m - m)  # NaN where m is not finite
    return np.subtract(z, np.log1p(_sum(e)), z)


def logsumexp(x: NDArray, e: NDArray | None = None, y: NDArray | None = None) -> Any:
    """shift + log(sum(exp(x - shift)))."""
    e, s, shift = _exp(x, e, LOGARITHMIC)
    if shift is None:
        return np.log(s, y)
    near = (s < NEAR) & (abs(shift) < LEAST)
    return or_itself(np.add(shift, _log(s, e, near), y), shift)


def _exp(x: NDArray, e: NDArray | None, least: float) -> tuple[NDArray, Any, Any]:
    """Return e = exp(x - shift), its sum and the shift, None where that is 0 for all rows."""
    shift: Any = None
    if not is_promising(x):
        shift = shift_by_maximum(_maximum(x), x.shape[-1], least)
    if shift is None:
        e = np.exp(x, e)
        s = _sum(e)
        if fits(s, least):
            return e, s, None
        if x.ndim > 1:
            return e, s, _repair(x, e, s, least)
        shift = x[x.argmax()]
    e = np.subtract(x, shift, e)
    np.exp(e, e)
    return e, _sum(e), shift


def _repair(x: NDArray, e: NDArray, s: NDArray, least: float) -> NDArray:
    """Compute rows whose sum is out of bounds once more, with a shift; return all shifts."""
    rows = np.flatnonzero(~((s >= least) & (s < inf)))
    z = x.take(rows, axis=0)
    m = _maximum(z)
    np.exp(np.subtract(z, m, z), z)
    e[rows], s[rows] = z, _sum(z)
    shift = np.zeros_like(s)
    shift[rows] = m
    return shift


def _maximum(x: NDArray) -> Any:
    """The largest number of each row. For short rows argmax is several times as fast as max."""
    if x.ndim > 1 and (len(x) < _FEW or x.shape[1] > _LONG):
        return np.maximum.reduce(x, axis=1, keepdims=True)
    return _argmax(x)[1]


def _argmax(x: NDArray) -> tuple[Any, Any]:
    """Where the first largest number of each row is in memory, and the number itself."""
    at = x.argmax(axis=-1)
    if x.ndim == 1:
        return at, x[at]
    at += np.arange(0, x.size, x.shape[1])
    return at, x.take(at)[:, None]


def _sum(e: NDArray) -> Any:
    return np.add.reduce(e) if e.ndim == 1 else np.add.reduce(e, axis=1, keepdims=True)


def _log(s: Any, e: NDArray, near: Any) -> Any:
    """log(s), or log1p(rest) where e of one maximum is 1 and the rest is little."""
    y = np.log(s)
    if e.ndim == 1:
        return _log_of_rest(e) if near else y
    if len(e) < _FEW:
        if near.any():
            np.copyto(y, _log_of_rest(e), where=near)
        return y
    rows = np.flatnonzero(near)
    if len(rows):
        y[rows] = _log_of_rest(e.take(rows, axis=0))
    return y


def _log_of_rest(e: NDArray) -> Any:
    np.copyto(e, 0, where=e == 1)
    return np.log1p(_sum(e))
