"""Claims float16, and declines every call with it."""

import numpy as np

from softaxis.backend import Backend, declined
from softaxis_broken_examples._right import right

backend = Backend("claims_a_dtype", types=(np.ndarray,))


@backend.implements(dtypes=("float16", "float32", "float64"))
def sigmoid(x, /, **options):
    """Compute sigmoid, unless its dtype is float16."""
    if x.dtype == np.float16:
        return declined("no float16 after all")
    return right.sigmoid(x, **options)
