"""Rows of tensors by PyTorch's own operators, and their derivatives: forward only, no autograd.

With m the maximum of a row, z = x - m and rest the sum of exp(z) over all but one element that
equals m, logsumexp = m + L and L = log1p(rest), which keeps what a plain log(sum) would round
to 0. What is written in place was made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import torch
from torch import Tensor

Slices: TypeAlias = tuple[slice, ...]

_INF = float("inf")
_NAN = float("nan")
FEW = 32
"""From here on the sum of native softmax is taken again: it adds in a few long chains."""
_SPLIT = 1 << 14
"""Elements of a sum to a single number from which on PyTorch may share it among threads."""
_PIECE = 1 << 12
"""And how many of them are added to one in such a sum."""
_BLOCK = 1 << 22
"""Elements of the losses that are computed at a time: what is not kept takes no more memory."""


def working(x: Tensor) -> torch.dtype:
    """Return the dtype to compute in."""
    return x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32


def softmax(x: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """exp(z) / sum(exp(z))."""
    if where is not None:
        hidden = ~where
        return softmax(x.masked_fill(hidden, -_INF), axis, None).masked_fill_(hidden, 0.0)
    if x.shape[axis] < FEW and axis == x.ndim - 1:
        return torch.softmax(x, axis, dtype=x.dtype)
    p = torch.softmax(x, axis, dtype=working(x))
    return p.div_(_sum(p, axis)).to(x.dtype)


def softmax_vjp(p: Tensor, g: Tensor, axis: int) -> Tensor:
    """p (h - sum(p h)), h = g - g_top; 0 where p is 0."""
    wide = p.to(working(p))
    h = g.to(wide.dtype) - g.gather(axis, wide.argmax(axis, keepdim=True)).to(wide.dtype)
    dead = wide == 0
    h.masked_fill_(dead, 0.0)
    h -= _sum(wide * h, axis)
    return h.mul_(wide).masked_fill_(dead, 0.0).to(p.dtype)


def log_softmax(x: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """z - L."""
    if where is not None:
        hidden = ~where
        return log_softmax(x.masked_fill(hidden, -_INF), axis, None).masked_fill_(hidden, -_INF)
    z, m, _, rest = _parts(x, axis)
    return z.sub_(_level(m, rest)).to(x.dtype)


def log_softmax_vjp(logp: Tensor, g: Tensor, axis: int) -> Tensor:
    """g - p sum(g); where p is the largest, g (1 - p) - p times the sum of the others."""
    wide = logp.to(working(logp))
    dead = wide == -_INF
    g = g.to(wide.dtype).masked_fill(dead, 0.0)
    top, index = wide.max(axis, keepdim=True)
    own = g.gather(axis, index)
    others = _sum(g.scatter(axis, index, 0.0), axis)
    dx = g.sub_(wide.exp().mul_(own + others))
    p = top.exp()
    alone = p > 0.6  # of two equal ones, rounding may put both above 1/2
    right = torch.where(alone, -own * torch.expm1(top) - p * others, dx.gather(axis, index))
    return dx.scatter_(axis, index, right).masked_fill_(dead, 0.0).to(logp.dtype)


def logsumexp(x: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """m + L, with the dimensions kept."""
    if where is not None:
        x = x.masked_fill(~where, -_INF)
    _, m, _, rest = _parts(x, axis)
    y = torch.where(torch.isfinite(m), m + torch.log1p(rest), m)
    return y.to(x.dtype)


def logsumexp_vjp(x: Tensor, y: Tensor, g: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """g softmax(x); 0 for a row of -inf."""
    return softmax(x, axis, where).mul_(g).masked_fill_(y == -_INF, 0.0)


def losses(x: Tensor, labels: Tensor, axis: int, ignored: int | None) -> Tensor:
    """L - z_y of each row, in the dtype of computation; NaN where y names no class."""
    y = torch.empty(labels.shape, dtype=working(x), device=x.device)
    for part, rows in _blocks(x, axis):
        index, wrong, left_out = _index(x[part], labels[rows], axis, ignored)
        z, m, _, rest = _parts(x[part], axis)
        loss = _level(m, rest) - z.gather(axis, index)
        loss = torch.where(m == -_INF, _INF, loss).masked_fill_(wrong, _NAN)
        if left_out is not None:
            loss.masked_fill_(left_out, 0.0)
        y[rows] = loss.squeeze(axis)
    return y


def losses_vjp(x: Tensor, labels: Tensor, g: Tensor, axis: int, ignored: int | None) -> Tensor:
    """g (p - [c = y]), with 1 - p_y summed from the other classes where p_y is the largest."""
    dx = torch.empty_like(x)
    for part, rows in _blocks(x, axis):
        index, wrong, left_out = _index(x[part], labels[rows], axis, ignored)
        z, m, first, rest = _parts(x[part], axis)
        s = 1 + rest + (m - m)
        others = torch.where(index == first, rest, s - z.gather(axis, index).exp()) / s
        scale = g[rows].unsqueeze(axis).to(z.dtype).masked_fill(wrong, _NAN)
        slope = z.exp_().mul_(scale / s).scatter_(axis, index, -others * scale)
        dx[part] = slope if left_out is None else slope.masked_fill_(left_out, 0.0)
    return dx


def total(a: Tensor) -> Tensor:
    """Return the sum of all elements."""
    return a.sum() if a.numel() < _SPLIT else _sum(a.reshape(-1), 0).squeeze(0)


def _parts(x: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """z, m, the index of one element that equals it, and rest."""
    x = x.to(working(x))
    m, first = x.max(axis, keepdim=True)
    z = x - m
    return z, m, first, _sum(z.exp().scatter_(axis, first, 0.0), axis)


def _level(m: Tensor, rest: Tensor) -> Tensor:
    """L; NaN where m is infinite or NaN."""
    return torch.log1p(rest) + (m - m)


def _sum(a: Tensor, axis: int) -> Tensor:
    """Sum with the dimensions kept, in the same order however many threads there are."""
    n = a.shape[axis]
    if n < _SPLIT or a.numel() != n:
        return a.sum(axis, keepdim=True)
    row = a.reshape(-1)
    whole = n // _PIECE * _PIECE
    parts = row[:whole].view(-1, _PIECE).sum(1)
    return (parts.sum() + row[whole:].sum()).reshape((1,) * a.ndim)


def _blocks(x: Tensor, axis: int) -> Iterator[tuple[Slices, Slices]]:
    """Cut x, and what has no `axis`, along another dimension into parts of about `_BLOCK`."""
    if x.ndim == 1 or x.numel() <= _BLOCK:
        yield (), ()
        return
    along = 0 if axis else 1
    step = max(1, _BLOCK * x.shape[along] // x.numel())
    for start in range(0, x.shape[along], step):
        one = slice(start, start + step)
        yield (slice(None),) * along + (one,), (one,)


def _index(
    x: Tensor, labels: Tensor, axis: int, ignored: int | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return labels as indices, where they name no class, and where they are to be ignored."""
    index = labels.to(torch.int64).unsqueeze(axis)
    left_out = None if ignored is None else index == ignored
    wrong = (index < 0) | (index >= x.shape[axis])
    return index.masked_fill(wrong, 0), wrong, left_out
