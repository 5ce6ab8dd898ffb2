"""`compare`: ask every contestant, and put the answers side by side."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from softaxis._cli._libraries import one_line
from softaxis.backend import Declined
from softaxis.testing._comparison import measuring, probes
from softaxis.testing._comparison.calls import Ready, ready
from softaxis.testing._comparison.contestants import Absent, Contestant, contestants
from softaxis.testing._comparison.errors import Sample, largest_error, sample_of
from softaxis.testing._comparison.problem import Axis, Problem, posed
from softaxis.testing._comparison.result import Row
from softaxis.testing._comparison.shown import Comparison
from softaxis.testing._comparison.special import answers


def compare(
    function: str | Callable[..., Any],
    x: Any = None,
    /,
    *,
    shape: Sequence[int] | None = None,
    dtype: str | None = None,
    axis: Axis = -1,
    libraries: Iterable[str] | None = None,
    seed: int = 0,
    rounds: int = 20,
    seconds: float = 5.0,
) -> Comparison:
    """Do what `softaxis.compare` says."""
    if rounds < 1:
        raise ValueError(f"`rounds` must be 1 or more, got {rounds!r}")
    load = measuring.load()
    problem = posed(function, x, shape, dtype, axis, seed)
    sample = sample_of(problem)
    with _quiet():
        rows: list[Row] = []
        timed: list[tuple[int, Ready]] = []
        known = answers(problem.function)
        for each in contestants(problem.function, libraries):
            if isinstance(each, Absent):
                rows.append(Row(*each))
                continue
            row, prepared = _first_look(each, problem, sample)
            if prepared is not None:
                timed.append((len(rows), prepared))
            if row.state != "broken":
                row = replace(row, special=probes.outcomes(each, problem.function, known))
            rows.append(row)
        medians, made = measuring.interleaved(
            [prepared.finished for _, prepared in timed], rounds, seconds
        )
    for (place, _), median in zip(timed, medians, strict=True):
        if isinstance(median, Exception):
            rows[place] = replace(rows[place], state="broken", reason=one_line(median))
        else:
            rows[place] = replace(rows[place], seconds=median)
    return Comparison(
        function=problem.function,
        shape=problem.x.shape,
        dtype=problem.dtype,
        axis=problem.axis,
        source=problem.source,
        rounds=made,
        sampled=0 if sample is None else len(sample.places),
        of_rows=0 if sample is None else sample.rows,
        rows=tuple(_with_ratios(rows)),
        versions=_versions(rows),
        load=load,
    )


def _first_look(
    contestant: Contestant, problem: Problem, sample: Sample | None
) -> tuple[Row, Ready | None]:
    """Call once, which compiles, and measure the error and the memory."""
    row = Row(contestant.name, contestant.library, contestant.backend, "ran")
    try:
        contestant.make_arrays().asarray(0.0)
    except Exception as error:  # noqa: BLE001 - a library without its device, for one
        return replace(row, state="broken", reason=one_line(error)), None
    try:
        with contestant.active(problem.dtype):
            prepared = ready(contestant, problem)
            result = prepared.call()
            arrays = prepared.arrays
            if sample is not None:
                row = replace(
                    row,
                    error=largest_error(
                        arrays.to_numpy(result),
                        arrays.dtype_name(result),
                        problem,
                        sample,
                        flushed=arrays.flushes_subnormals,
                    ),
                )
            del result
            if prepared.on_host:
                row = replace(row, memory=measuring.peak_memory(prepared.finished))
    except Declined as error:
        why = str(error).partition(" for this ")[2].partition(": ")[2]
        return replace(row, state="declines", reason=why), None
    except Exception as error:  # noqa: BLE001 - what refuses or breaks is a row of the table
        return replace(row, state="refuses", reason=one_line(error)), None
    return row, prepared


def _with_ratios(rows: list[Row]) -> Iterator[Row]:
    """Divide by the time of the library's own function, or of SciPy's where it has none."""
    own = {row.library: row.seconds for row in rows if row.backend is None and row.seconds}
    for row in rows:
        base = own.get(row.library, own.get("numpy"))
        yield replace(row, ratio=row.seconds / base) if row.seconds and base else row


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the libraries: that they warn, overflow and divide by 0 is known."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _versions(rows: Iterable[Row]) -> dict[str, str]:
    present = {row.library for row in rows if row.state != "missing"}
    if "numpy" in present:
        present.add("scipy")
    found = {}
    for name in sorted(present | {"mpmath"}):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = str(getattr(sys.modules.get(name), "__version__", "")) or "?"
    return {name: text for name, text in found.items() if text != "?"}
