"""What is claimed runs, and what is not claimed is declined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softaxis._dispatch._tables import tables
from softaxis.testing._arrays import ALL_DTYPES, COMPLEX, FLOATS
from softaxis.testing._checks._picking import alone, pool, rows_of, some
from softaxis.testing._hows import Step, must_decline, must_run
from softaxis.testing._pasting import DType
from softaxis.testing._rows import LENGTHS
from softaxis.testing._subject import Subject
from softaxis.testing._trials import TAKE_COMPLEX, Operand, Trial, stack

KEYWORD_GROUPS = {
    "where": ("where", "masked labels"),
    "temperature": ("temperature",),
    "sink": ("sink",),
    "weights": ("weights",),
    "class_weights": ("class weights",),
    "label_smoothing": ("smoothing",),
    "z_loss": ("z loss",),
}


def claims(subject: Subject, function: str) -> Iterator[Step]:
    """Everything that is claimed runs: dtypes, and keyword arguments taken by name."""
    for dtype in subject.dtypes(function):
        trial = some(subject, function, dtype)
        if trial is not None:
            yield Step(trial, must_run(dtype, list(various(subject, function, dtype))))
    if subject.implementations[function].keywords is not None:
        for keyword in subject.keywords(function):
            trials = list(with_keyword(subject, function, keyword))
            if trials:
                yield Step(trials[0], must_run(f"`{keyword}`", trials[1:]))


def various(subject: Subject, function: str, dtype: str) -> Iterator[Trial]:
    """Yield simple calls of many sizes and shapes, for who takes some of them only."""
    result = subject.result_dtype(dtype)
    for n in LENGTHS:
        for count in (2, 500):
            rows = pool(function, dtype, n, count)
            if rows:
                yield alone(subject, function, rows[0], dtype)
                for shape, axis in (((count, n), 1), ((n, count), 0)):
                    yield stack(function, rows, shape, axis, dtype=dtype, result=result)


def with_keyword(subject: Subject, function: str, keyword: str) -> Iterator[Trial]:
    """Yield calls that differ from the default in one keyword, and what belongs to it."""
    for dtype in subject.floats(function):
        for group in KEYWORD_GROUPS.get(keyword, ()):
            for row in rows_of(function, dtype, group):
                trial = alone(subject, function, row, dtype)
                if keyword in {"temperature", "sink"}:
                    yield trial.with_keywords(**{keyword: row.given[keyword]})
                yield trial
        plain = some(subject, function, dtype)
        if plain is None:
            continue
        values: dict[str, list[Any]] = {
            "axis": [0],
            "return_sign": [True],
            "ignore_index": [0],
            "reduction": ["sum", "mean"],
            "dtype": [DType(name) for name in FLOATS if subject.arrays.has_dtype(name)],
        }
        if keyword == "keepdims":
            yield alone(subject, function, plain.rows[0], dtype, keepdims=True)
        if keyword == "out" and not subject.arrays.immutable:
            shape = plain.expected[0].high.shape
            yield plain.with_keywords(out=Operand(np.zeros(shape), plain.dtype))
        for value in values.get(keyword, ()):
            yield plain.with_keywords(**{keyword: value})


def declines(subject: Subject, function: str) -> Iterator[Step]:
    """What is not claimed is declined, so that another implementation takes it."""
    claimed = subject.dtypes(function)
    for dtype in ALL_DTYPES:
        if subject.arrays.has_dtype(dtype) and dtype not in claimed:
            trial = some(subject, function, dtype)
            if trial is not None and (dtype not in COMPLEX or function in TAKE_COMPLEX):
                yield Step(trial, must_decline(dtype))
    taken = subject.keywords(function)
    for keyword in tables[function].keywords:
        if keyword not in taken:
            for trial in with_keyword(subject, function, keyword):
                yield Step(trial, must_decline(f"`{keyword}`"))
                break
