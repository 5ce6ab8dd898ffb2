"""Long rows: three numbers and a product say what everything is."""

from __future__ import annotations

import numpy as np

from softaxis.testing._long_rows import STEP, direction, long_row
from softaxis.testing._recording._numbers import Record, mp, pair


def long(kind: str, n: int) -> Record:
    """Record lse - m, 1 / sum(exp(x - m)) and the sum of g times softmax."""
    steps = long_row(kind, n) * STEP
    below = (steps - steps.max()).astype(np.int64)
    values, where, counts = np.unique(below, return_inverse=True, return_counts=True)
    weights = np.bincount(where, 8 * direction(n))  # integers
    table = {int(v): mp.exp(mp.mpf(int(v)) / STEP) for v in values}
    with mp.workprec(300):
        rest = mp.fsum(int(c) * table[int(v)] for v, c in zip(values, counts, strict=True) if v < 0)
        k = int(counts[-1])
        tail = mp.log(k) + mp.log1p(rest / k)
        share = 1 / (k + rest)
        terms = (mp.mpf(float(w)) * table[int(v)] for v, w in zip(values, weights, strict=True))
        dot = share * mp.fsum(terms) / 8
    return {
        "kind": kind,
        "length": n,
        "tail": pair(tail),
        "mean_tail": pair(tail - mp.log(n)),
        "share": pair(share),
        "dot": pair(dot),
    }
