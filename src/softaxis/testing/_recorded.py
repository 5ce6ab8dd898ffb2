"""The recorded rows: what mpmath says of each, read from `recorded.json`."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from softaxis.testing._arrays import FLOATS, INTEGERS
from softaxis.testing._comparing import Expected


class Row(NamedTuple):
    """One row, and what each function should make of it."""

    group: str
    name: str
    dtype: str | None
    """The only dtype it is about; None: every one that holds its numbers."""
    given: dict[str, Any]
    results: dict[str, Any]

    @property
    def length(self) -> int:
        """The number of elements."""
        return len(self.given["x"])


class LongRow(NamedTuple):
    """A row of `long_row`: lse - max, that less log n, 1 / sum(exp(x - max)), sum(softmax * g)."""

    kind: str
    length: int
    tail: tuple[float, float]
    mean_tail: tuple[float, float]
    share: tuple[float, float]
    dot: tuple[float, float]


class Recorded(NamedTuple):
    """All of it."""

    rows: tuple[Row, ...]
    long: tuple[LongRow, ...]
    exp: Expected
    """exp(-k / 16) for k = 0, 1, ..."""


@lru_cache(maxsize=1)
def recorded() -> Recorded:
    """Read the file, once."""
    text = files("softaxis.testing").joinpath("recorded.json").read_text(encoding="utf-8")
    data = json.loads(text)
    rows = tuple(Row(**{**row, "given": _numbers(row["given"])}) for row in data["rows"])
    long = tuple(LongRow(**{k: _pair(v) for k, v in row.items()}) for row in data["long"])
    return Recorded(tuple(map(_with_x, rows)), long, expected(data["exp"]))


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _with_x(row: Row) -> Row:
    """Put complex numbers together."""
    if row.group != "complex":
        return row
    x = [complex(a, b) for a, b in zip(row.given["real"], row.given["imag"], strict=True)]
    return row._replace(given={"x": x})


def _numbers(value: Any) -> Any:
    """Turn the names of what is not finite back into numbers."""
    if isinstance(value, dict):
        return {key: _numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    return float(value) if isinstance(value, str) else value


def expected(parts: Any) -> Expected:
    """Return what is expected of one row."""
    if isinstance(parts, dict):
        real, imag = expected(parts["real"]), expected(parts["imag"])
        return Expected(real.high + 1j * imag.high, real.low + 1j * imag.low, real.scale)
    return Expected(*(np.array(_numbers(part), np.float64) for part in parts))


def holds(row: Row, dtype: str) -> bool:
    """Say whether the numbers of a row are numbers of this dtype."""
    if row.dtype is not None or dtype == "bool" or dtype in INTEGERS:
        return row.dtype == dtype
    if (row.group == "complex") != dtype.startswith("complex"):
        return False
    if dtype not in FLOATS:
        return True
    floats = [v for key, v in row.given.items() if key not in {"where", "labels"}]
    if isinstance(row.given.get("labels"), list):
        floats.append(row.given["labels"])
    return all(np.array_equal(_rounded(v, dtype), v, equal_nan=True) for v in floats)


def _rounded(values: Any, dtype: str) -> Any:
    exact = np.array(values, np.float64)
    if dtype != "bfloat16":
        with np.errstate(over="ignore"):
            return exact.astype(dtype).astype(np.float64)
    mantissa, exponent = np.frexp(exact)
    kept = np.ldexp(np.rint(mantissa * 2**8), exponent - 8)
    return np.where(np.abs(exact) < 2.0**128, kept, np.copysign(np.inf, exact))
