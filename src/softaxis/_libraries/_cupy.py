"""CuPy."""

from __future__ import annotations

import array_api_compat.cupy as xp
import numpy as np

from softaxis._libraries._record import Array, Library


def _device(_: Array) -> str:
    return "cuda"


LIBRARY = Library("cupy", xp, device=_device, dtype=np.dtype)
