"""cross_entropy of integer labels, and its gradient.

With w the class weights, a the smoothing, u the number of classes that the mask leaves in,
L = log(k) + log1p(rest / k) and z = x - m,

    v_c   = w_c ((1 - a) [c = y] + a / u),   V = sum v_c
    loss  = sum_c v_c (L - z_c) + z_loss lse**2,   lse = m + L
    slope = p_c (V - v_c) - v_c (1 - p_c) + 2 z_loss lse p_c

where 1 - p_c is summed from the other classes if p_c is the largest: no term cancels.
"""

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
from softaxis._backends._triton._numbers import log_sum, log_sum_exp, quotient, shift_of
from softaxis._backends._triton._rows import load_weights, row_of, take_rows


@triton.jit
def losses(
    x, x_at, where, where_at, labels, labels_at, weights, loss, loss_at, known, sizes,
    IGNORED: tl.constexpr, SMOOTHING: tl.constexpr, Z_LOSS: tl.constexpr,
    REAL: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the loss of each row: NaN where a label names no class, 0 where it is ignored."""
    rows = rows_of(1, ROWS)
    if known is None:
        columns = columns_of(1, BLOCK)
        tile, live = load_masked(x, x_at, where, where_at, rows, columns, sizes, REAL)
        row = row_of(tile, live, weights, columns, sizes[3], SMOOTHING != 0)
    else:
        row = take_rows(known, rows, sizes)
    m, k, rest, u, weight, far = row
    label = load_of_rows(labels, rows, labels_at, sizes)
    names_one = (label >= 0) & (label < sizes[3])
    y = tl.where(names_one, label, 0)
    logit, _ = load_masked(x, x_at, where, where_at, rows, y, sizes, REAL)
    level = log_sum(m, k, rest)
    v = load_weights(weights, y, sizes[3], REAL) * (1.0 - SMOOTHING)
    found = tl.where(v == 0.0, 0.0, v * (level - (logit - shift_of(m))))
    if SMOOTHING != 0:
        spread = SMOOTHING / tl.maximum(u, 1.0) * (far + weight * level)
        found += tl.where((weight == 0.0) & (far == 0.0), 0.0, spread)
    if Z_LOSS != 0:
        lse = tl.where(m == INF, float("nan"), log_sum_exp(m, k, rest))
        found += Z_LOSS * lse * lse
    found = tl.where(names_one, found, float("nan"))
    if IGNORED is not None:
        found = tl.where(label == IGNORED, 0.0, found)
    store_of_rows(loss, rows, loss_at, sizes, found)


@triton.jit
def losses_vjp(
    x, x_at, where, where_at, labels, labels_at, weights, g, g_at, dx, dx_at, known, sizes, count,
    IGNORED: tl.constexpr, SMOOTHING: tl.constexpr, Z_LOSS: tl.constexpr,
    REAL: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the slopes times g, a number for each row."""
    rows, columns = rows_of(count, ROWS), columns_of(count, BLOCK)
    tile, live = load_masked(x, x_at, where, where_at, rows, columns, sizes, REAL)
    if known is None:
        row = row_of(tile, live, weights, columns, sizes[3], SMOOTHING != 0)
    else:
        row = take_rows(known, rows, sizes)
    m, k, rest, u, weight, _ = row
    label = load_of_rows(labels, rows, labels_at, sizes)
    names_one = (label >= 0) & (label < sizes[3])
    y = tl.where(names_one, label, 0)
    main = tl.full((1, 1), 1.0 - SMOOTHING, REAL)
    mass = load_weights(weights, y, sizes[3], REAL) * main
    v = tl.where(columns == y, main, 0.0)
    if SMOOTHING != 0:
        share = SMOOTHING / tl.maximum(u, 1.0)
        mass += share * weight
        v += share
    v *= load_weights(weights, columns, sizes[3], REAL)
    z = tile - shift_of(m)
    e = tl.exp(z)
    others = tl.where(z == 0.0, (k - 1.0) + rest, (k + rest) - e)
    pull = mass - v
    if Z_LOSS != 0:
        pull += (2.0 * Z_LOSS) * log_sum_exp(m, k, rest)
    factor = quotient(load_of_rows(g, rows, g_at, sizes).to(REAL), k + rest)
    slopes = (e * pull - v * others) * factor
    slopes = tl.where(names_one & (tl.abs(m) < INF), slopes, float("nan"))
    if IGNORED is not None:
        slopes = tl.where(label == IGNORED, 0.0, slopes)
    store(dx, rows, columns, dx_at, sizes, tl.where(live, slopes, 0.0))
