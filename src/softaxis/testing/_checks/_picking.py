"""Picking recorded rows, and making calls of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

from softaxis.testing._hows import Step, plainly
from softaxis.testing._recorded import Row, holds, recorded
from softaxis.testing._subject import Subject
from softaxis.testing._trials import Trial, stack


def rows_of(function: str, dtype: str, *groups: str) -> list[Row]:
    """Return the recorded rows of some groups that a dtype holds, the shortest first."""
    found = [
        row
        for row in recorded().rows
        if (not groups or row.group in groups) and function in row.results and holds(row, dtype)
    ]
    return sorted(found, key=lambda row: row.length)


def pool(function: str, dtype: str, length: int, count: int) -> list[Row]:
    """Return `count` plain rows of a length, some of them again and again."""
    groups = ("pool", "derivatives", "integers", "complex")
    rows = [row for row in rows_of(function, dtype, *groups) if row.length == length]
    return list(islice(cycle(rows), count)) if rows else []


def alone(subject: Subject, function: str, row: Row, dtype: str, **keywords: Any) -> Trial:
    """Return a call on one row."""
    result = subject.result_dtype(dtype)
    return stack(function, [row], (row.length,), 0, dtype=dtype, result=result, **keywords)


def some(subject: Subject, function: str, dtype: str) -> Trial | None:
    """Return a simple call."""
    for length in (4, 3, 2, 1):
        rows = pool(function, dtype, length, 1)
        if rows:
            return alone(subject, function, rows[0], dtype)
    return None


def together(subject: Subject, function: str, rows: list[Row], dtype: str) -> Iterator[Step]:
    """Yield calls on all rows of a length that come with the same arguments."""
    kinds: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = row.length, *row.given, isinstance(row.given.get("labels"), list)
        shared = [row.given.get(name) for name in ("class_weights", "label_smoothing", "z_loss")]
        kinds.setdefault((*key, repr(shared)), []).append(row)
    result = subject.result_dtype(dtype)
    for same in kinds.values():
        count, n = len(same), same[0].length
        for shape, axis in (((count, n), 1), ((n, count), 0)):
            yield Step(stack(function, same, shape, axis, dtype=dtype, result=result), plainly)
