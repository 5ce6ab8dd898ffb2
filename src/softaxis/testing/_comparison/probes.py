"""What a contestant gives for the special inputs: right, wrong, or an error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from softaxis._cli._libraries import one_line
from softaxis.testing import references as ref
from softaxis.testing._arrays import Arrays, NDArray
from softaxis.testing._comparison.contestants import (
    ELEMENTWISE,
    Contestant,
    with_default,
)
from softaxis.testing._comparison.natives import Function
from softaxis.testing._comparison.special import Answer, Probe

PLAINLY = 0.01
"""An answer is wrong if it is off by more than 1 %; the column of errors counts the eps."""


class Outcome(NamedTuple):
    """What a contestant makes of a probe."""

    probe: str
    verdict: str  # "right", "WRONG", "refuses" or "n/a"
    gives: float | None = None
    expected: float | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.verdict == "WRONG" and self.gives is not None and self.expected is not None:
            return f"WRONG: gives {short(self.gives)}, should be {short(self.expected)}"
        kind = self.reason.partition(":")[0]
        return f"{self.verdict} ({kind})" if kind else self.verdict


def short(value: float) -> str:
    """Write a number to three significant digits."""
    return "NaN" if math.isnan(value) else f"{value:.3g}"


def outcomes(contestant: Contestant, function: str, answers: list[Answer]) -> tuple[Outcome, ...]:
    """Put all probes to a contestant."""
    return tuple(_outcome(contestant, function, probe, expected) for probe, expected in answers)


def _outcome(contestant: Contestant, function: str, probe: Probe, expected: NDArray) -> Outcome:
    try:
        with contestant.active(probe.dtype):
            arrays = contestant.make_arrays()
            if not arrays.has_dtype(probe.dtype):
                return Outcome(probe.label, "n/a", reason=f"{arrays.name} has no {probe.dtype}")
            result = _answer(contestant, function, probe, arrays)
            if result is None:
                reason = "no derivatives" if probe.gradient else "no masks"
                return Outcome(probe.label, "n/a", reason=reason)
            return judged(probe, arrays.to_numpy(result), arrays.dtype_name(result), expected)
    except Exception as error:  # noqa: BLE001 - an error is an outcome
        return Outcome(probe.label, "refuses", reason=one_line(error))


def _answer(contestant: Contestant, function: str, probe: Probe, arrays: Arrays) -> Any:
    """Call or differentiate; None where the library has nothing of that kind."""
    call = _function_of(contestant, function, probe)
    if call is None:
        return None
    x = arrays.asarray(probe.x, probe.dtype)
    operands = [arrays.asarray(each, arrays.stored_as("int64")) for each in probe.operands]
    options = {} if function in ELEMENTWISE else {"axis": -1}
    if probe.masked:
        options["where"] = arrays.asarray(np.zeros(probe.x.shape, bool), "bool")
    if not probe.gradient:
        return call(x, *operands, **options)
    weights = arrays.asarray([1.0, 2.0, 3.0], probe.dtype)

    def total(x: Any) -> Any:
        result = call(x, *operands, **options)
        return (result * weights).sum() if result.ndim else result

    slope = arrays.gradient(total, x)
    if slope is None and contestant.backend is not None:
        slope = _by_vjp(contestant.backend, function, (x, *operands), weights, options)
    return slope


def _function_of(contestant: Contestant, function: str, probe: Probe) -> Function | None:
    if contestant.backend is not None:
        return with_default(contestant.backend, function)
    return contestant.masked if probe.masked else contestant.function


def _by_vjp(
    backend: str, function: str, inputs: tuple[Any, ...], weights: Any, options: dict[str, Any]
) -> Any:
    """Ask softaxis' own derivatives, where the library has no automatic ones."""

    def call(name: str) -> Callable[..., Any]:
        return with_default(backend, name)

    if function == "cross_entropy":
        return call("cross_entropy_and_grad")(*inputs, **options)[1]
    result = call(function)(*inputs, **options)
    if function == "logsumexp":
        return call("logsumexp_vjp")(*inputs, result, weights[0], axis=-1)
    return call(f"{function}_vjp")(result, weights, axis=-1)


def judged(probe: Probe, actual: NDArray, dtype: str, expected: NDArray) -> Outcome:
    """Compare to `PLAINLY`, or to the smallest number of the dtype; report the worst element."""
    if actual.shape != expected.shape:
        raise ValueError(f"shape {actual.shape}, should be {expected.shape}")
    actual = actual.astype(np.float64)
    smallest = ref.EPS[dtype] * float(ref.TINY[dtype])
    with np.errstate(all="ignore"):
        off = np.abs(actual - expected) - smallest
        off = np.where(actual == expected, -np.inf, off / np.abs(expected))
    off[np.isnan(off) & ~np.isnan(expected)] = np.inf
    worst = np.unravel_index(np.argmax(off), off.shape)
    if off[worst] <= PLAINLY:
        return Outcome(probe.label, "right")
    return Outcome(probe.label, "WRONG", float(actual[worst]), float(expected[worst]))
