"""The curves of docs/performance.md, each for wide and for narrow screens."""

from functools import partial
from statistics import median

from benchmarks.grid import IMPLEMENTATIONS
from drawing import MODES, ORANGE
from goals import NUMBA, NUMPY
from matplotlib.figure import Figure
from speeds import (
    MISSING,
    bandwidth,
    copy_bandwidth,
    of_size,
    recording,
    takes_over,
)

WIDE, NARROW = "wide", "narrow"
FUNCTIONS = ("softmax", "log_softmax", "logsumexp")
NAMES = {"torch": "PyTorch", "jax": "JAX (jit)", "scipy": "SciPy", NUMPY: "softaxis (NumPy alone)"}
COPY = "copy, two threads"
GREEN = {"light": "#00805C", "dark": "#3CCF9E"}
PURPLE = {"light": "#A8558A", "dark": "#E08FC0"}
MARKS = {NUMBA: "o", NUMPY: "s", "scipy": "^", "torch": "D", "jax": "v"}


def mode_of(colours):
    """Return whether these are the colours of light or of dark pages."""
    return next(name for name, each in MODES.items() if each is colours)


def styles(colours):
    """Return colour, width and dashes of each implementation's line."""
    mode = mode_of(colours)
    return {
        NUMBA: (colours["blue"], 2.6, "-"),
        NUMPY: (colours["blue"], 1.6, (0, (3, 1.5))),
        "scipy": (colours["red"], 1.6, "-"),
        "torch": (PURPLE[mode], 1.6, "-"),
        "jax": (GREEN[mode], 1.6, "-"),
    }


def panels(count, layout, height):
    """Return a figure with panels beside each other, or below each other on a narrow screen."""
    wide = layout == WIDE
    size = (9, height) if wide else (4.2, 0.86 * height * count)
    figure = Figure(figsize=size, layout="constrained")
    grid = (1, count) if wide else (count, 1)
    return figure, figure.subplots(*grid, sharex=True, sharey=True, squeeze=False).ravel()


def lengths(dtype, layout):
    """Return what draws bandwidth against the length of the rows."""

    def drawn(colours):
        figure, axes = panels(len(FUNCTIONS), layout, 3.9)
        found = recording("row_lengths")
        for one, function in zip(axes, FUNCTIONS, strict=True):
            one.set_title(function)
            one.set_xscale("log")
            one.set_yscale("log")
            lines(one, found, function, dtype, colours)
        for one in axes if layout == NARROW else axes[:1]:
            one.set_ylabel("GB/s")
        axes[-1].set_xlabel("elements in a row")
        if layout == WIDE:
            for one in axes:
                one.set_xlabel("elements in a row")
        legend(figure, axes, layout)
        return figure

    return drawn


def lines(axes, found, function, dtype, colours):
    """Draw a line for each implementation, and the limit that a copy sets."""
    points = found.of(function, dtype)
    if not any(point.seconds for point in points):
        axes.text(0.5, 0.5, MISSING, transform=axes.transAxes, ha="center", color=colours["faint"])
        return
    limit = median(copy_bandwidth(point) for point in points)
    axes.axhline(limit, color=colours["ink"], lw=1.2, ls=(0, (6, 2)), label=COPY, zorder=1)
    for name in IMPLEMENTATIONS:
        colour, width, dashes = styles(colours)[name]
        pairs = [(p.case.length, bandwidth(p, name)) for p in points if name in p.seconds]
        drawn = {"color": colour, "lw": width, "marker": MARKS[name], "ms": 4}
        label = NAMES.get(name, name)
        axes.plot(*zip(*pairs, strict=True), ls=dashes, label=label, **drawn) if pairs else None
    into = [(p.case.length, bandwidth(p, NUMBA)) for p in found.of(f"{function} out=", dtype)]
    into = [(length, value) for length, value in into if value is not None]
    if into:
        label, dots = f"{NUMBA}, out=", (0, (1, 1.2))
        axes.plot(*zip(*into, strict=True), color=ORANGE, lw=2, ls=dots, label=label)
    ticks = {10: "10", 100: "100", 10**4: "10⁴", 10**6: "10⁶"}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.minorticks_off()
    low, high = axes.get_ylim()
    marks = [value for value in (0.1, 0.3, 1, 3, 10, 30, 100) if low <= value <= high]
    axes.set_yticks(marks, [f"{value:g}" for value in marks])
    axes.grid(axis="y", color=colours["faint"], alpha=0.25, lw=0.6)


def legend(figure, axes, layout):
    """Name the lines of all panels once, above them."""
    named = {}
    for one in axes:
        named |= {label: line for line, label in zip(*one.get_legend_handles_labels(), strict=True)}
    if named:
        given = {"frameon": False, "ncols": 4 if layout == WIDE else 2, "fontsize": 9}
        figure.legend(named.values(), named, loc="outside upper left", **given)


def sizes(layout):
    """Return what draws the time of our two backends against the number of elements."""

    def drawn(colours):
        figure, (axes,) = panels(1, layout, 3.3 if layout == WIDE else 3.8)
        points = of_size()
        for name, label in ((NUMPY, "numpy"), (NUMBA, "numba")):
            pairs = [(p.case.size, 1e6 * p.seconds[name]) for p in points if name in p.seconds]
            colour, width, dashes = styles(colours)[name]
            style = {"color": colour, "lw": width, "ls": dashes, "marker": MARKS[name], "ms": 5}
            axes.plot(*zip(*pairs, strict=True), label=label, **style) if pairs else None
        if axes.lines:
            axes.legend(frameon=False, loc="upper left")
        else:
            axes.text(0.5, 0.5, MISSING, transform=axes.transAxes, ha="center")
        axes.set(xscale="log", yscale="log", xlabel="elements")
        axes.set_title("microseconds of a softmax, float32")
        axes.axvline(takes_over(), color=ORANGE, lw=1.5, zorder=0)
        axes.annotate(
            f"from {takes_over():,} on\nnumba by default",
            (takes_over(), 0.04),
            (6, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
        )
        ticks = [10**power for power in range(7)]
        named = ticks[2::2]
        axes.set_xticks(named, [f"{tick:,}" for tick in named])
        low, high = axes.get_ylim()
        marks = [tick for tick in ticks if low <= tick <= high]
        axes.set_yticks(marks, [f"{tick:,}" for tick in marks])
        axes.minorticks_off()
        return figure

    return drawn


FIGURES = {
    "speed_lengths_float32": partial(lengths, "float32"),
    "speed_lengths_float64": partial(lengths, "float64"),
    "speed_sizes": sizes,
}
