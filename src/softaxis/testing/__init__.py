"""The conformance kit: what softaxis promises, as checks for any backend.

``python -m softaxis test NAME`` runs them. See docs/writing-a-backend for how to use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softaxis.testing._arrays import Arrays
    from softaxis.testing._diagnosis import Diagnosis
    from softaxis.testing._doctor import doctor
    from softaxis.testing._known_arrays import arrays_for
    from softaxis.testing._long_rows import long_row
    from softaxis.testing._run import Outcome, Report, check

__all__ = [
    "Arrays",
    "Diagnosis",
    "Outcome",
    "Report",
    "arrays_for",
    "check",
    "doctor",
    "long_row",
]

_HOMES = {
    "Arrays": "_arrays",
    "Diagnosis": "_diagnosis",
    "Outcome": "_run",
    "Report": "_run",
    "arrays_for": "_known_arrays",
    "check": "_run",
    "doctor": "_doctor",
    "long_row": "_long_rows",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: the doctor runs without NumPy, and takes the time of its import."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
