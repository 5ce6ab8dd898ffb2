"""NumPy: what is subtracted from a row before exp, and how the logarithm of the sum is taken.

Where the largest number m of a row is moderate, exp(x) neither overflows nor loses a term to
underflow: the shift is 0, not m, and a pass over the row is saved. A logarithm near 0 is taken
from the sum without the maximum, 1 + rest, and any other from the sum itself. Both are decided
for each row by its own m and its own sum, so that its bits do not depend on its neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LEAST = 0.5
"""The least m without a shift. Below it a probability might be normal, and its exp(x) not."""
NEAR = 1.5
"""A sum of exp(x - m) below it has one maximum, and a logarithm that asks for log1p."""


def shift_of(m: Any, dtype: npt.DTypeLike) -> Any:
    """Return the shift of each row; None where all are 0."""
    most = 60.0 if dtype == np.float32 else 640.0  # n exp(m) is finite up to n = 2**40
    if m.item(m.argmin()) >= LEAST and m.item(m.argmax()) <= most:
        return None
    if m.size == 1:
        return m
    return np.where((m >= LEAST) & (m <= most), 0, m)


def or_itself(y: Any, m: Any) -> Any:
    """Replace the NaN that inf - inf has left by the infinity it came from."""
    if y.ndim == 0:
        return y if y == y else m  # noqa: PLR0124 - NaN
    np.copyto(y, m, where=np.isnan(y))
    return y
