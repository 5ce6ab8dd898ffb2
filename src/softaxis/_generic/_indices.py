"""Positions along an axis, where a function needs to know which element it has."""

from __future__ import annotations

from math import prod

from softaxis._axes import Axis, as_tuple
from softaxis._dtypes import default_integral, device_of
from softaxis._libraries import Array, Namespace


def flattened(x: Array, axis: Axis, xp: Namespace) -> Array:
    """Move the axes to the end and join them into one."""
    axes = as_tuple(axis)
    if axes == (x.ndim - 1,):
        return x
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    moved = xp.permute_dims(x, kept + axes)
    if len(axes) == 1:
        return moved
    shape = (*(x.shape[i] for i in kept), prod(x.shape[i] for i in axes))
    if 0 in shape:  # Dask joins no axes of length 0
        return xp.zeros(shape, dtype=x.dtype, device=device_of(x))
    return xp.reshape(moved, shape)


def restored(x: Array, shape: tuple[int, ...], axis: Axis, xp: Namespace) -> Array:
    """Undo `flattened` for an array whose shape was `shape`."""
    axes = as_tuple(axis)
    if axes == (len(shape) - 1,):
        return x
    order = tuple(i for i in range(len(shape)) if i not in axes) + axes
    if len(axes) > 1:
        x = xp.reshape(x, tuple(shape[i] for i in order))
    return xp.permute_dims(x, tuple(order.index(i) for i in range(len(shape))))


def positions(x: Array, axis: int, xp: Namespace) -> Array:
    """0, 1, 2, ... up to the length of `axis`, on the device of `x`."""
    return xp.arange(x.shape[axis], dtype=default_integral(x, xp), device=device_of(x))
