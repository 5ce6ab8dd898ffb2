"""Numbers: the maxima taken out of the sum, and sums whose bits depend on the row alone.

With m the maximum of a row, z = x - m, k the number of elements with z = 0 and rest the sum of
exp(z) over the others, log(sum(exp(x))) = m + log(k) + log1p(rest / k), which keeps its accuracy
where one element dominates.
"""

from __future__ import annotations

import triton
import triton.language as tl

from softaxis._backends._triton._memory import INF

MOST_STEPS = tl.constexpr(16)
"""A tile is at most 2**16 elements long."""
NEIGHBOURS = tl.constexpr(4)
"""A thread loads up to 2**4 elements at once, and adds those without asking others."""


@triton.jit
def sum_of(tile):
    """Sum each row by pairs: neighbours first, and then by halves.

    tl.sum adds in the order in which threads hold a row, which depends on how it is aligned; of two
    numbers there is one order only.
    """
    for step in tl.static_range(MOST_STEPS):
        if tile.shape[1] > 1:
            if step < NEIGHBOURS:
                pairs = tl.reshape(tile, (tile.shape[0], tile.shape[1] // 2, 2))
                tile = tl.sum(pairs, axis=2)
            else:
                halves = tl.reshape(tile, (tile.shape[0], 2, tile.shape[1] // 2))
                tile = tl.sum(halves, axis=1)
    return tile


@triton.jit
def added(s, lost, x):
    """Return s + x, and `lost` with what its rounding lost."""
    found = s + x
    back = found - s
    return found, lost + ((s - (found - back)) + (x - back))


@triton.jit
def quotient(x, y):
    """x / y rounded to the nearest: `/` may be off by 2 units in the last place of float32."""
    return tl.div_rn(x, y) if y.dtype == tl.float32 else x / y


@triton.jit
def log1p(x):
    """log(1 + x), x >= 0: the rounding of 1 + x cancels."""
    u = 1.0 + x
    return tl.where(u == 1.0, x, tl.log(u) * (x / (u - 1.0)))


@triton.jit
def expm1(x):
    """exp(x) - 1, x <= 0: the error of exp cancels."""
    u = tl.exp(x)
    right = (u - 1.0) * (x / tl.log(u))
    return tl.where(u == 1.0, x, tl.where(u == 0.0, -1.0, right))


@triton.jit
def is_nan(x):
    """Say what is NaN."""
    return x != x  # noqa: PLR0124


@triton.jit
def shift_of(m):
    """What to subtract: m, 0 where it is infinite."""
    return tl.where(tl.abs(m) < INF, m, 0.0)


@triton.jit
def largest(tile):
    """Return the maximum of each row; NaN does not count."""
    return tl.max(tl.where(is_nan(tile), -INF, tile), axis=1, keep_dims=True)


@triton.jit
def counted(flags):
    """Return how many are set in each row."""
    return tl.sum(flags.to(tl.int32), axis=1, keep_dims=True)


@triton.jit
def settled(m, rest):
    """Return 0 for the rest of a row whose maximum is infinite, if nothing there is NaN."""
    return tl.where((tl.abs(m) < INF) | is_nan(rest), rest, 0.0)


@triton.jit
def parts_of(tile):
    """Return m, k and rest of each row; rest is NaN exactly where something in the row is."""
    m = largest(tile)
    z = tile - shift_of(m)
    is_top = z == 0.0
    rest = sum_of(tl.where(is_top, 0.0, tl.exp(z)))
    return m, counted(is_top).to(tile.dtype), settled(m, rest)


@triton.jit
def joined(m, k, rest, ms, ks, rests):
    """Join m, k and rest of a row, in float64, with those of parts of it side by side."""
    ms, ks, rests = ms.to(tl.float64), ks.to(tl.float64), rests.to(tl.float64)
    top = tl.maximum(m, largest(ms))
    shift = shift_of(top)
    rests = tl.where(ms == top, rests, (ks + rests) * tl.exp(ms - shift))
    rest = tl.where(m == top, rest, (k + rest) * tl.exp(m - shift)) + sum_of(rests)
    k = tl.where(m == top, k, 0.0) + sum_of(tl.where(ms == top, ks, 0.0))
    return top, k, settled(top, rest)


@triton.jit
def log_sum(m, k, rest):
    """log(k + rest); NaN in a row that holds NaN or +inf."""
    k = tl.where(k == 0.0, 1.0, k)
    found = tl.log(k) + log1p(rest / k)
    return tl.where(m == INF, float("nan"), found)


@triton.jit
def log_sum_exp(m, k, rest):
    """m + log(k + rest); m where that is infinite, but NaN where rest is."""
    found = m + log_sum(0.0, k, rest)
    return tl.where((tl.abs(m) < INF) | is_nan(rest), found, m)
