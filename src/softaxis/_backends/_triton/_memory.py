"""Memory: where rows lie, and how tiles of them are read and written.

A tensor is (a, b, c, length), which are its `sizes`, with four strides `at`, counted in elements.
Row r is r // (b c), r // c % b and r % c. All offsets are 64 bits wide.
"""

from __future__ import annotations

import triton
import triton.language as tl

INF = tl.constexpr(float("inf"))


@triton.jit
def rows_of(count, ROWS: tl.constexpr):
    """Return the rows of this program, one below the other."""
    group = tl.program_id(0).to(tl.int64) // count
    return group * ROWS + tl.arange(0, ROWS)[:, None]


@triton.jit
def columns_of(count, BLOCK: tl.constexpr):
    """Return the positions in the row of this program, side by side."""
    return columns_from(tl.program_id(0).to(tl.int64) % count * BLOCK, BLOCK)


@triton.jit
def columns_from(start, BLOCK: tl.constexpr):
    """Return BLOCK positions in a row, side by side."""
    return start + tl.arange(0, BLOCK)[None, :].to(tl.int64)


@triton.jit
def are_rows(rows, sizes):
    """Return which of them exist."""
    return rows < sizes[0] * sizes[1] * sizes[2]


@triton.jit
def starts(rows, at, sizes):
    """Return how far from the first element of a tensor its rows start."""
    a = rows // (sizes[1] * sizes[2])
    b = rows // sizes[2] % sizes[1]
    return a * at[0] + b * at[1] + rows % sizes[2] * at[2]


@triton.jit
def load(x, rows, columns, at, sizes, other, REAL: tl.constexpr):
    """Return a tile, with `other` beyond the tensor."""
    inside = are_rows(rows, sizes) & (columns < sizes[3])
    places = starts(rows, at, sizes) + columns * at[3]
    return tl.load(x + places, mask=inside, other=other).to(REAL)


@triton.jit
def load_masked(x, x_at, where, where_at, rows, columns, sizes, REAL: tl.constexpr):
    """Return a tile with -inf for what takes no part, and what does."""
    live = are_rows(rows, sizes) & (columns < sizes[3])
    if where is not None:
        places = starts(rows, where_at, sizes) + columns * where_at[3]
        live = live & (tl.load(where + places, mask=live, other=0) != 0)
    return tl.where(live, load(x, rows, columns, x_at, sizes, -INF, REAL), -INF), live


@triton.jit
def store(y, rows, columns, at, sizes, tile):
    """Write a tile."""
    inside = are_rows(rows, sizes) & (columns < sizes[3])
    places = starts(rows, at, sizes) + columns * at[3]
    tl.store(y + places, tile.to(y.dtype.element_ty), mask=inside)


@triton.jit
def load_of_rows(x, rows, at, sizes):
    """Return a number for each row."""
    return tl.load(x + starts(rows, at, sizes), mask=are_rows(rows, sizes), other=0)


@triton.jit
def store_of_rows(y, rows, at, sizes, numbers):
    """Write a number for each row."""
    inside = are_rows(rows, sizes)
    tl.store(y + starts(rows, at, sizes), numbers.to(y.dtype.element_ty), mask=inside)
