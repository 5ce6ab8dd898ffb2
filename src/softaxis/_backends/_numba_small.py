"""Small arrays of plain rows, straight to machine code: the shortcuts of the `numba` backend.

What they take is computed by the same functions as elsewhere, without a job and without threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from softaxis._backends._numba._layout import MEAN, NO_LABEL, NONE, SUM

NDArray = npt.NDArray[Any]

SMALL = 1 << 18
"""Elements up to which one thread computes plain rows sooner than two can be told to."""
HELD = 1 << 13
"""Elements up to which the GIL is kept: to release it takes longer than others would wait."""


class Codes(dict["np.dtype[Any]", Any]):
    """The compiled functions for small arrays, by dtype; None for those that have none."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __missing__(self, dtype: np.dtype[Any]) -> Any:
        from softaxis._backends._numba._machine import KNOWS_ARRAYS, code

        has_one = KNOWS_ARRAYS and dtype.isnative and dtype.char in "fd"
        found = self[dtype] = code(self.name, dtype.name) if has_one else None
        return found


def _normalizer(name: str) -> Callable[..., Any]:
    """Return the function that normalises small arrays, into `out` where that is given."""
    codes = Codes(name)
    empty_like = np.empty_like

    def shortcut(x: NDArray, axis: Any, out: NDArray | None = None) -> Any:
        if type(axis) is int and (axis == -1 or axis == x.ndim - 1):
            size, code = x.size, codes[x.dtype]
            if size <= SMALL and code is not None:
                y = empty_like(x) if out is None else out
                if (code.held if size <= HELD else code.free)(x, y):
                    return y
        return NotImplemented

    return shortcut


def takes(x: NDArray, out: NDArray | None) -> bool:
    """Return whether such arrays may be given as they are: `out` is C-contiguous, or None."""
    if type(x) is not np.ndarray:
        return False
    if out is None:
        return True
    return (
        type(out) is np.ndarray
        and out.flags.c_contiguous
        and (out is x or not np.may_share_memory(out, x))
    )


softmax_of_rows = _normalizer("softmax_small")
log_softmax_of_rows = _normalizer("log_softmax_small")

_logsumexp = Codes("logsumexp_small")


def logsumexp_of_rows(x: NDArray, axis: Any) -> Any:
    """Reduce a small array."""
    if type(axis) is int and (axis == -1 or axis == x.ndim - 1):
        size, code = x.size, _logsumexp[x.dtype]
        if size <= SMALL and code is not None:
            y = np.empty(x.shape[:-1], x.dtype)
            if (code.held if size <= HELD else code.free)(x, y):
                return y if y.ndim else y[()]
    return NotImplemented


_cross_entropy = Codes("cross_entropy_small")
_cross_entropy_and_grad = Codes("cross_entropy_and_grad_small")

REDUCTIONS = {"none": NONE, "sum": SUM, "mean": MEAN}


def cross_entropy_of_rows(
    logits: NDArray, labels: Any, axis: Any, ignore_index: Any, reduction: Any
) -> Any:
    """Return the losses of a small array with integer labels; wrong ones are left to others."""
    code = _cross_entropy[logits.dtype]
    if code is None or not _is_small(logits, labels, axis, ignore_index, reduction):
        return NotImplemented
    result = np.empty(labels.shape if reduction == "none" else (), logits.dtype)
    counted = (code.held if logits.size <= HELD else code.free)(
        logits,
        _words(labels),
        np.empty(labels.shape),
        result,
        NO_LABEL if ignore_index is None else ignore_index,
        REDUCTIONS[reduction],
    )
    if counted < 0:
        return NotImplemented
    return result if result.ndim else result[()]


def cross_entropy_and_grad_of_rows(
    logits: NDArray, labels: Any, axis: Any, ignore_index: Any, reduction: Any
) -> Any:
    """Return the same and the gradient."""
    code = _cross_entropy_and_grad[logits.dtype]
    if code is None or not _is_small(logits, labels, axis, ignore_index, reduction):
        return NotImplemented
    slope = np.empty_like(logits)
    result = np.empty(labels.shape if reduction == "none" else (), logits.dtype)
    counted = (code.held if logits.size <= HELD else code.free)(
        logits,
        _words(labels),
        np.empty(labels.shape),
        result,
        slope,
        NO_LABEL if ignore_index is None else ignore_index,
        REDUCTIONS[reduction],
    )
    if counted < 0:
        return NotImplemented
    return result if result.ndim else result[()], slope


def _is_small(logits: NDArray, labels: Any, axis: Any, ignore_index: Any, reduction: Any) -> bool:
    return (
        type(axis) is int
        and (axis == -1 or axis == logits.ndim - 1)
        and logits.size <= SMALL
        and type(labels) is np.ndarray
        and labels.shape == logits.shape[:-1]
        and labels.dtype.char in _SIGNED
        and (
            ignore_index is None or (type(ignore_index) is int and -(2**63) < ignore_index < 2**63)
        )
        and type(reduction) is str
        and reduction in REDUCTIONS
    )


_SIGNED = "bhilq"


def _words(labels: NDArray) -> NDArray:
    """Return labels side by side, in 64 bits."""
    if labels.dtype is _INT64 and labels.flags.c_contiguous:
        return labels
    return np.ascontiguousarray(labels, _INT64)


_INT64 = np.dtype(np.int64)
