"""The figures of `softaxis.compare`: run while the site is built, with what is installed there."""

from functools import cache

import numpy as np
from drawing import MODES, ORANGE

import softaxis
from softaxis.testing._comparison.plots import draw

CELLS = {
    "light": {"right": "#D5E8F3", "neither": "#F0F0F0", "hatch": "#FFFFFF", "wrong": "#D55E00"},
    "dark": {"right": "#16384D", "neither": "#262C33", "hatch": "#14181E", "wrong": "#C25400"},
}


@cache
def softmax():
    """Random normal logits."""
    return softaxis.compare("softmax", shape=(1024, 1000), seconds=3.0)


@cache
def log_softmax():
    """Logits of a classifier that is nearly certain: one class stands 25 above the rest."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((1024, 1000), dtype=np.float32)
    logits[np.arange(1024), rng.integers(0, 1000, 1024)] += 25
    return softaxis.compare("log_softmax", logits, seconds=3.0)


def _drawing(comparison):
    def drawn(colours):
        mode = next(name for name, each in MODES.items() if each is colours)
        inks = {"ink": colours["ink"], "faint": colours["faint"], "wrong ink": "#FFFFFF"}
        bars = {"ours": colours["blue"], "native": ORANGE, "page": "none"}
        return draw(comparison(), {**inks, **bars, **CELLS[mode]})

    return drawn


DRAWINGS = {
    "compare_softmax": _drawing(softmax),
    "compare_log_softmax": _drawing(log_softmax),
}
