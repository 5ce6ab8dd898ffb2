"""Rows that are results themselves, and the products with their Jacobian."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softaxis.testing import references as ref
from softaxis.testing._recording._numbers import (
    DTYPES,
    Record,
    dyadic,
    mp,
    numbers,
    record_of,
    rounded_to,
)
from softaxis.testing._rows import (
    LENGTHS,
    ROWS,
)


def derivatives() -> Iterator[Record]:
    names = ("plain", "equal", "tie-at-the-top", "near-certainty", "certainty-among-many", "single")
    rows = [
        *((name, ROWS[name]) for name in names),
        *((f"{n} numbers", dyadic(n, 7)) for n in LENGTHS),
    ]
    for name, row in rows:
        for dtype in DTYPES:
            x = ref.rounded(ref.objects(row), dtype).astype(np.float64)
            yield from _products(name, tuple(map(ref.exact, x)), dtype)
            if "certainty" in name:
                yield from _certain(name, tuple(map(ref.exact, x)), dtype)


def _products(name: str, row: Any, dtype: str) -> Iterator[Record]:
    n = len(row)
    kept = (True,) * n
    p, logp = ref.shares(row, kept)
    lse, _ = ref.log_of_sum(row, kept)
    g = [mp.mpf(v) for v in dyadic(n, 11)]
    dot, total = mp.fsum(a * b for a, b in zip(p, g, strict=True)), mp.fsum(g)
    size = max(*(abs(a * b) for a, b in zip(p, g, strict=True)), abs(dot) * max(p))
    both = [a * (b - dot) for a, b in zip(p, g, strict=True)]
    results: Record = dict.fromkeys(("softmax_vjp", "softmax_jvp"), numbers(both, [8 * size] * n))
    largest = max(map(abs, g))
    size = max(largest, abs(total) * max(p))
    vjp = [b - a * total for a, b in zip(p, g, strict=True)]
    results["log_softmax_vjp"] = numbers(vjp, [8 * size] * n)
    jvp = [b - dot for b in g]
    results["log_softmax_jvp"] = numbers(jvp, [8 * max(largest, abs(dot))] * n)
    top = g[0]
    around = 16 + abs(lse)
    results["logsumexp_vjp"] = numbers(
        [a * top for a in p],
        [(around + abs(x - lse)) * a * abs(top) for x, a in zip(row, p, strict=True)],
    )
    terms = mp.fsum((around + abs(x - lse)) * abs(a * b) for x, a, b in zip(row, p, g, strict=True))
    results["logsumexp_jvp"] = numbers([dot], [terms])
    if n <= 8:
        results["softmax_jacobian"] = _matrix(p)
    given = {
        "x": row,
        "p": rounded_to(p, dtype),
        "logp": rounded_to(logp, dtype),
        "lse": rounded_to([lse], dtype)[0],
    }
    yield record_of("derivatives", name, dtype, given | {"g": g}, results)


def _certain(name: str, row: Any, dtype: str) -> Iterator[Record]:
    """Record derivatives whose allowed error is relative to what stands beside the top."""
    n, top = len(row), row.index(max(row))
    p, logp = ref.shares(row, (True,) * n)
    for g in ([mp.mpf(i == top) for i in range(n)], [mp.mpf(3 - 2 * i) for i in range(n)]):
        h = [b - g[top] for b in g]
        dot, total = mp.fsum(a * b for a, b in zip(p, h, strict=True)), mp.fsum(g)
        both = [a * (b - dot) for a, b in zip(p, h, strict=True)]
        size = max(abs(dot), *(abs(a * b) for a, b in zip(p, h, strict=True)))
        results: Record = {
            "softmax_vjp": numbers(both, [8 * size] * n),
            "softmax_jvp": numbers(both, [8 * size] * n),
        }
        rest = [mp.fsum(q for j, q in enumerate(p) if j != i) for i in range(n)]
        terms = [(b * r, a * (total - b)) for a, b, r in zip(p, g, rest, strict=True)]
        size = max(abs(term) for pair in terms for term in pair)
        results["log_softmax_vjp"] = numbers([a - b for a, b in terms], [8 * size] * n)
        given = {"x": row, "p": rounded_to(p, dtype), "logp": rounded_to(logp, dtype), "g": g}
        yield record_of("certainty", name, dtype, given, results)


def _share(
    name: str,
    row: list[float],
    dtype: str,
    where: list[bool] | None = None,
    weights: list[float] | None = None,
) -> Record:
    """Record the derivatives of logsumexp: w exp(x - lse), times g and summed."""
    kept = [True] * len(row) if where is None else where
    factors = [1.0] * len(row) if weights is None else weights
    exact = tuple(map(ref.exact, row))
    lse, _ = ref.log_of_sum(exact, tuple(kept), tuple(factors))
    share = [
        mp.mpf(w) * mp.exp(x - lse) if k and w else ref.ZERO
        for x, k, w in zip(exact, kept, factors, strict=True)
    ]
    g = [2.0, -1.5, 0.25]
    around = 16 + (abs(lse) if mp.isfinite(lse) else 0)
    sizes = [2 * around * abs(p) for p in share]
    results = {
        "logsumexp_vjp": numbers([p * g[0] for p in share], [s * g[0] for s in sizes]),
        "logsumexp_jvp": numbers(
            [mp.fsum(p * t for p, t in zip(share, g, strict=True))],
            [mp.fsum(s * abs(t) for s, t in zip(sizes, g, strict=True))],
        ),
    }
    finite = rounded_to([lse], dtype)[0] if mp.isfinite(lse) else float(lse)
    given = {"x": row, "lse": finite, "g": g, "where": where, "weights": weights}
    group = "where" if weights is None else "weights"
    return record_of(group, name, dtype, given, results)


def _matrix(p: list[Any]) -> Any:
    n = len(p)
    matrix = [
        (mp.fsum(p[k] for k in range(n) if k != i) * p[i]) if i == j else -p[i] * p[j]
        for i in range(n)
        for j in range(n)
    ]
    return numbers(matrix, [8 * abs(value) for value in matrix])
