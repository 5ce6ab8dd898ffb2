"""NumPy: in-place ufuncs over blocks that stay in the cache.

Every block is read once and written once from memory: subtract, exp, sum and divide find it in
the cache. A row is summed in the same order whatever the memory layout, so that its bits depend
on the row alone: NumPy's own pairwise order where rows are contiguous, and that order over whole
vectors of neighbouring rows where they are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, TypeAlias, TypeGuard

import array_api_compat.numpy as xp
import numpy as np
import numpy.typing as npt

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._dtypes import dtypes_for
from softaxis.backend import Backend, declined

NDArray: TypeAlias = npt.NDArray[Any]
Part: TypeAlias = tuple[slice, slice, slice]

backend = Backend("numpy", types=(np.ndarray,))

_REALS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "float96", "float128"),
)
_BLOCK = 1 << 15
"""Elements of a block: 256 KiB of float64, which a core's second-level cache holds."""
_WIDE_BLOCK = 1 << 17
"""The same for rows along an inner axis, where narrow blocks would touch too many cache lines."""
_LINE = 64
"""Neighbouring rows read together along an inner axis, whatever the length of a row."""


@backend.implements(dtypes=_REALS)
def softmax(x: NDArray, /, *, axis: Axis, dtype: Any = None, out: NDArray | None = None) -> Any:
    """e / sum(e), e = exp(x - m), in place."""
    return _normalized(x, axis, dtype, out, _softmax)


@backend.implements(dtypes=_REALS)
def log_softmax(x: NDArray, /, *, axis: Axis, dtype: Any = None, out: NDArray | None = None) -> Any:
    """z - (log(k) + log1p(rest / k)), z = x - m, in place."""
    return _normalized(x, axis, dtype, out, _log_softmax)


@backend.implements(dtypes=_REALS)
def logsumexp(
    x: NDArray,
    /,
    *,
    axis: Axis,
    keepdims: bool = False,
    dtype: Any = None,
    out: NDArray | None = None,
) -> Any:
    """m + log(k) + log1p(rest / k), block by block."""
    plan = _plan(x, axis)
    if plan is None:
        return declined(_DECLINED)
    rows, turned = plan
    working, final = _dtypes(x, dtype)
    y = np.empty((rows.shape[0], 1, rows.shape[2]), dtype=final)
    with np.errstate(all="ignore"):
        for part in _blocks(rows):
            y[part[0], :, part[2]] = _logsumexp(rows[part], working)
    shape = reduced_shape(x.shape, axis)
    y = y.reshape(shape[::-1]).T if turned else y.reshape(shape)
    if out is not None:
        out[...] = y.reshape(out.shape)
        return out
    y = y.reshape(reduced_shape(x.shape, axis, keepdims))
    return y[()] if y.ndim == 0 else y


_DECLINED = "takes neighbouring axes of an array that is not empty"


def _normalized(
    x: NDArray, axis: Axis, dtype: Any, out: NDArray | None, kernel: Callable[..., None]
) -> Any:
    plan = _plan(x, axis)
    if plan is None:
        return declined(_DECLINED)
    rows, turned = plan
    working, final = _dtypes(x, dtype)
    shape = x.shape[::-1] if turned else x.shape
    result = np.empty(shape, final) if turned or not _is_target(out, x) else out
    y = result.reshape(rows.shape)
    with np.errstate(all="ignore"):
        for part in _blocks(rows):
            block = y[part]
            direct = working == final and block.flags.c_contiguous
            buffer = block if direct else np.empty(block.shape, working)
            kernel(rows[part], buffer)
            if not direct:
                block[...] = buffer
    if turned:
        result = result.T
    if out is None or result is out:
        return result
    out[...] = result
    return out


def _is_target(out: NDArray | None, x: NDArray) -> TypeGuard[NDArray]:
    """Return whether blocks of the result can be written while blocks of `x` are still read."""
    if out is None or not out.flags.c_contiguous:
        return False
    return out is x or not np.may_share_memory(out, x)


def _dtypes(x: NDArray, dtype: Any) -> tuple[Any, Any]:
    """Return the dtype to compute in and that of the result."""
    key = (x.dtype, dtype)
    found = _known.get(key)
    if found is None:
        found = _known[key] = dtypes_for(x, dtype, xp)
    return found


_known: dict[Any, tuple[Any, Any]] = {}


def _plan(x: NDArray, axis: Axis) -> tuple[NDArray, bool] | None:
    """View `x` as (outer, row, inner), and say whether it was transposed for that.

    An array that is contiguous in neither order is copied: one more pass, against some ten of
    the implementation that would take it as it is.
    """
    axes = as_tuple(axis)
    if x.size == 0 or not axes or axes[-1] - axes[0] != len(axes) - 1:
        return None
    flags = x.flags
    turned = flags.f_contiguous and not flags.c_contiguous
    if turned:
        x = x.T
        axes = tuple(x.ndim - 1 - i for i in reversed(axes))
    elif not flags.c_contiguous:
        x = np.ascontiguousarray(x)
    row, inner = prod(x.shape[axes[0] : axes[-1] + 1]), prod(x.shape[axes[-1] + 1 :])
    return x.reshape(-1, row, inner), turned


def _blocks(rows: NDArray) -> Iterator[Part]:
    """Cut (outer, row, inner) into blocks of whole rows that fit in the cache."""
    outer, row, inner = rows.shape
    block = _BLOCK if inner == 1 else _WIDE_BLOCK
    every = slice(None)
    if rows.size <= block:
        yield every, every, every
    elif row * inner <= block:
        step = block // (row * inner)
        for i in range(0, outer, step):
            yield slice(i, i + step), every, every
    else:
        step = max(_LINE, block // row)
        for i in range(outer):
            for j in range(0, inner, step):
                yield slice(i, i + 1), every, slice(j, j + step)


def _softmax(x: NDArray, e: NDArray) -> None:
    np.subtract(x, np.maximum.reduce(x, axis=1, keepdims=True), out=e, dtype=e.dtype)
    np.exp(e, out=e)
    np.divide(e, _sum(e), out=e)


def _log_softmax(x: NDArray, z: NDArray) -> None:
    np.subtract(x, np.maximum.reduce(x, axis=1, keepdims=True), out=z, dtype=z.dtype)
    np.subtract(z, _log_sum(z), out=z)


def _logsumexp(x: NDArray, working: Any) -> NDArray:
    m = np.maximum.reduce(x, axis=1, keepdims=True).astype(working)
    y = _log_sum(np.subtract(x, m, dtype=working, order="C"))
    total: NDArray = np.add(m, np.where(np.isfinite(m), y, 0), out=m)
    return total


def _log_sum(z: NDArray) -> NDArray:
    """log(k) + log1p(rest / k), the maxima (z == 0) taken out of the sum."""
    top = z == 0
    k = np.add.reduce(top, axis=1, dtype=z.dtype, keepdims=True)
    e = np.exp(z)
    np.copyto(e, 0, where=top)
    total: NDArray = np.log(k) + np.log1p(_sum(e) / k)
    return total


def _sum(e: NDArray) -> NDArray:
    """Sum over axis 1, in the order in which `np.add.reduce` adds a contiguous row."""
    if e.shape[2] == 1 or e.shape[1] < _LANES:
        total: NDArray = np.add.reduce(e, axis=1, keepdims=True)
        return total
    return _pairwise(e)


_LANES = 8
_LEAF = 128


def _pairwise(e: NDArray) -> NDArray:
    """NumPy's pairwise sum (`pairwise_sum` in its loops_utils.h), on whole vectors at a time."""
    n = e.shape[1]
    if n > _LEAF:
        half = n // 2
        half -= half % _LANES
        return _pairwise(e[:, :half]) + _pairwise(e[:, half:])
    even = n - n % _LANES
    lanes = e[:, :even].reshape(e.shape[0], even // _LANES, _LANES, e.shape[2])
    r = np.add.reduce(lanes, axis=1)
    r = r[:, 0::2] + r[:, 1::2]
    r = r[:, 0::2] + r[:, 1::2]
    total: NDArray = r[:, 0::2] + r[:, 1::2]
    for i in range(even, n):
        total += e[:, i : i + 1]
    return total
