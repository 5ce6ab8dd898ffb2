"""Dask."""

from __future__ import annotations

import array_api_compat.dask.array as xp
import numpy as np

from softaxis._libraries._numpy import quiet
from softaxis._libraries._record import Library

LIBRARY = Library("dask", xp, dtype=np.dtype, immutable=True, quiet=quiet)
