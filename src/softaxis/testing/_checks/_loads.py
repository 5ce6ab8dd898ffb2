"""Long rows, many rows, several threads: what only shows under load."""

from __future__ import annotations

from collections.abc import Iterator

from softaxis.testing._checks._picking import pool
from softaxis.testing._hows import Step, plainly
from softaxis.testing._hows_bits import from_threads, one_by_one, row_by_row
from softaxis.testing._hows_large import beyond_32_bits
from softaxis.testing._long_trials import long_trials, many_rows
from softaxis.testing._subject import Subject
from softaxis.testing._trials import POINTWISE, stack


def long_rows(subject: Subject, function: str) -> Iterator[Step]:
    """Every length of 1 to 66, around powers of 2, and up to a million; both axes."""
    for dtype in subject.floats(function):
        for trial in long_trials(function, dtype, few=subject.arrays.compiles):
            yield Step(trial, plainly)
        if dtype == "float32" or (dtype == "float16" and not subject.arrays.compiles):
            for trial in many_rows(function, dtype):
                yield Step(trial, plainly)


def batch(subject: Subject, function: str) -> Iterator[Step]:
    """The bits of a row are its own: no batch and no number of threads changes them."""
    for dtype in subject.floats(function):
        for n in (1, 3, 8, 24):
            rows = pool(function, dtype, n, 29)
            both = [((29, n), 1), ((n, 29), 0)][: 1 if function in POINTWISE else 2]
            for shape, axis in both if rows else ():
                trial = stack(function, rows, shape, axis, dtype=dtype, result=dtype)
                yield Step(trial, row_by_row, "row by row")
        if subject.arrays.compiles and dtype != "float32":
            continue
        for trial in long_trials(function, dtype, few=True):
            if trial.name in {"rows of 4097", "rows of 100003"} and trial.keywords["axis"] == 1:
                yield Step(trial, one_by_one, "one by one")


def threads(subject: Subject, function: str) -> Iterator[Step]:
    """Calls from several threads at once."""
    floats = subject.floats(function)
    for dtype in {*floats[:1], *floats[-2:]}:  # the narrowest may need a buffer of another dtype
        for n, count in ((4, 7), (24, 40)):
            rows = pool(function, dtype, n, count + 4)
            for shape, axis in (((n, count), 0), ((count, n), 1)) if rows else ():
                trials = [
                    stack(function, rows[i : i + count], shape, axis, dtype=dtype, result=dtype)
                    for i in range(4)
                ]
                yield Step(trials[0], from_threads(trials[1:]), "from four threads")
    for dtype in subject.floats(function)[-1:]:
        trials = [
            trial
            for trial in long_trials(function, dtype, few=True)
            if 4000 < trial.size / max(trial.arrays[0].values.ndim, 1) < 70_000
        ]
        if trials:
            yield Step(trials[0], from_threads(trials[1:4]), "from several threads")


def large(subject: Subject, function: str) -> Iterator[Step]:
    """More elements than 32 bits can count, where there is memory for them."""
    for dtype in subject.floats(function)[:1]:
        if function in {"softmax", "log_softmax", "logsumexp"}:
            trial = next(t for t in long_trials(function, dtype, few=True) if "4097" in t.name)
            yield Step(trial, beyond_32_bits, "repeated to 2**31 elements")
