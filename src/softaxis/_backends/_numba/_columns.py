"""Rows that lie side by side in columns: computed as vectors of neighbouring rows.

Some columns are copied to the scratch buffer, number by number of theirs as one vector, and from
there on each lane of a vector is a row of its own. The sum of a row is taken in the order that
`_rows` takes: what is there a lane of a sum is here one of the sums in memory, and so a row has
the same bits wherever it lies.
"""

from __future__ import annotations

from math import inf, isnan

from numba.extending import overload

from softaxis._backends._numba._copies import ZERO, A, C, entry
from softaxis._backends._numba._exp import exp_scaled, unscaled
from softaxis._backends._numba._jobs import of_row, unit_of
from softaxis._backends._numba._layout import ABREAST, FEW, SUMS
from softaxis._backends._numba._log import log_sum
from softaxis._backends._numba._memory import (
    advance,
    filled,
    load,
    load_part,
    load_wide,
    pointer,
    read,
    scratch_pointer,
    size_of,
    store,
    store_part,
    store_wide,
    vector_of,
    width,
    write,
)
from softaxis._backends._numba._normalizers import fits
from softaxis._backends._numba._rows import (
    INLINED,
    inlined,
    other,
    separate,
    two_sum,
)
from softaxis._backends._numba._vectors import (
    F32,
    counted,
    greater,
    is_zero,
    maximum,
    narrowed,
    none_of,
    select,
    splat,
    widened,
)


def held(p, sums, i):
    """Return the i-th sum, and what is held beside it: there are SUMS of them."""
    raise NotImplementedError


@overload(held, jit_options=INLINED)
def _held(p, sums, i):
    if vector_of(p) == F32:
        return _wide_at
    return _pair_at


def _wide_at(p, sums, i):
    x = load_wide(sums, i * width(p))
    return x, x


def _pair_at(p, sums, i):
    w = width(p)
    return load(sums, i * w), load(sums, (SUMS + i) * w)


def hold(p, sums, i, high, low):
    """Store the i-th sum, and what is held beside it."""
    raise NotImplementedError


@overload(hold, jit_options=INLINED)
def _hold(p, sums, i, high, low):
    if vector_of(p) == F32:
        return _put_wide
    return _put_pair


def _put_wide(p, sums, i, high, low):
    store_wide(sums, i * width(p), high)


def _put_pair(p, sums, i, high, low):
    w = width(p)
    store(sums, i * w, high)
    store(sums, (SUMS + i) * w, low)


def folded(p, sums):
    """Return the sums of the rows: those of the lanes joined by halves."""
    raise NotImplementedError


@overload(folded, jit_options=INLINED)
def _folded(p, sums):
    if vector_of(p) == F32:
        return _one_folded
    return _two_folded


def _one_folded(p, sums):
    w = width(p)
    n = SUMS // 2
    while n > 0:
        for i in range(n):
            store_wide(sums, i * w, load_wide(sums, i * w) + load_wide(sums, (i + n) * w))
        n //= 2
    return load_wide(sums, 0)


def _two_folded(p, sums):
    w = width(p)
    n = SUMS // 2
    while n > 0:
        for i in range(n):
            j = i + SUMS
            store(sums, i * w, load(sums, i * w) + load(sums, (i + n) * w))
            store(sums, j * w, load(sums, j * w) + load(sums, (j + n) * w))
        n //= 2
    return load(sums, 0) + load(sums, SUMS * w)


def zero_of(p):
    """Return the vector that each sum starts with."""
    raise NotImplementedError


@overload(zero_of, jit_options=INLINED)
def _zero_of(p):
    if vector_of(p) == F32:
        return lambda p: widened(filled(p, 0.0))
    return lambda p: filled(p, 0.0)


def gathered(p, high, low, x):
    """Add a vector to a sum that is held in two."""
    raise NotImplementedError


@overload(gathered, jit_options=INLINED)
def _gathered(p, high, low, x):
    if vector_of(p) == F32:
        return lambda p, high, low, x: (high + widened(x), low)
    return lambda p, high, low, x: two_sum(high, low, x)


@inlined
def _add(p, sums, i, x):
    high, low = held(p, sums, i)
    high, low = gathered(p, high, low, x)
    hold(p, sums, i, high, low)


@inlined
def _clear(p, sums):
    zero = zero_of(p)
    for i in range(SUMS):
        hold(p, sums, i, zero, zero)


@inlined
def _largest(p, n):
    """Return the maxima, NaN left out; -inf where nothing else is there."""
    w = width(p)
    a = filled(p, -inf)
    b = a
    i = 0
    while i + 2 <= n:
        a = maximum(load(p, i * w), a)
        b = maximum(load(p, (i + 1) * w), b)
        i += 2
    if i < n:
        a = maximum(load(p, i * w), a)
    return maximum(a, b)


@inlined
def _shifts(p, m):
    """What to subtract: nothing where there is no maximum. -0 rather than 0, as in `_rows`."""
    nothing = filled(p, -0.0)
    known = select(greater(m, filled(p, -inf)), m, nothing)
    return select(is_zero(known), nothing, known)


@inlined
def _exps(p, n, shift, sums):
    """Replace x by the scaled exp(x - m), and return the sums."""
    w = width(p)
    _clear(p, sums)
    i = 0
    while i + 4 * w <= n or (i == 0 and fits(p, n)):
        for lane in range(min(SUMS, n)):
            x = _four_exps(p, i + lane, n, shift)
            if w > SUMS:
                x = x + _four_exps(p, i + lane + SUMS, n, shift)
            _add(p, sums, lane, x)
        i += 4 * w
    while i < n:
        for lane in range(min(SUMS, n - i)):
            x = _exp(p, i + lane, n, shift)
            if w > SUMS:
                x = x + _exp(p, i + lane + SUMS, n, shift)
            _add(p, sums, lane, x)
        i += w
    return folded(p, sums)


@inlined
def _four_exps(p, j, n, shift):
    """Return the sum of what a lane of four vectors in a row holds."""
    w = width(p)
    x0, x1 = _exp(p, j, n, shift), _exp(p, j + w, n, shift)
    x2, x3 = _exp(p, j + 2 * w, n, shift), _exp(p, j + 3 * w, n, shift)
    return x0 + x1 + x2 + x3


@inlined
def _exp(p, j, n, shift):
    """Replace the j-th vector of n, and return what stands there now; 0 behind them."""
    if j >= n:
        return filled(p, 0.0)
    x = exp_scaled(load(p, j * width(p)) - shift)
    store(p, j * width(p), x)
    return x


@inlined
def _sums(p, n, shift, sums):
    """Return the number of maxima, and the scaled sums of exp(x - m) over the others."""
    w = width(p)
    k = none_of(shift)
    _clear(p, sums)
    i = 0
    while i + 4 * w <= n or (i == 0 and fits(p, n)):
        for lane in range(min(SUMS, n)):
            k, x = _four_others(p, i + lane, n, shift, k)
            if w > SUMS:
                k, y = _four_others(p, i + lane + SUMS, n, shift, k)
                x = x + y
            _add(p, sums, lane, x)
        i += 4 * w
    while i < n:
        for lane in range(min(SUMS, n - i)):
            k, x = _other(p, i + lane, n, shift, k)
            if w > SUMS:
                k, y = _other(p, i + lane + SUMS, n, shift, k)
                x = x + y
            _add(p, sums, lane, x)
        i += w
    return counted(k), folded(p, sums)


@inlined
def _four_others(p, j, n, shift, k):
    """Return the count, and the sum of what a lane of four vectors in a row holds."""
    w = width(p)
    k, x0 = _other(p, j, n, shift, k)
    k, x1 = _other(p, j + w, n, shift, k)
    k, x2 = _other(p, j + 2 * w, n, shift, k)
    k, x3 = _other(p, j + 3 * w, n, shift, k)
    return k, x0 + x1 + x2 + x3


@inlined
def _other(p, j, n, shift, k):
    """Return the count, and exp(x - m) of the j-th vector of n without maxima; 0 behind them."""
    if j >= n:
        return k, filled(p, 0.0)
    return other(load(p, j * width(p)) - shift, k)


@inlined
def softmax_columns(p, n, few, sums):
    """Leave exponentials in p; note what they are to be multiplied with."""
    shift = _shifts(p, _largest(p, n))
    x = _exps(p, n, shift, sums)
    store(few, 0, shift)
    store(few, width(p), narrowed(p, splat(x, 1.0) / x))


@inlined
def log_softmax_columns(p, n, few, sums):
    """Note what is to be subtracted from each x: m, and log(k + rest)."""
    w = width(p)
    shift = _shifts(p, _largest(p, n))
    k, x = _sums(p, n, shift, sums)
    store(few, 0, shift)
    store(few, w, k)
    hold(p, sums, 0, x, x)
    for r in range(w):
        rest = read(sums, r) * unscaled(p)
        write(few, w + r, log_sum(float(read(few, w + r)), rest))


@inlined
def logsumexp_columns(p, n, few, sums):
    """Note m, and k; the sum of the others is left in `sums`."""
    m = _largest(p, n)
    k, x = _sums(p, n, _shifts(p, m), sums)
    store(few, 0, m)
    store(few, width(p), k)
    hold(p, sums, 0, x, x)


@inlined
def softmax_value(x, shift, last):
    return x * last


@inlined
def log_softmax_value(x, shift, last):
    return x - shift - last


@inlined
def _has_nan(p, n, r):
    """Whether there is one in the r-th lane."""
    found = False
    for i in range(n):
        found = found or isnan(read(p, i * width(p) + r))
    return found


@separate
def _bring(job, unit, planes):
    """Copy the numbers of some columns: a plane for each vector of them, one after another."""
    n, w = job.length, width(planes)
    stride = entry(job.row, ZERO, A)
    full, part = unit.lanes // w, unit.lanes % w
    for i in range(n):
        x = pointer(unit.a + i * stride, job.like)
        if full == ABREAST:
            x0, x1, x2, x3 = load(x, 0), load(x, w), load(x, 2 * w), load(x, 3 * w)
            store(planes, i * w, x0)
            store(planes, (n + i) * w, x1)
            store(planes, (2 * n + i) * w, x2)
            store(planes, (3 * n + i) * w, x3)
            continue
        for v in range(full):
            store(planes, (v * n + i) * w, load(x, v * w))
        if part > 0:
            store(planes, (full * n + i) * w, load_part(x, full * w, part, 0.0))


@inlined
def _value(value, planes, few, v, i, n):
    w = width(planes)
    x = load(planes, (v * n + i) * w)
    return value(x, load(few, 2 * v * w), load(few, (2 * v + 1) * w))


@inlined
def _put(value, job, unit, planes, few):
    """Write the results of some columns."""
    n, w = job.length, width(planes)
    stride = entry(job.row, ZERO, C)
    full, part = unit.lanes // w, unit.lanes % w
    for i in range(n):
        c = pointer(unit.c + i * stride, job.like)
        if full == ABREAST:
            x0, x1 = _value(value, planes, few, 0, i, n), _value(value, planes, few, 1, i, n)
            x2, x3 = _value(value, planes, few, 2, i, n), _value(value, planes, few, 3, i, n)
            store(c, 0, x0)
            store(c, w, x1)
            store(c, 2 * w, x2)
            store(c, 3 * w, x3)
            continue
        for v in range(full):
            store(c, v * w, _value(value, planes, few, v, i, n))
        if part > 0:
            store_part(c, full * w, _value(value, planes, few, full, i, n), part)


@inlined
def _parts(job, scratch):
    """Return the planes, what is noted of each of them, and the sums of one."""
    planes = scratch_pointer(scratch, job.like)
    bytes_of_planes = job.lanes * job.length * size_of(job.like)
    few = scratch + bytes_of_planes
    return planes, scratch_pointer(few, job.like), pointer(few + FEW, 0.0)


@inlined
def walk_columns(compute, value, job, start, stop, scratch):
    """Compute units of columns, numbers of the result as `value` makes them."""
    n = job.length
    planes, few, sums = _parts(job, scratch)
    w = width(planes)
    for i in range(start, stop):
        unit = unit_of(job, i)
        _bring(job, unit, planes)
        for v in range((unit.lanes + w - 1) // w):
            compute(advance(planes, v * n * w), n, advance(few, 2 * v * w), sums)
        _put(value, job, unit, planes, few)


@inlined
def walk_reduced(compute, written, job, start, stop, scratch):
    """Compute units of columns, a number of each."""
    n = job.length
    planes, few, sums = _parts(job, scratch)
    w = width(planes)
    for i in range(start, stop):
        unit = unit_of(job, i)
        _bring(job, unit, planes)
        for v in range((unit.lanes + w - 1) // w):
            plane = advance(planes, v * n * w)
            compute(plane, n, few, sums)
            for r in range(min(w, unit.lanes - v * w)):
                p, q = of_row(job, unit, v * w + r)
                m, k = float(read(few, r)), float(read(few, w + r))
                rest = read(sums, r) * unscaled(planes)
                written(p, q, job.extra, m, k, rest, m == inf and _has_nan(plane, n, r))
