"""Warns: it takes exp of what it should have shifted, and repairs the result."""

import numpy as np

from softaxis.backend import Backend
from softaxis_broken_examples._right import right

backend = Backend("warns", types=(np.ndarray,))


@backend.implements
def softmax(x, /, **options):
    """Compute softmax, the hard way if exp overflows."""
    np.exp(x)
    return right.softmax(x, **options)
