"""What is done along one contiguous row, or a chunk of one.

`p`, `q` and `c` point to its numbers, of which there are n; `m` is what is subtracted and `t` a
temperature or None. The order of a sum depends on n alone: lane by lane, four vectors are added,
and their sums gathered with the rounding errors beside them (float64), or half by half in float64
(float32).

While exponentials keep the processor busy, memory is asked for what follows the row: the next
row, or the next chunk, in nearly every array.
"""

from __future__ import annotations

from math import inf

from numba import njit
from numba.core import types
from numba.extending import overload

from softaxis._backends._numba._exp import exp_of_others, exp_scaled, unscaled
from softaxis._backends._numba._log import log_sum
from softaxis._backends._numba._memory import (
    expect,
    expect_to_write,
    filled,
    load,
    load_part,
    store,
    store_part,
    store_past,
    vector_of,
    width,
)
from softaxis._backends._numba._vectors import (
    F32,
    counted,
    halved,
    hidden,
    is_zero,
    largest,
    maximum,
    none_of,
    one_more,
    splat,
    total,
)

INLINED = {"error_model": "numpy", "no_cpython_wrapper": True, "_nrt": False}

inlined = njit(**INLINED)
"""For what belongs into the loop that calls it. LLVM sees to that; told to (`forceinline`), it
produced wrong code in numba 0.68."""
separate = njit(**INLINED)
"""For what is long enough to be called."""


@inlined
def row_max(p, n):
    """Return the maximum, NaN left out; -inf where nothing else is there."""
    w = width(p)
    a = filled(p, -inf)
    b = a
    c = a
    d = a
    i = 0
    while i + 4 * w <= n:
        a = maximum(load(p, i), a)
        b = maximum(load(p, i + w), b)
        c = maximum(load(p, i + 2 * w), c)
        d = maximum(load(p, i + 3 * w), d)
        i += 4 * w
    while i < n:
        a = maximum(load_part(p, i, n - i, -inf), a)
        i += w
    return largest(maximum(maximum(a, b), maximum(c, d)))


def _wide(high, low, x):
    return high + halved(x), low


def _two_sum(high, low, x):
    """Knuth's: the rounding error goes into `low`."""
    s = high + x
    b = s - high
    return s, low + ((high - (s - b)) + (x - b))


two_sum = inlined(_two_sum)


def gathered(high, low, x):
    """Add a vector to a sum that is held in two."""
    raise NotImplementedError


@overload(gathered, jit_options=INLINED)
def _gathered(high, low, x):
    if x == F32:
        return _wide
    return _two_sum


def nothing(p):
    """Return the vector that a sum starts with."""
    raise NotImplementedError


@overload(nothing, jit_options=INLINED)
def _nothing(p):
    if vector_of(p) == F32:
        return lambda p: halved(filled(p, 0.0))
    return lambda p: filled(p, 0.0)


def shifted(x, m, t):
    """(x - m) / t, by halves, because the difference may overflow."""
    raise NotImplementedError


@overload(shifted, jit_options=INLINED)
def _shifted(x, m, t):
    if isinstance(t, types.NoneType):
        return lambda x, m, t: x - m
    return _by_halves


def _by_halves(x, m, t):
    half = splat(x, 0.5)
    z = (x * half - m * half) / splat(x, t)
    return z + z


@inlined
def shift_of(m):
    """What to subtract: nothing where there is no maximum, so that exp(-inf) is 0 and not NaN.

    It is -0 rather than 0, because x - (-0) is never -0, which would not count as a maximum.
    """
    return m if m > -inf and m != 0.0 else -0.0


@inlined
def exps(p, q, n, m, t):
    """Store the scaled exp((x - m) / t) in q, and return their sum."""
    w = width(p)
    shift = filled(p, m)
    high = nothing(p)
    low = high
    i = 0
    while i + 4 * w <= n:
        expect(p, n + i)
        expect_to_write(q, n + i)
        x = filled(p, 0.0)
        stop = hidden(i + 4 * w)
        while i < stop:
            a = exp_scaled(shifted(load(p, i), shift, t))
            store(q, i, a)
            x = x + a
            i = hidden(i + w)
        high, low = gathered(high, low, x)
    while i < n:
        a = exp_scaled(shifted(load_part(p, i, n - i, -inf), shift, t))
        store_part(q, i, a, n - i)
        high, low = gathered(high, low, a)
        i += w
    return total(high) + total(low)


@inlined
def four(p, n):
    """Return all numbers of a row that is no longer than four vectors; -inf fills them up."""
    w = width(p)
    return (
        get(p, 0, n, -inf),
        get(p, w, n, -inf),
        get(p, 2 * w, n, -inf),
        get(p, 3 * w, n, -inf),
    )


@inlined
def put_four(c, n, x0, x1, x2, x3):
    """Store them."""
    w = width(c)
    put(c, 0, n, x0, False)
    put(c, w, n, x1, False)
    put(c, 2 * w, n, x2, False)
    put(c, 3 * w, n, x3, False)


@inlined
def softmax_four(p, c, n):
    """Compute softmax of such a row without a detour through memory."""
    x0, x1, x2, x3 = four(p, n)
    shift = filled(p, shift_of(largest(maximum(maximum(x0, x1), maximum(x2, x3)))))
    e0, e1 = exp_scaled(x0 - shift), exp_scaled(x1 - shift)
    e2, e3 = exp_scaled(x2 - shift), exp_scaled(x3 - shift)
    zero = nothing(p)
    high, low = gathered(zero, zero, e0 + e1 + e2 + e3)
    factor = filled(p, 1.0 / (total(high) + total(low)))
    put_four(c, n, e0 * factor, e1 * factor, e2 * factor, e3 * factor)


@inlined
def log_four(p, c, n):
    """Return the maximum of such a row and what `sums` finds; store log_softmax in c, if any."""
    x0, x1, x2, x3 = four(p, n)
    m = largest(maximum(maximum(x0, x1), maximum(x2, x3)))
    shift = filled(p, shift_of(m))
    z0, z1, z2, z3 = x0 - shift, x1 - shift, x2 - shift, x3 - shift
    top0, top1, top2, top3 = is_zero(z0), is_zero(z1), is_zero(z2), is_zero(z3)
    k = one_more(one_more(one_more(one_more(none_of(z0), top0), top1), top2), top3)
    e0, e1 = exp_of_others(z0, top0), exp_of_others(z1, top1)
    e2, e3 = exp_of_others(z2, top2), exp_of_others(z3, top3)
    none = nothing(p)
    high, low = gathered(none, none, e0 + e1 + e2 + e3)
    count, rest = float(total(counted(k))), (total(high) + total(low)) * unscaled(p)
    if c is not None:
        less = filled(p, log_sum(count, rest))
        put_four(c, n, z0 - less, z1 - less, z2 - less, z3 - less)
    return m, count, rest


@inlined
def exp_sum(p, n, m, t):
    """Return the sum that `exps` returns, and store nothing."""
    w = width(p)
    shift = filled(p, m)
    high = nothing(p)
    low = high
    i = 0
    while i + 4 * w <= n:
        expect(p, n + i)
        x = filled(p, 0.0)
        stop = hidden(i + 4 * w)
        while i < stop:
            x = x + exp_scaled(shifted(load(p, i), shift, t))
            i = hidden(i + w)
        high, low = gathered(high, low, x)
    while i < n:
        a = exp_scaled(shifted(load_part(p, i, n - i, -inf), shift, t))
        high, low = gathered(high, low, a)
        i += w
    return total(high) + total(low)


@inlined
def other(z, k):
    """Return the count of maxima, and exp(z), but 0 for them."""
    top = is_zero(z)
    return one_more(k, top), exp_of_others(z, top)


@inlined
def sums(p, c, n, m, t, warm):
    """Return the number of maxima, and the sum of exp((x - m) / t) over the others.

    Where `warm`, the lines of `c` are brought into the cache, for they are written next.
    """
    w = width(p)
    shift = filled(p, m)
    k = none_of(shift)
    high = nothing(p)
    low = high
    i = 0
    while i + 4 * w <= n:
        expect(p, n + i)
        if warm:
            expect_to_write(c, i)
        x = filled(p, 0.0)
        stop = hidden(i + 4 * w)
        while i < stop:
            k, a = other(shifted(load(p, i), shift, t), k)
            x = x + a
            i = hidden(i + w)
        high, low = gathered(high, low, x)
    while i < n:
        k, a = other(shifted(load_part(p, i, n - i, -inf), shift, t), k)
        high, low = gathered(high, low, a)
        i += w
    return float(total(counted(k))), (total(high) + total(low)) * unscaled(p)


@inlined
def put(c, i, n, x, past):
    """Store a vector, or what of it still belongs to the row."""
    w = width(c)
    if i + w > n:
        store_part(c, i, x, n - i)
    elif past:
        store_past(c, i, x)
    else:
        store(c, i, x)


@inlined
def get(p, i, n, fill):
    """Load a vector, or what of it still belongs to the row."""
    if i + width(p) > n:
        return load_part(p, i, n - i, fill)
    return load(p, i)


@inlined
def put_four_at(c, i, x0, x1, x2, x3, past):
    """Store four vectors."""
    w = width(c)
    if past:
        store_past(c, i, x0)
        store_past(c, i + w, x1)
        store_past(c, i + 2 * w, x2)
        store_past(c, i + 3 * w, x3)
    else:
        store(c, i, x0)
        store(c, i + w, x1)
        store(c, i + 2 * w, x2)
        store(c, i + 3 * w, x3)


@inlined
def scale(q, c, n, factor, past):
    """c = q factor."""
    w = width(q)
    factors = filled(q, factor)
    i = 0
    while i + 4 * w <= n:
        x0, x1 = load(q, i) * factors, load(q, i + w) * factors
        x2, x3 = load(q, i + 2 * w) * factors, load(q, i + 3 * w) * factors
        put_four_at(c, i, x0, x1, x2, x3, past)
        i += 4 * w
    while i < n:
        put(c, i, n, get(q, i, n, 0.0) * factors, past)
        i += w


@inlined
def scale_twice(q, c, n, first, second):
    """c = (q first) second, for factors whose product is too small for its dtype."""
    firsts = filled(q, first)
    seconds = filled(q, second)
    i = 0
    while i < n:
        put(c, i, n, get(q, i, n, 0.0) * firsts * seconds, False)
        i += width(q)


@inlined
def exps_times(p, c, n, m, t, factor, past):
    """c = (2**BIAS exp((x - m) / t)) factor."""
    w = width(p)
    shift = filled(p, m)
    factors = filled(p, factor)
    i = 0
    while i + 4 * w <= n:
        x0 = exp_scaled(shifted(load(p, i), shift, t)) * factors
        x1 = exp_scaled(shifted(load(p, i + w), shift, t)) * factors
        x2 = exp_scaled(shifted(load(p, i + 2 * w), shift, t)) * factors
        x3 = exp_scaled(shifted(load(p, i + 3 * w), shift, t)) * factors
        expect(p, n + i)
        put_four_at(c, i, x0, x1, x2, x3, past)
        i += 4 * w
    while i < n:
        z = shifted(get(p, i, n, 0.0), shift, t)
        put(c, i, n, exp_scaled(z) * factors, past)
        i += w


@inlined
def exps_times_twice(p, c, n, m, t, first, second):
    """c = (2**BIAS exp((x - m) / t) first) second."""
    shift = filled(p, m)
    firsts = filled(p, first)
    seconds = filled(p, second)
    i = 0
    while i < n:
        z = shifted(get(p, i, n, 0.0), shift, t)
        put(c, i, n, exp_scaled(z) * firsts * seconds, False)
        i += width(p)


@inlined
def minus(p, c, n, m, t, log_sums, past):
    """c = (x - m) / t - log_sums."""
    w = width(p)
    shift = filled(p, m)
    less = filled(p, log_sums)
    i = 0
    while i + 4 * w <= n:
        x0 = shifted(load(p, i), shift, t) - less
        x1 = shifted(load(p, i + w), shift, t) - less
        x2 = shifted(load(p, i + 2 * w), shift, t) - less
        x3 = shifted(load(p, i + 3 * w), shift, t) - less
        put_four_at(c, i, x0, x1, x2, x3, past)
        i += 4 * w
    while i < n:
        put(c, i, n, shifted(get(p, i, n, 0.0), shift, t) - less, past)
        i += w
