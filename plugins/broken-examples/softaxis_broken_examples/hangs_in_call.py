"""Never comes back from a call with an infinity: a refinement that does not converge."""

import numpy as np

from softaxis.backend import Backend
from softaxis_broken_examples._right import right

backend = Backend("hangs_in_call", types=(np.ndarray,))


@backend.implements
def sigmoid(x, /, **options):
    """Compute sigmoid once the steps are small."""
    step = np.abs(x).max(initial=0)
    while step > 1e-9:
        step = step / 2
    return right.sigmoid(x, **options)
