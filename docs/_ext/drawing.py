"""What the figures have in common: colours for light and dark pages, bars, saving."""

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

# From the palette of Okabe and Ito, which colour-blind readers can tell apart.
ORANGE = "#E69F00"
MODES = {
    "light": {"ink": "#1F2933", "faint": "#9AA5B1", "blue": "#0072B2", "red": "#D55E00"},
    "dark": {"ink": "#E4E7EB", "faint": "#7B8794", "blue": "#56B4E9", "red": "#FF8A3D"},
}


def save(draw, mode, path):
    """Draw on a transparent page in the colours of a mode, and write it as SVG."""
    colours = MODES[mode]
    style = {
        "axes.edgecolor": colours["faint"],
        "axes.labelcolor": colours["ink"],
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titlepad": 12,
        "font.size": 10,
        "lines.linewidth": 2.2,
        "svg.hashsalt": "softaxis",
        "text.color": colours["ink"],
        "xtick.color": colours["faint"],
        "xtick.labelcolor": colours["ink"],
        "ytick.color": colours["faint"],
        "ytick.labelcolor": colours["ink"],
    }
    with mpl.rc_context(style):
        draw(colours).savefig(path, format="svg", transparent=True, metadata={"Date": None})


def page(columns, height, **options):
    """Return a figure with panels beside each other."""
    figure = Figure(figsize=(9, height), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06, w_pad=0.1)
    return figure, figure.subplots(1, columns, **options)


def number(value, digits=2):
    """Write a number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def bars(axes, values, colours, names, digits, room=0.16):
    """Draw bars from 0, each with its number beyond its end."""
    axes.bar(range(len(values)), values, color=colours, width=0.66)
    low, high = min(0.0, *values), max(0.0, *values)
    pad = room * (high - low)
    for k, value in enumerate(values):
        above = value > 0 or (value == 0 and high > 0)
        axes.text(
            k,
            value + (0.25 if above else -0.25) * pad,
            number(value, digits),
            ha="center",
            va="bottom" if above else "top",
        )
    axes.axhline(0, color=axes.spines["bottom"].get_edgecolor(), lw=0.8)
    axes.set_ylim(low - (pad if low < 0 else 0), high + pad)
    axes.set_xticks(range(len(values)), names)
    axes.tick_params(length=0)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)


def highlighted(colours, values):
    """Return a colour for each value, another one for the largest."""
    top = np.argmax(values)
    return [ORANGE if k == top else colours["blue"] for k in range(len(values))]
