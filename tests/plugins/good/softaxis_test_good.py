"""A backend that works and has limits: it lacks a newer keyword, and its record has conditions."""

import numpy as np

from softaxis.backend import Backend, declined

backend = Backend("good", types=(np.ndarray,))


@backend.implements(dtypes=("float64",))
def softmax(x, /, *, axis, where=None, temperature=None, dtype=None, out=None):
    """Compute softmax as it was defined before there was a sink."""
    if where is not None:
        return declined("no mask yet")
    if temperature is not None or dtype is not None or out is not None:
        return NotImplemented
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@backend.implements(name="log_sigmoid", dtypes=None, min_size=10)
def of_large_arrays(x, /, **_):
    """Compute it for large arrays only."""
    return np.minimum(x, 0) - np.log1p(np.exp(-abs(x)))


@backend.implements(dtypes=None, devices=("tpu",))
def sigmoid(x, /, **_):
    """Never run: there is no such device."""
    raise AssertionError


@backend.implements(dtypes=None)
def of_the_future(x, /):
    """Implement a function that this version of softaxis does not have."""
    raise AssertionError
