"""The figures of softmax itself; every number in them is computed here, by softaxis."""

# ruff: noqa: RUF001 - a minus in a figure is a minus sign

import numpy as np
from drawing import ORANGE, bars, highlighted, number, page

import softaxis

X = np.array([-1.0, 1.0, 2.0, 3.0])
NAMES = ["−1", "1", "2", "3"]


def steps(colours):
    """The four steps, from the numbers to the probabilities."""
    figure, panels = page(4, 2.6)
    shifted = X - X.max()
    exponentials = np.exp(shifted)
    steps = (
        ("1  the numbers x", X, 0),
        ("2  x − 3", shifted, 0),
        ("3  exp(x − 3)", exponentials, 3),
        (f"4  divided by {number(exponentials.sum(), 3)}", softaxis.softmax(X), 3),
    )
    for axes, (title, values, digits) in zip(panels, steps, strict=True):
        bars(axes, values, highlighted(colours, X), [f"x = {n}" for n in NAMES], digits)
        axes.set_title(title)
        axes.tick_params(labelsize=8)
    return figure


def exponential(colours):
    """The curve with the inputs on it, and the distribution that comes of them."""
    figure, (left, right) = page(2, 3.3, width_ratios=(1.25, 1))
    grid = np.linspace(-2, 3.15, 300)
    left.plot(grid, np.exp(grid), color=colours["ink"], lw=1.4)
    for x, name, colour in zip(X, NAMES, highlighted(colours, X), strict=True):
        y = np.exp(x)
        left.vlines(x, 0, y, color=colour, lw=2.2)
        left.plot(x, y, "o", color=colour, ms=8)
        text = f"exp({name}) = {number(y)}"
        left.annotate(text, (x, y), (-10, 6), textcoords="offset points", ha="right")
    left.set(xlim=(-3, 3.4), ylim=(0, 23), xlabel="x", yticks=[0, 5, 10, 15, 20])
    left.set_title("exp(x): positive, and steeper the larger x is")
    bars(right, softaxis.softmax(X), highlighted(colours, X), [f"x = {n}" for n in NAMES], 3)
    right.set_title("softmax(x): the share of each in their sum")
    return figure


def temperature(colours):
    """The same numbers at temperatures from near 0 to far above 1."""
    figure, panels = page(4, 2.5, sharey=True)
    for axes, temperature in zip(panels, (0.25, 1.0, 4.0, 100.0), strict=True):
        p = softaxis.softmax(X, temperature=temperature)
        bars(axes, p, highlighted(colours, X), [f"x = {n}" for n in NAMES], 2)
        axes.set_ylim(0, 1.1)
        axes.set_title(f"temperature {temperature:g}")
        axes.tick_params(labelsize=8)
    return figure


def sink(colours):
    """A logit for "none of these" takes its share from all others alike."""
    figure, axes = page(1, 3.2)
    grid = np.linspace(-4, 9, 400)
    p = softaxis.softmax(np.tile(X, (grid.size, 1)), sink=grid)
    dashes = ((0, (2, 1.5)), (0, (4, 1.5)), (0, (8, 2)), "-")
    for k, colour in enumerate(highlighted(colours, X)):
        axes.plot(grid, p[:, k], color=colour, ls=dashes[k])
        text = f"x = {NAMES[k]}"
        axes.annotate(
            text, (-4, p[0, k]), (-8, 0), textcoords="offset points", ha="right", va="center"
        )
    axes.plot(grid, 1 - p.sum(axis=-1), color=colours["ink"], lw=2.6)
    axes.annotate(
        "none of these", (9, 1), (8, 0), textcoords="offset points", ha="left", va="center"
    )
    axes.set(xlim=(-4, 9), ylim=(-0.08, 1.05), xlabel="sink", yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_title("the shares, as the logit of “none of these” grows")
    return figure


def sigmoid(colours):
    """Two numbers: only their difference counts."""
    figure, axes = page(1, 2.9)
    grid = np.linspace(-7, 7, 400)
    axes.plot(grid, softaxis.sigmoid(grid), color=colours["blue"])
    p = float(softaxis.softmax(np.array([0.9, 0.1]))[0])
    axes.vlines(0.8, 0, p, color=ORANGE, lw=1.5)
    axes.plot(0.8, p, "o", color=ORANGE, ms=9)
    axes.annotate(
        f"softmax(0.9, 0.1)[0] = sigmoid(0.8) = {number(p, 3)}",
        (0.8, p),
        (14, -5),
        textcoords="offset points",
    )
    axes.set(ylim=(0, 1.05), yticks=[0, 0.5, 1], xlabel="x[0] − x[1]")
    axes.set_title("sigmoid: the softmax of two numbers")
    return figure


def loss(colours):
    """What a wrong answer costs, and which way the gradient pulls."""
    figure, (left, right) = page(2, 3.1, width_ratios=(1.1, 1))
    p = softaxis.softmax(X)
    loss, gradient = softaxis.cross_entropy_and_grad(X, 1)
    grid = np.linspace(0.004, 1, 500)
    left.plot(grid, -np.log(grid), color=colours["ink"], lw=1.6)
    left.plot(p[1], loss, "o", color=ORANGE, ms=9)
    left.annotate(
        f"p = {number(p[1], 3)} costs {number(float(loss), 2)}",
        (p[1], float(loss)),
        (12, 2),
        textcoords="offset points",
    )
    left.set(xlim=(0, 1.02), ylim=(0, 5), xlabel="probability given to the label")
    left.set_title("cross-entropy, −log(p)")
    bar = [ORANGE if k == 1 else colours["blue"] for k in range(4)]
    names = [f"x = {n}\nlabel" if k == 1 else f"x = {n}" for k, n in enumerate(NAMES)]
    bars(right, gradient, bar, names, 3)
    right.set_title("its gradient in x, p − y")
    return figure


DRAWINGS = {
    "steps": steps,
    "exponential": exponential,
    "temperature": temperature,
    "sink": sink,
    "sigmoid": sigmoid,
    "loss": loss,
}
