"""Rows: what has to be known of a whole row before any of it can be written.

That is m, k and rest; and for labels that are smoothed u, the number of elements that take part,
the sum of their class weights w, and that of w (m - x).
"""

from __future__ import annotations

import triton
import triton.language as tl

from softaxis._backends._triton._memory import (
    INF,
    are_rows,
    columns_from,
    columns_of,
    load_masked,
    rows_of,
)
from softaxis._backends._triton._numbers import (
    counted,
    joined,
    parts_of,
    shift_of,
    sum_of,
)


@triton.jit
def load_weights(weights, columns, length, REAL: tl.constexpr):
    """Return the class weights of some columns; 1 where there are none."""
    if weights is None:
        found = tl.full(columns.shape, 1.0, REAL)
    else:
        found = tl.load(weights + columns, mask=columns < length, other=0.0)
    return found


@triton.jit
def row_of(tile, live, weights, columns, length, SPREAD: tl.constexpr):
    """Return m, k and rest of each row of a tile; and, if SPREAD, u and the sums with w."""
    m, k, rest = parts_of(tile)
    zero = tl.zeros_like(m)
    u, weight, far = zero, zero, zero
    if SPREAD:
        w = tl.where(live, load_weights(weights, columns, length, tile.dtype), 0.0)
        u = counted(live).to(tile.dtype)
        weight = sum_of(w)
        far = sum_of(tl.where(w == 0.0, 0.0, w * (shift_of(m) - tile)))
    return m, k, rest, u, weight, far


@triton.jit
def leave(found, at, step, exists, row):
    """Write the six numbers of rows, `step` apart, each from position `at` on."""
    for i in tl.static_range(6):
        tl.store(found + i * step + at, row[i].to(found.dtype.element_ty), mask=exists)


@triton.jit
def take(found, at, step, exists):
    """Read what `leave` has written; elsewhere what belongs to no element."""
    m = tl.load(found + at, mask=exists, other=-INF)
    k = tl.load(found + step + at, mask=exists, other=0.0)
    rest = tl.load(found + 2 * step + at, mask=exists, other=0.0)
    u = tl.load(found + 3 * step + at, mask=exists, other=0.0)
    weight = tl.load(found + 4 * step + at, mask=exists, other=0.0)
    far = tl.load(found + 5 * step + at, mask=exists, other=0.0)
    return m, k, rest, u, weight, far


@triton.jit
def take_rows(known, rows, sizes):
    """Read what is known of whole rows."""
    return take(known, rows, sizes[0] * sizes[1] * sizes[2], are_rows(rows, sizes))


@triton.jit
def parts(
    x, x_at, where, where_at, weights, found, sizes, count, SPREAD: tl.constexpr,
    REAL: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Leave what is to be known of each tile."""
    rows, columns = rows_of(count, ROWS), columns_of(count, BLOCK)
    tile, live = load_masked(x, x_at, where, where_at, rows, columns, sizes, REAL)
    row = row_of(tile, live, weights, columns, sizes[3], SPREAD)
    step = sizes[0] * sizes[1] * sizes[2] * count
    part = tl.program_id(0).to(tl.int64) % count
    leave(found, rows * count + part, step, are_rows(rows, sizes), row)


@triton.jit
def join(found, known, rows, count, BLOCK: tl.constexpr):
    """Make what is known of one row of what is known of its parts, in float64."""
    row = tl.program_id(0).to(tl.int64) + tl.zeros((1, 1), tl.int64)
    m = tl.full((1, 1), -INF, tl.float64)
    zero = tl.zeros_like(m)
    k, rest, u, weight, far = zero, zero, zero, zero, zero
    for start in range(0, count, BLOCK):
        i = columns_from(start, BLOCK)
        ms, ks, rests, us, ws, fars = take(found, row * count + i, rows * count, i < count)
        before = shift_of(m)
        m, k, rest = joined(m, k, rest, ms, ks, rests)
        now = shift_of(m)
        shares = fars + ws * (now - shift_of(ms))
        far += weight * (now - before) + sum_of(shares)
        weight += sum_of(ws.to(tl.float64))
        u += sum_of(us.to(tl.float64))
    leave(known, row, rows, row < rows, (m, k, rest, u, weight, far))
