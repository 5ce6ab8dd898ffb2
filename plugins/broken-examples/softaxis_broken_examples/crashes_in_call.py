"""Crashes in a call with many elements: its buffer has room for 10,000."""

import ctypes

import numpy as np

from softaxis.backend import Backend
from softaxis_broken_examples._right import right

backend = Backend("crashes_in_call", types=(np.ndarray,))


@backend.implements
def softmax(x, /, *, axis):
    """Compute softmax of few elements."""
    if x.size > 10_000:
        ctypes.memset(8, 0, 8)  # writes to the address 8
    return right.softmax(x, axis=axis)
