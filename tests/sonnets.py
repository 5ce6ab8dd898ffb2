"""The sonnets examples as their tests run them: few steps, in float64, and what is printed."""

import math
import re
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"
COLUMNS = ("right softaxis", "right native", "left softaxis", "left native")


def table(printed):
    """Read the columns of losses, by padding and functions, and the last two differences."""
    rows = re.findall(r"^\d+ +(.+)$", printed, re.MULTILINE)
    numbers = [[float(number) for number in row.split()] for row in rows]
    losses = dict(zip(COLUMNS, zip(*numbers, strict=True), strict=True))
    return losses, [float(one) for one in re.findall(r"at most (\S+) between", printed)]


def check_curves(printed):
    """The curves agree wherever the native one is a number, and it is none where rows are masked.

    12 steps of Adam in float64 multiply a difference of some eps by no more than 10^4; the table
    shows six decimals.
    """
    losses, apart = table(printed)
    ours = losses["right softaxis"]
    assert len(ours) == 12
    assert ours[0] > 4  # about log of 62 classes
    assert ours[-1] < 3.4
    assert losses["right native"] == losses["left softaxis"] == ours
    assert all(map(math.isnan, losses["left native"]))
    assert len(apart) == 2
    assert max(apart) < 1e4 * 2**-52 * ours[0]
