"""The figures of what fails; every number in them is computed here, by the library named."""

# ruff: noqa: RUF001 - a minus in a figure is a minus sign

from contextlib import suppress

import numpy as np
from drawing import ORANGE, number, page

import softaxis


def argmax(colours):
    """One input moves, two stand still: the answer of argmax jumps, that of softmax moves."""
    figure, (left, right) = page(2, 3.0)
    grid = np.linspace(-5, 7, 601)
    rows = np.stack([grid, np.full_like(grid, 1.0), np.zeros_like(grid)], axis=-1)
    p = softaxis.softmax(rows)[:, 0]
    hard = softaxis.hardmax(rows)[:, 0]
    hard[np.flatnonzero(np.diff(hard))] = np.nan  # a jump, not a slope
    upwards = np.broadcast_to([1.0, 0.0, 0.0], rows.shape)
    slope = softaxis.softmax_jvp(softaxis.softmax(rows), upwards)[:, 0]
    left.plot(grid, p, color=colours["blue"])
    left.plot(grid, hard, color=colours["red"], ls=(0, (5, 2)))
    left.set(xlabel="x[0], beside x[1] = 1 and x[2] = 0", ylim=(-0.04, 1.16), yticks=[0, 0.5, 1])
    left.set_title("the share of class 0")
    left.annotate("argmax", (1.1, 1), (0, 5), textcoords="offset points")
    left.annotate("softmax", (2.6, 0.72), (12, -4), textcoords="offset points")
    right.plot(grid, slope, color=colours["blue"])
    right.plot(grid, np.zeros_like(grid), color=colours["red"], ls=(0, (5, 2)))
    right.set(xlabel="x[0]", ylim=(-0.045, 0.29), yticks=[0, 0.1, 0.2])
    right.set_title("its slope: what training can use")
    right.text(3.1, 0.19, "softmax: p (1 − p)")
    right.text(7, -0.03, "argmax: zero everywhere", ha="right")
    return figure


def plain_sum(colours):
    """Dividing by the plain sum: a pole in the middle of harmless numbers."""
    figure, (left, right) = page(2, 3.0, sharex=True)
    grid = np.linspace(-2.5, 2.5, 2001)
    rows = np.stack([grid, np.full_like(grid, 1.0), np.full_like(grid, -0.75)], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = rows / rows.sum(axis=-1, keepdims=True)
    shares[np.abs(rows.sum(axis=-1)) < 0.02] = np.nan
    lines = ((colours["blue"], "-"), (ORANGE, (0, (6, 2))), (colours["ink"], (0, (2, 1.5))))
    for axes, values in ((left, shares), (right, softaxis.softmax(rows))):
        axes.axhspan(0, 1, color=colours["faint"], alpha=0.18, lw=0)
        for k, (colour, dashes) in enumerate(lines):
            axes.plot(grid, values[:, k], color=colour, ls=dashes, lw=2)
        axes.set(xlabel="x[0], beside x[1] = 1 and x[2] = −0.75", xlim=(-2.5, 2.5))
    left.axvline(-0.25, color=colours["faint"], lw=1)
    left.set(ylim=(-5, 5), yticks=[-4, -2, 0, 1, 2, 4])
    left.set_title("x / sum(x): anything at all, and undefined at −0.25")
    right.set(ylim=(-0.15, 1.35), yticks=[0, 0.5, 1])
    right.set_title("softmax(x): from 0 to 1, everywhere")
    for k, (colour, dashes) in enumerate(lines):
        right.plot([], [], color=colour, ls=dashes, label=f"class {k}")
    right.legend(frameon=False, ncols=3, loc="upper center")
    return figure


def overflow(colours):
    """Softmax of (t, t - 1) without the shift: right until exp overflows, then nothing."""
    figure, axes = page(1, 2.7)
    true = float(softaxis.softmax(np.array([0.0, -1.0]))[0])
    kinds = ((np.float16, 2), (np.float32, 1), (np.float64, 0))
    for dtype, level in kinds:
        last = np.log(np.finfo(dtype).max.astype(np.float64))
        axes.plot([1, last], [level, level], color=colours["red"], lw=6, solid_capstyle="butt")
        axes.plot(last, level, "X", color=colours["red"], ms=13, mec="none")
        text = f"{np.dtype(dtype).name}: NaN above {number(last)}"
        axes.annotate(text, (last, level), (14, 0), textcoords="offset points", va="center")
    axes.plot([1, 3e4], [3, 3], color=colours["blue"], lw=6, solid_capstyle="butt")
    axes.annotate(
        f"with the shift: {number(true, 3)}, however large t",
        (3e4, 3),
        (10, 0),
        textcoords="offset points",
        va="center",
    )
    axes.set_xscale("log")
    ticks = [1, 10, 100, 1000, 10000]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlim=(1, 3e6), ylim=(-0.6, 3.6), yticks=[], xlabel="t")
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_bounds(1, 3e4)
    axes.xaxis.set_label_coords(0.35, -0.16)
    axes.set_title("softmax([t, t − 1])[0], by the formula as it stands")
    return figure


def next_to_one(colours):
    """What is left of log_softmax([0, -g])[0] in float32, library by library."""
    figure, axes = page(1, 3.2)
    gaps = np.arange(0.5, 40.25, 0.5)
    true = -np.log1p(np.exp(-gaps))
    rows = np.stack([np.zeros_like(gaps), -gaps], axis=-1).astype(np.float32)
    found = {"softaxis": (softaxis.log_softmax(rows)[:, 0], colours["blue"], "-", 2.6)}
    with suppress(ImportError):
        import torch

        values = torch.log_softmax(torch.asarray(rows), -1)[:, 0].numpy()
        found["PyTorch"] = (values, ORANGE, "-", 4.5)
    with suppress(ImportError):
        import jax

        values = np.asarray(jax.nn.log_softmax(rows)[:, 0])
        found["JAX"] = (values, colours["ink"], (0, (3, 2)), 1.4)
    floor = 1e-9  # errors of 0 are drawn here
    for name, (values, colour, dashes, width) in found.items():
        error = np.maximum(np.abs((values - true) / true), floor)
        axes.plot(gaps, error, color=colour, ls=dashes, lw=width, label=name)
    axes.axhline(np.finfo(np.float32).eps, color=colours["faint"], lw=0.8, zorder=0)
    axes.annotate(
        "eps of float32",
        (40, np.finfo(np.float32).eps),
        (6, 0),
        textcoords="offset points",
        va="center",
    )
    axes.set_yscale("log")
    axes.set(xlim=(0, 40), ylim=(floor / 1.5, 20), xlabel="g")
    axes.set_yticks([1e-9, 1e-6, 1e-3, 1], ["1e-9", "1e-6", "0.001", "1: all lost"])
    axes.minorticks_off()
    axes.legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.62))
    axes.set_title("relative error of log_softmax([0, −g])[0] in float32")
    return figure


DRAWINGS = {
    "argmax": argmax,
    "plain_sum": plain_sum,
    "overflow": overflow,
    "next_to_one": next_to_one,
}
