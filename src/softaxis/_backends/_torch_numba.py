"""Tensors as arrays, and what the kernels of the `numba` backend make of them as tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from softaxis._axes import Axis, reduced_shape
from softaxis._backends import _numba_small, numba
from softaxis._backends._torch_autograd import (
    PLAIN,
    CrossEntropy,
    Kernels,
    Logsumexp,
    Normalizer,
    Terms,
    is_recorded,
    is_transformed,
)
from softaxis._backends._torch_rows import FEW
from softaxis._backends.torch import KERNELS as NATIVE
from softaxis._threads import at_most

PAYS = 1 << 17
"""Elements from which on kernels are compiled that are not on disk: that takes some seconds."""
_FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
_SHORT = 1 << 12
"""The longest row that the functions for small arrays take."""


def is_memory(*tensors: Tensor | None) -> bool:
    """Return whether tensors are numbers in the memory of the CPU, and nobody watches the call."""
    for x in tensors:
        if x is not None and not (
            type(x) in PLAIN and x.is_cpu and x.layout is torch.strided and not x.is_neg()
        ):
            return False
    return not is_watched()


def is_watched() -> bool:
    """Return whether a mode of PyTorch or its tracer wants to see every operator."""
    return bool(torch._C._len_torch_dispatch_stack() or torch._C._get_tracing_state())


def unusual(labels: Tensor, terms: Terms) -> str:
    """Return why the kernel does not compute such a loss."""
    if labels.dtype.is_floating_point or not isfinite(terms.z_loss):
        return "takes integer labels"
    weights = terms.class_weights
    if not is_memory(labels, weights):
        return "takes plain tensors that nothing watches"
    if weights is not None and (is_recorded(weights) or weights.dtype is torch.bfloat16):
        return "has no gradient of `class_weights`, and takes no bfloat16"
    if terms.label_smoothing and not (terms.where is None and terms.class_weights is None):
        return "takes `label_smoothing` without `where` and `class_weights`"
    return ""


class _Ready(dict[torch.dtype, bool]):
    """Whether an entry is compiled, on disk or in memory, by dtype."""

    def __init__(self, entry: str) -> None:
        self.entry = entry

    def __missing__(self, dtype: torch.dtype) -> bool:
        from softaxis._backends._numba._machine import KNOWS_ARRAYS, is_compiled

        known = KNOWS_ARRAYS and dtype in (torch.float32, torch.float64)
        found = self[dtype] = known and is_compiled(self.entry, str(dtype).removeprefix("torch."))
        return found


_SMALL = {
    name: _Ready(f"{name}_small")
    for name in ("softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy_and_grad")
}
_VJPS = {name: _Ready(name) for name in ("softmax_vjp", "log_softmax_vjp")}


@cache
def _engine() -> Any:
    from softaxis._backends._numba import _engine

    return _engine


@cache
def has_float16() -> bool:
    """Return whether the processor converts float16."""
    from softaxis._backends._numba._launch import HAS_FLOAT16

    return bool(HAS_FLOAT16)


def softmax(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """exp(z) / sum(exp(z))."""
    return _run(numba.softmax, x, axis=axis, where=_mask(where))


def softmax_vjp(p: Tensor, g: Tensor, axis: Any) -> Tensor:
    """p (h - sum(p h)), h = g - g_top."""
    if _is_for_native("softmax_vjp", p, axis):
        return NATIVE.softmax_vjp(p, g, axis)
    return _run(numba.softmax_vjp, p, g, axis=axis)


def _is_for_native(entry: str, x: Tensor, axis: Any) -> bool:
    """Return whether a gradient is not worth compiling a kernel."""
    return isinstance(axis, int) and x.numel() < PAYS and not _VJPS[entry][x.dtype]


def log_softmax(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """z - log(sum(exp(z)))."""
    return _run(numba.log_softmax, x, axis=axis, where=_mask(where))


def log_softmax_vjp(logp: Tensor, g: Tensor, axis: Any) -> Tensor:
    """g - p sum(g)."""
    if _is_for_native("log_softmax_vjp", logp, axis):
        return NATIVE.log_softmax_vjp(logp, g, axis)
    return _run(numba.log_softmax_vjp, logp, g, axis=axis)


def logsumexp(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """m + log(sum(exp(x - m))), with the dimensions kept."""
    y = _run(numba.logsumexp, x, axis=axis, where=_mask(where))
    return y.reshape(reduced_shape(tuple(x.shape), axis, keepdims=True))


def logsumexp_vjp(x: Tensor, y: Tensor, g: Tensor, axis: Any, where: Tensor | None) -> Tensor:
    """g softmax(x); 0 for a row of -inf."""
    if isinstance(axis, int) and x.numel() < PAYS and not _SMALL["softmax"][x.dtype]:
        return NATIVE.logsumexp_vjp(x, y, g, axis, where)
    p = softmax(x, axis, where).mul_(g)
    empty = y == -torch.inf
    return p.masked_fill_(empty, 0.0) if empty.any() else p


def cross_entropy(x: Tensor, labels: Tensor, axis: Axis, terms: Terms) -> Tensor:
    """The loss."""
    return _run(numba.cross_entropy, x, labels, axis=axis, **_keywords(terms))


def cross_entropy_vjp(x: Tensor, labels: Tensor, g: Tensor, axis: Any, terms: Terms) -> Tensor:
    """g d loss / d x: a factor of all rows is the kernel's, one for each is multiplied with."""
    if (
        x.numel() < PAYS
        and terms[:2] == (None, None)
        and terms.label_smoothing == terms.z_loss == 0
    ):
        return _small_gradient(x, labels, g, axis, terms)
    one = not any(g.stride())  # a number, or one that autograd has expanded
    scale = float(g.flatten()[0]) if one else 1.0
    kernel = partial(_engine().cross_entropy, gradient=True, scale=scale)
    dx = _run(lambda *a: kernel(*a, axis, **_keywords(terms))[1], x, labels)
    return dx if one else dx.mul_(g.unsqueeze(axis))


def _small_gradient(x: Tensor, labels: Tensor, g: Tensor, axis: Any, terms: Terms) -> Tensor:
    found: Any = NotImplemented
    if axis == x.ndim - 1 and _SMALL["cross_entropy_and_grad"][x.dtype]:
        found = _numba_small.cross_entropy_and_grad_of_rows(
            _array(x), labels.numpy(), -1, terms.ignore_index, terms.reduction
        )
    if found is NotImplemented:
        return NATIVE.cross_entropy_vjp(x, labels, g, axis, terms)
    return _tensor(found[1]).mul_(g.unsqueeze(-1) if terms.reduction == "none" else g)


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


def softmax_of_short_rows(x: Tensor, axis: Any) -> Any:
    """Normalise short rows by the native operator, which is right there, and the fastest."""
    if not x.requires_grad and _is_plain(x, axis) and 0 < x.shape[-1] < FEW and x.dtype in _FLOATS:
        return torch.softmax(x, -1, dtype=x.dtype)  # autocast would choose another one
    return NotImplemented


def _shortcut(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
    """Return what computes rows of a small tensor, recorded or not, if nobody else looks on."""
    ready = _SMALL[name]
    compute: Callable[..., Any] = getattr(_numba_small, f"{name}_of_rows")

    def of_rows(x: Tensor, axis: Any) -> Any:
        if not _is_plain(x, axis) or not ready[x.dtype]:
            return NotImplemented
        if x.requires_grad:
            if torch.is_grad_enabled() and _is_small(x):
                return step(x, x.ndim - 1, None, KERNELS)
            return NotImplemented
        try:
            y = compute(x.numpy(), -1)
        except (RuntimeError, TypeError):  # not in the memory of the CPU
            return NotImplemented
        return y if y is NotImplemented else _tensor(y)

    return of_rows


softmax_of_rows = _shortcut("softmax", partial(Normalizer.apply, "softmax"))
log_softmax_of_rows = _shortcut("log_softmax", partial(Normalizer.apply, "log_softmax"))


def logsumexp_of_rows(x: Tensor, axis: Any) -> Any:
    """Reduce a small tensor."""
    y = _logsumexp_of_rows(x, axis)
    return y.squeeze(-1) if x.requires_grad and y is not NotImplemented else y


_logsumexp_of_rows = _shortcut("logsumexp", Logsumexp.apply)


def cross_entropy_of_rows(
    logits: Tensor, labels: Any, axis: Any, ignore_index: Any, reduction: Any
) -> Any:
    """Return the losses of a small tensor with integer labels; wrong ones are left to others."""
    if (
        not _is_plain(logits, axis)
        or not _SMALL["cross_entropy"][logits.dtype]
        or type(labels) is not Tensor
    ):
        return NotImplemented
    try:
        a, y = _array(logits), labels.numpy()
    except (RuntimeError, TypeError):
        return NotImplemented
    found = _numba_small.cross_entropy_of_rows(a, y, -1, ignore_index, reduction)
    if found is NotImplemented:
        return NotImplemented
    loss = _tensor(found)
    if not is_recorded(logits):
        return loss
    terms = Terms(None, None, ignore_index, 0.0, 0.0, reduction)
    return CrossEntropy.apply(logits, labels, logits.ndim - 1, terms, KERNELS, loss)


def _is_small(x: Tensor) -> bool:
    """Return whether the functions for small arrays take a tensor."""
    few = 0 < x.numel() < PAYS and x.shape[-1] <= _SHORT
    return few and bool(x.is_cpu and x.is_contiguous())


def _is_plain(x: Tensor, axis: Any) -> bool:
    """Return whether rows lie along the last axis, and nobody replaces or watches them."""
    return (
        type(axis) is int
        and (axis == -1 or axis == x.ndim - 1)
        and x.ndim > 0
        and not is_transformed()
        and not is_watched()
    )


def _run(function: Callable[..., Any], *tensors: Tensor, **keywords: Any) -> Tensor:
    """Call a function of arrays, with as many threads as PyTorch may use."""
    with at_most(torch.get_num_threads()):
        return _tensor(function(*map(_array, tensors), **keywords))


def _array(x: Tensor) -> Any:
    return (x.detach() if x.requires_grad else x).numpy()


def _mask(where: Tensor | None) -> Any:
    return None if where is None else where.numpy()


def _keywords(terms: Terms) -> dict[str, Any]:
    weights = terms.class_weights
    given = {
        "where": _mask(terms.where),
        "class_weights": None if weights is None else _array(weights),
    }
    return terms._asdict() | given


def _tensor(y: Any) -> Tensor:
    return torch.from_numpy(y if isinstance(y, np.ndarray) else np.asarray(y))
