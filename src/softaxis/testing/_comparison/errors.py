"""The largest error of a result, counted in eps, on whole rows against mpmath."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from softaxis.testing import references as ref
from softaxis.testing._arrays import NDArray
from softaxis.testing._comparison.functions import COMPARED, Truth, truth_of
from softaxis.testing._comparison.problem import Problem, axes_of, row_length

BUDGET = 10_000
"""Elements that mpmath evaluates, unless a single row has more."""
LONGEST = 200_000
"""Elements of the longest row that mpmath evaluates: some seconds."""


class Error(NamedTuple):
    """The largest error, what is allowed at that place, and whether one is above its bound."""

    eps: float
    bound: float
    above: bool


class Sample(NamedTuple):
    """Rows spread evenly over the input, and what they should give."""

    places: NDArray
    rows: int
    truth: Truth


def sample_of(problem: Problem) -> Sample | None:
    """Pick rows and evaluate them; None where one row is too long."""
    length = row_length(problem)
    if length > LONGEST:
        return None
    rows = problem.x.size // length
    count = min(rows, max(BUDGET // length, 1))
    places = np.unique(np.linspace(0, rows - 1, count).astype(int))
    picked = _as_rows(problem.x, problem, length)[places]
    operands = [np.asarray(array).reshape(-1)[places] for array in problem.operands]
    truth = truth_of(problem.function, picked, *operands)
    return Sample(places, rows, truth)


def largest_error(
    result: Any, dtype: str, problem: Problem, sample: Sample, *, flushed: bool = False
) -> Error:
    """Compare the rows of the sample; a result of another shape is an error of its own kind."""
    axes = axes_of(problem)
    shape = problem.x.shape
    reduces = COMPARED[problem.function].reduces
    wanted = tuple(n for i, n in enumerate(shape) if i not in axes) if reduces else shape
    result = np.asarray(result)
    if result.shape != wanted:
        raise ValueError(f"gives shape {result.shape}, should be {wanted}")
    rows = result.reshape(-1) if reduces else _as_rows(result, problem, row_length(problem))
    return count_error(rows[sample.places], dtype, sample.truth, flushed=flushed)


def count_error(actual: NDArray, dtype: str, truth: Truth, *, flushed: bool = False) -> Error:
    """Find the largest error in eps of `dtype`.

    Numbers that are not finite have to agree. Near and below the smallest normal number its
    spacing counts; a library that flushes such results to zero is not blamed for that.
    """
    eps, tiny = ref.EPS[dtype], ref.exact(ref.TINY[dtype])
    worst, allowed, above = -1.0, 0.0, False
    for index in np.ndindex(actual.shape):
        want, got = truth.expected[index], actual[index]
        if not ref.mp.isfinite(want):
            agrees = np.isnan(got) if ref.mp.isnan(want) else ref.exact(got) == want
            off = 0.0 if agrees else math.inf
        elif not np.isfinite(got):
            off = math.inf
        else:
            error = abs(ref.exact(got) - want)
            if flushed and abs(want) < 2 * tiny and error <= tiny:
                error = ref.ZERO
            off = float(error / (eps * max(truth.scale[index], tiny)))
        bound = float(truth.bound[index])
        above = above or off > bound
        if off > worst:
            worst, allowed = off, bound
    return Error(worst, allowed, above)


def _as_rows(array: NDArray, problem: Problem, length: int) -> NDArray:
    axes = axes_of(problem)
    return np.moveaxis(array, axes, range(-len(axes), 0)).reshape(-1, length)
