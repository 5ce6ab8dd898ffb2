"""NumPy: what is subtracted from a row before exp, decided by the sum of exp(x) itself.

Where s = sum(exp(x)) neither overflows nor loses a term to underflow, the shift is 0: neither a
maximum nor a difference is needed, two passes over the row less. Only where s is out of bounds
the shift is the largest number m, as everywhere. So each row is decided by its own s, and its
bits do not depend on its neighbours. The way there may differ: a maximum that leaves no doubt
saves the exponentials of rows that are far from 0.
"""

from __future__ import annotations

from math import inf, log
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

NDArray: TypeAlias = npt.NDArray[Any]

NEAR = 1.5
"""A sum of exp(x - m) below it has one maximum, and a logarithm that asks for log1p."""
LEAST = 0.5
"""From this abs(m) on a logarithm added to m needs no relative accuracy of its own."""

PROBABLE = 1 / 32
"""The least sum whose shares are right: a probability may be normal and its exp(x) subnormal,
but then the bound, (4 + abs(x - m)) eps, allows for more than the 16 eps that this costs."""
LOGARITHMIC = 2.5
"""The least sum whose logarithm asks for no log1p: above NEAR exp(LEAST), either m is above LEAST
or the sum of exp(x - m) above NEAR."""

_LOW, _HIGH = -12.0, 80.0
_MARGIN = 0.1


def fits(s: Any, least: float) -> bool:
    """Return whether every row has the shift 0."""
    if s.ndim == 0:
        return bool(least <= s < inf)
    return bool(s.item(s.argmin()) >= least and s.item(s.argmax()) < inf)


def is_promising(x: NDArray) -> bool:
    """Return whether it is likely that sums of exp(x) are in bounds: a guess by one element."""
    return bool(_LOW < x.item(0) < _HIGH)


def shift_by_sum(s: Any, m: Any, least: float) -> Any:
    """Return the shift of each row."""
    return np.where((s >= least) & (s < inf), 0, m).astype(s.dtype, copy=False)


def shift_by_maximum(m: Any, n: int, least: float) -> Any:
    """Return the shift of rows of length n where their maxima leave no doubt, None elsewhere."""
    most = float(np.log(np.finfo(m.dtype).max))
    zero = (m >= log(least) + _MARGIN) & (m <= most - log(n) - _MARGIN)
    if zero.all():
        return m.dtype.type(0)
    itself = ~((m >= log(least) - log(n) - _MARGIN) & (m <= most + _MARGIN))
    if itself.all():
        return m
    return np.where(itself, m, 0) if (zero | itself).all() else None


def or_itself(y: Any, m: Any) -> Any:
    """Replace the NaN that inf - inf has left by the infinity it came from."""
    if y.ndim == 0:
        return y if y == y else m  # noqa: PLR0124 - NaN
    np.copyto(y, m, where=np.isnan(y))
    return y
