"""Is off by one part in ten thousand, which a tolerance of 1e-3 does not see."""

import numpy as np

from softaxis.backend import Backend
from softaxis_broken_examples._right import right

backend = Backend("wrong_numbers", types=(np.ndarray,))


@backend.implements
def softmax(x, /, **options):
    """Compute softmax times 1.0001."""
    p = right.softmax(x, **options)
    p *= 1.0001
    return p
