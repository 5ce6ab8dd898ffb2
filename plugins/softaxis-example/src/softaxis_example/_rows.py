"""Rows of a sparse array: what is stored of them, in order, without what is not.

An element has a key, ``row * length + place in the row``, so that sorting the keys sorts by rows.
The order within a row is that of its own elements, whatever else is in the array.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import sparse

NDArray = npt.NDArray[Any]
Axis = int | tuple[int, ...]


class Layout(NamedTuple):
    """How the elements of an array are cut into rows along some of its axes."""

    shape: tuple[int, ...]
    kept: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def length(self) -> int:
        """How many elements a row has."""
        return prod(self.shape[d] for d in self.axes)

    @property
    def number(self) -> int:
        """How many rows there are."""
        return prod(self.shape[d] for d in self.kept)

    def keys(self, coords: NDArray) -> NDArray:
        """Return the keys of elements at some coordinates."""
        keys = np.zeros(coords.shape[1], np.int64)
        for d in (*self.kept, *self.axes):
            keys = keys * self.shape[d] + coords[d].astype(np.int64)
        return keys

    def coords(self, keys: NDArray) -> NDArray:
        """Return the coordinates of elements with some keys."""
        coords = np.empty((len(self.shape), len(keys)), np.int64)
        for d in reversed((*self.kept, *self.axes)):
            keys, coords[d] = np.divmod(keys, self.shape[d])
        return coords


def layout(shape: tuple[int, ...], axis: Axis) -> Layout:
    """Return the layout of rows along `axis`, as softaxis hands it over."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    return Layout(shape, tuple(d for d in range(len(shape)) if d not in axes), axes)


class Mask(NamedTuple):
    """The keys of the elements that take part or, unless `inclusive`, of those that do not."""

    keys: NDArray
    inclusive: bool

    def of(self, keys: NDArray) -> NDArray:
        """Say of each key whether its element takes part."""
        part: NDArray = np.isin(keys, self.keys, assume_unique=True, invert=not self.inclusive)
        return part


def mask(where: sparse.COO | None, rows: Layout) -> Mask:
    """Return `where` as a mask, with as many keys as it has entries in the shape of the array."""
    if where is None:
        return Mask(np.empty(0, np.int64), inclusive=False)
    where = where.broadcast_to(rows.shape)
    other = where.data != where.fill_value
    return Mask(np.sort(rows.keys(where.coords[:, other])), inclusive=not where.fill_value)


class Entries(NamedTuple):
    """The elements that count and take part, row by row."""

    keys: NDArray
    values: NDArray
    rows: NDArray
    """The rows that have any; what `reduce` returns has one number for each of these."""
    starts: NDArray
    """Where each of these rows starts."""

    def reduce(self, ufunc: np.ufunc, values: NDArray) -> NDArray:
        """Reduce each row; a sum is pairwise, as in `np.sum`, and sees nothing but its row."""
        if not len(values):
            return values
        return ufunc.reduceat(values, self.starts)

    def spread(self, numbers: NDArray) -> NDArray:
        """Return each row's number for each of its elements."""
        return np.repeat(numbers, np.diff(self.starts, append=len(self.keys)))


def entries(
    x: sparse.COO, rows: Layout, takes_part: Mask, nothing: float, working: np.dtype[Any]
) -> Entries:
    """Return what of `x` takes part and is not `nothing`, the number that need not be stored."""
    keys, values = _sorted(x, rows)
    inside = (values != nothing) & takes_part.of(keys)
    keys, values = keys[inside], values[inside].astype(working)
    found, starts = np.unique(keys // rows.length if len(keys) else keys, return_index=True)
    return Entries(keys, values, found, starts)


def values_at(x: sparse.COO, rows: Layout, wanted: NDArray) -> NDArray:
    """Return what `x` holds at sorted keys, stored or not."""
    keys, values = _sorted(x, rows)
    found = np.full(len(wanted), x.fill_value, x.dtype)
    found[np.isin(wanted, keys, assume_unique=True)] = values[
        np.isin(keys, wanted, assume_unique=True)
    ]
    return found


def _sorted(x: sparse.COO, rows: Layout) -> tuple[NDArray, NDArray]:
    keys = rows.keys(x.coords)
    order = np.argsort(keys, kind="stable")  # one pass where they are in order already
    return keys[order], x.data[order]


def assembled(coords: NDArray, data: NDArray, shape: tuple[int, ...], fill: float) -> sparse.COO:
    """Return an array with as many entries as differ from `fill`."""
    return sparse.COO(
        coords, data, shape, has_duplicates=False, prune=True, fill_value=data.dtype.type(fill)
    )
