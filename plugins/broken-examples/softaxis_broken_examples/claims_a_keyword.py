"""Has a parameter `temperature`, and declines every call that uses it."""

import numpy as np

from softaxis.backend import Backend, declined
from softaxis_broken_examples._right import right

backend = Backend("claims_a_keyword", types=(np.ndarray,))


@backend.implements
def softmax(x, /, *, axis, temperature=None):
    """Compute softmax, unless there is a temperature."""
    if temperature is not None:
        return declined("no temperature after all")
    return right.softmax(x, axis=axis)
