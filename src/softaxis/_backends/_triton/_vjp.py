"""Vector-Jacobian products of softmax and log_softmax: of a result and of g.

One program goes over a row. A row that a tile does not hold (WHOLE is false) is read three times
for softmax, twice for log_softmax.
"""

from __future__ import annotations

import triton
import triton.language as tl

from softaxis._backends._triton._memory import INF, columns_from, load, rows_of, store
from softaxis._backends._triton._numbers import added, expm1, largest, sum_of

NEAR = tl.constexpr(-0.5108256237659907)
"""log(0.6): of two equal probabilities, rounding may put both above 1/2."""


@triton.jit
def pulled(p, g, top):
    """h = g - g_top, 0 where p is 0."""
    return tl.where(p == 0.0, 0.0, g - top)


@triton.jit
def softmax_vjp(
    p, p_at, g, g_at, dx, dx_at, sizes, REAL: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """dx_i = p_i (h_i - sum_j p_j h_j), g_top being the largest g where p is the largest."""
    rows = rows_of(1, ROWS)
    if WHOLE:
        columns = columns_from(0, BLOCK)
        p_tile = load(p, rows, columns, p_at, sizes, 0.0, REAL)
        g_tile = load(g, rows, columns, g_at, sizes, 0.0, REAL)
        top = largest(tl.where(p_tile == largest(p_tile), g_tile, -INF))
        h = pulled(p_tile, g_tile, top)
        found = tl.where(p_tile == 0.0, 0.0, p_tile * (h - sum_of(p_tile * h)))
        store(dx, rows, columns, dx_at, sizes, found)
    else:
        m = tl.full((ROWS, 1), -INF, REAL)
        top, s, lost = m, tl.zeros_like(m), tl.zeros_like(m)
        for start in range(0, sizes[3], BLOCK):
            columns = columns_from(start, BLOCK)
            p_tile = load(p, rows, columns, p_at, sizes, 0.0, REAL)
            g_tile = load(g, rows, columns, g_at, sizes, 0.0, REAL)
            now = tl.maximum(m, largest(p_tile))
            top = tl.where(m == now, top, -INF)
            top = tl.maximum(top, largest(tl.where(p_tile == now, g_tile, -INF)))
            m = now
        for start in range(0, sizes[3], BLOCK):
            columns = columns_from(start, BLOCK)
            p_tile = load(p, rows, columns, p_at, sizes, 0.0, REAL)
            h = pulled(p_tile, load(g, rows, columns, g_at, sizes, 0.0, REAL), top)
            s, lost = added(s, lost, sum_of(p_tile * h))
        for start in range(0, sizes[3], BLOCK):
            columns = columns_from(start, BLOCK)
            p_tile = load(p, rows, columns, p_at, sizes, 0.0, REAL)
            h = pulled(p_tile, load(g, rows, columns, g_at, sizes, 0.0, REAL), top)
            found = tl.where(p_tile == 0.0, 0.0, p_tile * (h - (s + lost)))
            store(dx, rows, columns, dx_at, sizes, found)


@triton.jit
def less(logp, g, s, others):
    """g - p s; g (1 - p) - p times the sum of the others where p is near 1; 0 where p is 0."""
    p = tl.exp(logp)
    found = tl.where(logp > NEAR, -g * expm1(logp) - p * others, g - p * s)
    return tl.where(logp == -INF, 0.0, found)


@triton.jit
def log_softmax_vjp(
    logp, logp_at, g, g_at, dx, dx_at, sizes, REAL: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, WHOLE: tl.constexpr,
):  # fmt: skip
    """dx_i = g_i - p_i sum_j g_j = g_i (1 - p_i) - p_i sum_(j != i) g_j."""
    rows = rows_of(1, ROWS)
    if WHOLE:
        columns = columns_from(0, BLOCK)
        tile = load(logp, rows, columns, logp_at, sizes, -INF, REAL)
        g_tile = load(g, rows, columns, g_at, sizes, 0.0, REAL)
        g_tile = tl.where(tile == -INF, 0.0, g_tile)
        others = sum_of(tl.where(tile > NEAR, 0.0, g_tile))
        found = less(tile, g_tile, sum_of(g_tile), others)
        store(dx, rows, columns, dx_at, sizes, found)
    else:
        s = tl.zeros((ROWS, 1), REAL)
        s_lost, others, others_lost = s, s, s
        for start in range(0, sizes[3], BLOCK):
            columns = columns_from(start, BLOCK)
            tile = load(logp, rows, columns, logp_at, sizes, -INF, REAL)
            g_tile = load(g, rows, columns, g_at, sizes, 0.0, REAL)
            g_tile = tl.where(tile == -INF, 0.0, g_tile)
            s, s_lost = added(s, s_lost, sum_of(g_tile))
            rest = sum_of(tl.where(tile > NEAR, 0.0, g_tile))
            others, others_lost = added(others, others_lost, rest)
        for start in range(0, sizes[3], BLOCK):
            columns = columns_from(start, BLOCK)
            tile = load(logp, rows, columns, logp_at, sizes, -INF, REAL)
            g_tile = load(g, rows, columns, g_at, sizes, 0.0, REAL)
            found = less(tile, g_tile, s + s_lost, others + others_lost)
            store(dx, rows, columns, dx_at, sizes, found)
