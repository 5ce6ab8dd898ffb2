"""logsumexp and logmeanexp of a row: m + log(k + rest), less log(n) for the mean."""

from __future__ import annotations

from math import inf, isnan, log, log1p, nan

from softaxis._backends._numba._layout import SLOTS
from softaxis._backends._numba._log import log_sum
from softaxis._backends._numba._memory import pointer, read, write
from softaxis._backends._numba._normalizers import fits, joined
from softaxis._backends._numba._rows import (
    inlined,
    log_four,
    row_max,
    separate,
    shift_of,
    sums,
)


@inlined
def _members(extra, p):
    """Return what the sum is divided by, 0 for nothing; where it differs by row, it is at `p`."""
    return read(pointer(p, 0.0), 0) if extra[1] < 0.0 else extra[1]


@inlined
def _value(m, k, rest, n, mean):
    if mean != 0.0 and n == 0.0:
        return nan  # of a row that is masked entirely
    if mean == 0.0:
        return shift_of(m) + log_sum(k, rest)
    return shift_of(m) + (log(k / n) + log1p(rest / k) if k > 0.0 else log_sum(k, rest))


@inlined
def has_nan(a, n):
    """Return whether NaN is among the numbers of a row."""
    found = False
    for i in range(n):
        found = found or isnan(read(a, i))
    return found


@inlined
def written(p, q, extra, m, k, rest, spoilt):
    """+inf decides a row, unless NaN is in it too."""
    n = _members(extra, p)
    y = inf if m == inf and not spoilt else _value(m, k, rest, n, extra[1])
    write(pointer(q, extra[0]), 0, y)


@inlined
def found(a, n):
    """Return the maximum of a row, the sums, and whether NaN stands beside an infinite maximum."""
    if fits(a, n):
        m, k, rest = log_four(a, None, n)
    else:
        m = row_max(a, n)
        k, rest = sums(a, a, n, shift_of(m), None, False)
    m = float(m)
    return m, k, rest, m == inf and has_nan(a, n)


@separate
def begin(a, b, s, c, n, p, q, extra, past):
    return *found(a, n), q


@separate
def end(a, b, s, c, n, p, extra, known, past):
    m, k, rest, spoilt, q = known
    written(p, q, extra, m, k, rest, spoilt)


@separate
def reduce(a, b, c, n, first, p, extra, row, chunk, keep):
    m = float(row_max(a, n))
    k, rest = sums(a, a, n, shift_of(m), None, False)
    write(chunk, 0, m)
    write(chunk, 1, k)
    write(chunk, 2, rest)
    write(chunk, 3, 1.0 if (has_nan(a, n) if m == inf else isnan(rest)) else 0.0)


@inlined
def is_spoilt(chunk, chunks):
    """Return whether a chunk of a row has noted that NaN is in it."""
    found = False
    for i in range(chunks):
        found = found or read(chunk, i * SLOTS + 3) != 0.0
    return found


@separate
def merge(row, chunk, chunks, n, p, q, like, extra):
    m, k, rest = joined(chunk, chunks, None)
    written(p, q, extra, m, k, rest, is_spoilt(chunk, chunks))
