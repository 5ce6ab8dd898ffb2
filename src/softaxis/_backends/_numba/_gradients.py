"""softmax_vjp and log_softmax_vjp of a row.

softmax_vjp:      dx = p (h - sum p h),  h = g - g_top;  0 where p is 0
log_softmax_vjp:  dx = g - p sum g, and for the one p above 0.6, -g expm1(logp) - p sum_others g
"""

from __future__ import annotations

from math import expm1, inf

from softaxis._backends._numba._exp import exp_scaled, unscaled
from softaxis._backends._numba._layout import SLOTS
from softaxis._backends._numba._memory import filled, read, width, write
from softaxis._backends._numba._rows import (
    gathered,
    get,
    inlined,
    nothing,
    put,
    row_max,
    separate,
)
from softaxis._backends._numba._vectors import (
    count,
    equal,
    greater,
    largest,
    maximum,
    select,
    total,
)

LIKELY = -0.5108256237659907
"""log 0.6. Of two equal components rounding may put both above 1/2, never above this."""


@inlined
def _top(p, g, n, m):
    """Return the largest of g where p is m."""
    tops = filled(p, m)
    best = filled(p, -inf)
    lowest = best
    i = 0
    while i < n:
        here = equal(get(p, i, n, -inf), tops)
        best = maximum(select(here, get(g, i, n, -inf), lowest), best)
        i += width(p)
    return largest(best)


@inlined
def _dot(p, g, n, top):
    """Return sum p (g - top)."""
    tops = filled(p, top)
    zero = filled(p, 0.0)
    high = nothing(p)
    low = high
    i = 0
    while i < n:
        x = get(p, i, n, 0.0)
        h = select(equal(x, zero), zero, get(g, i, n, 0.0) - tops)
        high, low = gathered(high, low, x * h)
        i += width(p)
    return total(high) + total(low)


@inlined
def _softmax_out(p, g, c, n, top, dot):
    tops = filled(p, top)
    dots = filled(p, dot)
    zero = filled(p, 0.0)
    i = 0
    while i < n:
        x = get(p, i, n, 0.0)
        dx = x * ((get(g, i, n, 0.0) - tops) - dots)
        put(c, i, n, select(equal(x, zero), zero, dx), False)
        i += width(p)


@separate
def softmax_short(a, b, s, c, n, p, q, extra, past):
    top = _top(a, b, n, row_max(a, n))
    _softmax_out(a, b, c, n, top, _dot(a, b, n, top))


@separate
def softmax_reduce(a, b, c, n, first, p, extra, row, chunk, keep):
    m = row_max(a, n)
    write(chunk, 0, float(m))
    write(chunk, 1, float(_top(a, b, n, m)))


@separate
def softmax_merge(row, chunk, chunks, n, p, q, like, extra):
    m = -inf
    top = -inf
    for i in range(chunks):
        m_i, top_i = read(chunk, i * SLOTS), read(chunk, i * SLOTS + 1)
        if m_i > m:
            m, top = m_i, top_i
        elif m_i == m:
            top = max(top, top_i)
    write(row, 0, top)


@separate
def softmax_again(a, b, c, n, first, p, extra, row, chunk, keep):
    write(chunk, 2, _dot(a, b, n, read(row, 0)))


@inlined
def _added(chunk, chunks, slot):
    """Return the sum over the chunks, with the rounding errors beside it."""
    s = 0.0
    error = 0.0
    for i in range(chunks):
        x = read(chunk, i * SLOTS + slot)
        t = s + x
        b = t - s
        error += (s - (t - b)) + (x - b)
        s = t
    return s + error


@separate
def softmax_settle(row, chunk, chunks, n, p, q, like, extra):
    write(row, 1, _added(chunk, chunks, 2))


@separate
def softmax_finish(a, b, c, n, first, p, extra, row, chunk, keep, past):
    _softmax_out(a, b, c, n, read(row, 0), read(row, 1))


@inlined
def _log_sums(p, g, n):
    """Return the sum of g over unlikely components, over likely ones, and how many those are."""
    limit = filled(p, LIKELY)
    zero = filled(p, 0.0)
    dead = filled(p, -inf)
    likely = 0.0
    k = 0
    high = nothing(p)
    low = high
    i = 0
    while i < n:
        logp = get(p, i, n, -inf)
        x = select(equal(logp, dead), zero, get(g, i, n, 0.0))
        above = greater(logp, limit)
        here = count(above)
        if here > 0:
            k += here
            likely += float(total(select(above, x, zero)))
        high, low = gathered(high, low, select(above, zero, x))
        i += width(p)
    return total(high) + total(low), likely, k


@inlined
def _log_out(p, g, c, n, sum_of_g):
    """c = g - p sum_of_g; 0 where p is 0."""
    sums = filled(p, sum_of_g)
    zero = filled(p, 0.0)
    dead = filled(p, -inf)
    scale = filled(p, unscaled(p))
    i = 0
    while i < n:
        logp = get(p, i, n, -inf)
        x = get(g, i, n, 0.0)
        dx = x - exp_scaled(logp) * scale * sums
        put(c, i, n, select(equal(logp, dead), zero, dx), False)
        i += width(p)


@inlined
def _log_alone(p, g, n):
    """Return where the likely component is, its logarithm and its g."""
    for i in range(n):
        if read(p, i) > LIKELY:
            return i, float(read(p, i)), float(read(g, i))
    return -1, 0.0, 0.0


@inlined
def _log_chunk(p, g, c, n, others, likely, k):
    i, logp, x = (-1, 0.0, 0.0)
    if k == 1:
        i, logp, x = _log_alone(p, g, n)
    _log_out(p, g, c, n, others + likely)
    if i >= 0:
        below = expm1(logp)
        write(c, i, -x * below - (1.0 + below) * others)


@separate
def log_softmax_short(a, b, s, c, n, p, q, extra, past):
    others, likely, k = _log_sums(a, b, n)
    _log_chunk(a, b, c, n, others, likely, k)


@separate
def log_softmax_reduce(a, b, c, n, first, p, extra, row, chunk, keep):
    others, likely, k = _log_sums(a, b, n)
    write(chunk, 0, others)
    write(chunk, 1, likely)
    write(chunk, 2, float(k))


@separate
def log_softmax_merge(row, chunk, chunks, n, p, q, like, extra):
    for slot in range(3):
        write(row, slot, _added(chunk, chunks, slot))


@separate
def log_softmax_finish(a, b, c, n, first, p, extra, row, chunk, keep, past):
    _log_chunk(a, b, c, n, read(row, 0), read(row, 1), int(read(row, 2)))
