"""Masks, temperatures, sinks and weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from softaxis.testing._arrays import COMPLEX
from softaxis.testing._checks._losses import LABEL_GROUPS, ignored, reduced, weighted_mean
from softaxis.testing._checks._picking import alone, rows_of, together
from softaxis.testing._comparing import Expected
from softaxis.testing._hows import Step, plainly
from softaxis.testing._recorded import Row
from softaxis.testing._subject import Subject
from softaxis.testing._trials import LOSSES, TAKE_COMPLEX, Operand, stack

ARGUMENT_GROUPS = ("where", "temperature", "sink", "together", "weights")


def arguments(subject: Subject, function: str) -> Iterator[Step]:
    """Masks, temperatures, sinks, weights, labels."""
    if function in TAKE_COMPLEX:
        yield from _complex_arguments(subject, function)
    for dtype in subject.floats(function):
        groups = LABEL_GROUPS if function in LOSSES else ARGUMENT_GROUPS
        rows = rows_of(function, dtype, *groups)
        for row in rows:
            trial = alone(subject, function, row, dtype)
            yield Step(trial, plainly)
            scalars = {
                key: row.given[key]
                for key in ("temperature", "sink")
                if row.given.get(key, math.nan) == row.given.get(key)
            }
            if scalars:
                yield Step(trial.with_keywords(**scalars), plainly)
            yield from _broadcast(function, row, dtype)
        yield from together(subject, function, rows, dtype)
        for row in rows_of(function, dtype, "temperature along"):
            each = Operand(np.array(row.given["temperatures"]), dtype)
            trial = alone(subject, function, row, dtype).with_keywords(temperature=each)
            yield Step(replace(trial, build=None), plainly)
        if function == "logsumexp":
            yield from _signs(subject, dtype)
        if function in LOSSES:
            yield from reduced(function, dtype)
            yield from ignored(function, dtype)
            yield from weighted_mean(function, dtype)


def _complex_arguments(subject: Subject, function: str) -> Iterator[Step]:
    """Yield calls that cool twice the numbers, and calls that mask one more."""
    nothing = {"softmax": 0.0, "log_softmax": -np.inf}
    for dtype in set(COMPLEX).intersection(subject.dtypes(function)):
        for row in rows_of(function, dtype, "complex"):
            trial = replace(alone(subject, function, row, dtype), build=None)
            x, expected = trial.arrays[0].values, trial.expected[0]
            if function in nothing:
                cooled = replace(trial, arrays=(Operand(2 * x, dtype),))
                yield Step(cooled.with_keywords(temperature=2.0), plainly)
                expected = Expected(
                    np.append(expected.high, nothing[function]),
                    np.append(expected.low, 0.0),
                    np.append(expected.scale, 0.0),
                )
            longer = Operand(np.append(x, complex(math.nan, math.inf)), dtype)
            where = Operand(np.append(np.ones(x.size, bool), False), "bool")
            masked = replace(trial, arrays=(longer,), expected=(expected,))
            yield Step(masked.with_keywords(where=where), plainly)


def _broadcast(function: str, row: Row, dtype: str) -> Iterator[Step]:
    """Yield calls with masks and weights that have fewer dimensions, or a length of 1."""
    names = [name for name in ("where", "weights") if name in row.given]
    if not names:
        return
    n = row.length
    for shape, axis, one in (((3, n), 1, 0), ((3, n), 1, slice(1)), ((n, 3), 0, np.s_[:, :1])):
        trial = stack(function, [row] * 3, shape, axis, dtype=dtype, result=dtype)
        smaller = {
            name: trial.keywords[name]._replace(values=trial.keywords[name].values[one])
            for name in names
        }
        yield Step(replace(trial.with_keywords(**smaller), build=None), plainly, "broadcast")


def _signs(subject: Subject, dtype: str) -> Iterator[Step]:
    for row in rows_of("logsumexp", dtype, "weights"):
        logs = row._replace(results={"logsumexp": row.results["logsumexp"]["log"]})
        trial = alone(subject, "logsumexp", logs, dtype, return_sign=True)
        sign = np.array(float(row.results["logsumexp"]["sign"]))
        nothing = np.zeros(())
        expected = (*trial.expected, Expected(sign, nothing, nothing))
        yield Step(replace(trial, expected=expected, build=None), plainly)
