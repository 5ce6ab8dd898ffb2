"""Inputs that today's libraries get wrong, and what each of them should give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softaxis.testing import references as ref
from softaxis.testing._arrays import NDArray
from softaxis.testing._comparison.functions import COMPARED

MANY = 70_000


class Probe(NamedTuple):
    """One row. `masked`: all of it; `gradient`: the derivative is looked at, not the result."""

    label: str
    x: NDArray
    dtype: str
    operands: tuple[NDArray, ...] = ()
    masked: bool = False
    gradient: bool = False


def _row(label: str, values: Any, dtype: str, *operands: Any) -> Probe:
    arrays = tuple(np.asarray(each) for each in operands)
    return Probe(label, np.asarray(values, dtype), dtype, arrays)


_BYTES = (
    _row("uint8 [1, 2, 200]", [1, 2, 200], "uint8"),
    _row("uint8 [1, 2, 3]", [1, 2, 3], "uint8"),
)
_EQUAL = _row(f"{MANY} equal float16", np.zeros(MANY), "float16")
_MASKED = _row("a row masked entirely", [0.5, -1.0, 2.0], "float32")._replace(masked=True)
_MASKED_SLOPE = _MASKED._replace(label="gradient of that row", gradient=True)
_EMPTY = _row("a row of -inf", [-np.inf] * 3, "float32")

PROBES: dict[str, tuple[Probe, ...]] = {
    "softmax": (*_BYTES, _EQUAL, _MASKED, _MASKED_SLOPE),
    "log_softmax": (
        _row("float32 [0, -20]", [0, -20], "float32"),
        *_BYTES,
        _EQUAL,
        _MASKED,
        _MASKED_SLOPE,
    ),
    "logsumexp": (
        _row("float64 [0, -40]", [0, -40], "float64"),
        *_BYTES,
        _EQUAL,
        _EMPTY,
        _EMPTY._replace(label="gradient of that row", gradient=True),
    ),
    "cross_entropy": (
        _row("[20, 0], label 0", [20, 0], "float32", 0),
        _row("[1e8, 1e8], label 0", [1e8, 1e8], "float32", 0),
        _EQUAL._replace(operands=(np.asarray(0),)),
        _MASKED_SLOPE._replace(label="gradient of a masked row", operands=(np.asarray(0),)),
    ),
    "softmin": (*_BYTES, _EQUAL),
    "sigmoid": (_row("uint8 [0, 1, 200]", [0, 1, 200], "uint8"),),
    "log_sigmoid": (
        _row("float32 [20, -20]", [20, -20], "float32"),
        _row("uint8 [0, 1, 20]", [0, 1, 20], "uint8"),
    ),
    "logmeanexp": (*_BYTES, _EQUAL),
}

Answer = tuple[Probe, NDArray]


def answers(function: str) -> list[Answer]:
    """Compute what each probe should give, by mpmath."""
    return [(probe, _expected(function, probe)) for probe in PROBES[function]]


def _expected(function: str, probe: Probe) -> NDArray:
    if probe.gradient:
        return _slope(function, probe)
    if probe.masked:
        return np.asarray(_untouched(function, probe, probe.x), dtype=np.float64)
    operands = [each[None] for each in probe.operands]
    expected = COMPARED[function].expected(probe.x[None], *operands)[0]
    return np.asarray(expected, dtype=np.float64)


def _slope(function: str, probe: Probe) -> NDArray:
    """Move one element after the other: where the result stays the same, the derivative is 0."""
    start = _untouched(function, probe, probe.x)
    slope = np.full(probe.x.shape, np.nan)
    for i in range(len(slope)):
        moved = probe.x.copy()
        moved[i] += 1
        if np.all(_untouched(function, probe, moved) == start):
            slope[i] = 0.0
    return slope


def _untouched(function: str, probe: Probe, x: NDArray) -> Any:
    """Evaluate the definition where no element takes part."""
    if function == "logsumexp":
        return ref.logsumexp(x)[0]
    nothing = np.zeros(x.shape, dtype=bool)
    if function == "cross_entropy":
        target = ref.one_hot(probe.operands[0], len(x))
        return ref.cross_entropy(x, target, where=nothing)[0]
    return getattr(ref, function)(x, where=nothing)
