"""Compilers and automatic differentiation."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from softaxis.testing._checks._losses import LABEL_GROUPS
from softaxis.testing._checks._picking import alone, rows_of
from softaxis.testing._comparing import Expected
from softaxis.testing._hows import Step
from softaxis.testing._hows_transforms import compiled, differentiated
from softaxis.testing._subject import Subject


def tracing(subject: Subject, function: str) -> Iterator[Step]:
    """Under `jax.jit` or `torch.compile`."""
    if not subject.implementations[function].capability.traceable:
        return
    groups = ("pool", "derivatives", "special", "where", "temperature", "sink", "masked labels")
    for dtype in subject.widest(function):
        for group in groups:
            for row in rows_of(function, dtype, group)[-1:]:
                yield Step(alone(subject, function, row, dtype), compiled, "compiled")


def gradients(subject: Subject, function: str) -> Iterator[Step]:
    """What the library's automatic differentiation makes of it."""
    if not subject.implementations[function].capability.differentiable:
        return
    products = {"softmax": "softmax_vjp", "log_softmax": "log_softmax_vjp"}
    for dtype in subject.floats(function):
        if function in products:
            for row in rows_of(products[function], dtype, "derivatives"):
                results = row.results | {function: row.results[products[function]]}
                trial = alone(subject, function, row._replace(results=results), dtype)
                weights = np.array(row.given["g"])
                scale = 4 * trial.expected[0].scale  # p is not given but computed
                slope = trial.expected[0]._replace(scale=scale)
                yield Step(trial, differentiated(weights, slope), "differentiated")
        yield from _masked_gradients(subject, function, dtype)
        if function == "cross_entropy":
            for row in rows_of("cross_entropy_and_grad", dtype, *LABEL_GROUPS, "pool"):
                trial = alone(subject, function, row, dtype)
                if np.isfinite(trial.expected[0].high):
                    both = alone(subject, "cross_entropy_and_grad", row, dtype)
                    how = differentiated(np.ones(()), both.expected[1])
                    yield Step(trial, how, "differentiated")


def _masked_gradients(subject: Subject, function: str, dtype: str) -> Iterator[Step]:
    """A masked element has derivative 0, whatever it holds; so has a row of nothing else."""
    if function not in {"softmax", "log_softmax", "softmin", "logsumexp", "logmeanexp"}:
        return
    zero = np.zeros(3)
    for row in rows_of(function, dtype, "where", "special"):
        nothing_left = row.name == "nothing-left"
        if nothing_left or (row.name == "all-minus-inf" and function == "logsumexp"):
            trial = alone(subject, function, row, dtype)
            ones = np.ones(trial.expected[0].high.shape)
            slope = Expected(zero, zero, zero)
            yield Step(trial, differentiated(ones, slope), "differentiated")
    for row in rows_of(function, dtype, "where"):
        if row.name == "nan-masked":  # both ends of sum(p) are constant: p_1 + p_2 = 1
            trial = alone(subject, function, row, dtype)
            if function in {"softmax", "softmin"}:
                slope = Expected(zero, zero, np.full(3, 8.0))
                yield Step(trial, differentiated(np.ones(3), slope), "differentiated")
            if function == "logsumexp":
                p = np.array([0.0, 1 / (1 + math.e), math.e / (1 + math.e)])
                slope = Expected(p, zero, np.array([0.0, 16.0, 16.0]))
                yield Step(trial, differentiated(np.ones(()), slope), "differentiated")
