"""The heat map of docs/performance.md: how many times as fast, at every point of the grid."""

from math import log2

import numpy as np
from benchmarks.grid import CASES, DTYPES
from figures_speeds import FUNCTIONS, WIDE, mode_of
from goals import ALL, BETTER, NUMBA
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from speeds import mean, recording, speedups, times

PAGES = {"light": "#EEF1F4", "dark": "#232A32"}
"""Of cells that are neither faster nor slower."""
DOUBLINGS = 4
"""The colour is full where the ratio is 2 to that power."""
TIMES = " \N{MULTIPLICATION SIGN} "
LUMINANCE, DARK = (0.2126, 0.7152, 0.0722), 0.45
"""Weights of red, green and blue; below that much light the ink is white."""


def heat(layout):
    """Return what draws the speedups as a map: a row for each case, a column for each dtype."""

    def drawn(colours):
        maps = (("scipy", "SciPy", FUNCTIONS), (BETTER, "the faster of PyTorch and JAX", ALL))
        wide = layout == WIDE
        figure = Figure(figsize=(9, 5.2) if wide else (4.2, 10), layout="constrained")
        widths = [len(functions) for _, _, functions in maps]
        grid = {"ncols": 2, "width_ratios": widths, "sharey": True} if wide else {"nrows": 2}
        for axes, (against, title, functions) in zip(figure.subplots(**grid), maps, strict=True):
            cells(axes, against, functions, colours, small=not wide)
            text = f"times as fast as {title}"
            axes.set_title(text if wide else text.replace(" of ", "\nof "), pad=34 if wide else 40)
        return figure

    return drawn


def cells(axes, against, functions, colours, *, small):
    """Draw a cell for each point, and the geometric means below."""
    found = speedups(recording("grid").points, NUMBA, against)
    columns = [(function, dtype) for function in functions for dtype in DTYPES]
    bottom = len(CASES) + 0.35
    for column, (function, dtype) in enumerate(columns):
        ratios = [found.get((function, case, dtype)) for case in CASES]
        for place, value in enumerate(ratios):
            cell(axes, column, place, value, colours, small=small)
        average = mean(value for value in ratios if value is not None)
        cell(axes, column, bottom, average, colours, small=small, weight="bold")
        if dtype == DTYPES[0]:
            text = function.replace("_", "_\n") if small else function
            axes.text(column + 0.5, -1.1, text, ha="center", va="bottom", fontsize=9)
    labels = [
        *(
            case.name.replace("x", " \N{MULTIPLICATION SIGN} ").replace("@", ", axis ")
            for case in CASES
        ),
        "mean",
    ]
    axes.set_yticks([*range(len(CASES)), bottom], labels, fontsize=8 if small else 9)
    bits = [dtype.removeprefix("float") for _, dtype in columns]
    axes.set_xticks(range(len(columns)), bits, fontsize=8)
    axes.xaxis.tick_top()
    axes.set(xlim=(-0.52, len(columns) - 0.48), ylim=(bottom + 0.52, -0.52))
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)


def cell(axes, column, place, value, colours, *, small, weight="normal"):
    """Draw one ratio: blue where we are faster, orange where slower, a shade for each doubling."""
    ink, text = colours["faint"], "\N{EN DASH}"
    face = np.array(to_rgb(PAGES[mode_of(colours)]))
    if value is not None:
        doublings = np.clip(log2(value) / DOUBLINGS, -1, 1)
        towards = np.array(to_rgb(colours["blue" if doublings > 0 else "red"]))
        face = face + abs(doublings) * (towards - face)
        ink, text = "#FFFFFF" if face @ LUMINANCE < DARK else "#14181E", times(value)
    corner = (column - 0.48, place - 0.47)
    axes.add_patch(Rectangle(corner, 0.96, 0.94, facecolor=face, lw=0))
    given = {"ha": "center", "va": "center", "color": ink, "weight": weight}
    axes.text(column, place, text, fontsize=7.5 if small else 8.5, **given)


FIGURES = {"speed_heat": heat}
