"""Axes of every kind, lengths of 0, and the memory that arrays lie in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from softaxis.testing._checks._picking import alone, pool
from softaxis.testing._comparing import Expected
from softaxis.testing._hows import Step, plainly, written, written_beside, written_over
from softaxis.testing._long_trials import many_rows
from softaxis.testing._rows import AXES, EMPTY_AXES
from softaxis.testing._subject import Subject
from softaxis.testing._trials import (
    LOSSES,
    NORMALIZERS,
    POINTWISE,
    PRODUCTS,
    REDUCTIONS,
    Operand,
    Trial,
    lengths,
    stack,
)


def shapes(subject: Subject, function: str) -> Iterator[Step]:
    """Axes of every kind, and lengths of 0."""
    for dtype in subject.widest(function):
        for shape, axis in AXES:
            count, n = lengths(shape, axis)
            if (function in LOSSES and not isinstance(axis, int)) or function in POINTWISE:
                continue
            rows = pool(function, dtype, n, count)
            if not rows:
                continue
            trial = stack(function, rows, shape, axis, dtype=dtype, result=dtype)
            yield Step(trial, plainly)
            if axis == ():
                yield from _by_itself(function, trial)
            if "keepdims" in subject.keywords(function) and function in REDUCTIONS:
                yield Step(
                    stack(function, rows, shape, axis, dtype=dtype, result=dtype, keepdims=True),
                    plainly,
                )
        yield from _default_axis(function, dtype)
        if function in (*NORMALIZERS, *REDUCTIONS, *PRODUCTS):
            for shape, axis in EMPTY_AXES:
                yield Step(_empty(function, shape, axis, dtype), plainly)
        if function in POINTWISE:
            for shape, _ in AXES:
                rows = pool(function, dtype, 1, int(np.prod(shape, dtype=int)))
                yield Step(stack(function, rows, shape, (), dtype=dtype, result=dtype), plainly)


def _by_itself(function: str, trial: Trial) -> Iterator[Step]:
    """Yield the call with arguments that change nothing where every element is a row."""
    ones = np.ones(trial.arrays[0].values.shape)
    takes: dict[str, tuple[str, ...]] = {
        **dict.fromkeys(("softmax", "log_softmax", "softmin"), ("where", "temperature")),
        **dict.fromkeys(REDUCTIONS, ("where", "weights")),
        "hardmax": ("where",),
    }
    for name in takes.get(function, ()):
        dtype = "bool" if name == "where" else trial.dtype
        changed = trial.with_keywords(**{name: Operand(ones, dtype)})
        yield Step(replace(changed, build=None), plainly)


def _default_axis(function: str, dtype: str) -> Iterator[Step]:
    whole = function in REDUCTIONS or function.startswith("logsumexp")
    shape, axis = ((2, 3), None) if whole else ((2, 3), -1)
    count, n = lengths(shape, axis)
    rows = pool(function, dtype, n, count)
    if rows and function not in POINTWISE:
        trial = stack(function, rows, shape, axis, dtype=dtype, result=dtype)
        keywords = {key: value for key, value in trial.keywords.items() if key != "axis"}
        yield Step(replace(trial, keywords=keywords, build=None), plainly)


def _empty(function: str, shape: tuple[int, ...], axis: Any, dtype: str) -> Trial:
    x = Operand(np.zeros(shape), dtype)
    result = np.zeros(shape)
    if function in REDUCTIONS:
        none = -np.inf if function == "logsumexp" else np.nan
        sums = np.sum(result, axis=axis)
        result = np.where(np.prod(shape) == 0, none, sums)  # an empty sum, or no sums at all
    nothing = np.zeros(result.shape)
    arrays = (x, x) if function in PRODUCTS else (x,)
    expected = (Expected(result, nothing, nothing),)
    return Trial(function, arrays, {"axis": axis}, expected, dtype, f"shape {shape}")


def layouts(subject: Subject, function: str) -> Iterator[Step]:
    """Strides of every kind, byte orders, and arrays that cannot be written."""
    for dtype in subject.floats(function):
        for shape, axis in (((3, 4), 1), ((4, 3), 0), ((2, 3), 1), ((3, 2), 0), ((4,), 0)):
            count, n = lengths(shape, axis)
            rows = pool(function, dtype, n, count)
            if not rows:
                continue
            trial = stack(function, rows, shape, axis, dtype=dtype, result=dtype)
            for layout, _ in subject.arrays.layouts(trial.arrays[0].values, dtype):
                if layout != "overlapping rows":
                    yield Step(replace(trial.laid_out(layout), build=None), plainly, layout)
                elif axis == 1:
                    same = stack(function, rows[:1] * count, shape, axis, dtype=dtype, result=dtype)
                    yield Step(replace(same.laid_out(layout), build=None), plainly, layout)


def out(subject: Subject, function: str) -> Iterator[Step]:
    """Results that are written where the user says, the input itself included."""
    if "out" not in subject.keywords(function) or subject.arrays.immutable:
        return
    for dtype in subject.floats(function):
        for row in (*pool(function, dtype, 4, 1), *pool(function, dtype, 24, 1)):
            trial = alone(subject, function, row, dtype)
            yield Step(trial, written, "with out=")
            if function in (*NORMALIZERS, *POINTWISE):
                yield Step(trial, written_over, "with out=x")
        rows = pool(function, dtype, 4, 3)
        trial = stack(function, rows, (4, 3), 0, dtype=dtype, result=dtype)
        yield Step(trial, written, "with out=")
        if function in NORMALIZERS:
            for trial in islice(many_rows(function, dtype), 2, 3):
                yield Step(trial, written_beside, "with out= in the memory of x")
