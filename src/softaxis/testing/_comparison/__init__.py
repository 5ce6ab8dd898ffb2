"""`softaxis.compare`: one function and one input, every installed library side by side."""

from __future__ import annotations

from importlib import import_module

try:
    for _name in ("numpy", "mpmath"):
        import_module(_name)
except ImportError as error:
    raise ImportError(
        f"softaxis.compare needs NumPy and mpmath ({error}); to install them: "
        'python -m pip install "softaxis[test]"'
    ) from error

from softaxis.testing._comparison.comparison import compare
from softaxis.testing._comparison.functions import COMPARED
from softaxis.testing._comparison.result import Row
from softaxis.testing._comparison.shown import Comparison

__all__ = ["COMPARED", "Comparison", "Row", "compare"]
