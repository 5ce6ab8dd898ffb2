"""Spoilt rows: those that softmax turns to NaN, which the result then has to store.

They hold NaN or +inf, or nothing but -inf. A row that `where` leaves out as a whole is none of
them: it is 0.
"""

from __future__ import annotations

import numpy as np

from softaxis_example._rows import Entries, Layout, Mask, NDArray

MOST = 1 << 27
"""How many NaN a result may store: 3 GiB of float64 in two dimensions, coordinates included."""


def spoilt(rows: Layout, found: Entries, takes_part: Mask, m: NDArray) -> NDArray:
    """Return the keys of the elements that become NaN: all that take part in spoilt rows."""
    length = rows.length
    sound = found.rows[np.isfinite(m)]
    if takes_part.inclusive:
        return takes_part.keys[~np.isin(takes_part.keys // max(length, 1), sound)]
    _refuse_to_store(rows.number - len(sound), length)
    numbers = np.setdiff1d(np.arange(rows.number if length else 0), sound)
    which, place = np.divmod(np.arange(len(numbers) * length), max(length, 1))
    keys = numbers[which] * length + place
    return keys[takes_part.of(keys)]


def _refuse_to_store(count: int, length: int) -> None:
    if count * length > MOST:
        raise MemoryError(
            f"softmax is NaN in {count} rows of {length} elements of `x`, most often because "
            "nothing is stored there, and the result would store every NaN. Leave out what is "
            "not stored with where=x > -np.inf; such rows are then 0"
        )
