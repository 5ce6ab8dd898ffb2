"""Rows of any length whose softmax is known: multiples of 1/16, which every dtype holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

STEP = 16
"""Steps of a unit."""


def direction(n: int) -> npt.NDArray[Any]:
    """Return what the products are given: multiples of 1/8 up to 1, of both signs."""
    return ((np.arange(n, dtype=np.int64) * 31) % 17 - 8) / 8


def long_row(kind: str, n: int) -> npt.NDArray[Any]:
    """Return `n` numbers, in float64.

    Parameters
    ----------
    kind : str
        ``"mixed"``: numbers below 8 in no order. ``"last"``: the same, and a larger one at the
        end, where an unrolled loop has its tail. ``"equal"``: all 1.5. ``"dominated"``: one of 8
        among numbers near -16.
    n : int
        How many.

    Returns
    -------
    array
        Of shape ``(n,)``.
    """
    i = np.arange(n, dtype=np.int64)
    steps = (i * 7919 + i // 13) % 255 - 127
    if kind == "equal":
        steps = np.full(n, 24)
    elif kind == "dominated":
        steps = -16 * STEP + (steps // 32) * 8
        steps[n // 3] = 8 * STEP
    elif kind == "last":
        steps[-1] = 12 * STEP
    return steps / STEP
