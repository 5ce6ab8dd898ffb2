"""How far a result is from what was expected, counted in what is allowed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softaxis.testing._arrays import NDArray

EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
TINY = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
LARGEST = {
    "float16": 65504.0,
    "bfloat16": (2.0 - 2.0**-7) * 2.0**127,
    "float32": (2.0 - 2.0**-23) * 2.0**127,
    "float64": float(np.finfo(np.float64).max),
}
EPS["longdouble"] = float(np.finfo(np.longdouble).eps)
TINY["longdouble"] = TINY["float64"]
LARGEST["longdouble"] = LARGEST["float64"]
for _single, _double in (("complex64", "float32"), ("complex128", "float64")):
    EPS[_single], TINY[_single], LARGEST[_single] = EPS[_double], TINY[_double], LARGEST[_double]


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
