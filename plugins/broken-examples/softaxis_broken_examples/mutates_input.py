"""Subtracts the maximum in place: the caller's array has changed afterwards."""

import numpy as np

from softaxis.backend import Backend
from softaxis_broken_examples._right import right

backend = Backend("mutates_input", types=(np.ndarray,))


@backend.implements
def softmax(x, /, *, axis):
    """Compute softmax of an array that is moved to a maximum of 0 first."""
    if x.size and x.flags.writeable and np.isfinite(x).all():
        with np.errstate(all="ignore"):
            x -= x.max(axis, keepdims=True)
    return right.softmax(x, axis=axis)
