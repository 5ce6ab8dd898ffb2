"""How far a result is from what was expected, counted in what is allowed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softaxis.testing._arrays import NDArray
from softaxis.testing._limits import EPS, LARGEST, TINY


class Expected(NamedTuple):
    """What a result should be: ``high + low``, give or take ``scale`` eps."""

    high: NDArray
    low: NDArray
    scale: NDArray

    def map(self, function: Any) -> Expected:
        """Apply a change of shape to all three."""
        return Expected(*(function(part) for part in self))


def excess(actual: NDArray, expected: Expected, dtype: str, *, flushed: bool) -> NDArray:
    """Return each element's error as a multiple of the one allowed; inf where nothing is."""
    high, low, scale = expected
    eps, tiny = EPS[dtype], TINY[dtype]
    with np.errstate(all="ignore"):
        real = _overflown(high, eps, LARGEST[dtype])
        wide = actual.astype(np.clongdouble if dtype.startswith("complex") else np.longdouble)
        error = np.abs((wide - real) - low).astype(np.float64)
        # below the smallest normal number the spacing takes the place of the relative error
        small = np.where(np.abs(high) < 2 * tiny, tiny if flushed else 8 * eps * tiny, 0.0)
        ratio = np.where(error == 0, 0.0, error / (scale * eps + small))
    same = (wide == real) | (np.isnan(wide) & np.isnan(real))
    finite = np.isfinite(real) & np.isfinite(wide)
    result: NDArray = np.where(finite, ratio, np.where(same, 0.0, np.inf))
    return result


def _overflown(high: NDArray, eps: float, largest: float) -> NDArray:
    """Return inf for what is half a spacing beyond the largest number; float64 rounds so itself."""
    if largest == LARGEST["float64"]:
        return high
    beyond = np.abs(high) / (1 + eps / 4) >= largest
    result: NDArray = np.where(beyond, np.copysign(np.inf, high.real), high)
    return result
