"""PyTorch: few of its own operators in place of many, and gradients that keep the tail.

Native log_softmax, logsumexp and cross_entropy lose what stands next to a probability of 1
(``log_softmax([0, -20])[0]`` is 0 in float32) and are not used. Native softmax is right, but it
adds the terms of a row one after the other in each vector lane, and over any axis but the last
in a single chain: measured, 8 times the bound with one large term before 2,000 small ones, and
24,000 times with 10^7 terms along the first axis. The gradient of the native operators is 0 at a
logit of probability 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import Tensor

from softaxis import _generic
from softaxis._axes import Axis
from softaxis._backends import _torch_func as func
from softaxis._backends import _torch_rows as rows
from softaxis._backends import _torch_shortcuts as shortcuts
from softaxis._backends._torch_autograd import (
    PLAIN,
    CrossEntropy,
    Logsumexp,
    Normalizer,
    Rows,
    Terms,
    expanded,
    is_in_transform,
    is_plain,
    is_recorded,
    is_transformed,
)
from softaxis._backends._torch_kernels import KERNELS, divisor, ignored_among
from softaxis._backends._torch_kernels import cross_entropy_and_grad as loss_and_grad
from softaxis._libraries._torch import LIBRARY
from softaxis.backend import Backend, declined

backend = Backend("torch", types=(Tensor,))

_FLOATS = ("float16", "bfloat16", "float32", "float64")


def _is_one(axis: Axis, x: Tensor, dtype: torch.dtype | None = None) -> TypeGuard[int]:
    if not isinstance(axis, int) or 0 in x.shape:
        declined("takes a single axis of a tensor that is not empty")
        return False
    if dtype is not None and dtype is not x.dtype:
        declined("takes no other `dtype` than that of the tensor")
        return False
    return True


@backend.implements(
    dtypes=_FLOATS, differentiable=True, traceable=True, shortcut=shortcuts.softmax_of_rows
)
def softmax(
    x: Tensor, /, *, axis: Axis, where: Tensor | None = None, dtype: torch.dtype | None = None
) -> Any:
    """`torch.softmax`, divided by its sum once more where the row is long."""
    if not _is_one(axis, x, dtype):
        return NotImplemented
    if func.is_served():
        return func.normalized("softmax", x, KERNELS, axis, where)
    recorded = is_recorded(x)
    if recorded and _is_for_kernels(x):
        return Normalizer.apply("softmax", x, Rows(KERNELS, axis, where))
    compiled = torch.compiler.is_compiling() and not (recorded or is_in_transform())
    if compiled or _is_for_kernels(x):
        return rows.softmax(x, axis, where)
    return _generic.softmax(x, axis=axis, where=where, xp=LIBRARY.xp)


@backend.implements(
    dtypes=_FLOATS, differentiable=True, traceable=True, shortcut=shortcuts.log_softmax_of_rows
)
def log_softmax(
    x: Tensor, /, *, axis: Axis, where: Tensor | None = None, dtype: torch.dtype | None = None
) -> Any:
    """z - log(sum(exp(z)))."""
    if not _is_one(axis, x, dtype):
        return NotImplemented
    if func.is_served():
        return func.normalized("log_softmax", x, KERNELS, axis, where)
    if not _is_for_kernels(x):
        return _generic.log_softmax(x, axis=axis, where=where, xp=LIBRARY.xp)
    if is_recorded(x):
        return Normalizer.apply("log_softmax", x, Rows(KERNELS, axis, where))
    return rows.log_softmax(x, axis, where)


@backend.implements(
    dtypes=_FLOATS, differentiable=True, traceable=True, shortcut=shortcuts.logsumexp_of_rows
)
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
    if not _is_one(axis, x, dtype):
        return NotImplemented
    if func.is_served():
        return func.logsumexp(x, KERNELS, axis, where, keepdims)
    if not _is_for_kernels(x):
        return _generic.logsumexp(x, axis=axis, where=where, keepdims=keepdims, xp=LIBRARY.xp)
    if is_recorded(x):
        return Logsumexp.apply(x, Rows(KERNELS, axis, where, keepdims))
    y = rows.logsumexp(x, axis, where)
    return y if keepdims else y.squeeze(axis)


@backend.implements(
    dtypes=_FLOATS, differentiable=True, traceable=True, shortcut=shortcuts.cross_entropy_of_rows
)
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
    """-log p of the right class, a block of rows at a time."""
    if not _is_one(axis, logits):
        return NotImplemented
    if labels.dtype.is_floating_point:
        return declined("takes integer labels")
    terms = Terms(where, class_weights, ignore_index, label_smoothing, z_loss, reduction)
    if func.takes(logits, labels, terms) and func.is_served():
        return func.cross_entropy(logits, labels, KERNELS, axis, terms)
    if _is_simple(terms) and _is_for_kernels(logits):
        if is_recorded(logits):
            return CrossEntropy.apply(logits, labels, Rows(KERNELS, axis), terms)
        return KERNELS.cross_entropy(logits, labels, axis, terms)
    if type(logits) not in PLAIN and _is_simple(terms) and not label_smoothing:
        return _gathered(logits, labels, axis, terms)
    return _generic.cross_entropy(logits, labels, axis=axis, **terms._asdict(), xp=LIBRARY.xp)


@backend.implements(dtypes=_FLOATS, differentiable=True, traceable=True)
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
    """The same, and p - q, q being the mass of the labels."""
    if not _is_one(axis, logits):
        return NotImplemented
    if labels.dtype.is_floating_point:
        return declined("takes integer labels")
    terms = Terms(where, class_weights, ignore_index, label_smoothing, z_loss, reduction)
    if is_recorded(logits) or not (_is_simple(terms) and _is_for_kernels(logits)):
        return _generic.cross_entropy_and_grad(
            logits, labels, axis=axis, **terms._asdict(), xp=LIBRARY.xp
        )
    return loss_and_grad(logits, labels, axis, terms)


@backend.implements(
    dtypes=_FLOATS, differentiable=True, traceable=True, shortcut=shortcuts.softmax_vjp_of_rows
)
def softmax_vjp(p: Tensor, g: Tensor, /, *, axis: Axis) -> Any:
    """p (h - sum(p h)), h = g - g_top."""
    return _product("softmax_vjp", rows.softmax_vjp, p, g, axis)


@backend.implements(
    dtypes=_FLOATS, differentiable=True, traceable=True, shortcut=shortcuts.softmax_jvp_of_rows
)
def softmax_jvp(p: Tensor, t: Tensor, /, *, axis: Axis) -> Any:
    """The same: the Jacobian is symmetric."""
    return _product("softmax_jvp", rows.softmax_vjp, p, t, axis)


@backend.implements(
    dtypes=_FLOATS, differentiable=True, traceable=True, shortcut=shortcuts.log_softmax_vjp_of_rows
)
def log_softmax_vjp(logp: Tensor, g: Tensor, /, *, axis: Axis) -> Any:
    """g - p sum(g)."""
    return _product("log_softmax_vjp", rows.log_softmax_vjp, logp, g, axis)


@backend.implements(
    dtypes=_FLOATS, differentiable=True, traceable=True, shortcut=shortcuts.log_softmax_jvp_of_rows
)
def log_softmax_jvp(logp: Tensor, t: Tensor, /, *, axis: Axis) -> Any:
    """h - sum(p h), h = t - t_top."""
    return _product("log_softmax_jvp", rows.log_softmax_jvp, logp, t, axis)


def _product(
    name: str,
    kernel: Callable[[Tensor, Tensor, int], Tensor],
    y: Tensor,
    v: Tensor,
    axis: Axis,
) -> Any:
    if not _is_one(axis, y):
        return NotImplemented
    if not is_plain(y, v):
        return getattr(_generic, name)(y, v, axis=axis, xp=LIBRARY.xp)
    return kernel(y, v, axis)


@backend.implements(dtypes=_FLOATS, differentiable=True, traceable=True)
def logsumexp_vjp(
    x: Tensor,
    lse: Tensor,
    g: Tensor,
    /,
    *,
    axis: Axis,
    where: Tensor | None = None,
    keepdims: bool = False,
) -> Any:
    """g exp(x - lse)."""
    if axis == () or 0 in x.shape:
        return declined("takes one or more axes of a tensor that is not empty")
    if not is_plain(x, lse, g):
        return _generic.logsumexp_vjp(
            x, lse, g, axis=axis, where=where, keepdims=keepdims, xp=LIBRARY.xp
        )
    if not keepdims:
        lse, g = expanded(lse, axis), expanded(g, axis)
    return rows.shared(x, lse, g, where).to(x.dtype)


@backend.implements(dtypes=_FLOATS, differentiable=True, traceable=True)
def logsumexp_jvp(
    x: Tensor,
    lse: Tensor,
    t: Tensor,
    /,
    *,
    axis: Axis,
    where: Tensor | None = None,
    keepdims: bool = False,
) -> Any:
    """sum(exp(x - lse) t)."""
    if not _is_one(axis, x):
        return NotImplemented
    if not is_plain(x, lse, t):
        return _generic.logsumexp_jvp(
            x, lse, t, axis=axis, where=where, keepdims=keepdims, xp=LIBRARY.xp
        )
    if not keepdims:
        lse = expanded(lse, axis)
    y = rows.summed(rows.shared(x, lse, t, where), axis).to(x.dtype)
    return y if keepdims else y.squeeze(axis)


def _gathered(x: Tensor, labels: Tensor, axis: int, terms: Terms) -> Tensor:
    """-log p of the right class, without a tensor that is not made from the two: for DTensor."""
    ignored = ignored_among(labels, terms)
    index = labels.to(torch.int64).unsqueeze(axis)
    if ignored is not None:  # what an ignored row holds reaches neither loss nor derivative
        x = torch.where(index == ignored, 0.0, x)
    wrong = (index < 0) | (index >= x.shape[axis])
    y = _generic.log_softmax(x, axis=axis, dtype=rows.working(x), xp=LIBRARY.xp)
    loss = -torch.gather(y, axis, torch.where(wrong, 0, index))
    loss = torch.where((x == -torch.inf).all(axis, keepdim=True), torch.inf, loss)
    loss = torch.where(wrong, torch.nan, loss)
    if ignored is not None:
        loss = torch.where(index == ignored, 0.0, loss)
    loss = loss.squeeze(axis)
    if terms.reduction != "none":
        loss = loss.sum()
    if terms.reduction == "mean":
        loss = loss / divisor(labels, ignored)
    return loss.to(x.dtype)


def _is_simple(terms: Terms) -> bool:
    return terms.where is None and terms.class_weights is None and terms.z_loss == 0


def _is_for_kernels(x: Tensor) -> bool:
    """Return whether no compiler, transformation or subclass is to see each step.

    (torch.compile warns of a deprecation of its own whenever it meets a step of autograd.)
    """
    return type(x) in PLAIN and not is_transformed()
