"""CuPy: arrays are known, and carried by the array-API implementation."""

from __future__ import annotations

import cupy

from softaxis.backend import Backend

backend = Backend("cupy", types=(cupy.ndarray,))
