"""The grid as tables of ratios on the terminal, and as rows of a JSON file."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.grid import CONTESTANTS, DEFAULT
from goals import BETTER, COPY, MB, NUMBA, NUMPY, Figure, Goal, figures, ratio
from machine import machine_class
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rounds import Point

import softaxis

PACKAGES = ("numpy", "numba", "scipy", "torch", "jax")
COLUMNS = (
    ("numba/\nscipy", NUMBA, "scipy"),
    ("numba/\ntorch", NUMBA, "torch"),
    ("numba/\njax", NUMBA, "jax"),
    ("numba/\ncopy", NUMBA, COPY),
    ("default/\nscipy", DEFAULT, "scipy"),
    ("default/\nbetter", DEFAULT, BETTER),
    ("numpy/\nscipy", NUMPY, "scipy"),
    ("numpy/\nbetter", NUMPY, BETTER),
)
LAYOUT: dict[str, Any] = {"title_justify": "left", "box": SIMPLE, "padding": (0, 1)}


def versions() -> dict[str, str]:
    """Return the versions of what takes part; what is not installed says so."""
    found = {"softaxis": softaxis.__version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def show_function(console: Console, function: str, points: Sequence[Point]) -> None:
    """Print one function's points: how many times as fast, red where slower."""
    table = Table(title=f"{function}: milliseconds, and how many times as fast", **LAYOUT)
    table.add_column("shape@axis", no_wrap=True)
    table.add_column("dtype", no_wrap=True)
    comparable = [
        column for column in COLUMNS if any(ratio(point, *column[1:]) for point in points)
    ]
    for heading in ("\nMB", "numba\nms", "numpy\nms", *(column[0] for column in comparable)):
        table.add_column(heading, justify="right", no_wrap=True)
    for point in points:
        ratios = (ratio(point, ours, against) for _, ours, against in comparable)
        table.add_row(
            point.case.name,
            point.dtype,
            f"{point.case.nbytes(point.dtype) / MB:.3g}",
            *(_milliseconds(point.seconds.get(name)) for name in (NUMBA, NUMPY)),
            *(_ratio(value) for value in ratios),
        )
    console.print(table)
    for name in CONTESTANTS:
        reasons = {point.missing[name] for point in points if name in point.missing}
        if reasons:
            console.print(f"  {name}: {'; '.join(sorted(reasons))}", style="yellow", markup=False)


def show_figures(console: Console, points: Sequence[Point]) -> None:
    """Print geometric means and worst points beside what they have to be."""
    table = Table(title="geometric means and worst points", **LAYOUT)
    for heading in ("who", "against", "function", "from"):
        table.add_column(heading)
    for heading in ("points", "mean", "goal", "worst", "goal"):
        table.add_column(heading, justify="right")
    table.add_column("worst at", no_wrap=True)
    for figure in figures(points):
        table.add_row(*_figure(figure))
    console.print(table)


def show_memory(console: Console, found: Iterable[dict[str, Any]]) -> None:
    """Print the peaks above input and output, the largest of all cases."""
    table = Table(title="peak above input and output, float32, from 1 MB up", **LAYOUT)
    for heading in ("who", "function"):
        table.add_column(heading)
    table.add_column("resident\nMB", justify="right")
    table.add_column("at")
    table.add_column("traced\nMB", justify="right")
    table.add_column("at")
    for row in found:
        head = [escape(row["implementation"]), row["function"]]
        if "missing" in row:
            table.add_row(*head, "-", row["missing"])
            continue
        megabytes = [f"{row[way] / MB:.2f}" for way in ("resident", "traced")]
        table.add_row(*head, megabytes[0], row["resident_at"], megabytes[1], row["traced_at"])
    console.print(table)


def show_first_calls(console: Console, found: Iterable[dict[str, Any]]) -> None:
    """Print what the first call of a process takes beyond the second."""
    console.print(
        "first call in a fresh process after the imports, caches warm, beyond the second:"
    )
    for row in found:
        taken = row["missing"] if "missing" in row else f"{1e3 * row['seconds']:.1f} ms"
        console.print(f"  {row['implementation']} {row['function']}: {taken}", markup=False)


def _figure(figure: Figure | Goal) -> Iterable[str]:
    """Return the cells of one row."""
    goal = figure.goal if isinstance(figure, Figure) else figure
    since = f"{goal.nbytes // MB} MB" if goal.nbytes else ""
    head = [escape(goal.ours), goal.against]
    goals = ["" if value is None else f"{value:g}" for value in (goal.mean, goal.worst)]
    if isinstance(figure, Goal):
        return [*head, figure.functions[0], since, "0", "", goals[0], "", goals[1], "nothing there"]
    where = f"{figure.where.case.name} {figure.where.dtype}"
    mean = _against_goal(figure.mean, goal.mean)
    worst = _against_goal(figure.worst, goal.worst)
    points = str(figure.points)
    return [*head, figure.function, since, points, mean, goals[0], worst, goals[1], where]


def _against_goal(value: float, goal: float | None) -> str:
    if goal is None:
        return f"{value:.2f}"
    return f"[{'green' if value >= goal else 'red'}]{value:.2f}[/]"


def _ratio(value: float | None) -> str:
    if value is None:
        return "-"
    return f"[red]{value:.2f}[/]" if value < 1 else f"{value:.2f}"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e3 * seconds:.3g}"


def rows(points: Iterable[Point]) -> list[dict[str, Any]]:
    """Return one row for each point and contestant; `seconds` is null where `missing` says why."""
    return [
        {
            "function": point.function,
            "shape": list(point.case.shape),
            "axis": point.case.axis,
            "dtype": point.dtype,
            "contestant": name,
            "seconds": point.seconds.get(name),
            "missing": point.missing.get(name),
            "bytes_read": read,
            "bytes_written": written,
            "copy_seconds": point.copy_seconds,
        }
        for point in points
        for read, written in [point.case.moved(point.function, point.dtype)]
        for name in CONTESTANTS
    ]


def save(file: Path, points: Iterable[Point], more: dict[str, Any]) -> None:
    """Write what was measured; what the file holds of other points stays.

    It stays only where it is of the same class of machine, the same versions and the same day.
    """
    head = {
        "machine": machine_class(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "versions": versions(),
    }
    before = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if any(before.get(key) != value for key, value in head.items()):
        before = {}
    measured = rows(points)
    again = {_point(row) for row in measured}
    kept = [row for row in before.get("rows", ()) if _point(row) not in again]
    found = {**before, **head, **more, "rows": kept + measured}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _point(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes two rows those of one point."""
    return row["function"], *row["shape"], row["axis"], row["dtype"]
