"""NumPy: arrays of any strides as (outer, row, inner), whole or in pieces, and cut into blocks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softaxis._axes import Axis

NDArray: TypeAlias = npt.NDArray[Any]
Index: TypeAlias = tuple[slice, ...]

BLOCK = 1 << 15
"""Elements of a block of rows: 256 KiB of float64, which a core's second-level cache holds."""
_WIDE_BLOCK = 1 << 17
_WIDTH = 1 << 15
"""Bytes of rows side by side that are read together: each row of a narrow block is on another
page of memory."""
_SHORT = 8
_PIECE = 1 << 18
"""Elements of a piece that is copied because it cannot be viewed as (outer, row, inner)."""
_EVERY = slice(None)
_FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}


def small_rows(x: NDArray, axis: Axis) -> NDArray | None:
    """Return what takes one block and no conversion as one row, or as a matrix of rows."""
    size = x.size
    if not 0 < size <= BLOCK or x.dtype not in _FLOATS or not x.flags.c_contiguous:
        return None
    shape = x.shape
    n = prod([shape[i] for i in axis]) if isinstance(axis, tuple) else shape[axis]
    if n == size:
        return x.reshape(-1)
    if axis != len(shape) - 1:
        return None
    return x if axis == 1 else x.reshape(-1, n)


def small_columns(x: NDArray, axis: Axis, most: int) -> NDArray | None:
    """Return at most so many elements that take no conversion as (outer, inner, row), copied.

    To turn a small array costs less than the many calls for rows side by side, if these are not
    short as well.
    """
    if not 0 < x.size <= most or x.dtype not in _FLOATS or not x.flags.c_contiguous:
        return None
    if isinstance(axis, tuple) or x.shape[axis] < _SHORT:
        return None
    outer = prod(x.shape[:axis])
    return np.ascontiguousarray(x.reshape(outer, x.shape[axis], -1).swapaxes(1, 2))


def as_rows(x: NDArray, axes: tuple[int, ...]) -> NDArray | None:
    """View `x` as (outer, row, inner); None where that takes a copy."""
    first, last = axes[0], axes[-1] + 1
    if not x.flags.c_contiguous:
        groups = (range(first), range(first, last), range(last, x.ndim))
        if not all(_is_regular(x, group) for group in groups):
            return None
    return x.reshape(-1, prod(x.shape[first:last]), prod(x.shape[last:]))


def _is_regular(x: NDArray, group: range) -> bool:
    """Return whether neighbouring axes can be seen as one."""
    long = [i for i in group if x.shape[i] > 1]
    return all(x.strides[i] == x.strides[j] * x.shape[j] for i, j in pairwise(long))


def pieces(shape: tuple[int, ...], axes: tuple[int, ...]) -> Iterator[Index]:
    """Cut a shape into pieces of whole rows, small ones where rows are short."""
    free = [i for i, n in enumerate(shape) if n > 1 and i not in axes]
    size = prod(shape)
    if size <= _PIECE or not free:
        yield (_EVERY,) * len(shape)
        return
    cut, n = free[0], shape[free[0]]
    step = max(1, _PIECE * n // size)
    for i in range(0, n, step):
        rest = (*shape[:cut], min(step, n - i), *shape[cut + 1 :])
        for piece in [(_EVERY,) * len(shape)] if step > 1 else pieces(rest, axes):
            yield (*piece[:cut], slice(i, i + step), *piece[cut + 1 :])


def blocks(shape: tuple[int, ...], itemsize: int) -> Iterator[Index]:
    """Cut (outer, row, inner) into blocks of whole rows, the first of them the largest."""
    outer, row, inner = shape
    step = max(1, _WIDE_BLOCK // (row * inner))
    width = min(inner, _WIDTH // itemsize)
    for i in range(0, outer, step):
        for j in range(0, inner, width):
            yield slice(i, i + step), _EVERY, slice(j, j + width)


def blocks_of(
    arrays: tuple[NDArray | None, ...], axes: tuple[int, ...], itemsize: int
) -> Iterator[tuple[Any, ...]]:
    """Cut arrays that share all axes but `axes` into blocks (outer, row, inner) of each.

    Where one of them cannot be viewed so, copies of pieces take their place, and what the caller
    has written to those is stored before the next piece.
    """
    first = arrays[0]
    assert first is not None
    views = [None if a is None else as_rows(a, axes) for a in arrays]
    if all((v is None) == (a is None) for v, a in zip(views, arrays, strict=True)):
        outer, inner = prod(first.shape[: axes[0]]), prod(first.shape[axes[-1] + 1 :])
        for block in blocks((outer, first.size // (outer * inner), inner), itemsize):
            yield tuple(None if v is None else v[block] for v in views)
        return
    for piece in pieces(first.shape, axes):
        parts = [None if a is None else a[piece] for a in arrays]
        copies = tuple(None if a is None else np.ascontiguousarray(a) for a in parts)
        yield from blocks_of(copies, axes, itemsize)
        for part, copy in zip(parts, copies, strict=True):
            if part is not None and part.flags.writeable:
                part[...] = copy
