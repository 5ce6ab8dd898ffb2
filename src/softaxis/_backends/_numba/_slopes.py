"""What reverse mode multiplies, with the factor of each row where there is one.

softmax, log_softmax:  as in `_gradients`, but 0 wherever g is 0 in a row of NaN
logsumexp:             dx = g softmax(x), and 0 for a row of nothing but -inf
cross_entropy:         dx = g (p - [c is the right class])
"""

from __future__ import annotations

from math import exp, inf, isnan, nan

from softaxis._backends._numba import _gradients as gradients
from softaxis._backends._numba import _reductions as reductions
from softaxis._backends._numba._copies import ZERO
from softaxis._backends._numba._exp import unscaled
from softaxis._backends._numba._layout import FOUR, IGNORED
from softaxis._backends._numba._memory import (
    filled,
    pointer,
    read,
    read_half_index,
    width,
    write,
)
from softaxis._backends._numba._normalizers import joined
from softaxis._backends._numba._rows import (
    exps_times,
    exps_times_twice,
    get,
    inlined,
    put,
    separate,
    shift_of,
)
from softaxis._backends._numba._vectors import equal, select


@inlined
def _spoilt(g, c, n):
    """NaN, and 0 where g is 0: whoever has thrown a row away gets none of its NaN back."""
    zero = filled(g, 0.0)
    bad = filled(g, nan)
    i = 0
    while i < n:
        put(c, i, n, select(equal(get(g, i, n, 0.0), zero), zero, bad), False)
        i += width(g)


@inlined
def _put_zeros(c, n):
    zero = filled(c, 0.0)
    i = 0
    while i < n:
        put(c, i, n, zero, False)
        i += width(c)


@separate
def softmax_end(a, b, s, c, n, p, extra, known, past):
    if isnan(read(a, 0)):
        _spoilt(b, c, n)
    else:
        gradients.softmax_end(a, b, s, c, n, p, extra, known, past)


@separate
def softmax_finish(a, b, c, n, first, p, extra, row, chunk, keep, past):
    if isnan(read(a, 0)):
        _spoilt(b, c, n)
    else:
        gradients.softmax_finish(a, b, c, n, first, p, extra, row, chunk, keep, past)


@separate
def log_softmax_end(a, b, s, c, n, p, extra, known, past):
    if isnan(read(a, 0)):
        _spoilt(b, c, n)
    else:
        gradients.log_softmax_end(a, b, s, c, n, p, extra, known, past)


@separate
def log_softmax_finish(a, b, c, n, first, p, extra, row, chunk, keep, past):
    if isnan(read(a, 0)):
        _spoilt(b, c, n)
    else:
        gradients.log_softmax_finish(a, b, c, n, first, p, extra, row, chunk, keep, past)


# Of logsumexp and cross_entropy a kernel notes four numbers of each row, in its dtype: the logit of
# the right class, the maximum, how often it is there and the sum over the others. XLA takes the
# logarithms, of all rows at once. The way back is given the same, with g in the first place.
_LABEL = _FACTOR = 0
_M, _K, _REST = 1, 2, 3
_FITS = 1e-18
"""Above such a quotient of g and the sum, a product with the scale of `_exp` is a normal number."""


@inlined
def _note(q, like, x, m, k, rest, spoilt):
    """Of a row with +inf, let the sum be inf, or NaN where that is in it too."""
    numbers = pointer(q, like)
    write(numbers, _LABEL, x)
    write(numbers, _M, shift_of(m))
    write(numbers, _K, k)
    if m == inf:
        rest = nan if spoilt else inf
    write(numbers, _REST, rest)


@separate
def sums_short(a, b, s, c, n, p, q, like, past):
    m, k, rest, spoilt = reductions.found(a, n)
    _note(q, like, 0.0, m, k, rest, spoilt)


@separate
def sums_merge(row, chunk, chunks, n, p, q, like, extra):
    m, k, rest = joined(chunk, chunks, None)
    _note(q, extra, 0.0, m, k, rest, reductions.is_spoilt(chunk, chunks))


@inlined
def _logit(a, y):
    """The logit of the right class; 0 of a row that does not count, NaN where there is none."""
    if y >= 0:
        return float(read(a, y))
    return 0.0 if y == IGNORED else nan


@separate
def loss_short(a, b, s, c, n, p, q, like, past):
    m, k, rest, spoilt = reductions.found(a, n)
    y = read_half_index(p)
    _note(q, like, _logit(a, y) if y < n else nan, m, k, rest, spoilt)


@separate
def loss_reduce(a, b, c, n, first, p, like, row, chunk, keep):
    reductions.reduce(a, b, c, n, first, p, None, row, chunk, keep)
    y = read_half_index(p)
    if first <= y < first + n:
        write(row, 0, float(read(a, y - first)))


@separate
def loss_merge(row, chunk, chunks, n, p, q, like, extra):
    m, k, rest = joined(chunk, chunks, None)
    y = read_half_index(p)
    x = read(row, 0) if 0 <= y < n else (0.0 if y == IGNORED else nan)
    _note(q, extra, x, m, k, rest, reductions.is_spoilt(chunk, chunks))


@separate
def known_merge(row, chunk, chunks, n, p, q, like, extra):
    """Note what is known of a row."""
    known = pointer(q, extra)
    for i in range(FOUR):
        write(row, i, float(read(known, i)))


@separate
def nothing_merge(row, chunk, chunks, n, p, q, like, extra):
    """Note nothing of a row of which all is known."""


@inlined
def _exps_times(a, c, n, m, s, g):
    """c = exp(x - m) / s g; NaN where s is not finite."""
    if not s < inf:
        s = nan
    if abs(g) > _FITS * s:
        exps_times(a, c, n, m, None, g / s * unscaled(a), False)
    else:
        exps_times_twice(a, c, n, m, None, unscaled(a) / s, g)


@inlined
def _logsumexp_out(a, c, n, p, like):
    known = pointer(p, like)
    s = float(read(known, _K)) + float(read(known, _REST))
    if s == 0.0:  # of a row of nothing but -inf
        _put_zeros(c, n)
    else:
        _exps_times(a, c, n, float(read(known, _M)), s, float(read(known, _FACTOR)))


@separate
def logsumexp_short(a, b, s, c, n, p, q, like, past):
    _logsumexp_out(a, c, n, p, like)


@separate
def logsumexp_finish(a, b, c, n, first, p, like, row, chunk, keep, past):
    _logsumexp_out(a, c, n, p, like)


@inlined
def _loss_out(a, c, n, first, y, g, m, k, rest):
    """g (p - [c is the right class]) of a chunk, which begins with class `first`."""
    if y == IGNORED:
        _put_zeros(c, n)
        return
    s = k + rest
    _exps_times(a, c, n, m, s, g if y >= 0 else nan)
    if first <= y < first + n:
        z = float(read(a, y - first)) - m
        others = k - 1.0 + rest if z == 0.0 else s - exp(z)
        write(c, y - first, others / s * -g)


@separate
def cross_entropy_short(a, b, s, c, n, p, q, like, past):
    known = pointer(q, like)
    g, m = float(read(known, _FACTOR)), float(read(known, _M))
    k, rest = float(read(known, _K)), float(read(known, _REST))
    _loss_out(a, c, n, ZERO, read_half_index(p), g, m, k, rest)


@separate
def cross_entropy_finish(a, b, c, n, first, p, like, row, chunk, keep, past):
    g, m = read(row, _FACTOR), read(row, _M)
    k, rest = read(row, _K), read(row, _REST)
    _loss_out(a, c, n, first, read_half_index(p), g, m, k, rest)
