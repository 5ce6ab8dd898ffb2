"""Numbers as they are recorded: in two parts, with the error that is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

from softaxis.testing import references as ref

DTYPES = ("float16", "bfloat16", "float32", "float64")


mp = ref.mp


nan, inf = float("nan"), float("inf")


Record: TypeAlias = dict[str, Any]


def record_of(group: str, name: str, dtype: str | None, given: Record, results: Record) -> Record:
    given = {key: plain_numbers(value) for key, value in given.items() if value is not None}
    return {"group": group, "name": name, "dtype": dtype, "given": given, "results": results}


def rounded_to(values: Any, dtype: str) -> list[float]:
    values = list(values)
    if dtype == "bfloat16":
        return _to_bfloat16(values)
    return [float(v) for v in ref.rounded(np.array(values, dtype=object), dtype)]


def _to_bfloat16(values: Iterable[Any]) -> list[float]:
    """Round to 8 bits, to nearest, ties to even."""
    result = []
    for value in values:
        if value == 0:
            result.append(0.0)
            continue
        mantissa, exponent = mp.frexp(value)
        result.append(float(mp.ldexp(mp.nint(mp.ldexp(mantissa, 8)), int(exponent) - 8)))
    return result


def roundings(row: list[float]) -> list[list[float]]:
    """Round to every dtype; what comes out the same is listed once."""
    found: dict[tuple[str, ...], list[float]] = {}
    for dtype in reversed(DTYPES):
        rounded = (
            _to_bfloat16(map(ref.exact, row))
            if dtype == "bfloat16" and np.isfinite(row).all()
            else np.array(row, "float64" if dtype == "bfloat16" else dtype)
        )
        values = [float(v) for v in rounded]
        found.setdefault(tuple(map(repr, values)), values)
    return list(found.values())


def dyadic(n: int, seed: int) -> list[float]:
    """Draw multiples of 1/8 below 8, which every floating dtype holds exactly."""
    return [float(k) / 8 for k in np.random.default_rng([n, seed]).integers(-60, 61, n)]


def pair(value: Any) -> list[Any]:
    high = float(value)
    low = float(value - mp.mpf(high)) if np.isfinite(high) else 0.0
    return [plain_numbers(high), low]


def numbers(values: Any, scale: Any = None) -> list[list[Any]]:
    """Return lists of the nearest float64, of the rest, and of the error allowed in eps."""
    pairs = [pair(value) for value in values]
    allowed = (
        [0.0] * len(pairs)
        if scale is None
        else [float(s) if mp.isfinite(s) else 0.0 for s in scale]
    )
    return [
        [high for high, _ in pairs],
        [low for _, low in pairs],
        [float(f"{a:.3g}") for a in allowed],
    ]


def exactly(values: Any) -> list[list[Any]]:
    return numbers([mp.mpf(value) for value in values])


def plain_numbers(value: Any) -> Any:
    """Return numbers as JSON has them; what is not finite by name."""
    if isinstance(value, bool | int | str | dict):
        return value
    if isinstance(value, list | tuple):
        return [plain_numbers(one) for one in value]
    number = float(value)
    return number if np.isfinite(number) else str(number)
