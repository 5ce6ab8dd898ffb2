"""What is under test: one backend on arrays of one library, called directly."""

from __future__ import annotations

import contextlib
import importlib
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from softaxis._axes import normalize_axis
from softaxis._dispatch import _registry
from softaxis._dispatch._forced import BackendFunctions
from softaxis._dispatch._tables import tables
from softaxis.backend import Backend, Declined, Implementation
from softaxis.testing._arrays import ALL_DTYPES, COMPLEX, FLOATS, Arrays, NDArray
from softaxis.testing._comparing import excess
from softaxis.testing._known_arrays import arrays_for
from softaxis.testing._limits import EPS, TINY
from softaxis.testing._pasting import DType
from softaxis.testing._trials import Operand, Trial, axes_of

HELD = tuple(name for name in FLOATS if name != "longdouble")
"""The dtypes that float64 holds: `math.fsum` adds their rows up exactly."""


class Wrong(Exception):
    """A promise is not kept; the message says which."""


class Subject:
    """A backend, and how its arrays are made.

    Parameters
    ----------
    backend : str or Backend
        A backend that `softaxis.list_backends` knows, or one that is not installed.
    library : str, optional
        The array library, for `default`, which runs on many.
    device : optional
        Where arrays are made.
    """

    def __init__(self, backend: str | Backend, library: str | None = None, device: Any = None):
        self.where = ""
        found = backend if isinstance(backend, Backend) else None
        if isinstance(backend, str) and backend != "default":
            found = _registry.demand(backend)
        if found is None:
            self.name = "default"
            implementations = {table.name: table.default for table in tables.values()}
            self.arrays = arrays_for(library or "numpy", device)
        else:
            self.name = found.name
            implementations = found.functions
            self.arrays = self._arrays_of(found, library, device)
        self.implementations: dict[str, Implementation] = implementations
        known = {name: one for name, one in implementations.items() if name in tables}
        self.functions = BackendFunctions(self.name, known)
        self.worst: dict[tuple[str, str], float] = {}

    def _arrays_of(self, backend: Backend, library: str | None, device: Any) -> Arrays:
        if backend.arrays is None or library is not None:
            return arrays_for(library or _package(backend), device)
        module, _, name = backend.arrays.partition(":")
        arrays = getattr(importlib.import_module(module), name)
        if not isinstance(arrays, Arrays):
            raise TypeError(
                f"`arrays` of backend {backend.name!r} must name a softaxis.testing.Arrays, "
                f"got {arrays!r}"
            )
        self.where = backend.arrays
        return type(arrays)(device) if device is not None else arrays

    def keywords(self, function: str) -> tuple[str, ...]:
        """Return the keyword arguments that the implementation takes."""
        takes = self.implementations[function].keywords
        every = tables[function].keywords
        return tuple(name for name in every if takes is None or name in takes)

    def dtypes(self, function: str) -> tuple[str, ...]:
        """Return the dtypes that the implementation claims and the library has."""
        claimed = self.implementations[function].capability.dtypes
        return tuple(
            name
            for name in ALL_DTYPES
            if self.arrays.has_dtype(name) and (claimed is None or name in claimed)
        )

    def floats(self, function: str) -> tuple[str, ...]:
        """Return the floating dtypes among them."""
        return tuple(name for name in self.dtypes(function) if name in FLOATS)

    def widest(self, function: str) -> tuple[str, ...]:
        """Return the widest of these that derivatives are recorded for, if there is one."""
        return tuple(name for name in self.floats(function) if name in HELD)[-1:]

    def result_dtype(self, dtype: str) -> str:
        """Return the dtype of a result, by the rule of promotion."""
        return dtype if dtype in FLOATS or dtype in COMPLEX else self.arrays.default_float

    def make(self, value: Any) -> Any:
        """Turn what a trial holds into what is passed."""
        if isinstance(value, Operand):
            if value.layout:
                return dict(self.arrays.layouts(value.values, value.dtype))[value.layout]
            return self.arrays.asarray(value.values, value.dtype)
        return self.arrays.dtype(value.name) if isinstance(value, DType) else value

    def made(self, trial: Trial) -> tuple[Any, list[Any], dict[str, Any]]:
        """Return the function of a call, its arrays and its keyword arguments."""
        arrays = [self.make(operand) for operand in trial.arrays]
        keywords = {key: self.make(value) for key, value in trial.keywords.items()}
        return getattr(self.functions, trial.function), arrays, keywords

    def run(self, trial: Trial) -> None:
        """Make the call, look at everything about it, and compare the result."""
        self.compare(trial, self.call(trial))

    def call(self, trial: Trial, **further: Any) -> tuple[Any, ...]:
        """Make the call and look at everything about it but the numbers."""
        function, operands, keywords = self.made(trial)
        keywords |= further
        given = {f"argument {i}": array for i, array in enumerate(operands)}
        arrays = given | {k: v for k, v in keywords.items() if k != "out" and self.is_array(v)}
        before = {} if self.arrays.immutable else self.copies(arrays)
        with _attentive(), self.arrays.watched():
            result = function(*given.values(), **keywords)
        parts = result if isinstance(result, tuple) else (result,)
        if len(parts) != len(trial.expected):
            raise Wrong(f"returns {len(parts)} results instead of {len(trial.expected)}")
        device = self.arrays.device_of(given["argument 0"])
        for part in parts:
            self.inspect(part, trial.dtype, device)
        for name, array in before.items():
            if name.startswith("argument") and arrays[name] is further.get("out"):
                continue
            now = self.arrays.to_numpy(arrays[name])
            if not np.array_equal(array, now, equal_nan=array.dtype.kind in "fc"):
                raise Wrong(f"{name} was modified")
        return parts

    def is_array(self, value: Any) -> bool:
        """Say whether a keyword argument is an array."""
        return hasattr(value, "dtype") and hasattr(value, "shape")

    def copies(self, arrays: dict[str, Any]) -> dict[str, NDArray]:
        """Return what the arrays hold."""
        return {name: self.arrays.to_numpy(array).copy() for name, array in arrays.items()}

    def inspect(self, part: Any, dtype: str, device: str) -> None:
        """Look at the type, the dtype and the device of a result."""
        if part is None:
            raise Wrong("returns None: return the result, or declined(...) to decline")
        if not self.arrays.holds(part):
            raise Wrong(f"returns {type(part).__name__}, which is no array of {self.arrays.name}")
        if self.arrays.dtype_name(part) != dtype:
            raise Wrong(f"returns dtype {self.arrays.dtype_name(part)} instead of {dtype}")
        if self.arrays.device_of(part) != device:
            raise Wrong(f"returns an array on {self.arrays.device_of(part)}, given one on {device}")

    def compare(self, trial: Trial, parts: tuple[Any, ...]) -> None:
        """Compare numbers with what was expected, and remember the largest error."""
        bound = self.implementations[trial.function].capability.bound
        for part, expected in zip(parts, trial.expected, strict=True):
            actual = self.arrays.to_numpy(part)
            if actual.shape != expected.high.shape:
                raise Wrong(f"returns shape {actual.shape} instead of {expected.high.shape}")
            if not actual.size:
                continue
            if trial.function == "log_softmax" and trial.dtype in COMPLEX:
                turns = np.rint((expected.high.imag - actual.imag) / (2 * np.pi))
                actual = actual + 2j * np.pi * turns  # any logarithm of softmax will do
            ratio = excess(actual, expected, trial.dtype, flushed=self.arrays.flushes_subnormals)
            at = np.unravel_index(int(ratio.argmax()), ratio.shape)
            worst = float(ratio[at])
            if worst > bound:
                raise Wrong(_difference(actual, expected.high, at, worst, bound))
            if trial.function in {"softmax", "softmin"} and trial.dtype in HELD:
                self.add_up(trial, actual, expected.high, bound)
            key = trial.function, trial.dtype
            self.worst[key] = max(self.worst.get(key, 0.0), worst)

    def add_up(self, trial: Trial, actual: NDArray, high: NDArray, bound: float) -> None:
        """See that the rows of softmax sum to 1, within 8 eps."""
        axis = trial.keywords.get("axis", -1)
        if "sink" in trial.keywords or not actual.ndim:
            return
        axes = axes_of(axis, actual.ndim)
        n = int(np.prod([actual.shape[i] for i in axes], dtype=int))
        eps, tiny = EPS[trial.dtype], TINY[trial.dtype]
        # below the smallest normal number every element is rounded by half a spacing, or to 0
        allowed = bound * 8 * eps + n * tiny * (1 if self.arrays.flushes_subnormals else eps / 2)
        moved = np.moveaxis(actual, axes, range(-len(axes), 0)).reshape(-1, n)
        one = np.moveaxis(high, axes, range(-len(axes), 0)).reshape(-1, n).sum(axis=1) > 0.5
        for row in moved[one].astype(np.float64):
            off = abs(float(math.fsum(row) - 1))
            if off > allowed:
                raise Wrong(f"a row of softmax sums to 1 give or take {off / eps:.3g} eps, not 8")

    def direct(self, trial: Trial) -> tuple[Any, dict[str, Any]]:
        """Return the bare implementation and the keyword arguments that dispatch passes it."""
        implementation = self.implementations[trial.function]
        given = {**tables[trial.function].keywords, **trial.keywords}
        if "axis" in given:
            ndim = trial.arrays[0].values.ndim
            given["axis"] = normalize_axis(given["axis"], ndim)
        takes = implementation.keywords
        lacking = () if takes is None else set(trial.keywords) - takes
        if lacking:
            raise Declined(f"takes no {', '.join(sorted(lacking))}")
        return implementation.function, {
            key: self.make(value) for key, value in given.items() if takes is None or key in takes
        }


def _package(backend: Backend) -> str:
    """Return the array package whose arrays a backend serves."""
    source = _registry.find(backend.name)
    if source is not None:
        return source.package
    module = backend.types[0].__module__.partition(".")[0]
    return {"jaxlib": "jax"}.get(module, module)


@contextlib.contextmanager
def _attentive() -> Iterator[None]:
    """Turn warnings and floating-point errors into exceptions."""
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        yield


def _difference(actual: NDArray, high: NDArray, at: Any, worst: float, bound: float) -> str:
    place = "" if actual.ndim == 0 else f" at {tuple(map(int, at))}"
    how_far = f"{worst:.3g} times the documented bound" if np.isfinite(worst) else ""
    allowed = f", {bound:g} times declared" if bound != 1 else ""
    text = f"gives {actual[at]!s} instead of {high[at]!s}{place}"
    return f"{text} ({how_far}{allowed})" if how_far else text
