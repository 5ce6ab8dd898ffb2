"""What reverse mode multiplies, with the factor of each row where there is one.

softmax, log_softmax:  as in `_gradients`, but 0 wherever g is 0 in a row of NaN
logsumexp:             dx = g softmax(x), and 0 for a row of nothing but -inf
cross_entropy:         dx = g (p - [c is the right class])
"""

from __future__ import annotations

from math import isnan, nan

from softaxis._backends._numba import _gradients as gradients
from softaxis._backends._numba import _losses as losses
from softaxis._backends._numba import _reductions as reductions
from softaxis._backends._numba._copies import ZERO
from softaxis._backends._numba._exp import unscaled
from softaxis._backends._numba._memory import filled, pointer, read, width, write
from softaxis._backends._numba._normalizers import joined
from softaxis._backends._numba._rows import (
    exps_times,
    exps_times_twice,
    get,
    inlined,
    put,
    row_max,
    separate,
    shift_of,
    sums,
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


# Of logsumexp and cross_entropy, forward mode's value comes with what is known of each row, in
# four numbers of its dtype; to go back, it is given in their order, g in place of the value.
_VALUE, _M, _K, _REST = range(4)
_FITS = 1e-18
"""Above such a quotient of g and the sum, a product with the scale of `_exp` is a normal number."""


@inlined
def _note(q, like, m, k, rest):
    numbers = pointer(q, like)
    write(numbers, _M, m)
    write(numbers, _K, k)
    write(numbers, _REST, rest)


@separate
def logsumexp_noted_short(a, b, s, c, n, p, q, extra, past):
    m, k, rest = reductions.write_short(a, n, p, q, extra)
    _note(q, extra[0], shift_of(m), k, rest)


@separate
def logsumexp_noted_merge(row, chunk, chunks, n, p, q, like, extra):
    reductions.merge(row, chunk, chunks, n, p, q, like, extra)
    m, k, rest = joined(chunk, chunks, None)
    _note(q, extra[0], shift_of(m), k, rest)


@separate
def cross_entropy_noted_short(a, b, s, c, n, p, q, terms, past):
    row, y = losses.row_of(a, n, p, terms)
    losses.write_loss(row, y, n, q, terms)
    _note(q, terms.held, row.m, row.k, row.rest)


@separate
def cross_entropy_noted_merge(row, chunk, chunks, n, p, q, like, terms):
    losses.merge(row, chunk, chunks, n, p, q, like, terms)
    _note(q, terms.held, read(row, 0), read(row, 1), read(row, 2))


@separate
def nothing_of(a, b, c, n, first, p, extra, row, chunk, keep):
    """Note nothing of a chunk of which all is known."""


@separate
def known_merge(row, chunk, chunks, n, p, q, like, terms):
    """Note of a row what is known, and how long it is."""
    known = pointer(q, terms.held)
    for i in range(4):
        write(row, i, float(read(known, i)))
    write(row, 5, float(n))


@separate
def nothing_merge(row, chunk, chunks, n, p, q, like, extra):
    """Note nothing of a row of which all is known."""


@inlined
def _logsumexp_out(a, c, n, p, like):
    known = pointer(p, like)
    g, m = float(read(known, _VALUE)), float(read(known, _M))
    s = float(read(known, _K)) + float(read(known, _REST))
    if s == 0.0:  # of a row of nothing but -inf
        _put_zeros(c, n)
    elif abs(g) > _FITS * s:
        exps_times(a, c, n, m, None, g / s * unscaled(a), False)
    else:
        exps_times_twice(a, c, n, m, None, unscaled(a) / s, g)


@separate
def logsumexp_short(a, b, s, c, n, p, q, like, past):
    _logsumexp_out(a, c, n, p, like)


@separate
def logsumexp_finish(a, b, c, n, first, p, like, row, chunk, keep, past):
    _logsumexp_out(a, c, n, p, like)


@inlined
def _cross_entropy_out(a, c, n, first, classes, p, terms, g, m, k, rest):
    """The gradient of a chunk, which begins with class `first`."""
    y = losses.label_of(p, terms, classes)
    x = float(read(a, y - first)) if first <= y < first + n else 0.0
    row = losses.Row(m, k, rest, x, 0.0)
    if abs(g) > _FITS * (k + rest):
        losses.gradient(row, losses.scaled(terms, g), y, a, c, n, first, classes, False)
    else:
        losses.gradient(row, losses.scaled(terms, 1.0), y, a, c, n, first, classes, False)
        if y != terms.ignored:
            _times(c, n, g)


@separate
def cross_entropy_short(a, b, s, c, n, p, q, terms, past):
    known = pointer(q, terms.held)
    _cross_entropy_out(
        a,
        c,
        n,
        ZERO,
        n,
        p,
        terms,
        float(read(known, _VALUE)),
        float(read(known, _M)),
        float(read(known, _K)),
        float(read(known, _REST)),
    )


@separate
def cross_entropy_finish(a, b, c, n, first, p, terms, row, chunk, keep, past):
    _cross_entropy_out(
        a,
        c,
        n,
        first,
        int(read(row, 5)),
        p,
        terms,
        read(row, _VALUE),
        read(row, _M),
        read(row, _K),
        read(row, _REST),
    )
