"""Keeps one buffer for all threads."""

import numpy as np

from softaxis.backend import Backend
from softaxis_broken_examples._right import right

_buffers = {}

backend = Backend("not_thread_safe", types=(np.ndarray,))


@backend.implements
def sigmoid(x, /):
    """Compute sigmoid of a copy of `x` in the buffer for its shape."""
    buffer = _buffers.setdefault((x.shape, x.dtype), np.empty(x.shape, x.dtype))
    buffer[...] = x
    return right.sigmoid(buffer)
