"""The largest error against mpmath, in eps of the result's dtype."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from .contestants import MAKERS, Operands
from .grid import DTYPES, FUNCTIONS, IMPLEMENTATIONS
from .threads import limit_threads

ROWS, LENGTH, DIGITS = 40, 48, 50


def _peaked(x: np.ndarray) -> np.ndarray:
    """Let one element of every row stand 10 to 30 above the rest."""
    x[np.arange(ROWS), np.arange(ROWS) % LENGTH] = x.max(axis=-1) + np.linspace(10, 30, ROWS)
    return x


INPUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "normal": lambda x: 4 * x,
    "peaked": _peaked,
    "offset": lambda x: x + 1000,
}
"""Logits from normal ones: ordinary rows, near certainty, all far from 0."""


def operands(function: str, values: str, dtype: str) -> Operands:
    """Draw the same logits every time; the labels name each row's first maximum."""
    x = np.random.default_rng(0).standard_normal((ROWS, LENGTH))
    x = INPUTS[values](x).astype(dtype)
    labels = x.argmax(axis=-1) if function == "cross_entropy" else None
    return Operands(x, -1, labels, None)


def reference(function: str, row: np.ndarray, label: int | None) -> list[Any]:
    """Return one row's result with fifty digits."""
    x = [mpmath.mpf(float(v)) for v in row]
    lse = mpmath.log(mpmath.fsum(map(mpmath.exp, x)))
    if function == "logsumexp":
        return [lse]
    if function == "cross_entropy":
        return [lse - x[label]]
    logs = [v - lse for v in x]
    return logs if function == "log_softmax" else [mpmath.exp(v) for v in logs]


def max_eps(function: str, on: Operands, result: np.ndarray) -> float:
    """Return the largest error; of logsumexp relative to max(1, |m|, |result|), else relative."""
    eps = float(np.finfo(result.dtype).eps)
    result = result.reshape(ROWS, -1).astype(float)  # exact
    worst = 0.0
    with mpmath.workdps(DIGITS):
        for i, row in enumerate(on.x):
            exact = reference(function, row, None if on.labels is None else int(on.labels[i]))
            for got, true in zip(result[i], exact, strict=True):
                scale = abs(true)
                if function == "logsumexp":
                    scale = max(1, scale, abs(float(row.max())))
                worst = max(worst, float(abs(float(got) - true) / scale))
    return worst / eps


class Error:
    """The largest error of small arrays, with every implementation in one graph."""

    params = (IMPLEMENTATIONS, FUNCTIONS, tuple(INPUTS), DTYPES)
    param_names = ("implementation", "function", "values", "dtype")
    unit = "eps"
    version = "1"
    timeout = 120

    def setup(self, implementation: str, function: str, values: str, dtype: str) -> None:
        limit_threads()
        self.on = operands(function, values, dtype)
        self.contestant = MAKERS[implementation](function, self.on)

    def track_max_eps(self, implementation: str, function: str, values: str, dtype: str) -> float:
        self.contestant.before()
        return max_eps(function, self.on, np.asarray(self.contestant.call()))
