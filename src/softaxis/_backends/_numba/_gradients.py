"""softmax_vjp and log_softmax_vjp of a row.

softmax_vjp:      dx = p (h - sum p h),  h = g - g_top;  0 where p is 0
log_softmax_vjp:  dx = g - p sum g, and for the one p above 0.6, -g expm1(logp) - p sum_others g
"""

from __future__ import annotations

from math import expm1, inf

from softaxis._backends._numba._exp import exp_scaled, unscaled
from softaxis._backends._numba._layout import SLOTS
from softaxis._backends._numba._memory import (
    filled,
    load,
    load_part,
    read,
    store,
    store_part,
    width,
    write,
)
from softaxis._backends._numba._rows import (
    gathered,
    get,
    inlined,
    nothing,
    separate,
)
from softaxis._backends._numba._vectors import (
    count,
    equal,
    greater,
    hidden,
    largest,
    select,
    total,
)

LIKELY = -0.5108256237659907
"""log 0.6. Of two equal components rounding may put both above 1/2, never above this."""


@inlined
def _top(p, g, n):
    """Return the maximum of p, and g there: of several, the largest in the lanes' first ones."""
    w = width(p)
    lowest = filled(p, -inf)
    m = lowest
    top = lowest
    i = 0
    while i + w <= n:
        x = load(p, i)
        above = greater(x, m)
        m = select(above, x, m)
        top = select(above, load(g, i), top)
        i += w
    if i < n:
        x = load_part(p, i, n - i, -inf)
        above = greater(x, m)
        m = select(above, x, m)
        top = select(above, load_part(g, i, n - i, -inf), top)
    best = largest(m)
    return best, largest(select(equal(m, filled(p, best)), top, lowest))


@inlined
def _dot(p, g, n, top):
    """Return sum p (g - top)."""
    w = width(p)
    tops = filled(p, top)
    zero = filled(p, 0.0)
    high = nothing(p)
    low = high
    i = 0
    while i + w <= n:
        x = load(p, i)
        h = select(equal(x, zero), zero, load(g, i) - tops)
        high, low = gathered(high, low, x * h)
        i += w
    if i < n:
        x = load_part(p, i, n - i, 0.0)
        h = select(equal(x, zero), zero, load_part(g, i, n - i, 0.0) - tops)
        high, low = gathered(high, low, x * h)
    return total(high) + total(low)


@inlined
def _softmax_out(p, g, c, n, top, dot):
    w = width(p)
    tops = filled(p, top)
    dots = filled(p, dot)
    zero = filled(p, 0.0)
    i = 0
    while i + w <= n:
        x = load(p, i)
        dx = x * ((load(g, i) - tops) - dots)
        store(c, i, select(equal(x, zero), zero, dx))
        i += w
    if i < n:
        x = load_part(p, i, n - i, 0.0)
        dx = x * ((load_part(g, i, n - i, 0.0) - tops) - dots)
        store_part(c, i, select(equal(x, zero), zero, dx), n - i)


@separate
def softmax_begin(a, b, s, c, n, p, q, extra, past):
    _, top = _top(a, b, n)
    return top, _dot(a, b, n, top)


@separate
def softmax_end(a, b, s, c, n, p, extra, known, past):
    top, dot = known
    _softmax_out(a, b, c, n, top, dot)


@separate
def softmax_reduce(a, b, c, n, first, p, extra, row, chunk, keep):
    m, top = _top(a, b, n)
    write(chunk, 0, float(m))
    write(chunk, 1, float(top))


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
    w = width(p)
    likely = 0.0
    k = 0
    high = nothing(p)
    low = high
    i = 0
    while i < n:
        logp = get(p, i, n, -inf)
        x = get(g, i, n, 0.0)
        x = select(equal(logp, filled(p, -inf)), filled(p, 0.0), x)
        above = greater(logp, filled(p, LIKELY))
        here = count(above)
        if here > 0:
            k += here
            likely += float(total(select(above, x, filled(p, 0.0))))
            x = select(above, filled(p, 0.0), x)
        high, low = gathered(high, low, x)
        i += w
    return total(high) + total(low), likely, k


@inlined
def _log_out(p, g, c, n, sum_of_g):
    """c = g - p sum_of_g; 0 where p is 0."""
    w = width(p)
    sums = filled(p, sum_of_g)
    zero = filled(p, 0.0)
    dead = filled(p, -inf)
    scale = filled(p, unscaled(p))
    i = 0
    while i + w <= n:
        logp = load(p, i)
        dx = load(g, i) - exp_scaled(logp) * scale * sums
        store(c, i, select(equal(logp, dead), zero, dx))
        i = hidden(i + w)
    if i < n:
        logp = load_part(p, i, n - i, -inf)
        dx = load_part(g, i, n - i, 0.0) - exp_scaled(logp) * scale * sums
        store_part(c, i, select(equal(logp, dead), zero, dx), n - i)


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
def log_softmax_begin(a, b, s, c, n, p, q, extra, past):
    return _log_sums(a, b, n)


@separate
def log_softmax_end(a, b, s, c, n, p, extra, known, past):
    others, likely, k = known
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
