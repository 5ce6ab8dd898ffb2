"""What `nox -s bench` recorded, and what follows from it: ratios, geometric means, bandwidths.

The points and their ratios are those of `asv_benchmarks`, so that the page, the terminal and the
dashboard say the same; conf.py puts that folder on the path. What was not measured is None, and
`shown` says so.
"""

import json
from collections.abc import Callable, Iterable
from math import exp, inf, log
from pathlib import Path
from typing import NamedTuple

from benchmarks.grid import Case
from goals import ratio
from rounds import Point

RESULTS = Path(__file__).parents[2] / "asv_benchmarks" / "results"
MISSING = "not measured"
QUIET = 0.1
"""The share of the processors that others may have taken before the page warns."""


class Recording(NamedTuple):
    """A file of results."""

    head: dict
    """Class of machine, date, versions, and what else was measured once."""
    points: list[Point]

    def of(self, function: str, dtype: str) -> list[Point]:
        """Return the points of a function and dtype."""
        return [p for p in self.points if (p.function, p.dtype) == (function, dtype)]


def recording(name: str) -> Recording:
    """Read a file of results; one that does not exist has nothing in it."""
    file = RESULTS / f"{name}.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return Recording(found, as_points(found.pop("rows", ())))


def as_points(rows: Iterable[dict]) -> list[Point]:
    """Gather the rows of each point: its contestants' seconds, or why there are none."""
    found: dict[tuple, Point] = {}
    for row in rows:
        case = Case(tuple(row["shape"]), row["axis"])
        key = row["function"], case, row["dtype"]
        point = found.setdefault(key, Point(*key, {}, {}, row["copy_seconds"]))
        if row["seconds"] is not None:
            point.seconds[row["contestant"]] = row["seconds"]
        elif row["missing"]:
            point.missing[row["contestant"]] = row["missing"]
    return list(found.values())


def bandwidth(point: Point, name: str) -> float | None:
    """Return GB/s of the bytes that have to be read and written, however often that is done."""
    if name not in point.seconds:
        return None
    return sum(point.case.moved(point.function, point.dtype)) / point.seconds[name] / 1e9


def copy_bandwidth(point: Point) -> float:
    """Return GB/s of a copy of the input, each byte read and written."""
    return 2 * point.case.nbytes(point.dtype) / point.copy_seconds / 1e9


def speedups(points: Iterable[Point], ours: str, against: str) -> dict[Point, float]:
    """Return how many times as fast `ours` is, where both were measured."""
    pairs = ((point, ratio(point, ours, against)) for point in points)
    return {(p.function, p.case, p.dtype): value for p, value in pairs if value is not None}


def mean(values: Iterable[float]) -> float | None:
    """Return the geometric mean; None of nothing."""
    logs = [log(value) for value in values]
    return exp(sum(logs) / len(logs)) if logs else None


def of_size() -> list[Point]:
    """Return the points of our two backends on arrays of all sizes, the smallest first."""
    points = as_points(recording("row_lengths").head.get("sizes", ()))
    return sorted(points, key=lambda point: point.case.size)


def takes_over() -> int:
    """Return the elements from which on the numba backend runs by default: its own declaration."""
    from softaxis._backends.numba import backend

    return backend.functions["softmax"].capability.min_size


def calls_to_pay(once: float | None, slow: float | None, fast: float | None) -> float | None:
    """Return how many calls save what is paid once: infinitely many where they save nothing."""
    if once is None or slow is None or fast is None:
        return None
    return once / (slow - fast) if fast < slow else inf


def shown(value: float | None, write: Callable[[float], str] = "{:.3g}".format) -> str:
    """Write a number, or that there is none."""
    return MISSING if value is None else write(value)


def times(value: float) -> str:
    """Write a ratio with as many digits as mean something."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.995 else f"{value:.2f}"


def microseconds(seconds: float) -> str:
    """Write a time with three digits at least, and no fractions that mean nothing."""
    value = 1e6 * seconds
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
