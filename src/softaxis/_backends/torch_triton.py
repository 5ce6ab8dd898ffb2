"""torch_triton: kernels written in Triton, on PyTorch's tensors in the memory of a GPU.

They run where they are asked for by name, and nowhere by default: they were not measured on a GPU
yet. With TRITON_INTERPRET=1 in the environment Triton interprets them, on the CPU's tensors. What
torch.func transforms runs on the array-API implementation; what PyTorch compiles is left to other
backends.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softaxis import _generic
from softaxis._axes import Axis, as_tuple
from softaxis._backends._torch_autograd import (
    PLAIN,
    CrossEntropy,
    Logsumexp,
    Normalizer,
    Rows,
    Terms,
    is_recorded,
    is_transformed,
    is_watched,
)
from softaxis._backends._triton._functions import KERNELS
from softaxis._backends._triton._launch import INTERPRETED
from softaxis._libraries._torch import LIBRARY
from softaxis.backend import Backend, declined

backend = Backend(
    "torch_triton",
    types=PLAIN,
    arrays=None if INTERPRETED else "softaxis.testing._on_cuda:TORCH",
)

_MOST = 1 << 31
"""Programs, one more than a GPU counts."""
_RECORD: dict[str, Any] = {
    "dtypes": ("float16", "bfloat16", "float32", "float64"),
    "devices": ("cpu",) if INTERPRETED else ("cuda",),
    "notes": "only by name: not measured on a GPU yet",
}


def _why_not(x: Tensor, axis: Axis, dtype: torch.dtype | None, *others: Tensor | None) -> str:
    """Return why a call is not for kernels; nothing where it is."""
    if axis == () or 0 in x.shape:
        return "takes one or more axes of a tensor that is not empty"
    if dtype is not None and dtype is not x.dtype:
        return "takes no other `dtype` than that of the tensor"
    if is_watched() or not all(one is None or _is_beside(one, x) for one in (x, *others)):
        return "takes plain tensors that nothing watches"
    rows = x.numel()
    for i in as_tuple(axis):
        rows //= x.shape[i]
    return "" if rows < _MOST else f"takes fewer than {_MOST} rows"


def _is_beside(other: Tensor, x: Tensor) -> bool:
    """Return whether a tensor is nothing but numbers in the memory where x is."""
    return (
        type(other) in PLAIN
        and other.layout is torch.strided
        and other.device == x.device
        and not other.is_neg()
    )


def _why_no_loss(logits: Tensor, labels: Tensor, axis: Axis, terms: Terms) -> str:
    """Return the same of a loss."""
    if labels.dtype.is_floating_point or terms.z_loss == torch.inf:
        return "takes integer labels"
    weights = terms.class_weights
    if weights is not None and is_recorded(weights):
        return "has no gradient of `class_weights`"
    return _why_not(logits, axis, None, labels, terms.where, weights)


@backend.implements(differentiable=True, **_RECORD)
def softmax(
    x: Tensor, /, *, axis: Axis, where: Tensor | None = None, dtype: torch.dtype | None = None
) -> Any:
    """exp(z) / sum(exp(z))."""
    return _normalized("softmax", x, axis, where, dtype)


@backend.implements(differentiable=True, **_RECORD)
def log_softmax(
    x: Tensor, /, *, axis: Axis, where: Tensor | None = None, dtype: torch.dtype | None = None
) -> Any:
    """z - log(sum(exp(z)))."""
    return _normalized("log_softmax", x, axis, where, dtype)


def _normalized(
    name: str, x: Tensor, axis: Axis, where: Tensor | None, dtype: torch.dtype | None
) -> Any:
    if is_transformed():
        return getattr(_generic, name)(x, axis=axis, where=where, dtype=dtype, xp=LIBRARY.xp)
    why = _why_not(x, axis, dtype, where)
    if why:
        return declined(why)
    if is_recorded(x):
        return Normalizer.apply(name, x, Rows(KERNELS, axis, where))
    return getattr(KERNELS, name)(x, axis, where)


@backend.implements(differentiable=True, **_RECORD)
def logsumexp(
    x: Tensor,
    /,
    *,
    axis: Axis,
    where: Tensor | None = None,
    keepdims: bool = False,
    dtype: torch.dtype | None = None,
) -> Any:
    """m + log(sum(exp(x - m)))."""
    if is_transformed():
        return _generic.logsumexp(
            x, axis=axis, where=where, keepdims=keepdims, dtype=dtype, xp=LIBRARY.xp
        )
    why = _why_not(x, axis, dtype, where)
    if why:
        return declined(why)
    if is_recorded(x):
        return Logsumexp.apply(x, Rows(KERNELS, axis, where, keepdims))
    y = KERNELS.logsumexp(x, axis, where)
    return y if keepdims else y.squeeze(axis)


@backend.implements(differentiable=True, **_RECORD)
def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    /,
    *,
    axis: Axis,
    where: Tensor | None = None,
    class_weights: Tensor | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    """-log p of the right class; the gradient is computed when it is asked for."""
    terms = Terms(where, class_weights, ignore_index, label_smoothing, z_loss, reduction)
    if is_transformed():
        return _generic.cross_entropy(logits, labels, axis=axis, **terms._asdict(), xp=LIBRARY.xp)
    why = _why_no_loss(logits, labels, axis, terms)
    if why:
        return declined(why)
    if is_recorded(logits):
        return CrossEntropy.apply(logits, labels, Rows(KERNELS, axis), terms)
    return KERNELS.cross_entropy(logits, labels, axis, terms)


@backend.implements(differentiable=True, **_RECORD)
def cross_entropy_and_grad(
    logits: Tensor,
    labels: Tensor,
    /,
    *,
    axis: Axis,
    where: Tensor | None = None,
    class_weights: Tensor | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    """The same, and its gradient, which autograd sees every step of."""
    terms = Terms(where, class_weights, ignore_index, label_smoothing, z_loss, reduction)
    if is_transformed() or is_recorded(logits):
        return _generic.cross_entropy_and_grad(
            logits, labels, axis=axis, **terms._asdict(), xp=LIBRARY.xp
        )
    why = _why_no_loss(logits, labels, axis, terms)
    if why:
        return declined(why)
    one = torch.ones((), dtype=torch.float64, device=logits.device)
    loss = KERNELS.cross_entropy(logits, labels, axis, terms)
    return loss, KERNELS.cross_entropy_vjp(logits, labels, one.expand(loss.shape), axis, terms)


@backend.implements(**_RECORD)
def softmax_vjp(p: Tensor, g: Tensor, /, *, axis: Axis) -> Any:
    """p (h - sum(p h)), h = g - g_top."""
    why = _why_not(p, axis, None, g)
    return declined(why) if why else KERNELS.softmax_vjp(p, g, axis)


@backend.implements(**_RECORD)
def log_softmax_vjp(logp: Tensor, g: Tensor, /, *, axis: Axis) -> Any:
    """g - p sum(g)."""
    why = _why_not(logp, axis, None, g)
    return declined(why) if why else KERNELS.log_softmax_vjp(logp, g, axis)
