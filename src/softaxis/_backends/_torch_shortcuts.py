"""Plain rows of tensors: shortcuts of the backend `torch`, past the validation of arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from softaxis._backends import _torch_rows as rows
from softaxis._backends._torch_autograd import (
    CrossEntropy,
    Logsumexp,
    Normalizer,
    Rows,
    Terms,
    is_plain,
    is_recorded,
    is_watched,
)
from softaxis._backends._torch_kernels import KERNELS, cross_entropy_and_grad
from softaxis._backends._torch_rows import FEW

_FLOATS = frozenset((torch.float32, torch.float64, torch.bfloat16, torch.float16))
_SIGNED = frozenset((torch.int64, torch.int32, torch.int16, torch.int8))
_KEPT = 1 << 13
"""Elements up to which a gradient may be kept until it is asked for."""
_WORKING = (torch.float32, torch.float64)
"""Dtypes in which it can be: others are to be rounded when all factors are there."""
_REDUCTIONS = ("none", "sum", "mean")


def _is_for_others(x: Tensor, axis: Any) -> bool:
    """Return whether rows do not lie along the last axis, or somebody is to see every operator."""
    return (
        type(axis) is not int
        or (axis != -1 and axis != x.ndim - 1)
        or x.dtype not in _FLOATS
        or x.ndim == 0
        or 0 in x.shape
        or is_watched()
    )


def softmax_of_rows(x: Tensor, axis: Any) -> Any:
    """Normalise rows; short ones by the native operator, which is right there, and the fastest."""
    if _is_for_others(x, axis):
        return NotImplemented
    if is_recorded(x):
        return Normalizer.apply("softmax", x, Rows(KERNELS, x.ndim - 1))
    if x.shape[-1] < FEW:
        return torch.softmax(x, -1, dtype=x.dtype)  # autocast would choose another one
    return KERNELS.softmax(x, x.ndim - 1, None)


def log_softmax_of_rows(x: Tensor, axis: Any) -> Any:
    """Normalise rows."""
    if _is_for_others(x, axis):
        return NotImplemented
    if is_recorded(x):
        return Normalizer.apply("log_softmax", x, Rows(KERNELS, x.ndim - 1))
    return KERNELS.log_softmax(x, x.ndim - 1, None)


def logsumexp_of_rows(x: Tensor, axis: Any) -> Any:
    """Reduce rows."""
    if _is_for_others(x, axis):
        return NotImplemented
    if is_recorded(x):
        return Logsumexp.apply(x, Rows(KERNELS, x.ndim - 1))
    return KERNELS.logsumexp(x, x.ndim - 1, None).squeeze(-1)


def cross_entropy_of_rows(
    logits: Tensor, labels: Any, axis: Any, ignore_index: Any, reduction: Any
) -> Any:
    """Return losses on the CPU, where it shows if a label names no class."""
    if (
        type(labels) is not Tensor
        or labels.dtype not in _SIGNED
        or not (labels.is_cpu and logits.is_cpu)
        or labels.shape != logits.shape[:-1]
        or not (ignore_index is None or type(ignore_index) is int)
        or reduction not in _REDUCTIONS
        or _is_for_others(logits, axis)
    ):
        return NotImplemented
    terms = Terms(None, None, ignore_index, 0.0, 0.0, reduction)
    try:
        if is_recorded(logits):
            known = None
            if logits.numel() <= _KEPT and logits.dtype in _WORKING:
                known = cross_entropy_and_grad(logits.detach(), labels, logits.ndim - 1, terms)
            return CrossEntropy.apply(logits, labels, Rows(KERNELS, logits.ndim - 1), terms, known)
        return KERNELS.cross_entropy(logits, labels, logits.ndim - 1, terms)
    except RuntimeError:  # as of `gather`, where a label names no class: that is said elsewhere
        return NotImplemented


def _product(kernel: Callable[[Tensor, Tensor, int], Tensor]) -> Callable[..., Any]:
    """Return a shortcut of a product of a result with a direction."""

    def of_rows(y: Tensor, v: Any, axis: Any) -> Any:
        if (
            _is_for_others(y, axis)
            or type(v) is not Tensor
            or v.dtype is not y.dtype
            or v.device != y.device
            or v.shape != y.shape
            or not is_plain(y, v)
        ):
            return NotImplemented
        return kernel(y, v, y.ndim - 1)

    return of_rows


softmax_vjp_of_rows = softmax_jvp_of_rows = _product(rows.softmax_vjp)
log_softmax_vjp_of_rows = _product(rows.log_softmax_vjp)
log_softmax_jvp_of_rows = _product(rows.log_softmax_jvp)

SHORTCUTS: dict[str, Callable[..., Any]] = {
    "softmax": softmax_of_rows,
    "log_softmax": log_softmax_of_rows,
    "logsumexp": logsumexp_of_rows,
    "cross_entropy": cross_entropy_of_rows,
    "softmax_vjp": softmax_vjp_of_rows,
    "softmax_jvp": softmax_jvp_of_rows,
    "log_softmax_vjp": log_softmax_vjp_of_rows,
    "log_softmax_jvp": log_softmax_jvp_of_rows,
}
