"""NumPy: sums along the middle axis of (outer, row, inner), in one order for every layout.

The order is that in which `np.add.reduce` adds a contiguous row (`pairwise_sum` in NumPy's
loops_utils.h): rows of more than 128 elements are halved, at a multiple of 8, and what is left is
added in 8 lanes. Where rows are not contiguous, the same order is taken over whole vectors of
neighbouring rows; where a row is too long for the cache, over parts of it. So the bits of a sum
depend on the row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

NDArray: TypeAlias = npt.NDArray[Any]

LEAF = 128
_LANES = 8
_SMALL, _SLENDER = 1 << 15, 4
"""Elements up to which rows side by side that are this many times as long as their number are
copied one after another, which is cheaper than a call for every leaf."""


def total(e: NDArray) -> NDArray:
    """Sum over axis 1, which stays with length 1."""
    _, n, inner = e.shape
    sums: NDArray
    if inner == 1 or n < _LANES:
        sums = np.add.reduce(e, axis=1, keepdims=True)
    elif e.size <= _SMALL and _SLENDER * inner <= n:
        rows = np.ascontiguousarray(e.swapaxes(1, 2))
        sums = np.add.reduce(rows, axis=2)[:, None]
    else:
        sums = _over_leaves(e)
    return sums


def _over_leaves(e: NDArray) -> NDArray:
    outer, n, inner = e.shape
    leaves = list(_leaves(0, n))
    r = np.empty((len(leaves), outer, _LANES, inner), e.dtype)
    for lanes, (i, j) in zip(r, leaves, strict=True):
        even = j - (j - i) % _LANES
        np.add.reduce(e[:, i:even].reshape(outer, -1, _LANES, inner), axis=1, out=lanes)
    r = r[:, :, 0::2] + r[:, :, 1::2]
    r = r[:, :, 0::2] + r[:, :, 1::2]
    r = r[:, :, 0::2] + r[:, :, 1::2]
    for k in range(n - (n - i) % _LANES, n):  # only the last leaf is not a multiple of 8
        r[-1] += e[:, k : k + 1]
    found = iter(r)
    return over_parts(n, LEAF, lambda *_: next(found))


def over_parts(n: int, most: int, sum_of: Callable[[int, int], NDArray]) -> NDArray:
    """Add up ``sum_of(i, j)`` over parts of ``range(n)`` of at most `most`, itself at least 128."""
    return _between(0, n, most, sum_of)


def _between(i: int, j: int, most: int, sum_of: Callable[[int, int], NDArray]) -> NDArray:
    if j - i <= most:
        return sum_of(i, j)
    middle = _middle(i, j)
    left = _between(i, middle, most, sum_of)
    return np.add(left, _between(middle, j, most, sum_of), out=left)


def _leaves(i: int, j: int) -> Iterator[tuple[int, int]]:
    if j - i <= LEAF:
        yield i, j
    else:
        middle = _middle(i, j)
        yield from _leaves(i, middle)
        yield from _leaves(middle, j)


def _middle(i: int, j: int) -> int:
    half = (j - i) // 2
    return i + half - half % _LANES
