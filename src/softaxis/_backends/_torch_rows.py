"""Rows of tensors by PyTorch's own operators, and their derivatives: forward only, no autograd.

With m the maximum of a row, z = x - m and rest the sum of exp(z) over all but one element that
equals m, logsumexp = m + L and L = log1p(rest), which keeps what a plain log(sum) would round
to 0. On the CPU rows are made contiguous: the bits of a sum depend on how its row lies. What is
written in place was made here.

Numbers on the CPU may be looked at: what mends results that are not finite costs more than all the
rest, so it runs where there are such. It changes nothing else, so that a row's bits do not depend
on the other rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TypeAlias

import torch
from torch import Tensor

from softaxis._backends._torch_autograd import is_watched

Slices: TypeAlias = tuple[slice, ...]

_INF = float("inf")
_NAN = float("nan")
FEW = 32
"""From here on the sum of native softmax is taken again: it adds in a few long chains. And finding
where the maximum of a row is takes longer than counting how often it is there."""
_PIECE = 1 << 12
"""Elements that PyTorch adds at a time: many more it may share among threads."""
_BLOCK = 1 << 20
"""Elements of the losses that are computed at a time: what is not kept takes no more memory."""
_FAR = {torch.float32: 1e38, torch.float64: 1e300}
"""What the distance of a probability to the largest is multiplied with, to outweigh all else."""


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
    return _back(_cast(p.div_(_sum(p)), x.dtype), axis)


def softmax_vjp(p: Tensor, g: Tensor, axis: int) -> Tensor:
    """p (h - sum(p h)), h = g - g_top; 0 where p is 0."""
    final = p.dtype
    p, g = _both(p, g, axis)
    h = _from_top(p, g)
    dx = h.sub_(_sum(p * h)).mul_(p)
    if not _are_finite(dx):
        dead = p == 0
        h = _from_top(p, g, dead)
        dx = h.sub_(_sum(p * h)).mul_(p)
        dx.masked_fill_(dead & ~dx.isfinite(), 0.0)
    return _back(_cast(dx, final), axis)


def _from_top(p: Tensor, g: Tensor, dead: Tensor | None = None) -> Tensor:
    """g less its value where p is largest; 0 where `dead` and not finite.

    Before the largest is taken, all others are put far below: to find the index of the largest p
    takes ten times as long as to find p.
    """
    m = p.amax(-1, keepdim=True)
    h = p - m
    torch.add(g, h, alpha=_FAR[p.dtype], out=h)
    top = h.amax(-1, keepdim=True)
    if dead is not None:
        exact = g.masked_fill(p != m, -_INF).amax(-1, keepdim=True)
        top = torch.where(top.isfinite(), top, exact)
    torch.sub(g, top, out=h)
    return h if dead is None else h.masked_fill_(dead & ~h.isfinite(), 0.0)


def log_softmax(x: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """z - L."""
    if where is not None:
        hidden = ~where
        return log_softmax(x.masked_fill(hidden, -_INF), axis, None).masked_fill_(hidden, -_INF)
    z, _, rest, _ = _parts(_last(x, axis))
    return _back(_cast(z.sub_(rest.log1p_()), x.dtype), axis)


def log_softmax_vjp(logp: Tensor, g: Tensor, axis: int) -> Tensor:
    """g - p sum(g); where p is the largest, g (1 - p) - p times the sum of the others."""
    final = logp.dtype
    logp, g = _both(logp, g, axis)
    dead = None if _are_above_minus_infinity(logp) else logp == -_INF
    if dead is not None:
        g = g.masked_fill(dead, 0.0)
    p = logp.exp()
    top = p.amax(-1, keepdim=True)
    dx = torch.sub(g, p.mul_(_sum(g)), out=p)
    alone = top > 0.6  # of two equal ones, rounding may put both above 1/2
    if not _can_look(alone) or alone.any():
        index = logp.argmax(-1, keepdim=True)
        own, others = g.gather(-1, index), _sum(g.scatter(-1, index, 0.0))
        right = -own * torch.expm1(logp.gather(-1, index)) - top * others
        dx.scatter_(-1, index, torch.where(alone, right, dx.gather(-1, index)))
    return _back(_cast(dx if dead is None else dx.masked_fill_(dead, 0.0), final), axis)


def log_softmax_jvp(logp: Tensor, t: Tensor, axis: int) -> Tensor:
    """h - sum(p h), h = t - t_top; 0 where p is 0."""
    final = logp.dtype
    logp, t = _both(logp, t, axis)
    dead = None if _are_above_minus_infinity(logp) else logp == -_INF
    p = logp.exp()
    h = _from_top(p, t, dead)
    dy = h.sub_(_sum(p.mul_(h)))
    return _back(_cast(dy if dead is None else dy.masked_fill_(dead, 0.0), final), axis)


def logsumexp(x: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """m + L, with the dimensions kept."""
    if where is not None:
        x = x.masked_fill(~where, -_INF)
    _, m, rest, are_finite = _parts(_last(x, axis))
    y = rest.log1p_().add_(m)
    return _back(_cast(y if are_finite else torch.where(m.isfinite(), y, m), x.dtype), axis)


def logsumexp_vjp(x: Tensor, y: Tensor, g: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """g softmax(x); 0 for a row of -inf."""
    return softmax(x, axis, where).mul_(g).masked_fill_(y == -_INF, 0.0)


def shared(x: Tensor, lse: Tensor, a: Tensor, where: Tensor | None) -> Tensor:
    """a exp(x - lse), in the dtype of computation; 0 where the exponential is."""
    dtype = working(x)
    x, lse, a = _cast(x, dtype), _cast(lse, dtype), _cast(a, dtype)
    if where is not None:
        x = x.masked_fill(~where, -_INF)
    y = (x - lse).exp_().mul_(a)
    if not _are_finite(y):
        share = (x - lse).exp_().masked_fill_((x == -_INF) | (lse == -_INF), 0.0)
        y = share * a
        y.masked_fill_((share == 0) & ~y.isfinite(), 0.0)
    return y


def summed(a: Tensor, axis: int) -> Tensor:
    """Sum along an axis, which is kept."""
    return _back(_sum(_last(a, axis)), axis)


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
    z, m, rest, are_finite = _parts(_last(x, axis))
    loss = rest.log1p_().sub_(_expected(z, index, smoothing))
    if not are_finite:
        loss.masked_fill_(m == -_INF, _INF)
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
    z, _, rest, _ = _parts(_last(x, axis))
    s = 1 + rest
    others = (rest - z.gather(-1, index).expm1_()) / s  # 1 - exp(z_y) is 0 for the largest
    scale = _cast(g.unsqueeze(-1), z.dtype)
    if wrong is not None:
        scale = scale.masked_fill(wrong, _NAN)
    slope = z.exp_().mul_(scale / s).scatter_(-1, index, (smoothing - others) * scale)
    if smoothing:
        slope -= spread * scale
    return _back(slope if left_out is None else slope.masked_fill_(left_out, 0.0), axis)


def total(a: Tensor) -> Tensor:
    """Return the sum of all elements."""
    return a.sum() if a.numel() <= _PIECE else _sum(a.reshape(-1)).squeeze(0)


def _last(x: Tensor, axis: int) -> Tensor:
    """Return rows along the last axis; side by side on the CPU."""
    if axis != x.ndim - 1:
        x = x.movedim(axis, -1)
    return x.contiguous() if x.is_cpu else x


def _back(y: Tensor, axis: int) -> Tensor:
    return y if axis == y.ndim - 1 else y.movedim(-1, axis)


def _cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    return x if x.dtype is dtype else x.to(dtype)


def _both(y: Tensor, v: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return rows of a result and of a direction, in the dtype of computation."""
    dtype = working(y)
    return _cast(_last(y, axis), dtype), _cast(_last(v, axis), dtype)


def _can_look(x: Tensor) -> bool:
    return bool(x.is_cpu) and not is_watched()


def _are_finite(a: Tensor) -> bool:
    """Return whether nothing is infinite or NaN; False where nobody may look, too."""
    return _can_look(a) and isfinite(a.sum().item())


def _are_above_minus_infinity(a: Tensor) -> bool:
    return _can_look(a) and a.amin().item() > -_INF


def _parts(x: Tensor) -> tuple[Tensor, Tensor, Tensor, bool]:
    """z, m, and rest, which is NaN where m is infinite or NaN; whether no m is known to be so.

    A fraction of exp(z) is exp(z) itself, but 0 where z is 0 or rounds to it; the number of those
    is what the sum loses, and but one of them are in rest.
    """
    x = _cast(x, working(x))
    if x.shape[-1] < FEW:
        m, first = x.max(-1, keepdim=True)
        z = x - m
        rest = z.exp().scatter_(-1, first, 0.0).sum(-1, keepdim=True)
    else:
        m = x.amax(-1, keepdim=True)
        z = x - m
        e = z.exp()
        s = _sum(e)
        rest = _sum(e.frac_())
        rest.add_(s.sub_(rest).round_().sub_(1))
    are_finite = _are_finite(m)
    return z, m, rest if are_finite else rest.add_(m - m), are_finite


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
    index = _cast(labels, torch.int64).unsqueeze(-1)
    left_out = None if ignored is None else index == ignored
    if labels.is_cpu:
        return index if left_out is None else index.masked_fill(left_out, 0), None, left_out
    wrong = (index < 0) | (index >= classes)
    return index.masked_fill(wrong, 0), wrong, left_out
