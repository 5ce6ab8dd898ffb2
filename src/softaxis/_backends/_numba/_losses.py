"""cross_entropy of a row with one right class y, and its gradient.

With w_y the weight of that class, s the smoothing, b = s / n the share of each of n classes in it,
z, k, rest as everywhere, S = k + rest, L = log(S) and lse = m + L,

    loss     = (1 - s) w_y (L - z_y) + b (n L - sum(z)) + z_loss lse**2
    gradient = p_c (V - v_c) - v_c (1 - p_c) + 2 z_loss lse p_c
    v_c      = b + (1 - s) w_y [c = y],   V = sum(v)

Nothing in it cancels: every term of the loss is >= 0, and 1 - p_c of the largest p_c is summed
from the other classes. A row whose label is `ignored` is 0, whatever it holds.
"""

from __future__ import annotations

from math import exp, inf, nan
from typing import Any, NamedTuple

from softaxis._backends._numba._copies import ZERO
from softaxis._backends._numba._exp import exp_scaled, unscaled
from softaxis._backends._numba._layout import SLOTS
from softaxis._backends._numba._log import log_sum
from softaxis._backends._numba._memory import (
    filled,
    pointer,
    read,
    read_index,
    scratch_pointer,
    width,
    write,
)
from softaxis._backends._numba._normalizers import fits, joined
from softaxis._backends._numba._rows import (
    exps_times,
    gathered,
    get,
    inlined,
    log_four,
    nothing,
    put,
    row_max,
    separate,
    shift_of,
    sums,
)
from softaxis._backends._numba._vectors import equal, select, total


class Terms(NamedTuple):
    """What is asked for beside logits and labels."""

    like: Any
    """A number of the dtype that is stored."""
    weights: Any
    """The address of the class weights, in the dtype of computation; 0 for none."""
    smoothing: Any
    z_loss: Any
    ignored: Any
    """The label that does not count."""
    scale: Any
    """What the gradient is multiplied by."""
    noted: Any
    """Whether what the gradient has to know of a row is written behind its loss."""


class Row(NamedTuple):
    """What is known of a whole row: m, k and rest, the logit of the right class, and sum(z)."""

    m: Any
    k: Any
    rest: Any
    x: Any
    z_sum: Any


@inlined
def _label(p, terms, n):
    """Return the label of a row; -1 where it names no class and is not the one to ignore."""
    y = read_index(p)
    return y if y == terms.ignored or 0 <= y < n else -1


@inlined
def _weight(terms, y):
    """(1 - s) w_y."""
    kept = 1.0 - terms.smoothing
    if y < 0:
        return nan
    if terms.weights == 0:
        return kept
    return kept * read(scratch_pointer(terms.weights, terms.like), y)


@inlined
def _sum_of_differences(a, n, m):
    """sum(x - m)."""
    shift = filled(a, m)
    high = nothing(a)
    low = high
    i = 0
    while i < n:
        high, low = gathered(high, low, get(a, i, n, m) - shift)
        i += width(a)
    return total(high) + total(low)


@inlined
def _level(row):
    """L, and 0 for a row that is all -inf, from which every class is infinitely far away."""
    return 0.0 if row.k == 0.0 and row.rest == 0.0 else log_sum(row.k, row.rest)


@inlined
def _lse(row):
    return -inf if row.k == 0.0 and row.rest == 0.0 else row.m + _level(row)


@inlined
def _loss(row, terms, y, n):
    level = _level(row)
    v = _weight(terms, y)
    loss = 0.0
    if v != 0.0:
        loss += v * (level - (row.x - row.m))
    if terms.smoothing != 0.0:
        loss += terms.smoothing * level - terms.smoothing / n * row.z_sum
    if terms.z_loss != 0.0:
        lse = _lse(row)
        loss += terms.z_loss * lse * lse
    return loss


@inlined
def _gradient(row, terms, y, a, c, n, first, classes, past):
    """Write the gradient of a chunk of a row."""
    if y == terms.ignored or y < 0:
        same = filled(c, 0.0 if y == terms.ignored else nan)
        i = 0
        while i < n:
            put(c, i, n, same, False)
            i += width(c)
        return
    s = row.k + row.rest
    b = terms.smoothing / classes
    v = _weight(terms, y)
    pull = 2.0 * terms.z_loss * _lse(row) if terms.z_loss != 0.0 else 0.0
    others = (row.k - 1.0 + row.rest) / s
    mass = v + b * (classes - 1.0)
    if b == 0.0:
        factor = (mass + pull) / s * terms.scale * unscaled(a)
        exps_times(a, c, n, row.m, None, factor, past)
    else:
        _smoothed(a, c, n, row.m, s, mass + pull, b, others, terms.scale)
    if first <= y < first + n:
        z = row.x - row.m
        p = exp(z) / s
        if z != 0.0:
            others = (s - exp(z)) / s
        slope = p * (b * (classes - 1.0) + pull) - (v + b) * others
        write(c, y - first, slope * terms.scale)


@inlined
def _smoothed(a, c, n, m, s, mass, b, others, scale):
    """(p mass - b (1 - p)) scale."""
    shift = filled(a, m)
    factors = filled(a, unscaled(a) / s)
    masses = filled(a, mass * scale)
    shares = filled(a, b * scale)
    rest = filled(a, others)
    one = filled(a, 1.0)
    zero = filled(a, 0.0)
    i = 0
    while i < n:
        z = get(a, i, n, m) - shift
        p = exp_scaled(z) * factors
        q = select(equal(z, zero), rest, one - p)
        put(c, i, n, p * masses - shares * q, False)
        i += width(a)


@separate
def begin(a, b, s, c, n, p, q, terms, past):
    y = _label(p, terms, n)
    if fits(a, n):
        m, k, rest = log_four(a, None, n)
    else:
        m = row_max(a, n)
        k, rest = sums(a, a, n, shift_of(m), None, False)
    m = float(shift_of(m))
    z_sum = _sum_of_differences(a, n, m) if terms.smoothing != 0.0 else 0.0
    x = nan  # of a label that names no class
    if y >= 0:
        x = float(read(a, y))
    return Row(m, k, rest, x, z_sum), y, q


@inlined
def _put_loss(row, terms, y, n, q):
    """Write the loss of a row, and behind it what is known where that is to be noted."""
    loss = 0.0 if y == terms.ignored else _loss(row, terms, y, n)
    noted = pointer(q, 0.0)
    write(noted, 0, loss)
    if terms.noted != 0:
        write(noted, 1, row.m)
        write(noted, 2, row.k)
        write(noted, 3, row.rest)
        write(noted, 4, row.x)


@separate
def loss_end(a, b, s, c, n, p, terms, known, past):
    row, y, q = known
    _put_loss(row, terms, y, n, q)


@separate
def gradient_end(a, b, s, c, n, p, terms, known, past):
    row, y, q = known
    _put_loss(row, terms, y, n, q)
    _gradient(row, terms, y, a, c, n, ZERO, n, past)


@inlined
def _noted(q):
    """Return what was noted of a row."""
    noted = pointer(q, 0.0)
    return Row(read(noted, 1), read(noted, 2), read(noted, 3), read(noted, 4), 0.0)


@separate
def known_gradient(a, b, s, c, n, p, q, terms, past):
    _gradient(_noted(q), terms, _label(p, terms, n), a, c, n, ZERO, n, past)


@separate
def nothing_of(a, b, c, n, first, p, terms, row, chunk, keep):
    """Note nothing of a chunk of which all is known."""


@separate
def known_merge(row, chunk, chunks, n, p, q, like, terms):
    """Note what was noted of a row."""
    _note(row, _noted(q), n)


@separate
def reduce(a, b, c, n, first, p, terms, row, chunk, keep):
    y = read_index(p)
    m = row_max(a, n)
    k, rest = sums(a, a, n, shift_of(m), None, False)
    z_sum = _sum_of_differences(a, n, shift_of(m)) if terms.smoothing != 0.0 else 0.0
    write(chunk, 0, float(m))
    write(chunk, 1, k)
    write(chunk, 2, rest)
    write(chunk, 3, z_sum)
    write(chunk, 4, float(n))
    if first <= y < first + n:
        write(row, 3, float(read(a, y - first)))


@separate
def merge(row, chunk, chunks, n, p, q, like, terms):
    m, k, rest = joined(chunk, chunks, None)
    m = shift_of(m)
    z_sum = 0.0
    for i in range(chunks):
        shift = shift_of(read(chunk, i * SLOTS))
        z_sum += read(chunk, i * SLOTS + 3) + read(chunk, i * SLOTS + 4) * (shift - m)
    _note(row, Row(m, k, rest, read(row, 3), z_sum), n)
    _put_loss(_known(row), terms, _label(p, terms, n), n, q)


@inlined
def _note(row, known, n):
    write(row, 0, known.m)
    write(row, 1, known.k)
    write(row, 2, known.rest)
    write(row, 3, known.x)
    write(row, 4, known.z_sum)
    write(row, 5, float(n))


@inlined
def _known(row):
    return Row(read(row, 0), read(row, 1), read(row, 2), read(row, 3), read(row, 4))


@separate
def gradient_finish(a, b, c, n, first, p, terms, row, chunk, keep, past):
    classes = int(read(row, 5))
    y = _label(p, terms, classes)
    _gradient(_known(row), terms, y, a, c, n, first, classes, past)
