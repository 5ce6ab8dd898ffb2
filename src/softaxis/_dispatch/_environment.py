"""The environment variables, read once at import and parsed strictly."""

from __future__ import annotations

import os


def _names(variable: str) -> tuple[str, ...]:
    value = os.environ.get(variable, "")
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _flag(variable: str, default: bool) -> bool:
    value = os.environ.get(variable, "1" if default else "0")
    if value not in ("0", "1"):
        raise ValueError(f"{variable} must be 0 or 1, got {value!r}")
    return value == "1"


PRIORITIZED = _names("SOFTAXIS_PRIORITIZE")
BLOCKED = frozenset(_names("SOFTAXIS_BLOCK"))
THIRD_PARTY = _flag("SOFTAXIS_THIRD_PARTY", default=True)
