"""What the vjp and jvp functions and the Jacobian should return.

Bounds: 8 eps of the largest term (SEMANTICS.md; tests/test_derivatives.py for log_softmax), of
the sum of all terms in rows too long for that; 8 eps for the Jacobian (tests/test_jacobian.py);
and for logsumexp 8 eps and the rounding of x - lse for every term, lse being as it was given.
"""

import math

from comparing import INF, ZERO, axis_of, compare, flags, has, mp, rows

from softaxis.testing import references as ref

LONG = 32


def product(xp, call, outcome):
    """Check a product with the Jacobian of softmax or log_softmax, from its rounded result."""
    y, v = outcome.arrays
    axis = axis_of(call)
    has(outcome.result, y.shape, call.dtype)
    x, where = call.about["x"], call.about["where"]
    tiny, eps = ref.TINY[call.dtype], ref.EPS[call.dtype]
    around = tiny / eps if xp.flushes_subnormals else tiny  # p is given, and may be subnormal
    want, allowed = [], []
    for row, kept, direction in zip(
        rows(x, y.shape, axis), flags(where, y.shape, axis), rows(v, y.shape, axis), strict=True
    ):
        p, _ = ref.shares(row, kept)
        logs = "log" in call.function
        live = [k and a > -INF for k, a in zip(kept, row, strict=True)]
        g = [b if k else ZERO for b, k in zip(direction, live, strict=True)]
        right, scale = _product(p, g, call.function)
        right = [a if k else ZERO for a, k in zip(right, live, strict=True)]
        spoilt = not all(mp.isfinite(b) for b in [*p, *g])
        want.append(right)
        limit = 8 * scale if logs else 10 * scale + around * max(map(abs, g), default=ZERO)
        allowed.append(None if spoilt else [limit] * len(row))
    compare(xp, rows(outcome.result, y.shape, axis), want, allowed, call.dtype)


def _product(p, g, function):
    together = max if len(p) <= LONG else mp.fsum
    terms = [a * b for a, b in zip(p, g, strict=True)]
    dot, total = mp.fsum(terms), mp.fsum(g)
    largest = together([abs(b) for b in g] or [ZERO])
    if function.startswith("softmax"):
        right = [a * (b - dot) for a, b in zip(p, g, strict=True)]
        scale = max(together([abs(a) for a in terms] or [ZERO]), max(p, default=ZERO) * abs(dot))
        return right, scale
    if function == "log_softmax_vjp":
        right = [b - a * total for a, b in zip(p, g, strict=True)]
        return right, max(largest, max(p, default=ZERO) * abs(total))
    return [b - dot for b in g], max(largest, abs(dot))


def of_logsumexp(xp, call, outcome):
    """Check g sign w exp(x - lse), or its sum with the tangent."""
    x, lse, v = outcome.arrays
    axis, given = axis_of(call), outcome.options
    vjp = call.function == "logsumexp_vjp"
    shape = x.shape if vjp else lse.shape
    has(outcome.result, shape, call.dtype)
    kept, all_rows = flags(given.get("where"), x.shape, axis), rows(x, x.shape, axis)
    ones = [(mp.mpf(1),) * len(row) for row in all_rows]
    weights = ones if given.get("weights") is None else rows(given["weights"], x.shape, axis)
    logs = ref.objects(lse).reshape(-1)
    sign = given.get("sign")
    signs = [mp.mpf(1)] * len(logs) if sign is None else ref.objects(sign).reshape(-1)
    directions = ref.objects(v).reshape(-1, 1) if vjp else rows(v, x.shape, axis)
    tiny, eps = ref.TINY[call.dtype], ref.EPS[call.dtype]
    spacing = tiny / eps if xp.flushes_subnormals else tiny
    want, allowed = [], []
    for row, inside, w, log, s, direction in zip(
        all_rows, kept, weights, logs, signs, directions, strict=True
    ):
        share, limit = _shares(row, inside, w, log, s)
        spoilt = share is None or not all(mp.isfinite(b) for b in direction)
        if spoilt:
            want.append([])
            allowed.append(None)
        elif vjp:
            want.append([direction[0] * a for a in share])
            around = abs(direction[0]) * spacing  # a share may be subnormal
            allowed.append(
                [abs(direction[0] * a) * b + around for a, b in zip(share, limit, strict=True)]
            )
        else:
            terms = [a * b for a, b in zip(share, direction, strict=True)]
            want.append([mp.fsum(terms)])
            around = mp.fsum(abs(b) for b in direction) * spacing
            allowed.append(
                [mp.fsum(abs(a) * b for a, b in zip(terms, limit, strict=True)) + around]
            )
    got = rows(outcome.result, shape, axis) if vjp else ref.objects(outcome.result).reshape(-1, 1)
    compare(xp, got, want, allowed, call.dtype)


def _shares(row, kept, w, log, sign):
    """Return sign w exp(x - lse) and the eps allowed for each; None if one is not finite."""
    if log == -INF:
        return [ZERO] * len(row), [ZERO] * len(row)
    live = [k and b != 0 and a != -INF for a, b, k in zip(row, w, kept, strict=True)]
    numbers = [(a, b) for a, b, k in zip(row, w, live, strict=True) if k]
    if not all(mp.isfinite(c) for a, b in [*numbers, (log, sign)] for c in (a, b)):
        return None, None
    share = [
        sign * b * mp.exp(a - log) if k else ZERO for a, b, k in zip(row, w, live, strict=True)
    ]
    return share, [8 + abs(a - log) if k else ZERO for a, k in zip(row, live, strict=True)]


def jacobian(xp, call, outcome):
    """Check p_i (delta_ij - p_j)."""
    (p,) = outcome.arrays
    axis = axis_of(call)
    axes = ref.axes_of(axis, p.ndim)
    all_rows = rows(call.about["x"], p.shape, axis)
    n = math.prod(p.shape[i] for i in axes)
    kept_shape = tuple(size for i, size in enumerate(p.shape) if i not in axes)
    has(outcome.result, (*kept_shape, n, n), call.dtype)
    want, allowed = [], []
    for row in all_rows:
        q, _ = ref.shares(row, (True,) * n)
        spoilt = not all(mp.isfinite(a) for a in q)
        for i in range(n):
            others = mp.fsum(q[k] for k in range(n) if k != i)
            want.append([q[i] * others if i == j else -q[i] * q[j] for j in range(n)])
            allowed.append(None if spoilt else [8 * abs(a) for a in want[-1]])
    compare(xp, ref.objects(outcome.result).reshape(-1, n or 1), want, allowed, call.dtype)


DERIVATIVES = {
    **dict.fromkeys(("softmax_vjp", "softmax_jvp", "log_softmax_vjp", "log_softmax_jvp"), product),
    **dict.fromkeys(("logsumexp_vjp", "logsumexp_jvp"), of_logsumexp),
    "softmax_jacobian": jacobian,
}
