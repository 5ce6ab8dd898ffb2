"""Tensors as arrays, and what the kernels of the `numba` backend make of them as tensors."""

from __future__ import annotations

from functools import cache
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softaxis._axes import Axis, reduced_shape
from softaxis._backends import _numba_small, numba
from softaxis._backends._torch_autograd import PLAIN, Kernels, Terms, is_recorded, is_transformed
from softaxis._backends._torch_rows import FEW
from softaxis._backends.torch import KERNELS as NATIVE

_PAYS = 1 << 17
"""Elements from which on kernels are compiled that are not on disk: that takes some seconds."""
_SHORT = 1 << 12
"""The longest row that the functions for small arrays take."""


def is_memory(x: Tensor) -> bool:
    """Return whether a tensor is numbers in the memory of the CPU, and nobody watches the call."""
    return (
        type(x) in PLAIN
        and x.is_cpu
        and x.layout is torch.strided
        and not x.is_neg()
        and not is_watched()
    )


def is_watched() -> bool:
    """Return whether a mode of PyTorch or its tracer wants to see every operator."""
    return bool(torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state())


def too_small(name: str, x: Tensor, plain: bool) -> str:
    """Return why a tensor is not worth it; `plain` are rows along the last axis, and no mask."""
    if x.numel() >= _PAYS:
        ready = x.dtype is not torch.float16 or _has_float16()
        return "" if ready else "takes float16 on processors that convert it"
    if plain and x.shape[-1] <= _SHORT and x.is_contiguous() and is_ready(name, x.dtype):
        return ""
    return f"fewer than {_PAYS} elements"


def unusual(labels: Tensor, terms: Terms) -> str:
    """Return why the kernel does not compute such a loss."""
    if labels.dtype.is_floating_point or not isfinite(terms.z_loss):
        return "takes integer labels"
    weights = terms.class_weights
    if weights is not None and (is_recorded(weights) or weights.dtype is torch.bfloat16):
        return "has no gradient of `class_weights`, and takes no bfloat16"
    if terms.label_smoothing and not (terms.where is None and terms.class_weights is None):
        return "takes `label_smoothing` without `where` and `class_weights`"
    return ""


@cache
def is_ready(name: str, dtype: torch.dtype) -> bool:
    """Return whether a small tensor finds compiled code, on disk or in memory."""
    if dtype not in (torch.float32, torch.float64):
        return False
    from softaxis._backends._numba._machine import KNOWS_ARRAYS, is_compiled

    return KNOWS_ARRAYS and is_compiled(f"{name}_small", str(dtype).removeprefix("torch."))


@cache
def _engine() -> Any:
    from softaxis._backends._numba import _engine

    return _engine


@cache
def _has_float16() -> bool:
    from softaxis._backends._numba._launch import HAS_FLOAT16

    return bool(HAS_FLOAT16)


def softmax(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """exp(z) / sum(exp(z))."""
    return _tensor(numba.softmax(_array(x), axis=axis, where=_mask(where)))


def softmax_vjp(p: Tensor, g: Tensor, axis: Any) -> Tensor:
    """p (h - sum(p h)), h = g - g_top."""
    if p.numel() < _PAYS:
        return NATIVE.softmax_vjp(p, g, axis)
    return _tensor(numba.softmax_vjp(_array(p), _array(g), axis=axis))


def log_softmax(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """z - log(sum(exp(z)))."""
    return _tensor(numba.log_softmax(_array(x), axis=axis, where=_mask(where)))


def log_softmax_vjp(logp: Tensor, g: Tensor, axis: Any) -> Tensor:
    """g - p sum(g)."""
    if logp.numel() < _PAYS:
        return NATIVE.log_softmax_vjp(logp, g, axis)
    return _tensor(numba.log_softmax_vjp(_array(logp), _array(g), axis=axis))


def logsumexp(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """m + log(sum(exp(x - m))), with the dimensions kept."""
    y = _tensor(numba.logsumexp(_array(x), axis=axis, where=_mask(where)))
    return y.reshape(reduced_shape(tuple(x.shape), axis, keepdims=True))


def logsumexp_vjp(x: Tensor, y: Tensor, g: Tensor, axis: Any, where: Tensor | None) -> Tensor:
    """g softmax(x); 0 for a row of -inf."""
    if x.numel() < _PAYS:
        return NATIVE.logsumexp_vjp(x, y, g, axis, where)
    p = softmax(x, axis, where).mul_(g)
    empty = y == -torch.inf
    return p.masked_fill_(empty, 0.0) if empty.any() else p


def cross_entropy(x: Tensor, labels: Tensor, axis: Axis, terms: Terms) -> Tensor:
    """The loss."""
    return _tensor(numba.cross_entropy(_array(x), _array(labels), axis=axis, **_keywords(terms)))


def cross_entropy_vjp(x: Tensor, labels: Tensor, g: Tensor, axis: Any, terms: Terms) -> Tensor:
    """g d loss / d x: a factor of all rows is the kernel's, one for each is multiplied with."""
    if x.numel() < _PAYS:
        return NATIVE.cross_entropy_vjp(x, labels, g, axis, terms)
    one = not any(g.stride())  # a number, or one that autograd has expanded
    _, slope = _engine().cross_entropy(
        _array(x),
        _array(labels),
        axis,
        **_keywords(terms),
        gradient=True,
        scale=float(g.flatten()[0]) if one else 1.0,
    )
    dx = _tensor(slope)
    return dx if one else dx.mul_(g.unsqueeze(axis))


KERNELS = Kernels(
    softmax,
    softmax_vjp,
    log_softmax,
    log_softmax_vjp,
    logsumexp,
    logsumexp_vjp,
    cross_entropy,
    cross_entropy_vjp,
)


def softmax_of_rows(x: Tensor, axis: Any) -> Any:
    """Normalise a small tensor; the native operator does it where rows are short."""
    a = _unrecorded(x, axis)
    if a is None:
        return NotImplemented
    if x.shape[-1] < FEW:
        return torch.softmax(x, -1)
    return _of_rows("softmax", x.dtype, a, -1)


def log_softmax_of_rows(x: Tensor, axis: Any) -> Any:
    """The same, and its logarithm."""
    a = _unrecorded(x, axis)
    return NotImplemented if a is None else _of_rows("log_softmax", x.dtype, a, -1)


def logsumexp_of_rows(x: Tensor, axis: Any) -> Any:
    """Reduce a small tensor."""
    a = _unrecorded(x, axis)
    return NotImplemented if a is None else _of_rows("logsumexp", x.dtype, a, -1)


def cross_entropy_of_rows(
    logits: Tensor, labels: Any, axis: Any, ignore_index: Any, reduction: Any
) -> Any:
    """Return the losses of a small tensor with integer labels."""
    a = _unrecorded(logits, axis)
    if a is None or type(labels) is not Tensor or not labels.is_cpu:
        return NotImplemented
    y = labels.numpy()
    return _of_rows("cross_entropy", logits.dtype, a, y, -1, ignore_index, reduction)


_SMALL: dict[str, Any] = {
    "softmax": _numba_small.softmax_of_rows,
    "log_softmax": _numba_small.log_softmax_of_rows,
    "logsumexp": _numba_small.logsumexp_of_rows,
    "cross_entropy": _numba_small.cross_entropy_of_rows,
}


def _of_rows(name: str, dtype: torch.dtype, *arguments: Any) -> Any:
    if not is_ready(name, dtype):
        return NotImplemented
    y = _SMALL[name](*arguments)
    return y if y is NotImplemented else _tensor(y)


def _unrecorded(x: Tensor, axis: Any) -> Any:
    """Return a tensor as an array where nobody looks on; None also for rows along another axis."""
    if (
        type(axis) is int
        and (axis == -1 or axis == x.ndim - 1)
        and not is_transformed()
        and not is_watched()
    ):
        try:
            return x.numpy()
        except (RuntimeError, TypeError):  # it is recorded, or not in the memory of the CPU
            return None
    return None


def _array(x: Tensor) -> Any:
    return (x.detach() if x.requires_grad else x).numpy()


def _mask(where: Tensor | None) -> Any:
    return None if where is None else where.numpy()


def _keywords(terms: Terms) -> dict[str, Any]:
    arrays = {"where": _mask(terms.where)}
    if terms.class_weights is not None:
        arrays["class_weights"] = _array(terms.class_weights)
    return {**terms._asdict(), **arrays}


def _tensor(y: Any) -> Tensor:
    return torch.from_numpy(y if isinstance(y, np.ndarray) else np.asarray(y))
