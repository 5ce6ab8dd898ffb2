"""Rows of tensors by PyTorch's own operators, and their derivatives: forward only, no autograd.

With m the maximum of a row, z = x - m and rest the sum of exp(z) over all but one element that
equals m, logsumexp = m + L and L = log1p(rest), which keeps what a plain log(sum) would round
to 0. On the CPU rows are made contiguous: the bits of a sum depend on how its row lies. What is
written in place was made here.
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
_PIECE = 1 << 12
"""Elements that PyTorch adds at a time: many more it may share among threads."""
_BLOCK = 1 << 20
"""Elements of the losses that are computed at a time: what is not kept takes no more memory."""


def working(x: Tensor) -> torch.dtype:
    """Return the dtype to compute in."""
    return x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32


def softmax(x: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """exp(z) / sum(exp(z))."""
    if where is not None:
        hidden = ~where
        return softmax(x.masked_fill(hidden, -_INF), axis, None).masked_fill_(hidden, 0.0)
    x = _last(x, axis)
    if x.shape[-1] < FEW:
        return _back(torch.softmax(x, -1, dtype=x.dtype), axis)
    p = torch.softmax(x, -1, dtype=working(x))
    return _back(p.div_(_sum(p)).to(x.dtype), axis)


def softmax_vjp(p: Tensor, g: Tensor, axis: int) -> Tensor:
    """p (h - sum(p h)), h = g - g_top; 0 where p is 0."""
    dtype = p.dtype
    p, g = (_last(one, axis).to(working(one)) for one in (p, g))
    dead = p == 0
    h = (g - g.gather(-1, p.argmax(-1, keepdim=True))).masked_fill_(dead, 0.0)
    h -= _sum(p * h)
    return _back(h.mul_(p).masked_fill_(dead, 0.0).to(dtype), axis)


def log_softmax(x: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """z - L."""
    if where is not None:
        hidden = ~where
        return log_softmax(x.masked_fill(hidden, -_INF), axis, None).masked_fill_(hidden, -_INF)
    z, m, _, rest = _parts(_last(x, axis))
    return _back(z.sub_(_level(m, rest)).to(x.dtype), axis)


def log_softmax_vjp(logp: Tensor, g: Tensor, axis: int) -> Tensor:
    """g - p sum(g); where p is the largest, g (1 - p) - p times the sum of the others."""
    dtype = logp.dtype
    logp, g = (_last(one, axis).to(working(one)) for one in (logp, g))
    dead = logp == -_INF
    g = g.masked_fill(dead, 0.0)
    top, index = logp.max(-1, keepdim=True)
    own = g.gather(-1, index)
    others = _sum(g.scatter(-1, index, 0.0))
    dx = g.sub_(logp.exp().mul_(own + others))
    p = top.exp()
    alone = p > 0.6  # of two equal ones, rounding may put both above 1/2
    right = torch.where(alone, -own * torch.expm1(top) - p * others, dx.gather(-1, index))
    return _back(dx.scatter_(-1, index, right).masked_fill_(dead, 0.0).to(dtype), axis)


def logsumexp(x: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """m + L, with the dimensions kept."""
    if where is not None:
        x = x.masked_fill(~where, -_INF)
    _, m, _, rest = _parts(_last(x, axis))
    return _back(torch.where(torch.isfinite(m), m + torch.log1p(rest), m).to(x.dtype), axis)


def logsumexp_vjp(x: Tensor, y: Tensor, g: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """g softmax(x); 0 for a row of -inf."""
    return softmax(x, axis, where).mul_(g).masked_fill_(y == -_INF, 0.0)


def losses(x: Tensor, labels: Tensor, axis: int, ignored: int | None, smoothing: float) -> Tensor:
    """L - (1 - smoothing) z_y - smoothing mean(z) of each row; NaN where y names no class.

    It has the dtype of computation.
    """
    if _is_one_block(x):
        return _losses(x, labels, axis, ignored, smoothing)
    y = torch.empty(labels.shape, dtype=working(x), device=x.device)
    for part, rows in _blocks(x, axis):
        y[rows] = _losses(x[part], labels[rows], axis, ignored, smoothing)
    return y


def _losses(x: Tensor, labels: Tensor, axis: int, ignored: int | None, smoothing: float) -> Tensor:
    index, wrong, left_out = _index(labels, x.shape[axis], ignored)
    z, m, _, rest = _parts(_last(x, axis))
    loss = _level(m, rest) - _expected(z, index, smoothing)
    loss = torch.where(m == -_INF, _INF, loss)
    if wrong is not None:
        loss.masked_fill_(wrong, _NAN)
    if left_out is not None:
        loss.masked_fill_(left_out, 0.0)
    return loss.squeeze(-1)


def _expected(z: Tensor, index: Tensor, smoothing: float) -> Tensor:
    """Return what the labels expect of z, the mass of smoothing being spread over all classes."""
    own = z.gather(-1, index)
    if not smoothing:
        return own
    spread = _sum(z).mul_(smoothing / z.shape[-1])
    return spread if smoothing == 1 else own.mul_(1 - smoothing).add_(spread)


def losses_vjp(
    x: Tensor, labels: Tensor, g: Tensor, axis: int, ignored: int | None, smoothing: float
) -> Tensor:
    """g (p - q), q being the mass of the labels, smoothed.

    1 - p_y is summed from the other classes where p_y is the largest.
    """
    if _is_one_block(x):
        return _losses_vjp(x, labels, g, axis, ignored, smoothing).to(x.dtype)
    dx = torch.empty_like(x)
    for part, rows in _blocks(x, axis):
        dx[part] = _losses_vjp(x[part], labels[rows], g[rows], axis, ignored, smoothing)
    return dx


def _losses_vjp(
    x: Tensor, labels: Tensor, g: Tensor, axis: int, ignored: int | None, smoothing: float
) -> Tensor:
    spread = smoothing / x.shape[axis]
    index, wrong, left_out = _index(labels, x.shape[axis], ignored)
    z, m, first, rest = _parts(_last(x, axis))
    s = 1 + rest + (m - m)
    others = torch.where(index == first, rest, s - z.gather(-1, index).exp()) / s
    scale = g.unsqueeze(-1).to(z.dtype)
    if wrong is not None:
        scale = scale.masked_fill(wrong, _NAN)
    slope = z.exp_().mul_(scale / s).scatter_(-1, index, (smoothing - others) * scale)
    if smoothing:
        slope -= spread * scale
    return _back(slope if left_out is None else slope.masked_fill_(left_out, 0.0), axis)


def total(a: Tensor) -> Tensor:
    """Return the sum of all elements."""
    return _sum(a.reshape(-1)).squeeze(0)


def _last(x: Tensor, axis: int) -> Tensor:
    """Return rows along the last axis; side by side on the CPU."""
    x = x.movedim(axis, -1)
    return x.contiguous() if x.is_cpu else x


def _back(y: Tensor, axis: int) -> Tensor:
    return y.movedim(-1, axis)


def _parts(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """z, m, the index of one element that equals it, and rest."""
    x = x.to(working(x))
    m, first = x.max(-1, keepdim=True)
    z = x - m
    return z, m, first, _sum(z.exp().scatter_(-1, first, 0.0))


def _level(m: Tensor, rest: Tensor) -> Tensor:
    """L; NaN where m is infinite or NaN."""
    return torch.log1p(rest) + (m - m)


def _sum(a: Tensor) -> Tensor:
    """Sum each row, in the same order however many rows and threads there are."""
    n = a.shape[-1]
    if n <= _PIECE:
        return a.sum(-1, keepdim=True)
    whole = n // _PIECE * _PIECE
    s = _sum(a[..., :whole].unflatten(-1, (-1, _PIECE)).sum(-1))
    return s if whole == n else s + a[..., whole:].sum(-1, keepdim=True)


def _is_one_block(x: Tensor) -> bool:
    return bool(x.ndim == 1 or x.numel() <= _BLOCK)


def _blocks(x: Tensor, axis: int) -> Iterator[tuple[Slices, Slices]]:
    """Cut x, and what has no `axis`, along another dimension into parts of about `_BLOCK`."""
    along = 0 if axis else 1
    step = max(1, _BLOCK * x.shape[along] // x.numel())
    for start in range(0, x.shape[along], step):
        one = slice(start, start + step)
        yield (slice(None),) * along + (one,), (one,)


def _index(
    labels: Tensor, classes: int, ignored: int | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return labels as indices, where they name no class, and where they are to be ignored.

    On the CPU those that name none have been refused.
    """
    index = labels.to(torch.int64).unsqueeze(-1)
    left_out = None if ignored is None else index == ignored
    if labels.is_cpu:
        return index if left_out is None else index.masked_fill(left_out, 0), None, left_out
    wrong = (index < 0) | (index >= classes)
    return index.masked_fill(wrong, 0), wrong, left_out
