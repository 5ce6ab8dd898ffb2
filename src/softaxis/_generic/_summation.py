"""Sums that stay accurate however long the row is, and depend on nothing but the row."""

from __future__ import annotations

from softaxis._axes import Axis, as_tuple
from softaxis._libraries import Array, Namespace

_SHORT = 8
"""Below this length a library's own sum adds from left to right, whatever the memory layout."""


def total(a: Array, axis: Axis, xp: Namespace) -> Array:
    """Sum over `axis` with the dimensions kept, pairwise (Higham 1993, doi:10.1137/0914050).

    A library's own sum may add a long row term by term, with an error that grows with its
    length and a result that depends on the memory layout. Halving the row again and again
    costs the same n additions, with an error that grows with log2(n).
    """
    for one in as_tuple(axis):
        a = _total(a, one, xp)
    return a


def _total(a: Array, axis: int, xp: Namespace) -> Array:
    carry = None
    n = a.shape[axis]
    if isinstance(n, int):
        while n >= _SHORT:
            half = n // 2
            if n % 2:
                last = _take(a, axis, n - 1, n)
                carry = last if carry is None else carry + last
            a = _take(a, axis, 0, half) + _take(a, axis, half, 2 * half)
            n = half
    a = xp.sum(a, axis=axis, keepdims=True)
    return a if carry is None else a + carry


def _take(a: Array, axis: int, start: int, stop: int) -> Array:
    index = [slice(None)] * a.ndim
    index[axis] = slice(start, stop)
    return a[tuple(index)]
