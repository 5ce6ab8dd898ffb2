"""What softmax, log_softmax, softmin, hardmax, sigmoid and log_sigmoid should return.

Bounds: those of SEMANTICS.md without `temperature` and `sink`, which it has no bound for. With
them, what rounding each argument and each quotient once can do to the result is added.
"""

import numpy as np
from calls import Wrong
from comparing import (
    INF,
    NAN,
    REAL_OF,
    ZERO,
    as_floating,
    axis_of,
    compare,
    flags,
    has,
    mp,
    result_dtype,
    rows,
)

from softaxis.testing import references as ref


def normalizer(xp, call, outcome):
    """Check exp(x / t) over its sum, or the logarithm of that."""
    x = as_floating(xp, call, outcome.arrays[0])
    x, shape, axis = (-x if call.function == "softmin" else x), x.shape, axis_of(call)
    dtype, given = result_dtype(xp, call), outcome.options
    has(outcome.result, shape, dtype)
    if dtype in REAL_OF:
        return complex_normalizer(call, outcome, dtype)
    t, sink = given.get("temperature"), given.get("sink")
    all_rows, kept = rows(x, shape, axis), flags(given.get("where"), shape, axis)
    heats = [(None,) * len(row) for row in all_rows] if t is None else rows(t, shape, axis)
    reduced = [n for i, n in enumerate(shape) if i not in ref.axes_of(axis, len(shape))]
    sinks = [None] * len(all_rows)
    if sink is not None:
        sinks = np.broadcast_to(ref.objects(sink), reduced).reshape(-1).tolist()
    varies = varies_along(t, x, axis)
    want, allowed = [], []
    for row, inside, heat, extra in zip(all_rows, kept, heats, sinks, strict=True):
        expected, limits = normalized_row(
            row, inside, heat, extra, log="log" in call.function, varies=varies
        )
        want.append(expected)
        allowed.append(limits)
    return compare(xp, rows(outcome.result, shape, axis), want, allowed, dtype)


def normalized_row(row, kept, heat, sink, *, log, varies=False):
    """Return one row of softmax or log_softmax, and the errors allowed in eps; None for any."""
    z, sink, slack = cooled(row, kept, heat, sink, varies)
    inside = [a for a, k in zip(z, kept, strict=True) if k]
    nothing = -INF if log else ZERO
    spoilt = any(mp.isnan(a) or a == INF for a in inside)
    if sink == INF and not spoilt:  # the limit: the sink takes it all
        return [nothing] * len(row), [ZERO] * len(row)
    if varies and reach(z, kept) > ref.LARGEST["float32"]:  # x / t may be infinite
        return z, None
    p, logs = ref.shares(tuple(z), tuple(kept), sink)
    if spoilt or (sink is not None and mp.isnan(sink)):
        return logs if log else p, [ZERO] * len(row)
    joined = sorted(a for a in [*inside, -INF if sink is None else sink] if mp.isfinite(a))
    top = joined[-1] if joined else ZERO
    gap = joined[-1] - joined[-2] if len(joined) > 1 else ZERO
    limits = []
    for a, p_i, logp in zip(z, p, logs, strict=True):
        if not mp.isfinite(logp):
            limits.append(ZERO)
            continue
        around = 2 * slack * (1 - p_i)  # d log p_i / d z_j is 1 - p_i or -p_j
        if heat[0] is None:
            relative, of_log = 4 + (top - a), 8 + (gap if a == top else 0)
        else:
            relative, of_log = 8 + 2 * (top - a), 16 + (2 * gap if a == top else 0)
        limits.append(of_log * abs(logp) + around if log else (relative + around) * p_i)
    return (logs if log else p), limits


def cooled(row, kept, heat, sink, varies):
    """Divide a row by its temperatures, with their limits; say what that costs, in eps.

    One temperature for the row divides what is left after the maximum was taken out, which
    costs nothing but a relative error; a sink is compared with the maximum divided by it.
    """
    size = abs(sink) if sink is not None and mp.isfinite(sink) else ZERO
    if heat[:1] == (None,) or not row:
        return row, sink, size
    inside = [a for a, k in zip(row, kept, strict=True) if k]
    t = heat[0]
    if varies:  # element by element: here x / 0 is infinite
        z = [divided(a, t) for a, t in zip(row, heat, strict=True)]
        return z, sink, size + reach(z, kept)
    if t != 0 or any(mp.isnan(a) or a == INF for a in inside) or not inside:
        z = [divided(a, t) for a in row]
        return z, sink, size + (reach(z, kept) if sink is not None else 0)
    top = max(inside)
    if top == -INF:
        return row, sink, size
    z = [ZERO if a == top else -INF for a in row]
    base = divided(top, t)
    if sink is not None and mp.isfinite(sink) and base != 0:
        sink = -base
    return z, sink, ZERO


def reach(z, kept):
    """Return the largest finite magnitude of a row."""
    return max((abs(a) for a, k in zip(z, kept, strict=True) if k and mp.isfinite(a)), default=ZERO)


def varies_along(t, x, axis):
    """Say whether an array of temperatures has one for every element of a row."""
    missing = x.ndim - np.ndim(t)
    return any(i >= missing and np.shape(t)[i - missing] != 1 for i in ref.axes_of(axis, x.ndim))


def divided(a, t):
    """Return a / t with the limits of t at 0 and infinity; NaN where t is negative or NaN."""
    if mp.isnan(a) or mp.isnan(t) or t < 0:
        return NAN
    if mp.isinf(a):
        return a
    if t == 0:
        return mp.sign(a) * INF if a else a
    return a / t if t < INF else ZERO


def complex_normalizer(call, outcome, dtype):
    """Check softmax and log_softmax of moderate complex numbers, in eps of the condition."""
    x, axis, given = outcome.arrays[0], axis_of(call), outcome.options
    if not np.isfinite(x).all():
        return
    t = given.get("temperature", 1.0)
    kept = flags(given.get("where"), x.shape, axis)
    results = rows(outcome.result, x.shape, axis)
    for row, inside, got in zip(rows(x, x.shape, axis), kept, results, strict=True):
        z = [a / mp.mpf(t) for a in row]
        terms = [mp.exp(a) for a, k in zip(z, inside, strict=True) if k]
        total = mp.fsum(terms)
        if not terms or abs(total) < mp.fsum(abs(a) for a in terms) / 1000:
            continue
        condition = mp.fsum(abs(a) for a in terms) / abs(total) + max(abs(a) for a in z)
        for a, k, value in zip(z, inside, got, strict=True):
            want = mp.exp(a) / total if k else ZERO
            p = mp.exp(value) if call.function == "log_softmax" else value
            allowed = 64 * (1 + condition) ** 2 * (1 + abs(want)) * ref.EPS[REAL_OF[dtype]]
            if not abs(p - want) <= allowed:
                raise Wrong(f"complex: got {mp.nstr(p, 20)}, expected {mp.nstr(want, 20)}")


def hardmax(xp, call, outcome):
    x = as_floating(xp, call, outcome.arrays[0])
    axis, dtype = axis_of(call), result_dtype(xp, call)
    has(outcome.result, x.shape, dtype)
    kept = flags(outcome.options.get("where"), x.shape, axis)
    want = []
    for row, inside in zip(rows(x, x.shape, axis), kept, strict=True):
        some = [a for a, k in zip(row, inside, strict=True) if k]
        spoilt = any(mp.isnan(a) for a in some)
        marks = [NAN if spoilt and k else ZERO for k in inside]
        if some and not spoilt:
            top = max(some)
            first = next(
                i for i, (a, k) in enumerate(zip(row, inside, strict=True)) if k and a == top
            )
            marks[first] = mp.mpf(1)
        want.append(marks)
    exactly = [[ZERO] * len(row) for row in want]
    compare(xp, rows(outcome.result, x.shape, axis), want, exactly, dtype)


def pointwise(xp, call, outcome):
    """Check sigmoid and log_sigmoid as softmax of (x, 0)."""
    x, dtype = as_floating(xp, call, outcome.arrays[0]), result_dtype(xp, call)
    has(outcome.result, x.shape, dtype)
    log = call.function == "log_sigmoid"
    want, allowed = [], []
    for a in ref.objects(x).reshape(-1):
        if mp.isinf(a):
            right = (ZERO if a > 0 else -INF) if log else mp.mpf(a > 0)
            want.append(right)
            allowed.append(ZERO)
            continue
        both, limits = normalized_row((a, ZERO), (True, True), (None, None), None, log=log)
        want.append(both[0])
        allowed.append(limits[0])
    compare(xp, [ref.objects(outcome.result).reshape(-1)], [want], [allowed], dtype)


NORMALIZERS = {
    **dict.fromkeys(("softmax", "log_softmax", "softmin"), normalizer),
    "hardmax": hardmax,
    **dict.fromkeys(("sigmoid", "log_sigmoid"), pointwise),
}
