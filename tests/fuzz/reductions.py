"""What logsumexp and logmeanexp should return.

Bounds: those of SEMANTICS.md without `weights`. With them, the largest of the relative errors
of the terms, times how much the terms cancel.
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


def reduction(xp, call, outcome):
    """Check log|s| and the sign of s, s = sum(w exp(x)) or the mean."""
    x = as_floating(xp, call, outcome.arrays[0])
    axis, given, dtype = axis_of(call), outcome.options, result_dtype(xp, call)
    signed, keepdims = given.get("return_sign", False), given.get("keepdims", False)
    parts = outcome.result if signed else (outcome.result,)
    shape = np.sum(np.zeros(x.shape), axis=axis, keepdims=keepdims).shape
    weights = given.get("weights")
    if dtype in REAL_OF or np.asarray(weights).dtype.kind == "c":
        for part in parts:
            if part.shape != shape:
                raise Wrong(f"complex: shape {part.shape}, expected {shape}")
        return
    for part in parts:
        has(part, shape, dtype)
    all_rows, kept = rows(x, x.shape, axis), flags(given.get("where"), x.shape, axis)
    factors = [None] * len(all_rows) if weights is None else rows(weights, x.shape, axis)
    mean = call.function == "logmeanexp"
    want, signs, allowed = [], [], []
    for row, inside, w in zip(all_rows, kept, factors, strict=True):
        log, sign = ref.log_of_sum(row, inside, w, mean)
        limit = allowed_in_sum(row, inside, w, log, mean)
        want.append([log if signed or sign >= 0 or mp.isnan(log) else NAN])
        signs.append([NAN if mp.isnan(log) else sign])
        allowed.append(None if limit is None else [limit])
    compare(xp, ref.objects(parts[0]).reshape(-1, 1), want, allowed, dtype)
    if signed:
        exact = [None if limit is None else [ZERO] for limit in allowed]
        signs = [[ZERO] if log[0] == -INF else s for s, log in zip(signs, want, strict=True)]
        compare(xp, ref.objects(parts[1]).reshape(-1, 1), signs, exact, dtype, "sign")


def allowed_in_sum(row, kept, w, log, mean):
    """Return the error allowed in log|s|, in eps; None where terms cancel to nothing."""
    inside = [a for a, k in zip(row, kept, strict=True) if k]
    if w is None:
        if not mp.isfinite(log):
            return ZERO
        finite = sorted(a for a in inside if mp.isfinite(a))
        if finite[-1] == 0 and not mean and finite[-2:-1] != [ZERO]:  # one dominates: relative
            return (8 + (-finite[-2] if len(finite) > 1 else 0)) * abs(log)
        return 8 * max(1, abs(finite[-1]), abs(log), mp.log(len(inside)) if mean else 0)
    terms = [(a, b) for a, b, k in zip(row, w, kept, strict=True) if k and b != 0]
    if not terms:
        return ZERO
    if any(mp.isnan(a) or mp.isnan(b) or a == INF for a, b in terms):
        n = mp.fsum(b for _, b in terms) if mean else 1
        return ZERO if mp.isnan(n) or n != 0 else None
    terms = [(a, b) for a, b in terms if a > -INF]
    if not terms:
        return ZERO
    shift = max(terms, key=lambda term: term[0] + mp.log(abs(term[1])))[0]
    sizes = [(a, abs(b) * mp.exp(a - shift)) for a, b in terms]
    total = abs(mp.fsum(b * mp.exp(a - shift) for a, b in terms))
    n = [b for b, k in zip(w, kept, strict=True) if k] if mean else [mp.mpf(1)]
    if total == 0 or mp.fsum(n) == 0:
        return None
    spread = mp.fsum((4 + min(abs(a - shift), 800)) * size for a, size in sizes) / total
    spread += mp.fsum(abs(b) for b in n) / abs(mp.fsum(n))
    if spread > 100:  # how far the terms cancel: then the sign itself is rounding
        return None
    scale = max(1, abs(shift), abs(log), mp.log(len(inside)) if mean else 0)
    scale = max(scale, abs(mp.log(abs(mp.fsum(n)))))
    return 8 * scale + 8 * spread


REDUCTIONS = dict.fromkeys(("logsumexp", "logmeanexp"), reduction)
