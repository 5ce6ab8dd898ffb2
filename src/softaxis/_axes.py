"""Axes: from what a user may write to the one form that implementations receive."""

from __future__ import annotations

import operator
from itertools import pairwise
from typing import TypeAlias

from softaxis._errors import AxisError

Axis: TypeAlias = "int | tuple[int, ...]"
"""An int in ``0..ndim-1``, or an increasing tuple of such ints whose length is not 1."""


def normalize_axis(axis: object, ndim: int) -> Axis:
    """Return `axis` as a non-negative int or an increasing tuple; None means all axes."""
    if type(axis) is int and -ndim <= axis < ndim:  # nearly every call
        return axis + ndim if axis < 0 else axis
    if axis is None:
        return 0 if ndim == 1 else tuple(range(ndim))
    if isinstance(axis, tuple):
        axes = sorted(_single(one, ndim) for one in axis)
        for first, second in pairwise(axes):
            if first == second:
                raise ValueError(f"`axis` must not name an axis twice, got {axis!r}")
        return axes[0] if len(axes) == 1 else tuple(axes)
    return _single(axis, ndim)


def _single(axis: object, ndim: int) -> int:
    if isinstance(axis, bool) or not hasattr(axis, "__index__"):
        raise TypeError(
            "`axis` must be an int, a tuple of ints, None or (), "
            f"got {axis!r} of type {type(axis).__name__}"
        )
    index = operator.index(axis)
    if not -ndim <= index < ndim:
        raise AxisError(index, ndim)
    return index + ndim if index < 0 else index


def as_tuple(axis: Axis) -> tuple[int, ...]:
    """Return the axes as a tuple, one int included."""
    return (axis,) if isinstance(axis, int) else axis


def reduced_shape(shape: tuple[int, ...], axis: Axis, keepdims: bool = False) -> tuple[int, ...]:
    """Return the shape that a reduction over `axis` leaves."""
    axes = as_tuple(axis)
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def is_broadcastable(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Return whether `shape` broadcasts to `target` without enlarging it (unknown sizes pass)."""
    if len(shape) > len(target):
        return False
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return all(n in (1, m) or not _known(n) or not _known(m) for n, m in pairs)


def is_same_shape(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Return whether two shapes agree (unknown sizes pass)."""
    pairs = zip(shape, target, strict=False)
    return len(shape) == len(target) and all(
        n == m or not _known(n) or not _known(m) for n, m in pairs
    )


def _known(size: object) -> bool:
    return isinstance(size, int) or not (size is None or size != size)  # noqa: PLR0124 - NaN
