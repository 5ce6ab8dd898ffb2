"""What reverse mode multiplies, with the factor of each row where there is one.

softmax, log_softmax:  as in `_gradients`, but 0 wherever g is 0 in a row of NaN
logsumexp:             dx = g softmax(x), and 0 for a row of nothing but -inf
cross_entropy:         dx = g (p - [c is the right class])
"""

from __future__ import annotations

from math import inf, isnan, nan

from softaxis._backends._numba import _gradients as gradients
from softaxis._backends._numba import _losses as losses
from softaxis._backends._numba import _normalizers as normalizers
from softaxis._backends._numba._copies import ZERO
from softaxis._backends._numba._layout import SLOTS
from softaxis._backends._numba._memory import filled, pointer, read, width, write
from softaxis._backends._numba._rows import (
    exps,
    get,
    inlined,
    put,
    row_max,
    scale_twice,
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


@inlined
def _times(c, n, factor):
    factors = filled(c, factor)
    i = 0
    while i < n:
        put(c, i, n, get(c, i, n, 0.0) * factors, False)
        i += width(c)


@separate
def softmax_short(a, b, s, c, n, p, q, extra, past):
    if isnan(read(a, 0)):
        _spoilt(b, c, n)
    else:
        gradients.softmax_short(a, b, s, c, n, p, q, extra, past)


@separate
def softmax_finish(a, b, c, n, first, p, extra, row, chunk, keep, past):
    if isnan(read(a, 0)):
        _spoilt(b, c, n)
    else:
        gradients.softmax_finish(a, b, c, n, first, p, extra, row, chunk, keep, past)


@separate
def log_softmax_short(a, b, s, c, n, p, q, extra, past):
    if isnan(read(a, 0)):
        _spoilt(b, c, n)
    else:
        gradients.log_softmax_short(a, b, s, c, n, p, q, extra, past)


@separate
def log_softmax_finish(a, b, c, n, first, p, extra, row, chunk, keep, past):
    if isnan(read(a, 0)):
        _spoilt(b, c, n)
    else:
        gradients.log_softmax_finish(a, b, c, n, first, p, extra, row, chunk, keep, past)


@separate
def logsumexp_short(a, b, s, c, n, p, q, like, past):
    m = shift_of(float(row_max(a, n)))
    total = exps(a, s, n, m, None)
    if total == 0.0:
        _put_zeros(c, n)
    else:
        scale_twice(s, c, n, 1.0 / total, read(pointer(p, like), 0))


@separate
def logsumexp_reduce(a, b, c, n, first, p, like, row, chunk, keep):
    normalizers.softmax_reduce(a, b, c, n, first, p, None, row, chunk, keep)


@separate
def logsumexp_merge(row, chunk, chunks, n, p, q, like, extra):
    normalizers.softmax_merge(row, chunk, chunks, n, p, q, like, None)


@separate
def logsumexp_finish(a, b, c, n, first, p, like, row, chunk, keep, past):
    if read(row, 0) == -inf and read(row, 1) == 0.0:
        _put_zeros(c, n)
    else:
        normalizers.softmax_finish(a, b, c, n, first, p, None, row, chunk, keep, False)
        _times(c, n, read(pointer(p, like), 0))


@separate
def cross_entropy_short(a, b, s, c, n, p, q, terms, past):
    row, y = losses.row_of(a, n, p, terms)
    losses.gradient(row, terms, y, a, c, n, ZERO, n, past)
    if y != terms.ignored:
        _times(c, n, read(pointer(q, terms.held), 0))


@separate
def cross_entropy_merge(row, chunk, chunks, n, p, q, like, terms):
    """Note the factor beside every chunk, where nothing else is ever written."""
    losses.note_row(row, chunk, chunks, n)
    g = read(pointer(q, terms.held), 0)
    for i in range(chunks):
        write(chunk, i * SLOTS + 5, g)


@separate
def cross_entropy_finish(a, b, c, n, first, p, terms, row, chunk, keep, past):
    losses.gradient_finish(a, b, c, n, first, p, terms, row, chunk, keep, past)
    if losses.read_label(p, terms.label) != terms.ignored:
        _times(c, n, read(chunk, 5))
