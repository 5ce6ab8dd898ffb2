"""Rounds a row otherwise in a batch than alone: a batch is worth computing in float64."""

import numpy as np

from softaxis.backend import Backend
from softaxis_broken_examples._right import right

backend = Backend("depends_on_batch", types=(np.ndarray,))


@backend.implements
def softmax(x, /, *, axis):
    """Compute softmax, one row in its own dtype and several in float64."""
    if not isinstance(axis, int) or x.size == x.shape[axis]:
        return right.softmax(x, axis=axis)
    with np.errstate(all="ignore"):
        return right.softmax(x.astype(np.float64), axis=axis).astype(x.dtype)
