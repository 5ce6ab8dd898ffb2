"""NumPy: softmax, log_softmax and logsumexp of contiguous rows that fit in the cache.

`x` is one row or a matrix of rows, in the dtype to compute in; a single row stays 1-D, because
a scalar meets an array at half the cost of a (1, 1) array. The result, or what leads to it, is
written to `e`, which may be `x`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softaxis._backends._numpy_shift import LEAST, NEAR, or_itself, shift_of

NDArray: TypeAlias = npt.NDArray[Any]

_FEW = 16
_LONG = 4096


def softmax(x: NDArray, e: NDArray) -> Any:
    """e / sum(e), e = exp(x - shift)."""
    shift = shift_of(_maximum(x), x.dtype)
    np.exp(x if shift is None else np.subtract(x, shift, out=e), out=e)
    return np.divide(e, _sum(e), out=e)


def log_softmax(x: NDArray, z: NDArray, e: NDArray | None = None) -> Any:
    """z - log(sum(exp(z))), z = x - m."""
    np.subtract(x, _maximum(x), out=z)
    e = np.exp(z, out=e)
    s = _sum(e)
    return np.subtract(z, _log(s, e), out=z)


def logsumexp(x: NDArray, e: NDArray) -> Any:
    """shift + log(sum(exp(x - shift)))."""
    m = _maximum(x)
    shift = shift_of(m, x.dtype)
    np.exp(x if shift is None else np.subtract(x, shift, out=e), out=e)
    s = _sum(e)
    if shift is None:
        return np.log(s)
    return or_itself(shift + _log(s, e, m), m)


def _maximum(x: NDArray) -> Any:
    """The largest number of each row; for short rows argmax is several times as fast as max."""
    if x.ndim == 1:
        return x[x.argmax()]
    count, n = x.shape
    if count < _FEW or n > _LONG:
        return np.maximum.reduce(x, axis=1, keepdims=True)
    return x.take(x.argmax(axis=1) + np.arange(0, x.size, n))[:, None]


def _sum(e: NDArray) -> Any:
    return np.add.reduce(e) if e.ndim == 1 else np.add.reduce(e, axis=1, keepdims=True)


def _log(s: Any, e: NDArray, m: Any = None) -> Any:
    """log(s), or log1p(rest) where m is near 0, e of one maximum is 1 and the rest is little."""
    y = np.log(s)
    if s.item(s.argmin()) >= NEAR:
        return y
    near = s < NEAR if m is None else (s < NEAR) & (abs(m) < LEAST)
    if e.ndim == 1:
        return _log_of_rest(e) if near else y
    if len(e) < _FEW:
        np.copyto(y, _log_of_rest(e), where=near)
    else:
        rows = near[:, 0]
        y[rows] = _log_of_rest(e[rows])
    return y


def _log_of_rest(e: NDArray) -> Any:
    np.copyto(e, 0, where=e == 1)
    return np.log1p(_sum(e))
