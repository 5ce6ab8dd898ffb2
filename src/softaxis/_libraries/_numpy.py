"""NumPy, and what other libraries that compute with it have in common."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import array_api_compat.numpy as xp
import numpy as np

from softaxis._libraries._record import Library, always


def quiet() -> AbstractContextManager[Any]:
    """Return a context in which arithmetic neither warns nor raises."""
    return np.errstate(all="ignore")


LIBRARY = Library("numpy", xp, readable=always, dtype=np.dtype, quiet=quiet)
