"""NumPy: in-place ufuncs, blocked to the cache, for the calls that people make most."""

from __future__ import annotations

import numpy as np

from softaxis.backend import Backend

backend = Backend("numpy", types=(np.ndarray,))
