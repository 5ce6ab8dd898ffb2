"""softmax and log_softmax of a row: at once where it is short, else chunk by chunk.

Of each chunk `reduce` notes the maximum, how often it is there, and the sum over the rest; `merge`
joins them in their order, and `finish` makes a chunk of the result:

    softmax = exp(z) / (k + rest),   log_softmax = z - log(k + rest),   z = (x - m) / t.
"""

from __future__ import annotations

from math import exp, inf

from numba.core import types
from numba.extending import overload

from softaxis._backends._numba._memory import pointer, read, write
from softaxis._backends._numba._rows import (
    SLOTS,
    exps,
    exps_times,
    inlined,
    log_sum,
    minus,
    row_max,
    scale,
    separate,
    shift_of,
    sums,
)


def temperature(like, heat, p):
    """Return the temperature of a row in the dtype of computation; None where `heat` is None."""
    raise NotImplementedError


@overload(temperature)
def _temperature(like, heat, p):
    if isinstance(heat, types.NoneType):
        return lambda like, heat, p: None
    return lambda like, heat, p: read(pointer(p, 0.0), 0)


def counts(m, largest, t):
    """exp((m - largest) / t): what the sum of a chunk counts for in that of the row."""
    raise NotImplementedError


@overload(counts)
def _counts(m, largest, t):
    if isinstance(t, types.NoneType):
        return lambda m, largest, t: exp(m - largest)
    return lambda m, largest, t: exp((m / 2 - largest / 2) / t * 2)


@separate
def softmax_short(a, b, s, c, n, p, q, heat, past):
    t = temperature(a, heat, p)
    x = exps(a, s, n, shift_of(row_max(a, n)), t)
    scale(s, c, n, 1.0 / x, past)


@separate
def log_softmax_short(a, b, s, c, n, p, q, heat, past):
    t = temperature(a, heat, p)
    m = shift_of(row_max(a, n))
    k, rest = sums(a, n, m, t)
    minus(a, c, n, m, t, log_sum(k, rest), past)


@separate
def reduce_sums(a, b, n, first, p, heat, row, chunk):
    m = row_max(a, n)
    k, rest = sums(a, n, shift_of(m), temperature(a, heat, p))
    write(chunk, 0, float(m))
    write(chunk, 1, k)
    write(chunk, 2, rest)


@inlined
def joined(chunk, chunks, t):
    """Return m, k and rest of a row, from those of its chunks."""
    m = -inf
    for i in range(chunks):
        m = max(m, read(chunk, i * SLOTS))
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
    m, k, rest = joined(chunk, chunks, temperature(like, heat, p))
    write(row, 0, shift_of(m))
    write(row, 1, k)
    write(row, 2, rest)


@separate
def softmax_finish(a, b, c, n, first, p, heat, row, past):
    factor = 1.0 / (read(row, 1) + read(row, 2))
    exps_times(a, c, n, read(row, 0), temperature(a, heat, p), factor, past)


@separate
def log_softmax_finish(a, b, c, n, first, p, heat, row, past):
    t = temperature(a, heat, p)
    minus(a, c, n, read(row, 0), t, log_sum(read(row, 1), read(row, 2)), past)
