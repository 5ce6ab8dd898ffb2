"""The ways of trying a call: plainly, into `out`, compiled, from threads, differentiated."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from softaxis._dispatch._forced import Declined
from softaxis.testing._arrays import NDArray
from softaxis.testing._comparing import Expected
from softaxis.testing._subject import Subject, Wrong
from softaxis.testing._trials import Operand, Trial

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
    given = map(subject.make, trial.arrays)
    keywords = {key: subject.make(value) for key, value in trial.keywords.items()}
    return getattr(subject.functions, trial.function)(*given, **keywords)


def written(subject: Subject, trial: Trial) -> None:
    """Write the result into an array of its own."""
    out = subject.arrays.empty(trial.expected[0].high.shape, trial.dtype)
    parts = subject.call(trial, out=out)
    if parts[0] is not out:
        raise Wrong("does not return `out`")
    subject.compare(trial, (out, *parts[1:]))


def written_over(subject: Subject, trial: Trial) -> None:
    """Write the result over the input."""
    x = subject.make(trial.arrays[0])
    keywords = {key: subject.make(value) for key, value in trial.keywords.items()}
    result = getattr(subject.functions, trial.function)(x, out=x, **keywords)
    if result is not x:
        raise Wrong("does not return `out`")
    subject.compare(trial, (x,))


def written_beside(subject: Subject, trial: Trial) -> None:
    """Write the result into memory that the input shares, one row further on."""
    x = trial.arrays[0]
    longer = np.concatenate([x.values, x.values[-1:]])
    memory = subject.arrays.asarray(longer, x.dtype)
    given, out = memory[:-1, ...], memory[1:, ...]
    keywords = {key: subject.make(value) for key, value in trial.keywords.items()}
    getattr(subject.functions, trial.function)(given, out=out, **keywords)
    subject.compare(trial, (out,))


def compiled(subject: Subject, trial: Trial) -> None:
    """Run the implementation under the library's tracer."""
    function, keywords = subject.direct(trial)
    arrays = [subject.make(operand) for operand in trial.arrays]
    if function(*arrays, **keywords) is NotImplemented:
        raise Declined(f"backend {subject.name!r} declined")
    traced = subject.arrays.compiled(lambda *given: function(*given, **keywords))
    if traced is None:
        raise Declined("the library has no tracer")
    result = traced(*arrays)
    subject.compare(trial, result if isinstance(result, tuple) else (result,))


def differentiated(weights: NDArray, slope: Expected) -> How:
    """Return how to compare the derivative of sum(weights * result) with what it should be."""

    def how(subject: Subject, trial: Trial) -> None:
        arrays = subject.arrays
        w = subject.make(Operand(weights, trial.dtype))
        keywords = {key: subject.make(value) for key, value in trial.keywords.items()}
        function = getattr(subject.functions, trial.function)
        rest = [subject.make(operand) for operand in trial.arrays[1:]]

        def scalar(x: Any) -> Any:
            y = function(x, *rest, **keywords)
            kept = arrays.xp.where(w != 0, y, arrays.xp.zeros_like(y))
            return arrays.xp.sum(kept * w)

        got = arrays.gradient(scalar, subject.make(trial.arrays[0]))
        if got is None:
            raise Declined("the library has no automatic differentiation")
        changed = Trial(trial.function, trial.arrays, trial.keywords, (slope,), trial.dtype, "")
        subject.compare(changed, (got,))

    return how


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
        row = _rows_from(trial, i, i + 1)
        for part, whole in zip(_numbers(subject, row), together, strict=True):
            _same_bits(part, whole[i : i + 1], "with its batch")
        for threads in (1, 2, 3):
            context = subject.arrays.threads(threads)
            if context is not None:
                with context:
                    again = _numbers(subject, row)
                for part, whole in zip(again, together, strict=True):
                    _same_bits(part, whole[i : i + 1], "with the number of threads")


def _rows_from(trial: Trial, first: int, last: int) -> Trial:
    return replace(
        trial,
        arrays=tuple(one._replace(values=one.values[first:last]) for one in trial.arrays),
        expected=tuple(one.map(lambda a: a[first:last]) for one in trial.expected),
    )


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
        made = [
            (
                getattr(subject.functions, one.function),
                [subject.make(a) for a in one.arrays],
                {key: subject.make(value) for key, value in one.keywords.items()},
            )
            for one in trials
        ]
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


def beyond_32_bits(subject: Subject, trial: Trial) -> None:
    """Repeat the rows until there are more elements than 32 bits count, and look at some."""
    xp = subject.arrays.xp
    rows, n = trial.arrays[0].values.shape
    count = 2**31 // (rows * n) + 1
    x = subject.make(trial.arrays[0])
    _need_memory(count * rows * n * BITS[trial.dtype] // 8, subject.name)
    many = xp.reshape(xp.broadcast_to(x[None], (count, rows, n)), (count * rows, n))
    result = getattr(subject.functions, trial.function)(many, axis=1)
    for first in (0, (count // 2) * rows, (count - 1) * rows):
        subject.compare(trial, (result[first : first + rows],))


BITS = {"float16": 16, "bfloat16": 16, "float32": 32, "float64": 64, "longdouble": 128}
"""Bits of a number."""


def _need_memory(size: int, backend: str) -> None:
    """Decline where input, result and temporary arrays would not fit."""
    needed = size * (16 if backend == "default" else 4)
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        raise Declined("the free memory is not known here")
    lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    if free < needed:
        raise Declined(f"needs {needed / 2**30:.0f} GiB of memory, {free / 2**30:.0f} are free")
