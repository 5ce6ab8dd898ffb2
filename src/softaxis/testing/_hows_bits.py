"""Trying whether bits stay: in another batch, with more threads, from several threads."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from softaxis.backend import Declined
from softaxis.testing._arrays import NDArray
from softaxis.testing._hows import How
from softaxis.testing._subject import Subject, Wrong
from softaxis.testing._trials import Trial


def row_by_row(subject: Subject, trial: Trial) -> None:
    """See that the bits of a row do not depend on its batch, nor on the number of threads."""
    if not subject.arrays.steady:
        raise Declined("exp of the library itself depends on the place")
    assert trial.build is not None
    axis = trial.keywords.get("axis", 1)
    together = _rows(trial, _numbers(subject, trial))
    for count in (1, 2, 3, 5):
        for first in range(0, len(trial.rows) - count + 1, 7):
            some = trial.rows[first : first + count]
            shape = (count, some[0].length) if axis == 1 else (some[0].length, count)
            part = trial.build(some, shape, axis)
            alone = _rows(part, _numbers(subject, part))
            _same_bits(alone, together[first : first + count], "with its batch")
    for threads in (1, 2, 3):
        context = subject.arrays.threads(threads)
        if context is not None:
            with context:
                again = _rows(trial, _numbers(subject, trial))
            _same_bits(again, together, "with the number of threads")


def one_by_one(subject: Subject, trial: Trial) -> None:
    """See the same of long rows, which are cut into parts and shared among threads."""
    if not subject.arrays.steady:
        raise Declined("exp of the library itself depends on the place")
    together = _numbers(subject, trial)
    for i in range(len(trial.arrays[0].values)):
        row = trial.row(i)
        for part, whole in zip(_numbers(subject, row), together, strict=True):
            _same_bits(part, whole[i : i + 1], "with its batch")
        for threads in (1, 2, 3):
            context = subject.arrays.threads(threads)
            if context is not None:
                with context:
                    again = _numbers(subject, row)
                for part, whole in zip(again, together, strict=True):
                    _same_bits(part, whole[i : i + 1], "with the number of threads")


def _numbers(subject: Subject, trial: Trial) -> list[NDArray]:
    return [subject.arrays.to_numpy(part) for part in subject.call(trial)]


def _rows(trial: Trial, parts: list[NDArray]) -> NDArray:
    """Return all results of a row side by side, a row each."""
    count = len(trial.rows)
    across = trial.keywords.get("axis") == 0 and trial.function != "softmax_jacobian"
    laid = [(part.T if across else part).reshape(count, -1) for part in parts]
    return np.concatenate(laid, axis=1)


def _same_bits(one: NDArray, other: NDArray, what: str) -> None:
    if not np.array_equal(one, other, equal_nan=True):
        raise Wrong(f"the bits of a row change {what}")


def from_threads(others: Sequence[Trial]) -> How:
    """Return how to make several calls at once; each has to give what it gives alone."""

    def how(subject: Subject, trial: Trial) -> None:
        trials = (trial, *others)
        made = [subject.made(one) for one in trials]
        alone = [_bits(subject, f(*arrays, **keywords)) for f, arrays, keywords in made]
        repeats = max(_REPEATS // subject.arrays.share, 2)
        failures: list[Exception] = []
        start = threading.Barrier(len(made))

        def work(index: int) -> None:
            function, arrays, keywords = made[index]
            try:
                start.wait()
                for _ in range(repeats):
                    result = _bits(subject, function(*arrays, **keywords))
                    _same_bits(result, alone[index], "when other threads call at the same time")
            except Exception as error:  # noqa: BLE001 - raised again, in the caller's thread
                failures.append(error)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(made))]
        with _switching_often():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    return how


_REPEATS = 40


@contextmanager
def _switching_often() -> Iterator[None]:
    """Let Python change threads as often as it can, in the middle of a call."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _bits(subject: Subject, result: Any) -> NDArray:
    parts = result if isinstance(result, tuple) else (result,)
    return np.concatenate([subject.arrays.to_numpy(part).reshape(-1) for part in parts])
