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
    ignored = ignored_among(labels, terms)
    loss = rows.losses(x, labels, axis, ignored, terms.label_smoothing)
    if terms.reduction != "none":
        loss = rows.total(loss)
    if terms.reduction == "mean":
        loss = loss / divisor(labels, ignored)
    return loss.to(x.dtype)


def _cross_entropy_vjp(x: Tensor, labels: Tensor, g: Tensor, axis: int, terms: Terms) -> Tensor:
    ignored = ignored_among(labels, terms)
    g = g.to(rows.working(x))
    if terms.reduction == "mean":
        g = g / divisor(labels, ignored)
    return rows.losses_vjp(x, labels, g.expand(labels.shape), axis, ignored, terms.label_smoothing)


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
