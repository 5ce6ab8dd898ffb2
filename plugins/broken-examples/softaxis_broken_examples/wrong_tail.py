"""Leaves the last elements of a long row out of the sum: those behind the last whole block."""

import numpy as np

from softaxis.backend import Backend
from softaxis_broken_examples._right import right

BLOCK = 1024

backend = Backend("wrong_tail", types=(np.ndarray,))


@backend.implements
def logsumexp(x, /, *, axis, keepdims=False):
    """Compute logsumexp of whole blocks, where there are any."""
    if isinstance(axis, int) and x.shape[axis] > BLOCK:
        n = x.shape[axis]
        x = np.moveaxis(np.moveaxis(x, axis, 0)[: n - n % BLOCK], 0, axis)
    return right.logsumexp(x, axis=axis, keepdims=keepdims)
