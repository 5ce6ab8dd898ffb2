"""NumPy: in-place ufuncs over blocks that stay in the cache.

Every block is read once and written once from memory: subtract, exp, sum and divide find it in
the cache. Contiguous rows are taken many at a time (`_numpy_rows`), rows side by side and rows
longer than the cache in parts (`_numpy_parts`). Both add up a row in the same order, so that its
bits depend on the row alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from math import inf
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._backends import _numpy_parts, _numpy_rows
from softaxis._backends._numpy_layout import (
    BLOCK,
    as_rows,
    blocks,
    pieces,
    small_columns,
    small_rows,
)
from softaxis._backends._numpy_losses import Options, loss
from softaxis._dtypes import dtypes_for
from softaxis._libraries._numpy import LIBRARY
from softaxis.backend import Backend, declined

NDArray: TypeAlias = npt.NDArray[Any]

backend = Backend("numpy", types=(np.ndarray,))

_REALS = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "float96", "float128"),
)
_LONG = 1024
"""Elements of the rows from which a buffer of that many is the faster one, and of that buffer."""
_DECLINED_LOSS = "takes integer labels, one axis, and an array that is not empty"
_DECLINED = "takes neighbouring axes of an array that is not empty"


class Kernel(NamedTuple):
    """How a function is computed: contiguous rows that fit in the cache, and all others."""

    of_rows: Callable[..., Any]
    of_parts: Callable[[NDArray, NDArray, Any, NDArray], None]
    turned: int
    """Elements up to which rows side by side are copied to be contiguous."""


SOFTMAX = Kernel(_numpy_rows.softmax, _numpy_parts.softmax, BLOCK // 4)
LOG_SOFTMAX = Kernel(_numpy_rows.log_softmax, _numpy_parts.log_softmax, BLOCK)
LOGSUMEXP = Kernel(_numpy_rows.logsumexp, _numpy_parts.logsumexp, BLOCK)

_quiet = Context()
_quiet.run(np.seterr, all="ignore")
_quiet_long = _quiet.copy()
_quiet_long.run(np.setbufsize, _LONG)


@backend.implements(dtypes=_REALS)
def softmax(x: NDArray, /, *, axis: Axis, dtype: Any = None, out: NDArray | None = None) -> Any:
    """e / sum(e), e = exp(x - shift)."""
    y = _quiet_for(x).run(_normalized, SOFTMAX, x, axis, dtype, out)
    return declined(_DECLINED) if y is NotImplemented else y  # a copied context keeps no reason


@backend.implements(dtypes=_REALS)
def log_softmax(x: NDArray, /, *, axis: Axis, dtype: Any = None, out: NDArray | None = None) -> Any:
    """z - log1p(rest), z = x - m, rest = sum(exp(z)) without one maximum."""
    y = _quiet_for(x).run(_normalized, LOG_SOFTMAX, x, axis, dtype, out)
    return declined(_DECLINED) if y is NotImplemented else y


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
    """shift + log(sum(exp(x - shift)))."""
    y = _quiet_for(x).run(_reduced, x, axis, keepdims, dtype, out)
    return declined(_DECLINED) if y is NotImplemented else y


@backend.implements(dtypes=_REALS, notes="of integer labels")
def cross_entropy(
    logits: NDArray,
    labels: NDArray,
    /,
    *,
    axis: Axis,
    where: NDArray | None = None,
    class_weights: NDArray | None = None,
    ignore_index: int | None = None,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    """log(s / e_y)."""
    if not _suits(axis, logits, labels, z_loss):
        return declined(_DECLINED_LOSS)
    options = Options(axis, where, class_weights, ignore_index, z_loss, reduction, False)
    return _quiet_for(logits).run(loss, logits, labels, options, *_dtypes(logits, None))


@backend.implements(dtypes=_REALS, notes="of integer labels")
def cross_entropy_and_grad(
    logits: NDArray,
    labels: NDArray,
    /,
    *,
    axis: Axis,
    where: NDArray | None = None,
    class_weights: NDArray | None = None,
    ignore_index: int | None = None,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    """The same, and e / s - [c is the label]."""
    if not _suits(axis, logits, labels, z_loss):
        return declined(_DECLINED_LOSS)
    options = Options(axis, where, class_weights, ignore_index, z_loss, reduction, True)
    return _quiet_for(logits).run(loss, logits, labels, options, *_dtypes(logits, None))


def _suits(axis: Axis, logits: NDArray, labels: NDArray, z_loss: float) -> TypeGuard[int]:
    """Return whether the kernels of integer labels along one axis take these."""
    return isinstance(axis, int) and labels.dtype.kind in "iu" and logits.size > 0 and z_loss < inf


def _quiet_for(x: NDArray) -> Context:
    """Copy a context in which nothing warns: a fifth of the cost of `np.errstate`.

    NumPy copies what is broadcast along rows shorter than its buffer, so long rows get a short one.
    """
    return (_quiet_long if x.size > BLOCK and x.shape[-1] >= _LONG else _quiet).copy()


def _normalized(kernel: Kernel, x: NDArray, axis: Axis, dtype: Any, out: NDArray | None) -> Any:
    if dtype is None and out is None:
        rows = small_rows(x, axis)
        if rows is not None:
            y = kernel.of_rows(rows)
            return y if y.shape == x.shape else y.reshape(x.shape)
        columns = small_columns(x, axis, kernel.turned)
        if columns is not None:
            y = kernel.of_rows(columns.reshape(-1, columns.shape[2])).reshape(columns.shape)
            return np.ascontiguousarray(y.swapaxes(1, 2)).reshape(x.shape)
    axes = as_tuple(axis)
    if x.size == 0 or not _are_neighbours(axes):
        return NotImplemented
    working, final = _dtypes(x, dtype)
    if x.flags.f_contiguous and not x.flags.c_contiguous:  # the result is laid out as x is
        y = np.empty(x.shape, final, order="F") if not _is_target(out, x) else out
        _fill(x.T, y.T, tuple(x.ndim - 1 - i for i in reversed(axes)), working, kernel)
    else:
        y = np.empty(x.shape, final) if not _is_target(out, x) else out
        _fill(x, y, axes, working, kernel)
    if out is None or y is out:
        return y
    out[...] = y
    return out


def _reduced(x: NDArray, axis: Axis, keepdims: bool, dtype: Any, out: NDArray | None) -> Any:
    shape = reduced_shape(x.shape, axis, keepdims)
    rows = None
    if dtype is None and out is None:
        rows = small_rows(x, axis)
        if rows is None:
            columns = small_columns(x, axis, LOGSUMEXP.turned)
            rows = None if columns is None else columns.reshape(-1, columns.shape[2])
    if rows is not None:
        y = LOGSUMEXP.of_rows(rows).reshape(shape)
        return y[()] if y.ndim == 0 else y
    axes = as_tuple(axis)
    if x.size == 0 or not _are_neighbours(axes):
        return NotImplemented
    working, final = _dtypes(x, dtype)
    y = np.empty(reduced_shape(x.shape, axis, keepdims=True), final)
    if x.flags.f_contiguous and not x.flags.c_contiguous:
        _fill(x.T, y.T, tuple(x.ndim - 1 - i for i in reversed(axes)), working, LOGSUMEXP)
    else:
        _fill(x, y, axes, working, LOGSUMEXP)
    y = y.reshape(shape)
    if out is not None:
        out[...] = y
        return out
    return y[()] if y.ndim == 0 else y


def _are_neighbours(axes: tuple[int, ...]) -> bool:
    return len(axes) > 0 and axes[-1] - axes[0] == len(axes) - 1


def _is_target(out: NDArray | None, x: NDArray) -> TypeGuard[NDArray]:
    """Return whether blocks of the result can be written while blocks of `x` are still read."""
    return out is not None and (out is x or not np.may_share_memory(out, x))


def _dtypes(x: NDArray, dtype: Any) -> tuple[Any, Any]:
    """Return the dtype to compute in and that of the result."""
    key = (x.dtype, dtype)
    found = _known.get(key)
    if found is None:
        found = _known[key] = dtypes_for(x, dtype, LIBRARY.xp)
    return found


_known: dict[Any, tuple[Any, Any]] = {}


def _fill(x: NDArray, y: NDArray, axes: tuple[int, ...], working: Any, kernel: Kernel) -> None:
    """Write the results for `x` to `y`, piece by piece where one is not (outer, row, inner)."""
    source, target = as_rows(x, axes), as_rows(y, axes)
    if source is not None and target is not None:
        _fill_blocks(source, target, working, kernel)
        return
    for piece in pieces(x.shape, axes):
        room = y[piece] if target is not None else np.empty(y[piece].shape, y.dtype)
        _fill(np.ascontiguousarray(x[piece]), room, axes, working, kernel)
        if target is None:
            y[piece] = room


def _fill_blocks(x: NDArray, y: NDArray, working: Any, kernel: Kernel) -> None:
    _, n, inner = x.shape
    if inner == 1 and n <= BLOCK:
        _fill_rows(x[:, :, 0], y[:, :, 0], working, kernel)
        return
    cuts = list(blocks(x.shape, working.itemsize))
    room = _numpy_parts.room_for(x[cuts[0]].shape, working)
    for outer, row, inner in cuts:
        kernel.of_parts(x[outer, row, inner], y[outer, row, inner], working, room)


def _fill_rows(x: NDArray, y: NDArray, working: Any, kernel: Kernel) -> None:
    count, n = x.shape
    step = max(1, BLOCK // n)
    direct = kernel is not LOGSUMEXP and y.dtype == working and y.flags.c_contiguous
    apart = direct and not np.may_share_memory(x, y)
    rooms = np.empty((3, min(count, step), n), working)
    for i in range(0, count, step):
        block, result = x[i : i + step], y[i : i + step]
        copy, e, z = (room[: len(block)] for room in rooms)
        if block.dtype != working or not block.flags.c_contiguous:
            np.copyto(copy, block)
            block = copy
        if direct:
            z = result
        if apart and kernel is SOFTMAX:
            e = result
        if kernel is LOGSUMEXP:
            z = None
        if len(block) == 1:
            block, e, z = block[0], e[0], z if z is None else z[0]
        found = kernel.of_rows(block, e, z)
        if not direct:
            result[...] = found
