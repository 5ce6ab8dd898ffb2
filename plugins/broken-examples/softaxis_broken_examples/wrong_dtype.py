"""Returns float64 for float32."""

import numpy as np

from softaxis.backend import Backend
from softaxis_broken_examples._right import right

backend = Backend("wrong_dtype", types=(np.ndarray,))


@backend.implements
def sigmoid(x, /, *, dtype=None, out=None):
    """Compute sigmoid in float64 and leave it there."""
    if dtype is None and out is None:
        x = x.astype(np.float64)
    return right.sigmoid(x, dtype=dtype, out=out)
