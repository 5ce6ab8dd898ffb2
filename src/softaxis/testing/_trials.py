"""Trials: one call each, made of rows whose results are known, and what should come out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from softaxis._axes import as_tuple, normalize_axis, reduced_shape
from softaxis.testing._arrays import FLOATS, NDArray
from softaxis.testing._comparing import Expected
from softaxis.testing._recorded import Row, expected

Axis: TypeAlias = int | tuple[int, ...] | None
Shape: TypeAlias = tuple[int, ...]

NORMALIZERS = ("softmax", "log_softmax", "softmin", "hardmax")
POINTWISE = ("sigmoid", "log_sigmoid")
REDUCTIONS = ("logsumexp", "logmeanexp")
PRODUCTS = ("softmax_vjp", "softmax_jvp", "log_softmax_vjp", "log_softmax_jvp")
LOSSES = ("cross_entropy", "cross_entropy_and_grad")
TAKE_COMPLEX = ("softmax", "log_softmax", "logsumexp")


SINGLE_ROWS = 64
"""How many rows of a failing call are tried alone."""


class Operand(NamedTuple):
    """An array that is passed, before it becomes one of the library under test."""

    values: NDArray
    dtype: str
    layout: str = ""


@dataclass(frozen=True)
class Trial:
    """One call and what should come out."""

    function: str
    arrays: tuple[Operand, ...]
    keywords: Mapping[str, Any]
    expected: tuple[Expected, ...]
    dtype: str
    """The dtype of the result."""
    name: str
    rows: tuple[Row, ...] = field(default=(), repr=False)
    """What it is made of, where a part of it can be tried alone."""
    build: Callable[..., Trial] | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """The number of elements of the first array."""
        return int(self.arrays[0].values.size)

    def with_keywords(self, **keywords: Any) -> Trial:
        """Return the same call with further keyword arguments."""
        return replace(self, keywords={**self.keywords, **keywords})

    def laid_out(self, layout: str) -> Trial:
        """Return the same call, the first array with strides of another kind."""
        first, *rest = self.arrays
        return replace(self, arrays=(first._replace(layout=layout), *rest))

    def smaller(self) -> Iterator[Trial]:
        """Yield the rows one by one, as calls of their own."""
        axis, x = self.keywords.get("axis"), self.arrays[0]
        if x.values.ndim < 2:
            return
        if self.build is not None:
            for row in self.rows:
                yield self.build((row,), (row.length,), 0)
        elif x.values.ndim == 2 and axis in {0, 1} and self.is_rows():
            for i in range(min(x.values.shape[1 - axis], SINGLE_ROWS)):
                yield self.row(i)

    def is_rows(self) -> bool:
        """Say whether all that comes in and goes out has a row for each row of the first array."""
        if any(isinstance(value, Operand) for value in self.keywords.values()):
            return False
        parts = [*(one.values for one in self.arrays), *(one.high for one in self.expected)]
        return all(part.ndim for part in parts) and not self.arrays[0].layout

    def row(self, i: int) -> Trial:
        """Return one row of the arrays and of what is expected, as a batch of one."""
        axis = self.keywords["axis"]

        def part(a: NDArray) -> NDArray:
            return a[:, i : i + 1] if axis == 0 and a.ndim == 2 else a[i : i + 1]

        arrays = tuple(one._replace(values=part(one.values)) for one in self.arrays)
        return replace(self, arrays=arrays, expected=tuple(one.map(part) for one in self.expected))


def stack(
    function: str,
    rows: Sequence[Row],
    shape: Shape,
    axis: Axis,
    *,
    dtype: str,
    result: str,
    name: str = "",
    keepdims: bool = False,
    **keywords: Any,
) -> Trial:
    """Return a call on an array of `shape` whose rows along `axis` are the given ones.

    Parameters
    ----------
    function : str
        What is called.
    rows : sequence of Row
        As many of them, of the right length, with the same arguments.
    shape, axis : tuple of int, axis
        How they lie.
    dtype, result : str
        The dtypes of the first array and of the result.
    name : str
        What it is about.
    keepdims : bool
        For reductions.
    **keywords
        Further arguments.
    """
    place = _Place(shape, axis)
    given = [row.given for row in rows]
    real = dtype if dtype in FLOATS else result
    kept = keepdims and function.startswith("logsumexp_")  # which take results

    def along(key: str, of: str = real) -> Operand:
        return Operand(place.rows([g[key] for g in given]), of)

    def beside(values: Sequence[Any], of: str = real, keepdims: bool = kept) -> Operand:
        return Operand(place.scalars(values, keepdims), of)

    arrays = _arrays(function, given, dtype, along, beside)
    arguments = _options(given, real, along, beside)
    if keepdims:
        arguments["keepdims"] = True
        place = _Place(shape, axis, keepdims=True)
    if function not in POINTWISE:
        arguments["axis"] = axis

    def again(rows: Sequence[Row], shape: Shape, axis: Axis) -> Trial:
        return stack(function, rows, shape, axis, dtype=dtype, result=result, name=name, **keywords)

    return Trial(
        function,
        arrays,
        arguments | keywords,
        _expected(function, rows, place),
        result,
        name or rows[0].name,
        tuple(rows),
        again,
    )


def _arrays(
    function: str,
    given: Sequence[Mapping[str, Any]],
    dtype: str,
    along: Callable[..., Operand],
    beside: Callable[..., Operand],
) -> tuple[Operand, ...]:
    """Return the positional arguments."""
    if function in LOSSES:
        labels = [g["labels"] for g in given]
        whole = not isinstance(labels[0], list)
        return along("x", dtype), beside(labels, "int64") if whole else along("labels")
    if function in PRODUCTS:
        return along("logp" if function.startswith("log") else "p", dtype), along("g")
    if function == "softmax_jacobian":
        return (along("p", dtype),)
    if function.startswith("logsumexp_"):
        lse = beside([g["lse"] for g in given])
        along_g = function.endswith("jvp")
        return along("x", dtype), lse, along("g") if along_g else beside([g["g"][0] for g in given])
    return (along("x", dtype),)


def _options(
    given: Sequence[Mapping[str, Any]],
    dtype: str,
    along: Callable[..., Operand],
    beside: Callable[..., Operand],
) -> dict[str, Any]:
    """Return the keyword arguments that the rows bring with them."""
    first = given[0]
    found: dict[str, Any] = {
        key: first[key] for key in ("label_smoothing", "z_loss") if key in first
    }
    if "where" in first:
        found["where"] = along("where", "bool")
    if "weights" in first:
        found["weights"] = along("weights")
    if "temperature" in first:
        found["temperature"] = beside([g["temperature"] for g in given], keepdims=True)
    if "sink" in first:
        found["sink"] = beside([g["sink"] for g in given])
    if "class_weights" in first:
        found["class_weights"] = Operand(np.array(first["class_weights"]), dtype)
    return found


def _expected(function: str, rows: Sequence[Row], place: _Place) -> tuple[Expected, ...]:
    results = [row.results[function] for row in rows]
    if function in REDUCTIONS:
        return (
            _joined(
                [r.get("value", r) if isinstance(r, dict) else r for r in results], place.scalars, 0
            ),
        )
    if function in {"logsumexp_jvp", "cross_entropy"}:
        return (_joined(results, place.scalars, 0),)
    if function == "cross_entropy_and_grad":
        losses = [row.results["cross_entropy"] for row in rows]
        return _joined(losses, place.scalars, 0), _joined(results, place.rows)
    if function == "softmax_jacobian":
        return (_joined(results, place.matrices),)
    return (_joined(results, place.rows),)


def _joined(results: Sequence[Any], place: Callable[[Any], NDArray], at: Any = ...) -> Expected:
    each = [expected(result) for result in results]
    return Expected(*(place([part[at] for part in parts]) for parts in zip(*each, strict=True)))


class _Place:
    """How rows lie in an array, and what belongs to a row in an array without its axes."""

    def __init__(self, shape: Shape, axis: Axis, *, keepdims: bool = False) -> None:
        self.shape, self.keepdims = shape, keepdims
        self.axes = axes_of(axis, len(shape))
        self.others = tuple(i for i in range(len(shape)) if i not in self.axes)

    def rows(self, rows: Any) -> NDArray:
        """Lay rows along the axes, in row-major order."""
        order = (*self.others, *self.axes)
        moved = np.array(rows).reshape([self.shape[i] for i in order])
        back: NDArray = moved.transpose(np.argsort(order)) if order else moved
        return np.ascontiguousarray(back).reshape(self.shape)

    def scalars(self, values: Any, keepdims: bool = False) -> NDArray:
        """Lay one number a row."""
        shape = reduced_shape(self.shape, self.axes, keepdims or self.keepdims)
        result: NDArray = np.array(values).reshape(shape)
        return result

    def matrices(self, values: Any) -> NDArray:
        """Lay one matrix a row at the end."""
        n = int(np.prod([self.shape[i] for i in self.axes], dtype=int))
        result: NDArray = np.array(values).reshape([self.shape[i] for i in self.others] + [n, n])
        return result


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Return axes as non-negative numbers in order."""
    return as_tuple(normalize_axis(axis, ndim))


def lengths(shape: Shape, axis: Axis) -> tuple[int, int]:
    """Return the number of rows and the length of each."""
    axes = axes_of(axis, len(shape))
    n = int(np.prod([shape[i] for i in axes], dtype=int))
    return int(np.prod(shape, dtype=int)) // max(n, 1), n
