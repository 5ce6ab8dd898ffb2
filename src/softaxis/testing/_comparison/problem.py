"""One question to all libraries: a function, an input, an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

import softaxis
from softaxis._axes import normalize_axis
from softaxis.testing._arrays import ALL_DTYPES, COMPLEX, NDArray
from softaxis.testing._comparison.functions import COMPARED

Axis: TypeAlias = int | tuple[int, ...] | None

DTYPES = tuple(name for name in ALL_DTYPES if name not in COMPLEX)
SHAPE = (4096, 1024)


class Problem(NamedTuple):
    """What every contestant is asked; `operands` are the arrays after the first."""

    function: str
    x: NDArray  # of `dtype`; float32 that bfloat16 can hold in place of bfloat16
    dtype: str
    axis: int | tuple[int, ...]
    operands: tuple[NDArray, ...]
    source: str


def posed(
    function: Any, x: Any, shape: Sequence[int] | None, dtype: str | None, axis: Axis, seed: int
) -> Problem:
    """Check the arguments of `compare` and make its arrays."""
    name = _name(function)
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if x is not None and shape is not None:
        raise ValueError("`shape` is for random numbers: give `x` or `shape`, not both")
    rng = np.random.default_rng(seed)
    if x is None:
        dtype = dtype or "float32"
        values = _drawn(SHAPE if shape is None else _lengths(shape), dtype, rng)
        source = "random integers" if values.dtype.kind in "iub" else "random normal numbers"
    else:
        values, source = _given(x), "the array given"
        dtype = dtype or _dtype_of(values)
    values = _cast(values, dtype)
    if values.size == 0:
        raise ValueError(f"`x` must have at least one element, got shape {values.shape}")
    axis = normalize_axis(axis, values.ndim)
    return Problem(name, values, dtype, axis, _operands(name, values, axis, rng), source)


def _name(function: Any) -> str:
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    if name not in COMPARED or function not in (name, getattr(softaxis, name)):
        given = repr(name or function)
        raise ValueError(f"`function` must be one of {', '.join(COMPARED)}, got {given}")
    return name


def _lengths(shape: Any) -> tuple[int, ...]:
    lengths = (shape,) if isinstance(shape, int) else tuple(shape)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in lengths):
        raise ValueError(f"`shape` must be integers of 0 or more, got {shape!r}")
    return lengths


def _drawn(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> NDArray:
    """Normal numbers; of an integer dtype as many values as it has, up to 100 either side of 0."""
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in dtype:
        limits = np.iinfo(dtype)
        low, high = max(int(limits.min), -100), min(int(limits.max), 200)
        return rng.integers(low, high, shape, endpoint=True).astype(dtype)
    return np.asarray(rng.standard_normal(shape))


def _given(x: Any) -> NDArray:
    """Copy an array or nested lists; from any library that NumPy can read."""
    try:
        values = np.array(x)
    except Exception as error:
        raise TypeError(
            f"`x` must be an array of numbers that NumPy can read, got {type(x).__name__}: {error}"
        ) from error
    if values.dtype.kind not in "biuf":
        raise TypeError(f"`x` must hold real numbers, got dtype {values.dtype}")
    return values


def _dtype_of(values: NDArray) -> str:
    if values.dtype.name in DTYPES:
        return str(values.dtype.name)
    return "longdouble"


def _cast(values: NDArray, dtype: str) -> NDArray:
    if dtype != "bfloat16":
        with np.errstate(all="ignore"):
            return values.astype(dtype)
    # The upper half of a float32, rounded to nearest, ties to even.
    wide = values.astype(np.float32)
    bits = wide.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return np.where(np.isfinite(wide), rounded.view(np.float32), wide)


def _operands(
    name: str, x: NDArray, axis: int | tuple[int, ...], rng: np.random.Generator
) -> tuple[NDArray, ...]:
    """Draw the labels of cross_entropy, one a row."""
    if name != "cross_entropy":
        return ()
    if not isinstance(axis, int):
        raise ValueError(f"`axis` must be a single one for cross_entropy, got {axis}")
    rows = tuple(n for i, n in enumerate(x.shape) if i != axis)
    return (np.asarray(rng.integers(0, x.shape[axis], rows)),)


def axes_of(problem: Problem) -> tuple[int, ...]:
    """List the axes of a row."""
    return (problem.axis,) if isinstance(problem.axis, int) else problem.axis


def row_length(problem: Problem) -> int:
    """Count the elements of a row."""
    return math.prod(problem.x.shape[i] for i in axes_of(problem))
