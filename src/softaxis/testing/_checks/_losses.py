"""Labels of both kinds, class weights, smoothing, what is ignored, sums and means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from softaxis.testing._arrays import INTEGERS
from softaxis.testing._checks._picking import pool, rows_of
from softaxis.testing._comparing import Expected
from softaxis.testing._hows import Step, plainly
from softaxis.testing._subject import Subject
from softaxis.testing._trials import Trial, stack

LABEL_GROUPS = ("labels", "probabilities", "class weights", "smoothing", "z loss", "masked labels")


def reduced(function: str, dtype: str) -> Iterator[Step]:
    rows = pool(function, dtype, 4, 3)
    if not rows:
        return
    trial = stack(function, rows, (3, 4), 1, dtype=dtype, result=dtype)
    yield Step(_reduction(trial, "sum", Fraction(1)), plainly)
    yield Step(_reduction(trial, "mean", Fraction(3)), plainly)


def weighted_mean(function: str, dtype: str) -> Iterator[Step]:
    """The mean divides by the summed weights of the labels."""
    rows = [r for r in rows_of(function, dtype, "class weights") if r.given["labels"] == 1]
    if rows:
        shape = len(rows), rows[0].length
        trial = stack(function, rows, shape, 1, dtype=dtype, result=dtype)
        weights = [Fraction(row.given["class_weights"][1]) for row in rows]
        yield Step(_reduction(trial, "mean", sum(weights, Fraction(0))), plainly)


def _reduction(trial: Trial, reduction: str, divisor: Fraction) -> Trial:
    """Return the same call with its losses summed and divided."""
    losses, *slopes = trial.expected
    exact = np.array([sum(map(Fraction, (*losses.high, *losses.low)), Fraction(0))])
    scale = np.array([12 * (1 + float(exact[0]))])
    reduced = _quotient(exact, divisor, scale).map(lambda a: a.reshape(()))
    divided = [_quotient(_fractions(s.high) + _fractions(s.low), divisor, s.scale) for s in slopes]
    trial = replace(trial, expected=(reduced, *divided), build=None)
    return trial.with_keywords(reduction=reduction)


def _quotient(exact: Any, divisor: Fraction, scale: Any) -> Expected:
    """Divide without rounding."""
    high = _floats(exact / divisor)
    return Expected(high, _floats(exact / divisor - _fractions(high)), scale)


_fractions = np.vectorize(Fraction, otypes=[object])


_floats = np.vectorize(float, otypes=[float])


def ignored(function: str, dtype: str) -> Iterator[Step]:
    rows = pool(function, dtype, 4, 3)
    if not rows or "labels" not in rows[0].given:
        return
    trial = stack(function, rows, (3, 4), 1, dtype=dtype, result=dtype)
    x, labels = trial.arrays
    spoilt, out_of_range = x.values.copy(), labels.values.copy()
    spoilt[1], out_of_range[1] = np.nan, -100
    kept = np.array([1.0, 0.0, 1.0])
    expected = tuple(
        part.map(lambda a: a * (kept if a.ndim == 1 else kept[:, None])) for part in trial.expected
    )
    arrays = x._replace(values=spoilt), labels._replace(values=out_of_range)
    trial = replace(trial, arrays=arrays, expected=expected, build=None)
    trial = trial.with_keywords(ignore_index=-100)
    yield Step(trial, plainly)
    yield Step(_reduction(trial, "mean", Fraction(2)), plainly, "one of three rows ignored")


def labels_of_any_dtype(subject: Subject, function: str) -> Iterator[Step]:
    for dtype in subject.floats(function)[-1:]:
        rows = pool(function, dtype, 4, 3)
        for name in INTEGERS:
            if rows and subject.arrays.has_dtype(name):
                trial = stack(function, rows, (3, 4), 1, dtype=dtype, result=dtype)
                x, labels = trial.arrays
                yield Step(replace(trial, arrays=(x, labels._replace(dtype=name))), plainly)
