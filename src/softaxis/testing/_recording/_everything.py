"""All that is recorded, and the file that holds it."""

from __future__ import annotations

from pathlib import Path

from softaxis.testing._long_rows import STEP
from softaxis.testing._recording._derivatives import derivatives
from softaxis.testing._recording._long import long
from softaxis.testing._recording._losses import losses
from softaxis.testing._recording._numbers import Record, mp, numbers
from softaxis.testing._recording._plain import plain, with_arguments
from softaxis.testing._rows import (
    KINDS,
    LONG_LENGTHS,
    LONGEST,
)

FILE = Path(__file__).parents[1] / "recorded.json"


def record() -> Record:
    """Return everything that is recorded."""
    return {
        "rows": [*plain(), *with_arguments(), *losses(), *derivatives()],
        "long": [long(kind, n) for n in LONG_LENGTHS for kind in KINDS]
        + [long(kind, LONGEST) for kind in KINDS],
        "exp": numbers([mp.exp(mp.mpf(-k) / STEP) for k in range(64 * STEP)]),
    }
