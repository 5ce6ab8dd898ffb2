"""logsumexp and logmeanexp of a row: m + log(k + rest), less log(n) for the mean."""

from __future__ import annotations

from math import inf, isnan, log, log1p

from softaxis._backends._numba._memory import pointer, read, write
from softaxis._backends._numba._normalizers import joined
from softaxis._backends._numba._rows import (
    SLOTS,
    inlined,
    log_sum,
    row_max,
    separate,
    shift_of,
    sums,
)


@inlined
def _value(m, k, rest, n):
    """The logarithm of the sum over n, n being 0 for a sum that is not divided."""
    if n == 0.0:
        return shift_of(m) + log_sum(k, rest)
    return shift_of(m) + (log(k / n) + log1p(rest / k) if k > 0.0 else log_sum(k, rest))


@inlined
def _has_nan(a, n):
    found = False
    for i in range(n):
        found = found or isnan(read(a, i))
    return found


@inlined
def _written(q, like, m, k, rest, mean, nan):
    """+inf decides a row unless NaN is in it too, and only then is the sum of no use."""
    y = inf if m == inf and not nan else _value(m, k, rest, mean)
    write(pointer(q, like), 0, y)


@separate
def short(a, b, s, c, n, p, q, extra, past):
    like, mean = extra
    m = float(row_max(a, n))
    k, rest = sums(a, n, shift_of(m), None)
    _written(q, like, m, k, rest, mean, m == inf and _has_nan(a, n))


@separate
def reduce(a, b, n, first, p, extra, row, chunk):
    m = float(row_max(a, n))
    k, rest = sums(a, n, shift_of(m), None)
    write(chunk, 0, m)
    write(chunk, 1, k)
    write(chunk, 2, rest)
    write(chunk, 3, 1.0 if (_has_nan(a, n) if m == inf else isnan(rest)) else 0.0)


@separate
def merge(row, chunk, chunks, n, p, q, like, extra):
    m, k, rest = joined(chunk, chunks, None)
    nan = False
    for i in range(chunks):
        nan = nan or read(chunk, i * SLOTS + 3) != 0.0
    _written(q, extra[0], m, k, rest, extra[1], nan)
