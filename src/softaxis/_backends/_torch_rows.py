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
from math import isfinite, isnan, log
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
BLOCK = 1 << 20
"""Elements of the losses that are computed at a time: what is not kept takes no more memory."""
_FAR = {torch.float32: 1e38, torch.float64: 1e300}
"""What the distance of a probability to the largest is multiplied with, to outweigh all else."""
_ALONE = log(0.6)
"""The logarithm above which a probability has no equal: two of 1/2 may both be rounded up."""
_TINY = {torch.float32: 1e-30, torch.float64: 1e-290}
"""Probabilities down to which quotients of them are exact enough; far above the subnormal ones."""


def working(x: Tensor) -> torch.dtype:
    """Return the dtype to compute in."""
    return x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32


def softmax(x: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """exp(z) / sum(exp(z)); where a mask leaves something out, exp(z) is 0 already."""
    rows = _last(_seen(x, where), axis)
    if x.shape[axis] < FEW:
        p = s = torch.softmax(rows, -1, dtype=x.dtype)
    else:
        p = torch.softmax(rows, -1, dtype=working(x))
        s = _sum(p)
        p = _cast(p.div_(s), x.dtype)
    p = _back(p, axis)
    if where is None or (x.numel() > _PIECE and _are_finite(s)):
        return p
    return p.masked_fill_(~where, 0.0)  # of rows that are NaN, too


def _seen(x: Tensor, where: Tensor | None) -> Tensor:
    return x if where is None else torch.where(where, x, -_INF)


def softmax_vjp(p: Tensor, g: Tensor, axis: int) -> Tensor:
    """p (h - sum(p h)), h = g - g_top; 0 where p is 0."""
    final = p.dtype
    p, g = _both(p, g, axis)
    dx = _product(p, _from_top(p, g))
    if not _are_finite(dx):
        dead = p == 0
        dx = _product(p, _from_top(p, g, dead))
        dx.masked_fill_(dead & ~dx.isfinite(), 0.0)
    return _back(_cast(dx, final), axis)


def _product(p: Tensor, h: Tensor) -> Tensor:
    """p (h - sum(p h)), which may be written to h."""
    if p.shape[-1] < FEW:
        dx: Tensor = torch._softmax_backward_data(h, p, -1, p.dtype)
        return dx
    return h.sub_(_sum(p * h)).mul_(p)


def _from_top(p: Tensor, g: Tensor, dead: Tensor | None = None) -> Tensor:
    """g less its value where p is largest; 0 where `dead` and not finite.

    In long rows all others are put far below before the largest is taken: to find the index of the
    largest p takes ten times as long as to find p.
    """
    if p.shape[-1] < FEW:
        h = g - g.gather(-1, p.argmax(-1, keepdim=True))
    else:
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
    z, _, rest, are_finite = _parts(_last(_seen(x, where), axis))
    y = _back(_cast(z.sub_(rest.log1p_()), x.dtype), axis)
    return y if where is None or are_finite else y.masked_fill_(~where, -_INF)


def log_softmax_vjp(logp: Tensor, g: Tensor, axis: int) -> Tensor:
    """g - p sum(g); where p is the largest, g (1 - p) - p times the sum of the others."""
    final = logp.dtype
    logp, g = _both(logp, g, axis)
    low, high = _least_and_largest(logp)
    dead = None if low > -_INF else logp == -_INF
    if dead is not None:
        g = g.masked_fill(dead, 0.0)
    dx = g - logp.exp().mul_(_sum(g))
    if isnan(high):
        _mend_tops(dx, logp, g)
    elif high > _ALONE:
        _mend_rows(dx, logp, g)
    return _back(_cast(dx if dead is None else dx.masked_fill_(dead, 0.0), final), axis)


def _mend_tops(dx: Tensor, logp: Tensor, g: Tensor) -> None:
    """Write what does not cancel where p is the largest, and has no equal."""
    index = logp.argmax(-1, keepdim=True)
    top, own = logp.gather(-1, index), g.gather(-1, index)
    others = _sum(g.scatter(-1, index, 0.0))
    right = -own * top.expm1() - top.exp() * others
    dx.scatter_(-1, index, torch.where(top > _ALONE, right, dx.gather(-1, index)))


def _mend_rows(dx: Tensor, logp: Tensor, g: Tensor) -> None:
    """Do the same in copies of the rows that need it."""
    dx, logp, g = (one.reshape(-1, one.shape[-1]) for one in (dx, logp, g))
    some = (logp.amax(-1) > _ALONE).nonzero().squeeze(-1)
    if some.numel() == len(dx):
        _mend_tops(dx, logp, g)
        return
    mended = dx[some]
    _mend_tops(mended, logp[some], g[some])
    dx[some] = mended


def log_softmax_jvp(logp: Tensor, t: Tensor, axis: int) -> Tensor:
    """h - sum(p h), h = t - t_top; 0 where p is 0."""
    final = logp.dtype
    logp, t = _both(logp, t, axis)
    low, _ = _least_and_largest(logp)
    dead = None if low > -_INF else logp == -_INF
    p = logp.exp()
    h = _from_top(p, t, dead)
    dy = h.sub_(_sum(p.mul_(h)))
    return _back(_cast(dy if dead is None else dy.masked_fill_(dead, 0.0), final), axis)


def logsumexp(x: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """m + L, with the dimensions kept."""
    _, m, rest, are_finite = _parts(_last(_seen(x, where), axis))
    y = rest.log1p_().add_(m)
    return _back(_cast(y if are_finite else torch.where(m.isfinite(), y, m), x.dtype), axis)


def logsumexp_vjp(x: Tensor, y: Tensor, g: Tensor, axis: int, where: Tensor | None) -> Tensor:
    """g softmax(x); 0 for a row of -inf."""
    dx = softmax(x, axis, where).mul_(g)
    return dx if _are_finite(y) else dx.masked_fill_(y == -_INF, 0.0)


def shared(x: Tensor, lse: Tensor, a: Tensor, where: Tensor | None) -> Tensor:
    """a exp(x - lse), in the dtype of computation; 0 where the exponential is."""
    dtype = working(x)
    x, lse, a = _cast(x, dtype), _cast(lse, dtype), _cast(a, dtype)
    x = _seen(x, where)
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
    """-log p_y of each row, smoothed; NaN where y names no class.

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
    x = _last(x, axis)
    loss = (
        _from_shift(x, index, smoothing) if smoothing else _from_split(x, index, *_split(x, index))
    )
    return _settled(loss, wrong, left_out)


def _settled(loss: Tensor, wrong: Tensor | None, left_out: Tensor | None) -> Tensor:
    if wrong is not None:
        loss.masked_fill_(wrong, _NAN)
    if left_out is not None:
        loss.masked_fill_(left_out, 0.0)
    return loss.squeeze(-1)


def _split(x: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """p with 0 for the label, p_y, and 1 - p_y, which is summed from the other classes.

    The last two need not add up to 1.
    """
    p = torch.softmax(x, -1, dtype=working(x))
    own = p.gather(-1, index)
    return p, own, _sum(p.scatter_(-1, index, 0.0))


def _from_split(x: Tensor, index: Tensor, _: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """log1p((1 - p_y) / p_y)."""
    loss = (others / own).log1p_()
    tiny = _TINY[own.dtype]
    if can_look(own) and own.amin().item() > tiny:
        return loss
    return torch.where(own > tiny, loss, _from_shift(x, index, 0.0))


def _from_shift(x: Tensor, index: Tensor, smoothing: float) -> Tensor:
    """L - (1 - smoothing) z_y - smoothing mean(z)."""
    z, m, rest, are_finite = _parts(x)
    loss = rest.log1p_()
    if smoothing != 1:  # or -inf, of a class that nothing is expected of, would give NaN
        loss.sub_(z.gather(-1, index), alpha=1 - smoothing)
    if smoothing:
        loss.sub_(_sum(z), alpha=smoothing / z.shape[-1])
    return loss if are_finite else loss.masked_fill_(m == -_INF, _INF)


def losses_vjp(
    x: Tensor, labels: Tensor, g: Tensor, axis: int, ignored: int | None, smoothing: float
) -> Tensor:
    """g (p - q), q being the mass of the labels, smoothed; g may be one number for all rows."""
    if _is_one_block(x):
        return _cast(_losses_vjp(x, labels, g, axis, ignored, smoothing), x.dtype)
    dx = torch.empty_like(x)
    g = g.expand(labels.shape)
    for part, rows in _blocks(x, axis):
        dx[part] = _losses_vjp(x[part], labels[rows], g[rows], axis, ignored, smoothing)
    return dx


def _losses_vjp(
    x: Tensor, labels: Tensor, g: Tensor, axis: int, ignored: int | None, smoothing: float
) -> Tensor:
    index, wrong, left_out = _index(labels, x.shape[axis], ignored)
    scale = _cast(g.unsqueeze(-1) if g.ndim else g, working(x))
    if wrong is not None:
        scale = torch.where(wrong, _NAN, scale)
    slope = _slope(index, *_split(_last(x, axis), index), scale, smoothing)
    return _back(slope if left_out is None else slope.masked_fill_(left_out, 0.0), axis)


def _slope(
    index: Tensor, p: Tensor, own: Tensor, others: Tensor, scale: Tensor | float, smoothing: float
) -> Tensor:
    """scale (p - q); all that is given by `_split` is written."""
    share = scale / own.add_(others)
    right = others.mul_(share).neg_()
    if smoothing:
        right += smoothing * scale
    slope = p.mul_(share).scatter_(-1, index, right)
    return slope.sub_(smoothing / p.shape[-1] * scale) if smoothing else slope


def losses_and_slopes(
    x: Tensor, labels: Tensor, axis: int, ignored: int | None, scale: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Return what `losses` and `losses_vjp` do, without smoothing: at once, and in one block."""
    index, wrong, left_out = _index(labels, x.shape[axis], ignored)
    rows = _last(x, axis)
    parts = _split(rows, index)
    loss = _settled(_from_split(rows, index, *parts), wrong, left_out)
    slope = _slope(index, *parts, scale, 0.0)
    if wrong is not None:
        slope.masked_fill_(wrong, _NAN)
    if left_out is not None:
        slope.masked_fill_(left_out, 0.0)
    return loss, _cast(_back(slope, axis), x.dtype)


def total(a: Tensor) -> Tensor:
    """Return the sum of all elements."""
    return a.sum() if a.numel() <= _PIECE else _sum(a.reshape(-1)).squeeze(0)


def mean(a: Tensor) -> Tensor:
    """Return their mean."""
    return a.mean() if a.numel() <= _PIECE else total(a) / a.numel()


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


def can_look(x: Tensor) -> bool:
    return bool(x.is_cpu) and not is_watched()


def _are_finite(a: Tensor) -> bool:
    """Return whether nothing is infinite or NaN; False where nobody may look, too."""
    return can_look(a) and isfinite(a.sum().item())


def _least_and_largest(a: Tensor) -> tuple[float, float]:
    """Return both of all elements; NaN where nobody may look, or where there is a NaN."""
    if not can_look(a):
        return _NAN, _NAN
    low, high = a.aminmax()
    return low.item(), high.item()


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
    return bool(x.ndim == 1 or x.numel() <= BLOCK)


def _blocks(x: Tensor, axis: int) -> Iterator[tuple[Slices, Slices]]:
    """Cut x, and what has no `axis`, along another dimension into parts of about `BLOCK`."""
    along = 0 if axis else 1
    step = max(1, BLOCK * x.shape[along] // x.numel())
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
