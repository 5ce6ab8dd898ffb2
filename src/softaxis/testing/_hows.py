"""The ways of trying a call: as it is, or into `out`; and whether it is declined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from softaxis.backend import Declined
from softaxis.testing._subject import Subject, Wrong
from softaxis.testing._trials import Trial

How: TypeAlias = Callable[[Subject, Trial], None]


class Step(NamedTuple):
    """A call, and how it is tried."""

    trial: Trial
    how: How
    remark: str = ""


def plainly(subject: Subject, trial: Trial) -> None:
    """Compare the result with what was recorded."""
    subject.run(trial)


def must_run(what: str, others: Sequence[Trial] = ()) -> How:
    """Return how to see that what is claimed is not always declined."""

    def how(subject: Subject, trial: Trial) -> None:
        reasons = []
        for one in (trial, *others):
            try:
                execute(subject, one)
            except Declined as declined:
                reasons.append(str(declined).partition(": ")[2])
            else:
                return
        raise Wrong(f"claims {what} and declines every call with it: {'; '.join({*reasons})}")

    return how


def must_decline(what: str) -> How:
    """Return how to see that what is not claimed is declined."""

    def how(subject: Subject, trial: Trial) -> None:
        try:
            execute(subject, trial)
        except Declined:
            return
        raise Wrong(f"does not claim {what} and runs with it")

    return how


def execute(subject: Subject, trial: Trial) -> Any:
    """Make the call, whatever comes out."""
    function, arrays, keywords = subject.made(trial)
    return function(*arrays, **keywords)


def written(subject: Subject, trial: Trial) -> None:
    """Write the result into an array of its own."""
    out = subject.arrays.empty(trial.expected[0].high.shape, trial.dtype)
    parts = subject.call(trial, out=out)
    if parts[0] is not out:
        raise Wrong("does not return `out`")
    subject.compare(trial, (out, *parts[1:]))


def written_over(subject: Subject, trial: Trial) -> None:
    """Write the result over the input."""
    function, (x,), keywords = subject.made(trial)
    result = function(x, out=x, **keywords)
    if result is not x:
        raise Wrong("does not return `out`")
    subject.compare(trial, (x,))


def written_beside(subject: Subject, trial: Trial) -> None:
    """Write the result into memory that the input shares, one row further on."""
    x = trial.arrays[0]
    longer = np.concatenate([x.values, x.values[-1:]])
    memory = subject.arrays.asarray(longer, x.dtype)
    given, out = memory[:-1, ...], memory[1:, ...]
    function, _, keywords = subject.made(trial)
    function(given, out=out, **keywords)
    subject.compare(trial, (out,))
