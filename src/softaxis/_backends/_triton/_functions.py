"""The functions of tensors, as `Kernels`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softaxis._axes import Axis
from softaxis._backends import _torch_rows
from softaxis._backends._torch_autograd import Kernels, Terms
from softaxis._backends._torch_kernels import divisor, ignored_among, takes
from softaxis._backends._triton import _losses, _normalize, _vjp
from softaxis._backends._triton._launch import (
    arranged,
    known,
    like,
    reduced,
    reduced_to_working,
    run,
)


def softmax(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """exp(z) / (k + rest)."""
    return _normalized(x, axis, where, None, is_log=False)


def log_softmax(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """z - log(k + rest)."""
    return _normalized(x, axis, where, None, is_log=True)


def logsumexp_vjp(x: Tensor, y: Tensor, g: Tensor, axis: Axis, where: Tensor | None) -> Tensor:  # noqa: ARG001
    """g softmax(x); 0 for a row of -inf."""
    return _normalized(x, axis, where, g, is_log=False)


def _normalized(
    x: Tensor, axis: Axis, where: Tensor | None, g: Tensor | None, *, is_log: bool
) -> Tensor:
    call = arranged(x, _mask(where), g, axis=axis, out=like)
    arguments = (*call.places(), known(call), call.layout.sizes, call.tile.parts)
    run(_normalize.normalize, call, call.programs, *arguments, LOG=is_log)
    return call.result()


def logsumexp(x: Tensor, axis: Axis, where: Tensor | None) -> Tensor:
    """m + log(k + rest), with the dimensions kept."""
    call = arranged(x, _mask(where), axis=axis, out=reduced)
    arguments = (*call.places(), known(call), call.layout.sizes)
    run(_normalize.reduce, call, call.groups, *arguments)
    return call.result()


def softmax_vjp(p: Tensor, g: Tensor, axis: Axis) -> Tensor:
    """p (h - sum(p h)), h = g - g_top."""
    return _pulled_back(_vjp.softmax_vjp, p, g, axis)


def log_softmax_vjp(logp: Tensor, g: Tensor, axis: Axis) -> Tensor:
    """g - p sum(g)."""
    return _pulled_back(_vjp.log_softmax_vjp, logp, g, axis)


def _pulled_back(kernel: Any, y: Tensor, g: Tensor, axis: Axis) -> Tensor:
    call = arranged(y, g, axis=axis, out=like)
    is_whole = call.tile.parts == 1
    run(kernel, call, call.groups, *call.places(), call.layout.sizes, WHOLE=is_whole)
    return call.result()


def cross_entropy(x: Tensor, labels: Tensor, axis: int, terms: Terms) -> Tensor:
    """The loss, reduced; there is nothing as large as the logits."""
    ignored, weights = ignored_among(labels, terms), _weights(x, terms)
    index = labels.to(torch.int64).unsqueeze(axis)
    call = arranged(x, _mask(terms.where), index, axis=axis, out=reduced_to_working)
    *given, loss, loss_at = call.places()
    found = known(call, weights, spread=terms.label_smoothing != 0)
    arguments = (*given, weights, loss, loss_at, found, call.layout.sizes)
    run(_losses.losses, call, call.groups, *arguments, **_constants(terms, ignored))
    losses = call.result().squeeze(axis)
    if terms.reduction != "none":
        losses = _torch_rows.total(losses)
    if terms.reduction == "mean":
        losses = losses / _divisor(labels, ignored, weights)
    return losses.to(x.dtype)


def cross_entropy_vjp(x: Tensor, labels: Tensor, g: Tensor, axis: int, terms: Terms) -> Tensor:
    """g d loss / d x."""
    ignored, weights = ignored_among(labels, terms), _weights(x, terms)
    index = labels.to(torch.int64).unsqueeze(axis)
    g = g.to(_torch_rows.working(x))
    if terms.reduction == "mean":
        g = g / _divisor(labels, ignored, weights)
    if terms.reduction == "none":
        g = g.unsqueeze(axis)
    call = arranged(x, _mask(terms.where), index, g, axis=axis, out=like)
    *given, g_, g_at, dx, dx_at = call.places()
    found = known(call, weights, spread=terms.label_smoothing != 0)
    gradients = (weights, g_, g_at, dx, dx_at, found)
    arguments = (*given, *gradients, call.layout.sizes, call.tile.parts)
    run(_losses.losses_vjp, call, call.programs, *arguments, **_constants(terms, ignored))
    return call.result()


def _constants(terms: Terms, ignored: int | None) -> dict[str, Any]:
    """Return what a kernel is compiled with: Triton would round float arguments to float32."""
    return {
        "IGNORED": ignored,
        "SMOOTHING": float(terms.label_smoothing),
        "Z_LOSS": float(terms.z_loss),
    }


def _divisor(labels: Tensor, ignored: int | None, weights: Tensor | None) -> Any:
    """The number, or the summed class weights, of the rows that count; 1 for none at all."""
    if weights is None:
        return divisor(labels, ignored)
    index = labels.to(torch.int64)
    counted = (index >= 0) & (index < weights.shape[0])
    if ignored is not None:
        counted &= index != ignored
    each = torch.where(counted, weights[torch.where(counted, index, 0)], 0.0)
    n = _torch_rows.total(each)
    return torch.where(n == 0, 1.0, n)


def _weights(x: Tensor, terms: Terms) -> Tensor | None:
    weights = terms.class_weights
    return None if weights is None else weights.to(_torch_rows.working(x)).contiguous()


def _mask(where: Tensor | None) -> Tensor | None:
    return None if where is None else where.view(torch.uint8)


KERNELS = Kernels(
    softmax,
    softmax_vjp,
    log_softmax,
    log_softmax_vjp,
    logsumexp,
    logsumexp_vjp,
    cross_entropy,
    cross_entropy_vjp,
    takes,
)
