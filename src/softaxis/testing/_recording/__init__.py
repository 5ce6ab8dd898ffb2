"""Write `recorded.json`: what every function should return for every row, evaluated by mpmath.

Run as ``python -m softaxis.testing._recording``; a test compares the file with what this writes.
A number is recorded as two: the nearest float64, and the float64 nearest to the rest. Beside it
stands the error that is allowed, counted in eps.
"""

from __future__ import annotations

from softaxis.testing._recording._everything import FILE, record

__all__ = ["FILE", "record"]
