"""A backend that is right where it computes, and computes nonsense where it declines."""

import numpy as np

from softaxis.backend import Backend, declined

backend = Backend("careless", types=(np.ndarray,))
returned = []


@backend.implements(dtypes=None)
def softmax(x, /, *, axis, where, temperature, sink, dtype, out):
    """Compute rows of two; decline the others after having written and kept nonsense."""
    rows_of_two = isinstance(axis, int) and x.shape[axis] == 2
    if rows_of_two and where is temperature is sink is dtype is out is None:
        first = 1 / (1 + np.exp(np.flip(x, axis) - x))
        returned.append(first)
        return first
    nonsense = np.full(x.shape, 42.0)
    if out is not None:
        out[...] = nonsense
    returned.append(nonsense)
    return declined("rows of two only")
