"""A comparison as blocks of a page: what ran, what did not, and the special values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from softaxis._cli._layout import Block, Heading, Table, Text, lay_out
from softaxis.testing._comparison.errors import Error

if TYPE_CHECKING:
    from softaxis.testing._comparison.result import Found, Row

WIDTH = 100
VERDICTS = ("right", "WRONG", "refuses", "n/a")


def page(found: Found) -> str:
    """Lay the page out as plain text."""
    lines = lay_out(list(blocks(found)), WIDTH)
    return "\n".join("".join(text for text, _ in line).rstrip() for line in lines)


def blocks(found: Found) -> Iterator[Block]:
    """Yield the whole page."""
    yield Heading(title(found))
    ran = [row for row in found.rows if row.state == "ran"]
    if ran:
        yield _measured(ran)
        yield Text(explained(found), "label")
        if found.busy:
            yield Text(
                f"The machine was busy: {found.load:.1f} processes for each processor before the "
                "start. Threads that share a call waited for each other; measure again in quiet.",
                "warn",
            )
    absent = [row for row in found.rows if row.state != "ran"]
    if absent:
        yield Heading("Not compared")
        cells = tuple((row.name, row.state, row.reason) for row in absent)
        yield Table(("contestant", "state", "because"), cells, align="<<<")
    yield Heading("Special values")
    yield _special(found)
    yield Text(
        "WRONG: off by more than 1 %, or not a number. What should be is computed by mpmath. "
        "A softaxis backend hands over to `default` what it declines, as in every call.",
        "label",
    )


def title(found: Found) -> str:
    """Name the call."""
    shape = " x ".join(map(str, found.shape)) or "a single number"
    axis = f"axis {found.axis}"
    return f"{found.function} of {found.source}, {shape}, {found.dtype}, {axis}"


def explained(found: Found) -> str:
    """Say what the columns are."""
    text = (
        f"time: median of {found.rounds} rounds, all in turn, after a first call that is left "
        "out; ratio: over the time of the library's own function (SciPy's where it has none); "
        "memory: the peak of one call above what was held before it, the result included; error: "
    )
    if not found.sampled:
        return f"{text}not measured, for a row is too long for mpmath."
    rows = (
        "every row"
        if found.sampled == found.of_rows
        else f"{found.sampled} of {found.of_rows} rows"
    )
    text += f"the largest, in eps of the result's dtype, against mpmath, on {rows}"
    above = any(row.error is not None and row.error.above for row in found.rows)
    return f"{text}; ! above the documented bound." if above else f"{text}."


def _measured(rows: list[Row]) -> Table:
    cells = tuple(
        (
            row.name,
            milliseconds(row.seconds),
            ratio(row.ratio),
            megabytes(row.memory),
            eps(row.error),
        )
        for row in rows
    )
    slowest = max((row.seconds or 0.0 for row in rows), default=0.0)
    return Table(
        header=("", "time, ms", "ratio", "memory, MB", "error, eps"),
        rows=cells,
        bars=tuple((row.seconds or 0.0) / slowest for row in rows) if slowest else (),
        bars_after=1,
        align="<>>>>",
    )


def _special(found: Found) -> Table:
    """Group the contestants by probe and verdict."""
    rows: list[tuple[str, str, str]] = []
    every = [(row, outcome) for row in found.rows for outcome in row.special]
    ours = [row.name for row in found.rows if row.backend is not None and row.special]
    for probe in dict.fromkeys(outcome.probe for _, outcome in every):
        label = probe
        for verdict in VERDICTS:
            group: dict[str, list[str]] = {}
            for row, outcome in every:
                if outcome.probe == probe and outcome.verdict == verdict:
                    group.setdefault(_detail(str(outcome)), []).append(row.name)
            for detail, names in group.items():
                text = _joined(names, ours)
                rows.append((label, verdict, f"{text}: {detail}" if detail else text))
                label = ""
    return Table(("input", "outcome", "who"), tuple(rows), align="<<<")


def _joined(names: list[str], ours: list[str]) -> str:
    """Name the contestants; all backends of softaxis together in short."""
    if len(ours) > 1 and set(ours) <= set(names):
        every = f"softaxis (all {len(ours)})"
        names = [every, *(name for name in names if name not in ours)]
    return ", ".join(names)


def _detail(outcome: str) -> str:
    verdict, _, rest = outcome.partition(": ")
    return rest or verdict.partition(" ")[2].strip("()")


def milliseconds(seconds: float | None) -> str:
    """Write a time in ms to three digits or so."""
    if seconds is None:
        return "-"
    ms = seconds * 1e3
    digits = 3 if ms < 1 else 2 if ms < 10 else 1 if ms < 100 else 0
    return f"{ms:,.{digits}f}"


def ratio(value: float | None) -> str:
    """Write a ratio to two digits or so."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def megabytes(count: int | None) -> str:
    """Write bytes in MB."""
    return "-" if count is None else f"{count / 1e6:,.1f}"


def eps(error: Error | None) -> str:
    """Write an error to two significant digits, marked where it is above its bound."""
    if error is None:
        return "-"
    return f"{two_digits(error.eps)} {'!' if error.above else ' '}"


def two_digits(value: float) -> str:
    """Write a positive number to two significant digits."""
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    if not 0.01 <= value < 1e5:
        return f"{value:.1e}"
    return f"{float(f'{value:.1e}'):,g}"
