"""CuPy, whose arrays may hold the bfloat16 of ml_dtypes (CuPy 14 and newer)."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import array_api_compat.cupy as compat
import numpy as np

from softaxis._libraries._record import Array, Library

_limits: dict[Any, Any] = {}


def _is_brain(dtype: Any) -> bool:
    return getattr(dtype, "name", "") == "bfloat16"


class _Namespace:
    """array_api_compat.cupy, with the kind and the limits of bfloat16, which it does not know."""

    __name__ = compat.__name__

    def __getattr__(self, name: str) -> Any:
        return getattr(compat, name)

    @staticmethod
    def isdtype(dtype: Any, kind: str) -> bool:
        return kind == "real floating" if _is_brain(dtype) else bool(compat.isdtype(dtype, kind))

    @staticmethod
    def finfo(dtype: Any) -> Any:
        found = _limits.get(dtype)
        if found is None:
            library = import_module("ml_dtypes" if _is_brain(dtype) else "numpy")
            found = _limits[dtype] = library.finfo(dtype)
        return found


def _device(_: Array) -> str:
    return "cuda"


LIBRARY = Library("cupy", _Namespace(), device=_device, dtype=np.dtype)
