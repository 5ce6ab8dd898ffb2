"""softmax and log_softmax, the gradient of logsumexp, and logsumexp itself."""

from __future__ import annotations

import triton
import triton.language as tl

from softaxis._backends._triton._memory import (
    INF,
    columns_of,
    load_masked,
    load_of_rows,
    rows_of,
    store,
    store_of_rows,
)
from softaxis._backends._triton._numbers import (
    is_nan,
    log_sum,
    log_sum_exp,
    parts_of,
    quotient,
    shift_of,
)
from softaxis._backends._triton._rows import take_rows


@triton.jit
def normalize(
    x, x_at, where, where_at, g, g_at, y, y_at, known, sizes, count, LOG: tl.constexpr,
    REAL: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write z - log(k + rest) or exp(z) / (k + rest); NaN in a row whose maximum is infinite.

    With `g`, a number for each row, g exp(z) / (k + rest), which is 0 in a row of nothing but -inf.
    """
    rows, columns = rows_of(count, ROWS), columns_of(count, BLOCK)
    tile, live = load_masked(x, x_at, where, where_at, rows, columns, sizes, REAL)
    if known is None:
        m, k, rest = parts_of(tile)
    else:
        m, k, rest, _, _, _ = take_rows(known, rows, sizes)
    z = tile - shift_of(m)
    inverse = quotient(tl.full(k.shape, 1.0, REAL), k + rest)
    y_tile = z - log_sum(m, k, rest) if LOG else tl.exp(z) * inverse
    y_tile = tl.where(tl.abs(m) < INF, y_tile, float("nan"))
    if g is not None:
        y_tile = y_tile * load_of_rows(g, rows, g_at, sizes).to(REAL)
        y_tile = tl.where((m == -INF) & ~is_nan(rest), 0.0, y_tile)
    store(y, rows, columns, y_at, sizes, tl.where(live, y_tile, -INF if LOG else 0.0))


@triton.jit
def reduce(
    x, x_at, where, where_at, y, y_at, known, sizes,
    REAL: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write logsumexp, a number for each row."""
    rows = rows_of(1, ROWS)
    if known is None:
        columns = columns_of(1, BLOCK)
        tile, _ = load_masked(x, x_at, where, where_at, rows, columns, sizes, REAL)
        m, k, rest = parts_of(tile)
    else:
        m, k, rest, _, _, _ = take_rows(known, rows, sizes)
    store_of_rows(y, rows, y_at, sizes, log_sum_exp(m, k, rest))
