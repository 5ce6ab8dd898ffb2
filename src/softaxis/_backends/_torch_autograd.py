"""Functions that autograd records as one step: their gradient is a kernel, not a trace.

A gradient that is itself to be differentiated, or batched, is computed by the array-API
implementation, whose every step is differentiable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad

from softaxis import _generic
from softaxis._axes import Axis, as_tuple
from softaxis._libraries._torch import LIBRARY

PLAIN = (Tensor, torch.nn.Parameter)
"""The types of tensors that are nothing but numbers in memory."""


class Terms(NamedTuple):
    """What cross_entropy is asked for beside logits, integer labels and the axis."""

    where: Tensor | None
    class_weights: Tensor | None
    ignore_index: int | None
    label_smoothing: float
    z_loss: float
    reduction: str


class Kernels(NamedTuple):
    """One way to compute, on plain tensors. A vjp gets what it needs and the gradient."""

    softmax: Callable[[Tensor, Any, Tensor | None], Tensor]
    softmax_vjp: Callable[[Tensor, Tensor, Any], Tensor]
    log_softmax: Callable[[Tensor, Any, Tensor | None], Tensor]
    log_softmax_vjp: Callable[[Tensor, Tensor, Any], Tensor]
    logsumexp: Callable[[Tensor, Any, Tensor | None], Tensor]
    logsumexp_vjp: Callable[[Tensor, Tensor, Tensor, Any, Tensor | None], Tensor]
    cross_entropy: Callable[[Tensor, Tensor, Any, Terms], Tensor]
    cross_entropy_vjp: Callable[..., Tensor]
    """Of logits, labels, the gradient, the axis and terms; and of notes, where there are any."""
    takes: Callable[..., bool]
    """Whether tensors, or None, are such as these can compute."""
    cross_entropy_noted: (
        Callable[[Tensor, Tensor, Any, Terms], tuple[Tensor, Tensor | None]] | None
    ) = None
    """The loss, and some numbers of each row that shorten the way back."""


is_compiling = torch.compiler.is_compiling
is_in_transform = torch._C._are_functorch_transforms_active


def is_recorded(x: Tensor) -> bool:
    """Return whether autograd records what is computed from a tensor, in reverse mode."""
    return bool(x.requires_grad and torch.is_grad_enabled())


def is_transformed() -> bool:
    """Return whether something else looks at every step: a compiler, torch.func, forward mode."""
    return bool(is_compiling() or is_in_transform() or forward_ad._current_level >= 0)


_modes = torch._C._len_torch_dispatch_stack
_tracer = torch._C._get_tracing_state


def is_watched() -> bool:
    """Return the same of a mode of PyTorch or its tracer, too."""
    return bool(
        is_compiling()
        or is_in_transform()
        or forward_ad._current_level >= 0
        or _modes()
        or _tracer()
    )


def _is_final(x: Tensor, g: Tensor) -> bool:
    """Return whether nothing will be differentiated again, or is batched."""
    return not torch.is_grad_enabled() and is_plain(x, g)


def is_plain(*tensors: Tensor) -> bool:
    """Return whether nothing records, batches or transforms what is computed from tensors."""
    if is_transformed():
        return False
    return not any(
        type(one) not in PLAIN
        or is_recorded(one)
        or is_legacy_batchedtensor(one)  # of autograd.grad(is_grads_batched=True)
        for one in tensors
    )


def expanded(y: Tensor, axis: Axis) -> Tensor:
    """Return a tensor that was reduced with the dimensions that it lost."""
    for i in as_tuple(axis):
        y = y.unsqueeze(i)
    return y


class Rows(NamedTuple):
    """What a step of autograd has to know beside a tensor: along what, where, and by which kernels.

    One argument in place of many: PyTorch looks at each of them.
    """

    kernels: Kernels
    axis: Any
    where: Tensor | None = None
    keepdims: bool = False


class Normalizer(torch.autograd.Function):  # type: ignore[misc] # PyTorch's own class is not typed
    """softmax or log_softmax, whose vector-Jacobian products take the result."""

    @staticmethod
    def forward(ctx: Any, name: str, x: Tensor, rows: Rows, known: Any = None) -> Tensor:
        """Save the result, which is the array `known` where it has been computed."""
        if known is None:
            y: Tensor = getattr(rows.kernels, name)(x, rows.axis, rows.where)
        else:
            y = torch.from_numpy(known)
        ctx.save_for_backward(y)
        ctx.name, ctx.rows = name, rows
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """Multiply with the Jacobian."""
        (y,), vjp, rows = ctx.saved_tensors, f"{ctx.name}_vjp", ctx.rows
        if _is_final(y, g):
            dx = getattr(rows.kernels, vjp)(y, g, rows.axis)
        else:
            dx = getattr(_generic, vjp)(y, g, axis=rows.axis, xp=LIBRARY.xp)
        return None, dx, None, None


class Logsumexp(torch.autograd.Function):  # type: ignore[misc] # PyTorch's own class is not typed
    """The logarithm of a sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Rows, known: Any = None) -> Tensor:
        """Save the input: exp(x - result) would lose digits where both are large."""
        if known is None:
            y = rows.kernels.logsumexp(x, rows.axis, rows.where)
            y = y if rows.keepdims else y.squeeze(rows.axis)
        else:
            y = torch.from_numpy(known)
        ctx.save_for_backward(x, y, rows.where)
        ctx.rows = rows
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """g softmax(x); 0 for a row of -inf."""
        (x, y, where), rows = ctx.saved_tensors, ctx.rows
        if not rows.keepdims:
            y, g = expanded(y, rows.axis), expanded(g, rows.axis)
        if _is_final(x, g):
            dx = rows.kernels.logsumexp_vjp(x, y, g, rows.axis, where)
        else:
            empty = y == -torch.inf
            p = _generic.softmax(
                torch.where(empty, 0.0, x), axis=rows.axis, where=where, xp=LIBRARY.xp
            )
            dx = torch.where(empty, 0.0, p * g)
        return dx, None, None


class CrossEntropy(torch.autograd.Function):  # type: ignore[misc] # PyTorch's own class is not typed
    """The loss; only the logits have a gradient."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, labels: Tensor, rows: Rows, terms: Terms, known: Any = None
    ) -> Tensor:
        """Save nothing that is as large as the logits but the logits.

        `known` are the loss and, of few logits, the gradient of its sum, or None.
        """
        ctx.kept, notes = {}, None
        if known is not None:
            loss, ctx.kept["slope"] = known
        elif rows.kernels.cross_entropy_noted is not None:
            loss, notes = rows.kernels.cross_entropy_noted(x, labels, rows.axis, terms)
        else:
            loss = rows.kernels.cross_entropy(x, labels, rows.axis, terms)
        ctx.save_for_backward(x, labels, terms.where, terms.class_weights, notes)
        ctx.rows, ctx.terms = rows, terms._replace(where=None, class_weights=None)
        return loss

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        """g d loss / d x."""
        x, labels, where, class_weights, notes = ctx.saved_tensors
        rows, terms = ctx.rows, ctx.terms
        if where is not None or class_weights is not None:
            terms = terms._replace(where=where, class_weights=class_weights)
        slope = ctx.kept.pop("slope", None)  # given away: who gets a gradient may write to it
        if not _is_final(x, g):
            dx = again(x, labels, g, rows.axis, terms)
        elif slope is not None and any(g.stride()):  # a factor for each row
            dx = slope.mul_(g.unsqueeze(rows.axis))
        elif slope is not None and g.ndim == 0:
            dx = slope if g.is_cpu and g.item() == 1 else slope.mul_(g)
        elif notes is not None:
            dx = rows.kernels.cross_entropy_vjp(x, labels, g, rows.axis, terms, notes)
        else:
            dx = rows.kernels.cross_entropy_vjp(x, labels, g, rows.axis, terms)
        return dx, None, None, None, None


def again(x: Tensor, labels: Tensor, g: Tensor, axis: Axis, terms: Terms) -> Tensor:
    """Return the same of the array-API implementation."""
    keywords: dict[str, Any] = {"axis": axis, **terms._asdict(), "xp": LIBRARY.xp}
    if (
        torch.is_grad_enabled() and not is_compiling()
    ):  # its own gradient keeps the tail in the next one, too
        _, pull = torch.func.vjp(lambda z: _generic.cross_entropy(z, labels, **keywords), x)
        (dx,) = pull(g)
        return dx
    _, slope = _generic.cross_entropy_and_grad(x, labels, **keywords)
    return slope * (g.unsqueeze(axis) if terms.reduction == "none" else g)
