"""A comparison as a picture: times, errors and special values, one contestant a line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from softaxis.testing._comparison.errors import Error
from softaxis.testing._comparison.probes import Outcome, short
from softaxis.testing._comparison.tables import eps, milliseconds, title

if TYPE_CHECKING:
    from softaxis.testing._comparison.result import Found, Row

# From the palette of Okabe and Ito, which colour-blind readers can tell apart; in black and white
# the hatching and the words in the cells do.
LIGHT = {
    "ink": "#222222",
    "faint": "#6B6B6B",
    "page": "#FFFFFF",
    "hatch": "#FFFFFF",
    "ours": "#0072B2",
    "native": "#E69F00",
    "right": "#D5E8F3",
    "wrong": "#D55E00",
    "wrong ink": "#FFFFFF",
    "neither": "#F0F0F0",
}
STYLE = {"font.size": 9, "hatch.linewidth": 0.8, "axes.titlesize": 10}
WIDE = 200  # between the fastest and the slowest; from here on times are on a log scale
MARGIN = 0.35  # of a decade, left of the smallest error


def save(found: Found, path: Path) -> None:
    """Write the picture in the format that the name of the file tells."""
    with rc_context(STYLE):
        figure = draw(found)
        FigureCanvasAgg(figure)
        figure.savefig(path, dpi=150)


def draw(found: Found, colours: Mapping[str, str] = LIGHT) -> Figure:
    """Put the three panels beside each other, with the names to the left."""
    rows = [row for row in found.rows if row.state == "ran" or row.special]
    labels = [outcome.probe for outcome in rows[0].special] if rows else []
    figure = Figure(figsize=(9 + 1.05 * len(labels), 2.3 + 0.38 * max(len(rows), 3)))
    figure.set_layout_engine("constrained", wspace=0.03, w_pad=0.08, h_pad=0.08)
    figure.set_facecolor(colours["page"])
    panels = figure.subplots(1, 3, sharey=True, width_ratios=(3.2, 3.2, max(len(labels), 1) * 1.15))
    _times(panels[0], rows, colours, busy=found.busy)
    _errors(panels[1], rows, colours)
    _special(panels[2], rows, labels, colours)
    for axes in panels:
        axes.set_facecolor("none")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, colors=colours["ink"])
    panels[0].set_yticks(range(len(rows)), [row.name for row in rows])
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    figure.suptitle(title(found), x=0.01, ha="left", fontsize=13, color=colours["ink"])
    _legend(figure, colours)
    return figure


def _colour(row: Row, colours: Mapping[str, str]) -> str:
    return colours["native"] if row.backend is None else colours["ours"]


def _heading(axes: Any, text: str, colours: Mapping[str, str]) -> None:
    axes.set_title(text, loc="left", color=colours["ink"], pad=8)


def _times(axes: Any, rows: list[Row], colours: Mapping[str, str], *, busy: bool) -> None:
    """Bars with their numbers: from 0, or on a log scale where the fastest would not be seen."""
    times = [row.seconds for row in rows if row.seconds]
    fastest, slowest = min(times, default=1.0), max(times, default=1.0)
    logarithmic = slowest > WIDE * fastest
    remarks = ["log scale"] * logarithmic + ["machine busy"] * busy
    text = "time of a call, ms" + (f" ({', '.join(remarks)})" if remarks else "")
    _heading(axes, text, colours)

    def length(seconds: float) -> float:
        if not logarithmic:
            return seconds / slowest
        return math.log(2 * seconds / fastest) / math.log(2 * slowest / fastest)

    for place, row in enumerate(rows):
        if not row.seconds:
            kind = row.reason.partition(":")[0] if row.state == "refuses" else ""
            text = f"{row.state} ({kind})" if kind else row.state
            axes.text(0, place, text, va="center", color=colours["faint"])
            continue
        axes.barh(place, length(row.seconds), height=0.68, color=_colour(row, colours))
        text, end = milliseconds(row.seconds), length(row.seconds) + 0.02
        axes.text(end, place, text, va="center", color=colours["ink"])
    axes.set_xlim(0, 1.22)
    axes.set_xticks([])


def _errors(axes: Any, rows: list[Row], colours: Mapping[str, str]) -> None:
    """Bars on a log scale, each with a mark at the bound for the element that is worst."""
    _heading(axes, "largest error, eps of the result", colours)
    errors = {place: row.error for place, row in enumerate(rows) if row.error is not None}
    finite = [error.eps for error in errors.values() if 0 < error.eps < math.inf]
    bounds = [error.bound for error in errors.values() if error.bound]
    decades = [math.log10(value) for value in [*finite, *bounds, 1.0]]
    low, high = min(decades) - MARGIN, max(decades)
    high += 0.3 * (high - low)
    for place, error in errors.items():
        row = rows[place]
        length = min(max(math.log10(error.eps), low) if error.eps else low, high) - low
        bar = axes.barh(place, length, left=low, height=0.68, color=_colour(row, colours))
        if error.above:
            bar[0].set(hatch="////", edgecolor=colours["hatch"])
        if error.bound:
            mark = [math.log10(error.bound)] * 2
            axes.plot(mark, [place - 0.42, place + 0.42], color=colours["ink"], lw=2)
        axes.text(
            _beside(length, error, low, high),
            place,
            eps(error).strip(),
            va="center",
            color=colours["ink"],
        )
    ticks = list(range(math.ceil(low), math.floor(max(decades)) + 1))
    ticks = ticks[:: math.ceil(len(ticks) / 4)]
    axes.set_xticks(ticks, [f"{10.0**tick:g}" for tick in ticks])
    axes.grid(axis="x", color=colours["faint"], alpha=0.25, lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlim(low, high + 0.14 * (high - low))


def _beside(length: float, error: Error, low: float, high: float) -> float:
    """Find the place of a number: behind the bar, unless the mark of the bound is in the way."""
    gap, room = 0.02 * (high - low), 0.16 * (high - low)
    end = low + length + gap
    mark = math.log10(error.bound) if error.bound else low
    return mark + gap if end - 2 * gap < mark < end + room else end


def _special(axes: Any, rows: list[Row], labels: list[str], colours: Mapping[str, str]) -> None:
    """Draw a cell for every contestant and input, with what it gives."""
    _heading(axes, "special values", colours)
    for place, row in enumerate(rows):
        for column, outcome in enumerate(row.special):
            _cell(axes, column, place, outcome, colours)
    axes.set_xlim(-0.5, max(len(labels), 1) - 0.5)
    axes.set_xticks(range(len(labels)), [_wrapped(label) for label in labels])


def _cell(axes: Any, column: int, place: int, outcome: Outcome, colours: Mapping[str, str]) -> None:
    kind = {"right": "right", "WRONG": "wrong"}.get(outcome.verdict, "neither")
    corner = (column - 0.48, place - 0.46)
    axes.add_patch(Rectangle(corner, 0.96, 0.92, facecolor=colours[kind], lw=0))
    if outcome.gives is None or outcome.expected is None:
        ink = colours["faint" if kind == "neither" else "ink"]
        axes.text(column, place, outcome.verdict, ha="center", va="center", color=ink)
        return
    lines = {"color": colours["wrong ink"], "ha": "center"}
    gives, expected = short(outcome.gives), short(outcome.expected)
    axes.text(column, place + 0.03, gives, va="bottom", weight="bold", **lines)
    axes.text(column, place + 0.07, f"not {expected}", va="top", size=7.5, **lines)


def _wrapped(label: str) -> str:
    """Break a label before its numbers, else in the middle."""
    before, bracket, numbers = label.partition(" [")
    if before and bracket:
        return f"{before}\n[{numbers}"
    words = label.split(" ")
    middle = (len(words) + 1) // 2
    return "\n".join(filter(None, (" ".join(words[:middle]), " ".join(words[middle:]))))


def _legend(figure: Figure, colours: Mapping[str, str]) -> None:
    ink = colours["ink"]
    handles = [
        Patch(color=colours["ours"], label="softaxis"),
        Patch(color=colours["native"], label="the library's own"),
        Patch(color=colours["right"], label="right"),
        Patch(color=colours["wrong"], label="wrong, with what it gives"),
        Line2D([], [], color=ink, marker="|", ls="none", ms=11, mew=2, label="documented bound"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=5, frameon=False, labelcolor=ink)
