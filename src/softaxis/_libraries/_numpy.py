"""NumPy, and what other libraries that compute with it have in common."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from softaxis._libraries._record import Library, always


def quiet() -> AbstractContextManager[Any]:
    """Return a context in which arithmetic neither warns nor raises."""
    return np.errstate(all="ignore")


def _namespace() -> Any:
    """Return NumPy itself from 2.1 on: to import the namespace beside it takes 0.1 s and more."""
    if hasattr(np, "astype"):
        return np
    import array_api_compat.numpy

    return array_api_compat.numpy


LIBRARY = Library("numpy", _namespace(), readable=always, dtype=np.dtype, quiet=quiet)
