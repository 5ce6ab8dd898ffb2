"""softmax and log_softmax of a row: at once where it is short, else chunk by chunk.

Of each chunk `reduce` notes the maximum and the sum, for log_softmax how often the maximum is
there and the sum over the rest; `merge` joins them in their order, and `finish` makes a chunk of
the result:

    softmax = exp(z) / (k + rest),   log_softmax = z - log(k + rest),   z = (x - m) / t.
"""

from __future__ import annotations

from math import exp, inf

from numba.core import types
from numba.extending import overload

from softaxis._backends._numba._exp import unscaled
from softaxis._backends._numba._layout import SLOTS
from softaxis._backends._numba._log import log_sum
from softaxis._backends._numba._memory import pointer, read, width, write
from softaxis._backends._numba._rows import (
    exp_sum,
    exps,
    exps_times,
    exps_times_twice,
    inlined,
    log_four,
    minus,
    row_max,
    scale,
    scale_twice,
    separate,
    shift_of,
    softmax_four,
    sums,
)


def temperature(like, heat, p):
    """Return the temperature of a row, or None.

    `heat` says by its type what there is one of for each row, at the address `p`: an int for a
    temperature, a float for a sink, None for neither.
    """
    raise NotImplementedError


@overload(temperature)
def _temperature(like, heat, p):
    if isinstance(heat, types.Integer):
        return lambda like, heat, p: read(pointer(p, 0.0), 0)
    return lambda like, heat, p: None


def sink(heat, p):
    """Return the sink of a row; -inf, which adds nothing, where it has none."""
    raise NotImplementedError


@overload(sink)
def _sink(heat, p):
    if isinstance(heat, types.Float):
        return lambda heat, p: read(pointer(p, 0.0), 0)
    return lambda heat, p: -inf


def counts(m, largest, t):
    """exp((m - largest) / t): what the sum of a chunk counts for in that of the row."""
    raise NotImplementedError


@overload(counts)
def _counts(m, largest, t):
    if isinstance(t, types.NoneType):
        return lambda m, largest, t: exp(m - largest)
    return lambda m, largest, t: exp((m / 2 - largest / 2) / t * 2)


@inlined
def fits(a, n):
    """Whether a row is best computed as four vectors: there are more than two, and no fifth."""
    w = width(a)
    return 2 * w < n <= 4 * w


@separate
def softmax_begin(a, b, s, c, n, p, q, heat, past):
    """Leave exponentials in s, and return what they are to be multiplied with."""
    if heat is None and fits(a, n):
        softmax_four(a, c, n)
        return 1.0
    own = sink(heat, p)
    m = shift_of(max(float(row_max(a, n)), own))
    x = exps(a, s, n, m, temperature(a, heat, p))
    if own > -inf:
        x += exp(own - m) / unscaled(a)
    return 1.0 / x


@separate
def softmax_end(a, b, s, c, n, p, heat, factor, past):
    if heat is None and fits(a, n):
        return
    scale(s, c, n, factor, past)


@separate
def log_softmax_begin(a, b, s, c, n, p, q, heat, past):
    """Return what is to be subtracted from each x: m, and log(k + rest)."""
    if heat is None and fits(a, n):
        log_four(a, c, n)
        return 0.0, 0.0
    own = sink(heat, p)
    m = shift_of(max(float(row_max(a, n)), own))
    k, rest = sums(a, c, n, m, temperature(a, heat, p), not past)
    if own == m:
        k += 1.0
    elif own > -inf:
        rest += exp(own - m)
    return m, log_sum(k, rest)


@separate
def log_softmax_end(a, b, s, c, n, p, heat, less, past):
    if heat is None and fits(a, n):
        return
    m, level = less
    minus(a, c, n, m, temperature(a, heat, p), level, past)


@separate
def softmax_reduce(a, b, c, n, first, p, heat, row, chunk, keep):
    """Note the maximum and the sum; store the exponentials where they are to be kept."""
    t = temperature(a, heat, p)
    m = row_max(a, n)
    write(chunk, 0, float(m))
    if keep:
        write(chunk, 1, exps(a, c, n, shift_of(m), t))
    else:
        write(chunk, 1, exp_sum(a, n, shift_of(m), t))


@separate
def softmax_merge(row, chunk, chunks, n, p, q, like, heat):
    """Note what each chunk's exponentials are to be multiplied with, in each of them."""
    t = temperature(like, heat, p)
    own = sink(heat, p)
    m = max(largest_of(chunk, chunks), own)
    s = exp(own - m) / unscaled(pointer(0, like)) if own > -inf else 0.0
    error = 0.0
    for i in range(chunks):
        m_i = read(chunk, i * SLOTS)
        s_i = read(chunk, i * SLOTS + 1) * (1.0 if m_i == m else counts(m_i, m, t))
        grown = s + s_i
        back = grown - s
        error += (s - (grown - back)) + (s_i - back)
        s = grown
    write(row, 0, m)
    write(row, 1, s + error)


@separate
def softmax_finish(a, b, c, n, first, p, heat, row, chunk, keep, past):
    """c = exp(x - m_i) exp(m_i - m) / sum, m_i being the maximum of the chunk."""
    t = temperature(a, heat, p)
    m, m_i = read(row, 0), read(chunk, 0)
    part = counts(m_i, m, t)
    scaled = 1.0 / read(row, 1)
    if part > 0.001:
        if keep:
            scale(c, c, n, part * scaled, past)
        else:
            exps_times(a, c, n, shift_of(m_i), t, part * scaled, past)
    elif keep:
        scale_twice(c, c, n, scaled, part)
    else:
        exps_times_twice(a, c, n, shift_of(m_i), t, scaled, part)


@inlined
def largest_of(chunk, chunks):
    """Return the maximum of a row from those of its chunks."""
    m = -inf
    for i in range(chunks):
        m = max(m, read(chunk, i * SLOTS))
    return m


@separate
def reduce_sums(a, b, c, n, first, p, heat, row, chunk, keep):
    m = row_max(a, n)
    k, rest = sums(a, c, n, shift_of(m), temperature(a, heat, p), False)
    write(chunk, 0, float(m))
    write(chunk, 1, k)
    write(chunk, 2, rest)


@inlined
def joined(chunk, chunks, t):
    """Return m, k and rest of a row, from those of its chunks."""
    m = largest_of(chunk, chunks)
    k = 0.0
    rest = 0.0
    error = 0.0
    for i in range(chunks):
        m_i = read(chunk, i * SLOTS)
        k_i = read(chunk, i * SLOTS + 1)
        rest_i = read(chunk, i * SLOTS + 2)
        if m_i == m:
            k += k_i
        else:
            rest_i = (k_i + rest_i) * counts(m_i, m, t)
        total = rest + rest_i
        back = total - rest
        error += (rest - (total - back)) + (rest_i - back)
        rest = total
    return m, k, rest + error


@separate
def merge_sums(row, chunk, chunks, n, p, q, like, heat):
    own = sink(heat, p)
    m, k, rest = joined(chunk, chunks, temperature(like, heat, p))
    if own > m:
        m, k, rest = own, 1.0, (k + rest) * exp(m - own)
    elif own == m and own > -inf:
        k += 1.0
    elif own > -inf:
        rest += exp(own - m)
    write(row, 0, shift_of(m))
    write(row, 1, k)
    write(row, 2, rest)


@separate
def log_softmax_finish(a, b, c, n, first, p, heat, row, chunk, keep, past):
    t = temperature(a, heat, p)
    minus(a, c, n, read(row, 0), t, log_sum(read(row, 1), read(row, 2)), past)
