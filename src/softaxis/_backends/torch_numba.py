"""torch_numba: the kernels of the `numba` backend on the memory of PyTorch's CPU tensors.

Nothing is copied. What torch.func transforms calls the kernels, but in forward mode the array-API
implementation, whose steps it can see; what PyTorch compiles calls the kernels as operators.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softaxis import _generic
from softaxis._axes import Axis
from softaxis._backends import _torch_func as func
from softaxis._backends import _torch_numba as kernels
from softaxis._backends import _torch_ops as ops
from softaxis._backends._torch_autograd import (
    PLAIN,
    CrossEntropy,
    Logsumexp,
    Normalizer,
    Rows,
    Terms,
    is_compiling,
    is_plain,
    is_recorded,
    is_transformed,
    is_watched,
)
from softaxis._backends._torch_numba import KERNELS
from softaxis._backends._torch_ready import PAYS, READY
from softaxis._backends._torch_small import COMPILING, WHERE_READY
from softaxis._libraries._torch import LIBRARY
from softaxis.backend import Backend, declined

backend = Backend("torch_numba", types=PLAIN)


def _record(name: str) -> dict[str, Any]:
    return {
        "dtypes": ("float16", "float32", "float64"),
        "devices": ("cpu",),
        "differentiable": True,
        "traceable": True,
        "min_size": PAYS,
        "notes": "fewer where kernels are compiled already",
        "ready": READY[name].takes,
        "shortcut": COMPILING[name],
        "selective": WHERE_READY[name],
    }


def _why_not(x: Tensor, axis: Axis, dtype: torch.dtype | None, where: Tensor | None) -> str:
    """Return why a call is not for kernels; nothing where it is."""
    if axis == () or 0 in x.shape:
        return "takes one or more axes of a tensor that is not empty"
    if dtype is not None and dtype is not x.dtype:
        return "takes no other `dtype` than that of the tensor"
    if not kernels.is_memory(x, where) or is_watched():
        return "takes plain tensors that nothing watches"
    if x.dtype is torch.float16 and not kernels.has_float16():
        return "takes float16 on processors that convert it"
    return ""


@backend.implements(**_record("softmax"))
def softmax(
    x: Tensor, /, *, axis: Axis, where: Tensor | None = None, dtype: torch.dtype | None = None
) -> Any:
    """exp(z) / sum(exp(z))."""
    return _normalized("softmax", x, axis, where, dtype)


@backend.implements(**_record("log_softmax"))
def log_softmax(
    x: Tensor, /, *, axis: Axis, where: Tensor | None = None, dtype: torch.dtype | None = None
) -> Any:
    """z - log(sum(exp(z)))."""
    return _normalized("log_softmax", x, axis, where, dtype)


def _normalized(
    name: str, x: Tensor, axis: Axis, where: Tensor | None, dtype: torch.dtype | None
) -> Any:
    if is_compiling():
        why = ops.why_not(x, axis, dtype, where)
        return declined(why) if why else getattr(ops, name)(x, axis, where)
    if func.is_for_steps(x, axis, dtype):
        return func.normalized(name, x, KERNELS, axis, where)
    if is_transformed():
        return getattr(_generic, name)(x, axis=axis, where=where, dtype=dtype, xp=LIBRARY.xp)
    why = _why_not(x, axis, dtype, where)
    if why:
        return declined(why)
    if is_recorded(x):
        return Normalizer.apply(name, x, Rows(KERNELS, axis, where))
    return getattr(KERNELS, name)(x, axis, where)


@backend.implements(**_record("logsumexp"))
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
    if is_compiling():
        why = ops.why_not(x, axis, dtype, where)
        if why:
            return declined(why)
        y = ops.logsumexp(x, axis, where)
        return y if keepdims else y.squeeze(axis)
    if func.is_for_steps(x, axis, dtype):
        return func.logsumexp(x, KERNELS, axis, where, keepdims)
    if is_transformed():
        return _generic.logsumexp(
            x, axis=axis, where=where, keepdims=keepdims, dtype=dtype, xp=LIBRARY.xp
        )
    why = _why_not(x, axis, dtype, where)
    if why:
        return declined(why)
    if is_recorded(x):
        return Logsumexp.apply(x, Rows(KERNELS, axis, where, keepdims))
    y = kernels.logsumexp(x, axis, where)
    return y if keepdims else y.squeeze(axis)


@backend.implements(**_record("cross_entropy"))
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
    if is_compiling():
        why = ops.why_no_loss(logits, labels, axis, terms)
        return declined(why) if why else ops.cross_entropy(logits, labels, axis, terms)
    if func.is_for_steps(logits, axis) and func.takes(logits, labels, terms):
        return func.cross_entropy(logits, labels, KERNELS, axis, terms)
    if is_transformed():
        return _generic.cross_entropy(logits, labels, axis=axis, **terms._asdict(), xp=LIBRARY.xp)
    why = kernels.unusual(labels, terms) or _why_not(logits, axis, None, where)
    if why:
        return declined(why)
    if is_recorded(logits):
        return CrossEntropy.apply(logits, labels, Rows(KERNELS, axis), terms)
    return kernels.cross_entropy(logits, labels, axis, terms)


@backend.implements(**_record("cross_entropy_and_grad") | {"traceable": False})
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
    why = kernels.unusual(labels, terms) or _why_not(logits, axis, None, where)
    if why:
        return declined(why)
    return kernels.cross_entropy_and_grad(logits, labels, axis, terms)


@backend.implements(**_record("softmax_vjp"))
def softmax_vjp(p: Tensor, g: Tensor, /, *, axis: Axis) -> Any:
    """p (h - sum(p h)), h = g - g_top."""
    if not is_plain(p, g):
        return _generic.softmax_vjp(p, g, axis=axis, xp=LIBRARY.xp)
    return _product("softmax_vjp", p, g, axis)


@backend.implements(**_record("softmax_jvp"))
def softmax_jvp(p: Tensor, t: Tensor, /, *, axis: Axis) -> Any:
    """The same: the Jacobian is symmetric."""
    if not is_plain(p, t):
        return _generic.softmax_jvp(p, t, axis=axis, xp=LIBRARY.xp)
    return _product("softmax_vjp", p, t, axis)


@backend.implements(**_record("log_softmax_vjp"))
def log_softmax_vjp(logp: Tensor, g: Tensor, /, *, axis: Axis) -> Any:
    """g - p sum(g)."""
    if not is_plain(logp, g):
        return _generic.log_softmax_vjp(logp, g, axis=axis, xp=LIBRARY.xp)
    return _product("log_softmax_vjp", logp, g, axis)


def _product(name: str, y: Tensor, v: Tensor, axis: Axis) -> Any:
    why = _why_not(y, axis, v.dtype, v)
    return declined(why) if why else kernels.product(name, y, v, axis)
