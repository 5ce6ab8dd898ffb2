"""What PyTorch's operators compute, as `Kernels`: the losses reduced, their labels looked at."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softaxis._backends import _torch_rows as rows
from softaxis._backends._torch_autograd import PLAIN, Kernels, Terms
from softaxis._dtypes import as_integral
from softaxis._libraries._torch import LIBRARY


def _cross_entropy(x: Tensor, labels: Tensor, axis: int, terms: Terms) -> Tensor:
    ignored = _ignored_here(labels, terms)
    loss = rows.losses(x, labels, axis, ignored, terms.label_smoothing)
    return _reduced(loss, x, labels, ignored, terms)


def _reduced(loss: Tensor, x: Tensor, labels: Tensor, ignored: int | None, terms: Terms) -> Tensor:
    if terms.reduction == "sum":
        loss = rows.total(loss)
    elif terms.reduction == "mean":
        counted = ignored is not None
        loss = rows.total(loss) / divisor(labels, ignored) if counted else rows.mean(loss)
    return loss if loss.dtype is x.dtype else loss.to(x.dtype)


def cross_entropy_and_grad(
    x: Tensor, labels: Tensor, axis: int, terms: Terms
) -> tuple[Tensor, Tensor]:
    """Return a simple loss, and the gradient of its sum."""
    if terms.label_smoothing or x.numel() > rows.BLOCK:
        one = torch.ones((), dtype=rows.working(x), device=x.device)
        return _cross_entropy(x, labels, axis, terms), _cross_entropy_vjp(
            x, labels, one, axis, terms
        )
    ignored = _ignored_here(labels, terms)
    scale = 1.0 / divisor(labels, ignored) if terms.reduction == "mean" else 1.0
    loss, slope = rows.losses_and_slopes(x, labels, axis, ignored, scale)
    return _reduced(loss, x, labels, ignored, terms), slope


def _cross_entropy_vjp(x: Tensor, labels: Tensor, g: Tensor, axis: int, terms: Terms) -> Tensor:
    ignored = _ignored_here(labels, terms)
    if g.dtype is not rows.working(x):
        g = g.to(rows.working(x))
    if terms.reduction == "mean":
        g = g / divisor(labels, ignored)
    return rows.losses_vjp(x, labels, g, axis, ignored, terms.label_smoothing)


def _ignored_here(labels: Tensor, terms: Terms) -> int | None:
    """Return the label to ignore; None also where a look tells that no row has it."""
    ignored = ignored_among(labels, terms)
    if ignored is not None and rows.can_look(labels) and not (labels == ignored).any():
        return None
    return ignored


def ignored_among(labels: Tensor, terms: Terms) -> int | None:
    """Return the label to ignore as it is among int64; None where there is none."""
    if terms.ignore_index is None:
        return None
    return as_integral(terms.ignore_index, labels.dtype, labels, LIBRARY.xp)


def divisor(labels: Tensor, ignored: int | None) -> Any:
    """The number of rows that count; 1 for none at all."""
    if ignored is None:
        return max(labels.numel(), 1)
    return (labels.to(torch.int64) != ignored).sum().clamp(min=1)


def takes(*tensors: Tensor | None) -> bool:
    """Return whether tensors, or None, are no subclasses that are to see each step."""
    return all(one is None or type(one) in PLAIN for one in tensors)


KERNELS = Kernels(
    rows.softmax,
    rows.softmax_vjp,
    rows.log_softmax,
    rows.log_softmax_vjp,
    rows.logsumexp,
    rows.logsumexp_vjp,
    _cross_entropy,
    _cross_entropy_vjp,
    takes,
)
