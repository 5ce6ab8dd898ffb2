"""From the shapes of arrays to what XLA has to know: the name of a kernel, and a plan of its work."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softaxis._backends._numba._geometry import Strides
from softaxis._backends._numba._launch import job_of, planned, room_of
from softaxis._backends._numba._layout import FOUR, GRAIN

_PLACES = "abc_pq"
"""Where a job finds addresses: of arrays, of a mask, which is never there, and of rows."""


class Call(NamedTuple):
    """A kernel, and what its handler is told: 64-bit integers."""

    kernel: str
    plan: npt.NDArray[np.int64]


def call(
    name: str, dtype: str, shape: tuple[int, ...], axis: int, operands: str, result: str
) -> Call:
    """Return the call of a kernel for rows along `axis` of arrays of `shape`, C-contiguous.

    `operands` and `result` say by letters where each of them belongs: a, b and c have that shape,
    p and q that without `axis`, P and Q four numbers for each place of that.
    """
    rows = shape[:axis] + shape[axis + 1 :]
    letters = operands + result

    def strides(letter: str) -> Strides:
        if letter.upper() in letters:
            return _strides((*rows, FOUR), np.dtype(dtype).itemsize)[:-1]
        if letter not in letters:
            return None
        labels = letter == "p" and name.startswith("cross_entropy")
        item = np.dtype(np.int32 if labels else dtype).itemsize
        return _strides(shape if letter in "abc" else rows, item)

    full = (*map(strides, "abc"), None)
    key = (np.dtype(dtype).char, shape, (axis,), full, (strides("p"), strides("q")))
    plan = planned(key)
    columns = plan.in_columns > 0 and name in _OF_COLUMNS
    job = job_of(plan, (0,) * 6)
    head = (
        plan.units,
        max(1, int(np.prod(shape)) // GRAIN),
        plan.chunks,
        plan.in_columns if columns else room_of(plan, key[0]),
        plan.notes,
        len(operands),
        *(letters.lower().find(letter) for letter in _PLACES),
    )
    words = np.frombuffer(job.ljust(-(-len(job) // 8) * 8, b"\0"), np.int64)
    kernel = f"{name}_columns" if columns else name
    return Call(kernel, np.concatenate([np.array(head, np.int64), words]))


_OF_COLUMNS = ("softmax", "log_softmax", "logsumexp")


def _strides(shape: tuple[int, ...], item: int) -> tuple[int, ...]:
    found = []
    for n in reversed(shape):
        found.append(item)
        item *= n
    return tuple(reversed(found))

