"""The picture of a walk: exp with the inputs on it, and the distribution that comes of them."""

import io
import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from softaxis._cli._explain import Walk
from softaxis._cli._input import BadInput
from softaxis._cli._numbers import computed, given, minus
from softaxis._cli._plot_names import Point, name_points
from softaxis._cli._story import title

# From the palette of Okabe and Ito, which colour-blind readers can tell apart.
BLUE, ORANGE, GREY, INK = "#0072B2", "#E69F00", "#8A8A8A", "#222222"
EXP_FITS = 50.0  # beyond this the curve is drawn as exp(x - max x)
TALLEST = 30.0  # inches
FARTHEST = 1e15  # where floats are too coarse for the axis


def save_plot(walk: Walk, path: Path) -> None:
    """Write the picture as PNG."""
    picture = io.BytesIO()
    draw(walk).savefig(picture, format="png", dpi=150)
    try:
        path.write_bytes(picture.getvalue())
    except OSError as error:
        raise BadInput(f"`--plot` cannot write {path}: {error.strerror}") from error


def draw(walk: Walk) -> Figure:
    """Put the curve to the left and the bars to the right."""
    height = min(max(4.4, 1.4 + 0.27 * len(walk.logits)), TALLEST)
    figure = Figure(figsize=(11, height), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(title(walk), fontsize=13, color=INK)
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
        axes.tick_params(color=GREY, labelcolor=INK)
    points = _curve(left, walk)
    _bars(right, walk)
    canvas.draw()  # fixes the layout, so that the names below know their room
    name_points(left, points)
    return figure


def _colour(walk: Walk, k: int) -> str:
    if walk.classes[k] == "none":
        return GREY
    return ORANGE if walk.probabilities[k] == max(walk.probabilities) else BLUE


def _curve(axes: Axes, walk: Walk) -> list[Point]:
    """Draw exp over the range of the inputs, with a stem for each term of the sum."""
    values = walk.inputs if walk.temperature == 0 else walk.logits
    name = "z" if walk.temperature else "x"
    low, high = min(values), max(values)
    if high - low > FARTHEST or abs(high) > FARTHEST:
        raise BadInput(f"`--plot` has no room for {given(low)} to {given(high)}: draw smaller ones")
    shift = high if max(map(abs, values)) > EXP_FITS else 0.0
    pad = 0.08 * (high - low) or max(1.0, 0.08 * abs(high))
    right = high + min(pad, 0.3)
    grid = [low - pad + (right - low + pad) * step / 1000 for step in range(1001)]
    axes.plot(grid, [math.exp(value - shift) for value in grid], color=INK, lw=1.2, zorder=1)
    names = walk.classes
    points = [
        Point(k, value, math.exp(value - shift)) for k, value in zip(names, values, strict=True)
    ]
    for k, point in enumerate(points):
        colour = _colour(walk, k)
        axes.vlines(point.x, 0, point.y, color=colour, lw=1.5, alpha=0.6, zorder=2)
        dot = axes.scatter(point.x, point.y, s=55, color=colour, edgecolor="white", zorder=3)
        dot.set_clip_on(False)
    axes.set_xlim(low - pad, high + pad)
    axes.set_ylim(0, 1.15 * math.exp(high - shift))
    curve = f"exp({minus(name, shift)})" if shift else f"exp({name})"
    scale = f",  z = x / {given(walk.temperature)}" if walk.temperature else ""
    axes.set_xlabel(f"{name}{scale}", color=INK)
    axes.set_title(f"{curve}: positive, and steeper the larger {name} is", fontsize=10, color=INK)
    return points


def _bars(axes: Axes, walk: Walk) -> None:
    """Draw the probabilities from top to bottom, as the terminal does."""
    rows = range(len(walk.classes))
    longest = max(walk.probabilities)
    colours = [_colour(walk, k) for k in rows]
    axes.barh(rows, walk.probabilities, color=colours, height=0.72)
    for k, probability in enumerate(walk.probabilities):
        is_label = walk.loss is not None and walk.loss.label == k
        note = computed(probability) + ("  label" if is_label else "")
        axes.text(probability + 0.015 * longest, k, note, va="center", color=INK)
    names = [
        f"{'none' if name == 'none' else f'x[{name}]'} = {given(value)}"
        for name, value in zip(walk.classes, walk.inputs, strict=True)
    ]
    axes.set_yticks(rows, names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.2 * longest)
    axes.set_xlabel("probability", color=INK)
    axes.set_title("softmax: its share of their sum", fontsize=10, color=INK)
