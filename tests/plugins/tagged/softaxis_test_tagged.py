"""A package that derives arrays from NumPy's, and the backend for them."""

import numpy as np

from softaxis.backend import Backend


class Tagged(np.ndarray):
    """An ndarray that this package owns."""


class MoreTagged(Tagged):
    """A class derived from it."""


backend = Backend("tagged", types=(Tagged,))


@backend.implements(dtypes=None)
def softmax(x, /, **_):
    """Answer in a way that shows who did: every probability is 3."""
    return np.full_like(x, 3.0)
