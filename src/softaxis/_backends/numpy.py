"""NumPy: in-place ufuncs over blocks that stay in the cache.

Every block is read once and written once from memory: subtract, exp, sum and divide find it in
the cache. A row's sum is NumPy's pairwise one along contiguous memory, and pairwise by halves
along any other axis, so that it depends on the row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, TypeAlias

import array_api_compat.numpy as xp
import numpy as np
import numpy.typing as npt

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._dtypes import floating_dtype, working_dtype
from softaxis._generic._summation import total
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
    rows, turned, shape = plan
    working, final = _dtypes(x, dtype)
    y = np.empty((rows.shape[0], 1, rows.shape[2]), dtype=final)
    with np.errstate(all="ignore"):
        for part in _blocks(rows):
            y[part] = _logsumexp(rows[part], working)
    y = y.reshape(shape)
    y = (y.T if turned else y).reshape(reduced_shape(x.shape, axis, keepdims))
    if out is None:
        return y[()] if y.ndim == 0 else y
    out[...] = y
    return out


_DECLINED = "takes neighbouring axes of an array that is not empty"


def _normalized(
    x: NDArray, axis: Axis, dtype: Any, out: NDArray | None, block: Callable[..., None]
) -> Any:
    plan = _plan(x, axis)
    if plan is None:
        return declined(_DECLINED)
    rows, turned, _ = plan
    working, final = _dtypes(x, dtype)
    in_place = out is not None and not turned and _is_target(out, x)
    y = out.reshape(rows.shape) if in_place and out is not None else np.empty(rows.shape, final)
    with np.errstate(all="ignore"):
        for part in _blocks(rows):
            if working == final:
                block(rows[part], y[part])
            else:
                buffer = np.empty(rows[part].shape, dtype=working)
                block(rows[part], buffer)
                y[part] = buffer
    if in_place:
        return out
    y = y.reshape(x.T.shape).T if turned else y.reshape(x.shape)
    if out is None:
        return y
    out[...] = y
    return out


def _is_target(out: NDArray, x: NDArray) -> bool:
    """Return whether blocks of the result can be written while blocks of `x` are still read."""
    return out.flags.c_contiguous and (out is x or not np.may_share_memory(out, x))


def _dtypes(x: NDArray, dtype: Any) -> tuple[Any, Any]:
    own = floating_dtype(x, xp)
    final = own if dtype is None else dtype
    return np.result_type(working_dtype(own, xp), working_dtype(final, xp)), final


def _plan(x: NDArray, axis: Axis) -> tuple[NDArray, bool, tuple[int, ...]] | None:
    """View `x` as (outer, row, inner); say whether it was transposed, and the reduced shape.

    An array that is contiguous in neither order is copied: one more pass, against some ten of
    the implementation that would take it as it is.
    """
    axes = as_tuple(axis)
    if x.size == 0 or not axes or axes[-1] - axes[0] != len(axes) - 1:
        return None
    turned = x.flags.f_contiguous and not x.flags.c_contiguous
    if turned:
        x = x.T
        axes = tuple(x.ndim - 1 - i for i in reversed(axes))
    x = np.ascontiguousarray(x)
    shape = x.shape
    before, row, after = shape[: axes[0]], shape[axes[0] : axes[-1] + 1], shape[axes[-1] + 1 :]
    return x.reshape(prod(before), prod(row), prod(after)), turned, before + after


def _blocks(rows: NDArray) -> Iterator[Part]:
    """Cut (outer, row, inner) into blocks of whole rows that fit in the cache."""
    outer, row, inner = rows.shape
    every = slice(None)
    if rows.size <= _BLOCK:
        yield every, every, every
    elif row * inner <= _BLOCK:
        step = _BLOCK // (row * inner)
        for i in range(0, outer, step):
            yield slice(i, i + step), every, every
    else:
        step = max(_LINE, _BLOCK // row)
        for i in range(outer):
            for j in range(0, inner, step):
                yield slice(i, i + 1), every, slice(j, j + step)


_LINE = 64
"""Neighbouring rows read together along an inner axis, so that whole cache lines are used."""


def _softmax(x: NDArray, e: NDArray) -> None:
    np.subtract(x, np.maximum.reduce(x, axis=1, keepdims=True), out=e, dtype=e.dtype)
    np.exp(e, out=e)
    np.divide(e, _sum(e), out=e)


def _log_softmax(x: NDArray, z: NDArray) -> None:
    np.subtract(x, np.maximum.reduce(x, axis=1, keepdims=True), out=z, dtype=z.dtype)
    np.subtract(z, _log_sum(z), out=z)


def _logsumexp(x: NDArray, working: Any) -> NDArray:
    m = np.maximum.reduce(x, axis=1, keepdims=True).astype(working)
    y = _log_sum(np.subtract(x, m, dtype=working))
    return np.add(m, np.where(np.isfinite(m), y, 0), out=m)


def _log_sum(z: NDArray) -> NDArray:
    """log(k) + log1p(rest / k), the maxima (z == 0) taken out of the sum."""
    top = z == 0
    k = np.count_nonzero(top, axis=1, keepdims=True).astype(z.dtype)
    e = np.exp(z)
    np.copyto(e, 0, where=top)
    return np.log(k) + np.log1p(_sum(e) / k)


def _sum(e: NDArray) -> NDArray:
    if e.shape[2] == 1:
        return np.add.reduce(e, axis=1, keepdims=True)
    return total(e, 1, xp)  # type: ignore[no-any-return]
