"""Sums that stay accurate however long the row is, and depend on nothing but the row."""

from __future__ import annotations

from softaxis._axes import Axis, as_tuple
from softaxis._libraries import Array, Namespace


def total(a: Array, axis: Axis, xp: Namespace) -> Array:
    """Sum over `axis` with the dimensions kept, pairwise (Higham 1993, doi:10.1137/0914050).

    A library's own sum may add a long row term by term, with an error that grows with its
    length and a result that depends on the memory layout. Halving the row again and again, down
    to one element, costs the same n additions, with an error that grows with log2(n).

    A namespace may bring a `total(a, axis)` that does better on its library; it returns None where
    it does not.
    """
    better = getattr(xp, "total", _nothing)(a, axis)
    if better is not None:
        return better
    for one in as_tuple(axis):
        a = _total(a, one, xp)
    return a


def _nothing(a: Array, axis: Axis) -> None:  # noqa: ARG001 - what others take
    return None


def _total(a: Array, axis: int, xp: Namespace) -> Array:
    n = a.shape[axis]
    if not isinstance(n, int) or n == 0:
        return xp.sum(a, axis=axis, keepdims=True)
    carry = None
    while n > 1:
        half = n // 2
        if n % 2:
            last = _take(a, axis, n - 1, n)
            carry = last if carry is None else carry + last
        a = _take(a, axis, 0, half) + _take(a, axis, half, 2 * half)
        n = half
    return a if carry is None else a + carry


def _take(a: Array, axis: int, start: int, stop: int) -> Array:
    index = [slice(None)] * a.ndim
    index[axis] = slice(start, stop)
    return a[tuple(index)]
