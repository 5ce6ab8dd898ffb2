"""Finite rows, special values, and dtypes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from softaxis.testing._arrays import FLOATS, INTEGERS
from softaxis.testing._checks._losses import labels_of_any_dtype
from softaxis.testing._checks._picking import alone, pool, rows_of, together
from softaxis.testing._comparing import Expected
from softaxis.testing._hows import Step, plainly
from softaxis.testing._pasting import DType
from softaxis.testing._subject import Subject
from softaxis.testing._trials import LOSSES, Operand, Trial, stack


def values(subject: Subject, function: str) -> Iterator[Step]:
    """Finite rows, one by one and together."""
    plain = ("finite", "pool", "derivatives", "certainty", "complex")
    groups = (*plain, "labels", "probabilities")
    for dtype in subject.dtypes(function):
        if dtype in INTEGERS or dtype == "bool":
            continue
        rows = rows_of(function, dtype, *groups)
        for row in rows:
            yield Step(alone(subject, function, row, dtype), plainly)
        yield from together(subject, function, rows, dtype)


def special_values(subject: Subject, function: str) -> Iterator[Step]:
    """NaN, infinities, and the ends of the range."""
    for dtype in subject.floats(function):
        rows = rows_of(function, dtype, "special", "extreme")
        for row in rows:
            yield Step(alone(subject, function, row, dtype), plainly)
        yield from together(subject, function, rows, dtype)


def dtypes(subject: Subject, function: str) -> Iterator[Step]:
    """Promotion of integers, and `dtype`."""
    for dtype in subject.dtypes(function):
        for row in rows_of(function, dtype, "integers", "integers with arguments"):
            trial = alone(subject, function, row, dtype)
            yield Step(trial, plainly)
            scalars = {k: v for k, v in row.given.items() if k in {"temperature", "sink"}}
            if scalars:
                yield Step(trial.with_keywords(**scalars), plainly)
    if function in LOSSES:
        yield from labels_of_any_dtype(subject, function)
    if "dtype" not in subject.keywords(function):
        return
    targets = [name for name in FLOATS if subject.arrays.has_dtype(name)]
    for dtype in subject.floats(function):
        for target in targets:
            for row in pool(function, dtype, 4, 3):
                trial = stack(function, [row], (4,), 0, dtype=dtype, result=target)
                yield Step(trial.with_keywords(dtype=DType(target)), plainly)
            if FLOATS.index(target) < FLOATS.index(dtype) and dtype != "bfloat16":
                yield from _far_out(function, dtype, target)


def _far_out(function: str, dtype: str, target: str) -> Iterator[Step]:
    """Casting first would make an infinity of 70000 in float16, and NaN of its row."""
    if function not in {"softmax", "softmin"} or target != "float16":
        return
    sign = 1 if function == "softmax" else -1
    x = Operand(sign * np.array([70000.0, 70000.0, -70000.0]), dtype)
    expected = Expected(np.array([0.5, 0.5, 0.0]), np.zeros(3), np.zeros(3))
    keywords = {"axis": 0, "dtype": DType(target)}
    yield Step(Trial(function, (x,), keywords, (expected,), target, "70000"), plainly)
