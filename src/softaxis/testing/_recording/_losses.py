"""Rows with labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softaxis.testing import references as ref
from softaxis.testing._recording._numbers import Record, dyadic, inf, mp, nan, numbers, record_of
from softaxis.testing._rows import (
    INTEGER_ROWS,
    LENGTHS,
)


def losses() -> Iterator[Record]:
    weights, mask = [0.5, 2.0, 0.0, 1.25], [True, True, False, True]
    spread = [0.5, 0.25, 0.0, 0.25]
    for row in ([-1.0, 1.0, 2.0, 3.0], [0.0, -20.0, -21.0, -40.0], [1e4, 1e4, 9990.0, 9999.0]):
        for label in range(4):
            yield _loss("labels", row, label)
        yield _loss("probabilities", row, spread)
        yield _loss("probabilities", row, [2.0, 0.0, 1.0, 0.5])
        yield _loss("class weights", row, 1, class_weights=weights)
        yield _loss("class weights", row, spread, class_weights=weights)
        yield _loss("smoothing", row, 3, label_smoothing=0.125)
        yield _loss("z loss", row, 0, z_loss=0.25)
        yield _loss("masked labels", row, 3, where=mask)
        options: Record = {"where": mask, "label_smoothing": 0.25, "z_loss": 0.5}
        yield _loss("masked labels", row, 0, class_weights=weights, **options)
    for n in LENGTHS:
        for seed in range(3):
            yield _loss("pool", dyadic(n, seed), (n + seed) // 2 % n)
    for dtype in INTEGER_ROWS:
        yield _loss("integers", [1.0, 0.0, 1.0, 1.0], 1, dtype)
    yield _loss("labels", [-inf, 0.0, 1.0, -inf], 1)
    yield _loss("labels", [-inf, 0.0, 1.0, -inf], 0)
    yield _loss("labels", [1.0, nan, 2.0, 0.0], 2)
    yield _loss("masked labels", [nan, 0.0, 1.0, 2.0], 2, where=[False, True, True, True])
    yield _loss("masked labels", [0.0, 0.0, 1.0, 2.0], 0, where=[False, True, True, True])


def _loss(
    group: str, row: list[float], labels: Any, dtype: str | None = None, **options: Any
) -> Record:
    n, whole = len(row), isinstance(labels, int)
    target = tuple(mp.mpf(k == labels) for k in range(n)) if whole else tuple(map(mp.mpf, labels))
    kept = tuple(options.get("where", [True] * n))
    factors = tuple(map(mp.mpf, options["class_weights"])) if "class_weights" in options else None
    smoothing, z_loss = options.get("label_smoothing", 0.0), options.get("z_loss", 0.0)
    exact = tuple(map(ref.exact, row))
    loss, slope = ref.loss_and_slope(exact, target, kept, factors, smoothing, z_loss)
    if any(k and np.isnan(x) for x, k in zip(row, kept, strict=True)):
        loss, slope = ref.NAN, [ref.NAN if k else ref.ZERO for k in kept]
    size = abs(loss) if mp.isfinite(loss) else 0
    if whole and not set(options) - {"where"}:
        gap = ref.log_softmax_bound(np.array(row), where=np.array(kept))[labels]
        scale = gap * size
    else:
        scale = 12 * size
    mass = sum(target) * (max(factors) if factors else 1)
    slopes = [12 * max(1, mass, 2 * z_loss * abs(mp.mpf(np.nanmax(row))))] * n
    if whole and not options and all(map(np.isfinite, row)):
        slopes = [12 * max(map(abs, slope))] * n  # p and 1 - p, neither of them a difference
    results = {
        "cross_entropy": numbers([loss], [scale]),
        "cross_entropy_and_grad": numbers(slope, slopes),
    }
    given = {"x": row, "labels": labels, **options}
    return record_of(group, group, dtype, given, results)
