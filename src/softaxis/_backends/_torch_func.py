"""Kernels under torch.func: what `grad`, `vjp`, `vmap` and `jacrev` make of tensors.

Each function is a step of autograd whose gradient is a step as well, and a batch of either is the
same step with one more dimension. So first derivatives come from kernels, batched or not. What a
gradient is differentiated by is the array-API implementation, whose every step is differentiable;
forward mode takes that from the beginning.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import TransformType, get_interpreter_stack, unwrap_if_dead
from torch.autograd import forward_ad

from softaxis import _generic
from softaxis._axes import Axis
from softaxis._backends._torch_autograd import (
    Kernels,
    Terms,
    again,
    expanded,
    is_compiling,
    is_in_transform,
)
from softaxis._backends._torch_kernels import divisor, ignored_among
from softaxis._libraries._torch import LIBRARY

_SERVED = (TransformType.Grad, TransformType.Vmap)
_xp = LIBRARY.xp


def is_served() -> bool:
    """Return whether torch.func is at work, and in ways that these steps follow."""
    return bool(
        not is_compiling()
        and is_in_transform()
        and forward_ad._current_level < 0
        and all(one.key() in _SERVED for one in get_interpreter_stack())
    )


def is_for_steps(x: Tensor, axis: Axis, dtype: torch.dtype | None = None) -> bool:
    """Return whether to compute with these steps."""
    usual = axis != () and 0 not in x.shape and (dtype is None or dtype is x.dtype)
    return usual and is_served()


@dataclass(frozen=True)
class Job:
    """What is to be computed, and by which kernels; nothing that torch.func has to look into."""

    kernels: Kernels
    axis: Axis
    name: str = ""
    keepdims: bool = False
    terms: Any = None

    def batched(self) -> Job:
        """Return the same of tensors with one more dimension in front."""
        axis = self.axis + 1 if isinstance(self.axis, int) else tuple(i + 1 for i in self.axis)
        return replace(self, axis=axis)


def normalized(name: str, x: Tensor, kernels: Kernels, axis: Axis, where: Tensor | None) -> Tensor:
    """softmax or log_softmax."""
    y: Tensor = _Normalizer.apply(x, _whole(where, x), Job(kernels, axis, name))
    return y


def logsumexp(
    x: Tensor, kernels: Kernels, axis: Axis, where: Tensor | None, keepdims: bool
) -> Tensor:
    """m + log(sum(exp(x - m)))."""
    job = Job(kernels, axis, keepdims=keepdims)
    y: Tensor = _Logsumexp.apply(x, _whole(where, x), job)
    return y


def takes(x: Tensor, labels: Tensor, terms: Terms) -> bool:
    """Return whether a loss is one of these steps, too."""
    return (
        terms.where is terms.class_weights is None
        and terms.z_loss == 0
        and not labels.dtype.is_floating_point
        and (terms.reduction == "none" or x.dtype in (torch.float32, torch.float64))
    )


def cross_entropy(x: Tensor, labels: Tensor, kernels: Kernels, axis: Axis, terms: Terms) -> Tensor:
    """-log p of the right class; a batch has losses that are reduced one by one."""
    each = Job(kernels, axis, terms=terms._replace(reduction="none"))
    loss: Tensor = _CrossEntropy.apply(x, labels, each)
    if terms.reduction == "none":
        return loss
    loss = loss.sum()
    return loss / divisor(labels, ignored_among(labels, terms)) if _is_mean(terms) else loss


def _is_mean(terms: Terms) -> bool:
    return terms.reduction == "mean"


def _whole(where: Tensor | None, x: Tensor) -> Tensor | None:
    return None if where is None else where.expand(x.shape)


def _in_front(size: int, dims: tuple[Any, ...], *tensors: Tensor | None) -> list[Tensor | None]:
    """Return tensors with their batch dimension in front; what has none gets one."""
    return [
        None if x is None else x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
        for x, dim in zip(tensors, dims, strict=False)
    ]


def _pulled(function: Callable[..., Any], *primals: Tensor, back: Tensor) -> tuple[Any, ...]:
    _, pull = torch.func.vjp(function, *primals)
    found: tuple[Any, ...] = pull(back)
    return found


def _saved(ctx: Any) -> tuple[Any, ...]:
    """Return what was saved, out of the wrappers of transformations that have ended meanwhile.

    PyTorch's operators look through those, but `torch.func.vjp` does not.
    """
    return tuple(None if one is None else unwrap_if_dead(one) for one in ctx.saved_tensors)


class _Step(torch.autograd.Function):  # type: ignore[misc] # PyTorch's own class is not typed
    """A function of tensors and a `Job`, which comes last."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # PyTorch asks for it with every call, which takes a tenth of a small gradient
        cls.forward.__signature__ = inspect.signature(cls.forward)

    @classmethod
    def vmap(cls, info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Tensor, int]:
        """Compute a batch: the same with one more dimension."""
        *tensors, job = arguments
        return cls.apply(*_in_front(info.batch_size, in_dims, *tensors), job.batched()), 0


class _Normalizer(_Step):
    @staticmethod
    def forward(x: Tensor, where: Tensor | None, job: Job) -> Tensor:
        if job.kernels.takes(x, where):
            y: Tensor = getattr(job.kernels, job.name)(x, job.axis, where)
        else:
            y = getattr(_generic, job.name)(x, axis=job.axis, where=where, xp=_xp)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.job = inputs[-1]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (y,), job = _saved(ctx), ctx.job
        product = _steps_of_product(job) if forward_ad._current_level >= 0 else _Product.apply
        return product(y, g, job), None, None


def _steps_of_product(job: Job) -> Callable[..., Tensor]:
    vjp = getattr(_generic, f"{job.name}_vjp")
    return lambda y, g, *_: vjp(y, g, axis=job.axis, xp=_xp)


class _Product(_Step):
    @staticmethod
    def forward(y: Tensor, g: Tensor, job: Job) -> Tensor:
        if job.kernels.takes(y, g):
            dx: Tensor = getattr(job.kernels, f"{job.name}_vjp")(y, g, job.axis)
            return dx
        return _steps_of_product(job)(y, g)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs[:-1])
        ctx.job = inputs[-1]

    @staticmethod
    def backward(ctx: Any, back: Tensor) -> Any:
        return *_pulled(_steps_of_product(ctx.job), *_saved(ctx), back=back), None


class _Logsumexp(_Step):
    @staticmethod
    def forward(x: Tensor, where: Tensor | None, job: Job) -> Tensor:
        if not job.kernels.takes(x, where):
            return _generic.logsumexp(x, axis=job.axis, where=where, keepdims=job.keepdims, xp=_xp)
        y = job.kernels.logsumexp(x, job.axis, where)
        return y if job.keepdims else y.squeeze(job.axis)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, where, ctx.job = inputs
        ctx.save_for_backward(x, output, where)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x, y, where), job = _saved(ctx), ctx.job
        if forward_ad._current_level >= 0:
            return _shared(x, y, g, where, job), None, None
        return _Share.apply(x, y, g, where, job), None, None


def _shared(x: Tensor, y: Tensor, g: Tensor, where: Tensor | None, job: Job) -> Tensor:
    """g softmax(x); 0 for a row of -inf."""
    y, g = _kept(y, job), _kept(g, job)
    empty = y == -torch.inf
    p = _generic.softmax(torch.where(empty, 0.0, x), axis=job.axis, where=where, xp=_xp)
    return torch.where(empty, 0.0, p * g)


def _kept(y: Tensor, job: Job) -> Tensor:
    return y if job.keepdims else expanded(y, job.axis)


class _Share(_Step):
    @staticmethod
    def forward(x: Tensor, y: Tensor, g: Tensor, where: Tensor | None, job: Job) -> Tensor:
        if not job.kernels.takes(x, where):
            return _shared(x, y, g, where, job)
        return job.kernels.logsumexp_vjp(x, _kept(y, job), _kept(g, job), job.axis, where)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs[:-1])
        ctx.job = inputs[-1]

    @staticmethod
    def backward(ctx: Any, back: Tensor) -> Any:
        (x, y, g, where), job = _saved(ctx), ctx.job
        dx, dg = _pulled(lambda z, h: _shared(z, y, h, where, job), x, g, back=back)
        return dx, None, dg, None, None


class _CrossEntropy(_Step):
    @staticmethod
    def forward(x: Tensor, labels: Tensor, job: Job) -> Tensor:
        if _are_for_kernel(x, labels, job):
            return job.kernels.cross_entropy(x, labels, job.axis, job.terms)
        return _generic.cross_entropy(x, labels, axis=job.axis, **job.terms._asdict(), xp=_xp)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs[:-1])
        ctx.job = inputs[-1]

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x, labels), job = _saved(ctx), ctx.job
        if forward_ad._current_level >= 0:
            return again(x, labels, g, job.axis, job.terms), None, None
        return _Slope.apply(x, labels, g, job), None, None


def _are_for_kernel(x: Tensor, labels: Tensor, job: Job) -> bool:
    """Return whether every label names a class: inside `vmap` nobody could look before."""
    if not job.kernels.takes(x, labels):
        return False
    if not labels.is_cpu:
        return True
    index = labels.to(torch.int64)
    ignored = ignored_among(labels, job.terms)
    if ignored is not None:
        index = index.masked_fill(index == ignored, 0)
    low, high = index.aminmax()
    return bool(low >= 0 and high < x.shape[job.axis])


class _Slope(_Step):
    @staticmethod
    def forward(x: Tensor, labels: Tensor, g: Tensor, job: Job) -> Tensor:
        if _are_for_kernel(x, labels, job):
            return job.kernels.cross_entropy_vjp(x, labels, g, job.axis, job.terms)
        return again(x, labels, g, job.axis, job.terms)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(*inputs[:-1])
        ctx.job = inputs[-1]

    @staticmethod
    def backward(ctx: Any, back: Tensor) -> Any:
        (x, labels, g), job = _saved(ctx), ctx.job
        dx, dg = _pulled(lambda z, h: again(z, labels, h, job.axis, job.terms), x, g, back=back)
        return dx, None, dg, None
