"""Small tensors of plain rows, straight to compiled kernels: shortcuts of `torch_numba`.

The kernels find rows, sizes and strides in NumPy's arrays, which lie where the tensors do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softaxis._backends import _numba_small
from softaxis._backends._numba_small import HELD, SMALL
from softaxis._backends._torch_autograd import (
    CrossEntropy,
    Logsumexp,
    Normalizer,
    Rows,
    Terms,
    is_plain,
    is_watched,
)
from softaxis._backends._torch_numba import KERNELS, engine, gradient_of_rows, is_memory, launched
from softaxis._backends._torch_ready import PAYS, READY, Ready
from softaxis._backends._torch_shortcuts import SHORTCUTS
from softaxis._backends._torch_team import threads

_FLOATS: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
}
Make = Callable[[Any, Callable[..., Any]], Callable[..., Any]]
"""What makes a shortcut of codes, and of what is asked where there are none."""

_from_numpy = torch.from_numpy
_get_num_threads = torch.get_num_threads
_is_grad_enabled = torch.is_grad_enabled
_ALONE = 1 << 16
"""Elements up to which one thread is as quick as several: PyTorch's need not be woken."""


class _Codes(dict[torch.dtype, Any]):
    """The compiled functions for small arrays, by dtype of tensors; None where there are none."""

    def __init__(self, name: str, ready: Ready | None) -> None:
        self.codes, self.ready = _numba_small.Codes(f"{name}_small"), ready

    def __missing__(self, dtype: torch.dtype) -> Any:
        takes = dtype in _FLOATS and (self.ready is None or self.ready[dtype])
        found = self[dtype] = self.codes[_FLOATS[dtype]] if takes else None
        return found


def _function(
    empty: Callable[[Any], Any],
    recorded: Callable[[Tensor, Any], Tensor],
    shared: Callable[[Tensor, Any], Any],
    codes: _Codes,
    otherwise: Callable[..., Any],
) -> Callable[[Tensor, Any], Any]:
    """Return a shortcut of a function of one tensor.

    `empty` makes the array for its result, `recorded` makes a known result a step of autograd,
    `shared` computes by several threads; `otherwise` is asked where there is no code.
    """

    def of_rows(x: Tensor, axis: Any) -> Any:
        if type(axis) is not int or (axis != -1 and axis != x.ndim - 1) or is_watched():
            return NotImplemented
        code = codes[x.dtype]
        if code is None or not x.is_cpu:
            return otherwise(x, axis)
        differs = x.requires_grad
        try:
            a = (x.detach() if differs else x).numpy()
        except (RuntimeError, TypeError):  # sparse, or not as it is in memory
            return NotImplemented
        size = a.size
        if size > _ALONE:
            if size > SMALL:
                return NotImplemented
            if _get_num_threads() > 1:
                b = shared(x, a)
                return recorded(x, b) if differs and _is_grad_enabled() else _from_numpy(b)
        b = empty(a)
        if not (code.held if size <= HELD else code.free)(a, b):
            return NotImplemented
        return recorded(x, b) if differs and _is_grad_enabled() else _from_numpy(b)

    return of_rows


def _reduced(a: Any) -> Any:
    return np.empty(a.shape[:-1], a.dtype)


def _normalized(name: str) -> Callable[[Tensor, Any], Any]:
    def shared(x: Tensor, a: Any) -> Any:
        y = launched(name, x.detach()) if a.flags.c_contiguous else None
        if y is not None:
            return y.numpy()
        with threads():
            return engine().normalized(name, a, a.ndim - 1, None, None, None, None, None)

    return shared


def _summed(_: Tensor, a: Any) -> Any:
    with threads():
        return np.asarray(engine().logsumexp(a, a.ndim - 1, None, False, None, None))


def _softmax(x: Tensor, b: Any) -> Any:
    return Normalizer.apply("softmax", x, Rows(KERNELS, x.ndim - 1), b)


def _log_softmax(x: Tensor, b: Any) -> Any:
    return Normalizer.apply("log_softmax", x, Rows(KERNELS, x.ndim - 1), b)


def _logsumexp(x: Tensor, b: Any) -> Any:
    return Logsumexp.apply(x, Rows(KERNELS, x.ndim - 1), b)


def _losses(codes: _Codes, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    compute = _numba_small.cross_entropy_of_rows
    compute_both = _numba_small.cross_entropy_and_grad_of_rows

    def of_rows(logits: Tensor, labels: Any, axis: Any, ignore_index: Any, reduction: Any) -> Any:
        if not _are_rows(logits, labels, axis):
            return NotImplemented
        if codes[logits.dtype] is None or not logits.is_cpu:
            return otherwise(logits, labels, axis, ignore_index, reduction)
        differs = logits.requires_grad
        try:
            a, y = (logits.detach() if differs else logits).numpy(), labels.numpy()
        except (RuntimeError, TypeError):
            return NotImplemented
        if a.size > _ALONE and _get_num_threads() > 1:
            if a.size > SMALL or not _are_right(y, a.shape, ignore_index, reduction):
                return NotImplemented
            terms = Terms(None, None, None, 0.0, 0.0, reduction)
            if differs and _is_grad_enabled():
                return CrossEntropy.apply(logits, labels, Rows(KERNELS, a.ndim - 1), terms)
            return KERNELS.cross_entropy(logits, labels, a.ndim - 1, terms)
        if not (differs and _is_grad_enabled()):
            found = compute(a, y, -1, ignore_index, reduction)
            return found if found is NotImplemented else _tensor(found)
        if a.size <= HELD:  # so little may be kept until it is asked for
            found = compute_both(a, y, -1, ignore_index, reduction)
        else:
            found = compute(a, y, -1, ignore_index, reduction), None
        if found is NotImplemented or found[0] is NotImplemented:
            return NotImplemented
        known = _tensor(found[0]), None if found[1] is None else _from_numpy(found[1])
        terms = Terms(None, None, ignore_index, 0.0, 0.0, reduction)
        return CrossEntropy.apply(logits, labels, Rows(KERNELS, logits.ndim - 1), terms, known)

    return of_rows


def _are_right(y: Any, shape: tuple[int, ...], ignore_index: Any, reduction: Any) -> bool:
    """Return whether labels name classes, and every one of them counts."""
    return (
        ignore_index is None
        and type(reduction) is str
        and reduction in _numba_small.REDUCTIONS
        and y.dtype.kind in "iu"
        and y.shape == shape[:-1]
        and y.size > 0
        and bool(y.min() >= 0 and y.max() < shape[-1])
    )


def _losses_and_gradients(codes: _Codes, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    compute_both = _numba_small.cross_entropy_and_grad_of_rows

    def of_rows(logits: Tensor, labels: Any, axis: Any, ignore_index: Any, reduction: Any) -> Any:
        if not _are_rows(logits, labels, axis) or logits.requires_grad:
            return NotImplemented
        if codes[logits.dtype] is None or not logits.is_cpu:
            return otherwise(logits, labels, axis, ignore_index, reduction)
        try:
            a, y = logits.numpy(), labels.numpy()
        except (RuntimeError, TypeError):
            return NotImplemented
        found = compute_both(a, y, -1, ignore_index, reduction)
        if found is NotImplemented:
            return NotImplemented
        return _tensor(found[0]), _from_numpy(found[1])

    return of_rows


def _products(kernel: str, ready: Ready | None, otherwise: Callable[..., Any]) -> Any:
    """Return a shortcut of a product of a result with a direction; `ready` as in `_Codes`."""

    def of_rows(y: Tensor, v: Any, axis: Any) -> Any:
        if not (_are_rows(y, v, axis) and y.shape == v.shape and is_plain(y, v)):
            return NotImplemented
        if y.dtype not in _FLOATS or not (ready is None or ready[y.dtype]) or not y.is_cpu:
            return otherwise(y, v, axis)
        if not is_memory(y, v) or 0 in y.shape:
            return NotImplemented
        dx = gradient_of_rows(kernel, y, v, y.ndim - 1)
        return NotImplemented if dx is None else dx

    return of_rows


def _are_rows(logits: Tensor, labels: Any, axis: Any) -> bool:
    """Return whether classes lie along the last axis, and nobody is to see every operator."""
    return (
        type(axis) is int
        and (axis == -1 or axis == logits.ndim - 1)
        and type(labels) is Tensor
        and not is_watched()
    )


def _tensor(found: Any) -> Tensor:
    return _from_numpy(found if isinstance(found, np.ndarray) else np.asarray(found))


def _never(*_: Any) -> Any:
    return NotImplemented


def _compiling(name: str, make: Make) -> Callable[..., Any]:
    return make(_Codes(name, None), _never)


def _where_ready(name: str, make: Make) -> Callable[..., Any]:
    return make(_Codes(name, READY[name]), _without_kernels(name))


def _without_kernels(name: str) -> Callable[..., Any]:
    ready = READY[name]
    other: Callable[..., Any] = SHORTCUTS.get(name, _never)

    def otherwise(x: Tensor, *arguments: Any) -> Any:
        if x.is_cpu and (x.numel() >= PAYS or ready[x.dtype]):  # the kernels, in the usual way
            return NotImplemented
        return other(x, *arguments)

    return otherwise


_MADE: dict[str, Make] = {
    "softmax": partial(_function, np.empty_like, _softmax, _normalized("softmax")),
    "log_softmax": partial(_function, np.empty_like, _log_softmax, _normalized("log_softmax")),
    "logsumexp": partial(_function, _reduced, _logsumexp, _summed),
    "cross_entropy": _losses,
    "cross_entropy_and_grad": _losses_and_gradients,
}
_PRODUCTS = {
    "softmax_vjp": "softmax_vjp",
    "softmax_jvp": "softmax_vjp",
    "log_softmax_vjp": "log_softmax_vjp",
}
"""The kernels of products, by function."""
COMPILING = {name: _compiling(name, make) for name, make in _MADE.items()}
COMPILING |= {name: _products(kernel, None, _never) for name, kernel in _PRODUCTS.items()}
"""The shortcuts of whoever prefers the kernels: what is missing is compiled."""
WHERE_READY = {name: _where_ready(name, make) for name, make in _MADE.items()}
WHERE_READY |= {
    name: _products(kernel, READY[name], _without_kernels(name))
    for name, kernel in _PRODUCTS.items()
}
"""Those of everybody: where kernels are missing, the backend `torch` computes."""
