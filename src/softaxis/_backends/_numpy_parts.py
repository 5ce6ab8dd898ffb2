"""NumPy: softmax, log_softmax and logsumexp along the middle axis of (outer, row, inner).

For rows that are not contiguous, many of them side by side, and for rows longer than the cache.
They are taken part by part along the row, so that no more than a part of exp(x) is held besides
the result; where the result has another dtype, exp is taken once more instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softaxis._backends._numpy_shift import (
    LEAST,
    LOGARITHMIC,
    NEAR,
    PROBABLE,
    fits,
    is_promising,
    or_itself,
    shift_by_maximum,
    shift_by_sum,
)
from softaxis._backends._numpy_sums import LEAF, over_parts, total

NDArray: TypeAlias = npt.NDArray[Any]

_LONG = 1 << 19
_WIDE = 1 << 20
"""Bytes of a part of one row, and of one that reaches over many rows."""
_NARROW, _BROAD = 1 << 10, 1 << 14
"""Bytes of rows side by side between which NumPy's own maximum is the fastest."""
_FEW, _SMALL = 1 << 9, 1 << 15
"""Reduced elements, and elements of a block in the cache, up to which it is so too."""


def softmax(x: NDArray, y: NDArray, working: Any, room: NDArray) -> None:
    """e / sum(e), e = exp(x - shift)."""
    row = Row(x, working, room)
    if y.dtype != working or np.may_share_memory(x, y):
        s, shift = row.sum_of_exp(PROBABLE)
        for i, j in row.parts():
            np.divide(row.exp(i, j, shift, row.room(i, j)), s, out=y[:, i:j])
    else:
        s, _ = row.sum_of_exp(PROBABLE, y)
        np.divide(y, s, out=y)


def log_softmax(x: NDArray, y: NDArray, working: Any, room: NDArray) -> None:
    """z - log1p(rest), z = x - m, rest = sum(exp(z)) without one maximum."""
    row = Row(x, working, room)
    at: Any = None
    if x.shape[2] == 1:
        at = x[:, :, 0].argmax(axis=1)
        m: Any = x[np.arange(len(x)), at].astype(working, copy=False)[:, None]
    else:
        m = row.maximum()
    if y.dtype == working:  # z is cheaper kept than repeated
        for i, j in row.parts():
            np.subtract(row.part(i, j), m, out=y[:, i:j])
        row, m = Row(y, working, room), None
    log_sum = np.log1p(row.sum_without_maximum(m, at))
    for i, j in row.parts():
        z = row.part(i, j)
        if m is not None:
            z = np.subtract(z, m, out=row.room(i, j))
        np.subtract(z, log_sum, out=y[:, i:j])


def logsumexp(x: NDArray, y: NDArray, working: Any, room: NDArray) -> None:
    """shift + log(sum(exp(x - shift)))."""
    row = Row(x, working, room)
    s, shift = row.sum_of_exp(LOGARITHMIC)
    if shift is None:
        y[...] = np.log(s)
    else:
        log_sum = row.log(s, shift, (s < NEAR) & (abs(shift) < LEAST))
        y[...] = or_itself(shift + log_sum, shift)


def room_for(shape: tuple[int, ...], working: Any) -> NDArray:
    """Return room for the longest part of a block of this shape."""
    outer, n, inner = shape
    return np.empty(outer * min(n, _most(outer, inner, working)) * inner, working)


def _most(outer: int, inner: int, working: Any) -> int:
    size: int = (_LONG if inner == 1 else _WIDE) // working.itemsize
    return max(LEAF, size // (outer * inner))


def _first_zeros(z: NDArray, taken: NDArray) -> NDArray:
    """Return the flat index of the first 0 along the middle axis of every row not yet `taken`."""
    _, n, inner = z.shape
    at = np.flatnonzero(z == 0)[::-1]
    row = at // (n * inner) * inner + at % inner
    first = np.full(len(taken), -1)
    first[row] = at  # of several, the last one written stays
    first[taken] = -1
    taken |= first >= 0
    return first[first >= 0]


class Row:
    """Rows side by side, and room for a part of them."""

    def __init__(
        self, x: NDArray, working: Any, room: NDArray, where: NDArray | None = None
    ) -> None:
        outer, self.n, inner = x.shape
        self.x, self.working, self._room, self.where = x, working, room, where
        self.most = _most(outer, inner, working)
        self._held: NDArray | None = None

    def parts(self) -> Iterator[tuple[int, int]]:
        for i in range(0, self.n, self.most):
            yield i, min(i + self.most, self.n)

    def part(self, i: int, j: int) -> NDArray:
        """x[i:j] in the dtype to compute in, its rows side by side in memory."""
        x = self.x[:, i:j]
        if self.where is not None:
            return np.where(self.where[:, i:j], x, -inf).astype(self.working, copy=False)
        if x.dtype == self.working and x.strides[-1] == x.itemsize:
            return x
        return x.astype(self.working, order="C")

    def room(self, i: int, j: int) -> NDArray:
        outer, _, inner = self.x.shape
        return self._room[: outer * (j - i) * inner].reshape(outer, j - i, inner)

    def maximum(self) -> NDArray:
        outer, n, inner = self.x.shape
        if self.where is not None:
            pass
        elif (
            inner == 1
            or _NARROW <= inner * self.working.itemsize <= _BROAD
            or (outer * n <= _FEW and self.x.size <= _SMALL)
        ):
            m = np.maximum.reduce(self.x, axis=1, keepdims=True)
            return m.astype(self.working, copy=False)
        m = self._folded(*next(self.parts()))
        for i, j in self.parts():
            if i > 0:
                np.maximum(m, self._folded(i, j), out=m)
        return m

    def _folded(self, i: int, j: int) -> NDArray:
        """The maximum by halves: a reduction clears the floating-point flags for every row."""
        x = self.part(i, j)
        n = (j - i + 1) // 2
        y = np.maximum(x[:, :n], x[:, j - i - n :], out=self.room(0, n))
        while n > 1:
            if n % 2:
                np.maximum(y[:, :1], y[:, n - 1 : n], out=y[:, :1])
            n //= 2
            np.maximum(y[:, :n], y[:, n : 2 * n], out=y[:, :n])
        return y[:, :1].copy()

    def exp(self, i: int, j: int, shift: NDArray | None, e: NDArray) -> NDArray:
        """exp(x[i:j] - shift), written to `e`."""
        x = self.part(i, j)
        return np.exp(x if shift is None else np.subtract(x, shift, out=e), out=e)

    def sum_of_exp(self, least: float, e: NDArray | None = None) -> tuple[NDArray, Any]:
        """Return the sum of exp(x - shift), kept in `e` if given, and the shift, None for 0."""
        m: Any = None
        shift: Any = None
        if not is_promising(self.x):
            m = self.maximum()
            shift = shift_by_maximum(m, self.n, least)
        if shift is None:
            s = self.sum_of(None, e)
            if fits(s, least):
                return s, None
            shift = shift_by_sum(s, self.maximum() if m is None else m, least)
        return self.sum_of(shift, e), shift

    def sum_of(self, shift: Any, e: NDArray | None = None) -> NDArray:
        """The sum of exp(x - shift), kept in `e` if given."""

        def between(i: int, j: int) -> NDArray:
            return total(self.exp(i, j, shift, self.room(i, j) if e is None else e[:, i:j]))

        self._held = e if e is not None or self.n > self.most else self.room(0, self.n)
        return over_parts(self.n, self.most, between)

    def sum_without_maximum(self, m: Any, at: NDArray | None) -> NDArray:
        """The sum of exp(z), z = x - m, without the first element of each row where z is 0.

        `at` says where that is, if it is known; m is None where it is 0 already.
        """
        outer, _, inner = self.x.shape
        taken = np.zeros(outer * inner, bool)

        def between(i: int, j: int) -> NDArray:
            e = self.room(i, j)
            z = self.part(i, j) if m is None else np.subtract(self.part(i, j), m, out=e)
            if at is None:
                first = _first_zeros(z, taken)
                np.exp(z, out=e)
                e.put(first, 0)
            else:
                rows = np.flatnonzero((at >= i) & (at < j))
                index = rows, at[rows] - i
                most = z[index]  # 0, or NaN where the maximum is not finite
                np.exp(z, out=e)
                e[index] = most
            return total(e)

        return over_parts(self.n, self.most, between)

    def at(self, y: NDArray) -> NDArray:
        """x[y] in the dtype to compute in; -inf where it is masked."""
        outer, _, inner = self.x.shape
        index = np.arange(outer)[:, None], y[:, 0], np.arange(inner)
        found = self.x[index].astype(self.working, copy=False)
        if self.where is not None:
            found = np.where(self.where[index], found, -inf).astype(self.working, copy=False)
        return found[:, None]

    def log(self, s: NDArray, shift: Any, near: NDArray) -> NDArray:
        """log(s), or log1p(rest) where the rest of a row is little beside its one maximum."""
        log_sum = np.log(s)
        if near.any():
            rest, some = self.rest(near, shift)
            log_sum[some] = np.where(near[some], np.log1p(rest), log_sum[some])
        return log_sum

    def rest(self, near: NDArray, shift: Any, y: NDArray | None = None) -> tuple[NDArray, Any]:
        """Return sums of exp(x - shift) without element y, or the maximum, and of which rows.

        It follows upon `sum_of` with the same shift, which may have left the exponentials behind.

        They are those of `near` and, where rows lie side by side, others of the same column.
        """
        axis = 0 if self.x.shape[2] == 1 else 2
        found = np.flatnonzero(near.any(axis=(1, 2 - axis)))
        some = (slice(None),) * axis + (found,)
        if shift is not None:
            shift = np.broadcast_to(shift, near.shape)[some]
        if y is not None:
            y = y[some]

        def between(i: int, j: int) -> NDArray:
            if self._held is not None:
                e = self._held[:, i:j].take(found, axis=axis)
            else:
                e = self.part(i, j).take(found, axis=axis)
                np.exp(e if shift is None else np.subtract(e, shift, out=e), out=e)
            if y is None:
                np.copyto(e, 0, where=e == 1)
            else:
                outer, _, inner = np.nonzero((y >= i) & (y < j))
                e[outer, y[outer, 0, inner] - i, inner] = 0
            return total(e)

        return over_parts(self.n, self.most, between), some
