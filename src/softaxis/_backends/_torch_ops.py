"""The kernels as operators of PyTorch, for what torch.compile makes a program of.

Inductor calls them as they are. Its own code for the steps of the array-API implementation takes
three times as long, and for their gradient eight times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._backends import _torch_numba as kernels
from softaxis._backends._torch_autograd import PLAIN, Terms, is_in_transform, is_recorded


def why_not(x: Tensor, axis: Axis, dtype: torch.dtype | None, *others: Tensor | None) -> str:
    """Return why a traced call is not for an operator; nothing where it is."""
    if torch.compiler.is_exporting() or is_in_transform():
        return "leaves exported and transformed programs to PyTorch's own operators"
    if axis == () or 0 in x.shape:
        return "takes one or more axes of a tensor that is not empty"
    if dtype is not None and dtype is not x.dtype:
        return "takes no other `dtype` than that of the tensor"
    if any(one is not None and type(one) not in PLAIN for one in (x, *others)):
        return "takes plain tensors"
    return ""


def why_no_loss(logits: Tensor, labels: Tensor, axis: Axis, terms: Terms) -> str:
    """Return the same of a loss."""
    if terms.class_weights is not None and is_recorded(terms.class_weights):
        return "has no gradient of `class_weights`"
    why = why_not(logits, axis, None, labels, terms.where, terms.class_weights)
    return why or kernels.unusual_terms(labels, terms)


def softmax(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """exp(z) / sum(exp(z))."""
    y: Tensor = _softmax(x, as_tuple(axis), where)
    return y


def log_softmax(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """z - log(sum(exp(z)))."""
    y: Tensor = _log_softmax(x, as_tuple(axis), where)
    return y


def logsumexp(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """m + log(sum(exp(x - m))), with the dimensions kept."""
    y: Tensor = _logsumexp(x, as_tuple(axis), where)
    return y


def cross_entropy(logits: Tensor, labels: Tensor, axis: Axis, terms: Terms) -> Tensor:
    """-log p of the right class."""
    y: Tensor = _cross_entropy(logits, labels, axis, *terms)
    return y


def _one(axis: Sequence[int]) -> Axis:
    return axis[0] if len(axis) == 1 else tuple(axis)


def _like(x: Tensor, *_: Any) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


def _reduced(x: Tensor, axis: Sequence[int], *_: Any) -> Tensor:
    shape = reduced_shape(tuple(x.shape), tuple(axis), keepdims=True)
    return torch.empty(shape, dtype=x.dtype, device=x.device)


def _losses(logits: Tensor, labels: Tensor, _: int, *terms: Any) -> Tensor:
    shape = labels.shape if Terms(*terms).reduction == "none" else ()
    return torch.empty(shape, dtype=logits.dtype, device=logits.device)


def _operator(fake: Callable[..., Tensor]) -> Callable[[Callable[..., Tensor]], Any]:
    """Register an operator; `fake` makes an empty result, contiguous like those of the kernels."""

    def register(function: Callable[..., Tensor]) -> Any:
        name = f"softaxis::{function.__name__.removeprefix('_')}"
        found: Any = custom_op(name, function, mutates_args=(), device_types="cpu")
        found.register_fake(fake)
        return found

    return register


@_operator(_like)
def _softmax_vjp(p: Tensor, g: Tensor, axis: Sequence[int]) -> Tensor:
    return kernels.softmax_vjp(p, g.contiguous(), _one(axis))


@_operator(_like)
def _log_softmax_vjp(logp: Tensor, g: Tensor, axis: Sequence[int]) -> Tensor:
    return kernels.log_softmax_vjp(logp, g.contiguous(), _one(axis))


@_operator(_like)
def _softmax(x: Tensor, axis: Sequence[int], where: Tensor | None) -> Tensor:
    return kernels.softmax(x.contiguous(), _one(axis), where)


@_operator(_like)
def _log_softmax(x: Tensor, axis: Sequence[int], where: Tensor | None) -> Tensor:
    return kernels.log_softmax(x.contiguous(), _one(axis), where)


@_operator(_reduced)
def _logsumexp(x: Tensor, axis: Sequence[int], where: Tensor | None) -> Tensor:
    return kernels.logsumexp(x.contiguous(), _one(axis), where)


@_operator(_like)
def _logsumexp_vjp(
    x: Tensor, y: Tensor, g: Tensor, axis: Sequence[int], where: Tensor | None
) -> Tensor:
    return kernels.logsumexp_vjp(x.contiguous(), y, g, _one(axis), where)


@_operator(_losses)
def _cross_entropy(
    logits: Tensor,
    labels: Tensor,
    axis: int,
    where: Tensor | None,
    class_weights: Tensor | None,
    ignore_index: int | None,
    label_smoothing: float,
    z_loss: float,
    reduction: str,
) -> Tensor:
    terms = Terms(where, class_weights, ignore_index, label_smoothing, z_loss, reduction)
    return kernels.cross_entropy(logits.contiguous(), labels, axis, terms)


@_operator(_like)
def _cross_entropy_vjp(
    logits: Tensor,
    labels: Tensor,
    g: Tensor,
    axis: int,
    where: Tensor | None,
    class_weights: Tensor | None,
    ignore_index: int | None,
    label_smoothing: float,
    z_loss: float,
    reduction: str,
) -> Tensor:
    terms = Terms(where, class_weights, ignore_index, label_smoothing, z_loss, reduction)
    return kernels.cross_entropy_vjp(logits.contiguous(), labels, g, axis, terms)


def _save_result(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(output)
    ctx.axis = inputs[1]


def _save_both(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, axis, where = inputs
    ctx.save_for_backward(x, output, where)
    ctx.axis = axis


def _save_logits(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG001
    logits, labels, axis, *rest = inputs
    terms = Terms(*rest)
    ctx.save_for_backward(logits, labels, terms.where, terms.class_weights)
    ctx.axis, ctx.terms = axis, rest[2:]


def _softmax_backward(ctx: Any, g: Tensor) -> Any:
    return _softmax_vjp(*ctx.saved_tensors, g, ctx.axis), None, None


def _log_softmax_backward(ctx: Any, g: Tensor) -> Any:
    return _log_softmax_vjp(*ctx.saved_tensors, g, ctx.axis), None, None


def _logsumexp_backward(ctx: Any, g: Tensor) -> Any:
    x, y, where = ctx.saved_tensors
    return _logsumexp_vjp(x, y, g, ctx.axis, where), None, None


def _cross_entropy_backward(ctx: Any, g: Tensor) -> Any:
    logits, labels, *masks = ctx.saved_tensors
    dx = _cross_entropy_vjp(logits, labels, g, ctx.axis, *masks, *ctx.terms)
    return dx, *[None] * 8


_softmax.register_autograd(_softmax_backward, setup_context=_save_result)
_log_softmax.register_autograd(_log_softmax_backward, setup_context=_save_result)
_logsumexp.register_autograd(_logsumexp_backward, setup_context=_save_both)
_cross_entropy.register_autograd(_cross_entropy_backward, setup_context=_save_logits)
