"""A backend that says it is NumPy's."""

import numpy as np

from softaxis.backend import Backend

backend = Backend("numpy", types=(np.ndarray,))
