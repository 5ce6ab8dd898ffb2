"""NumPy: cross_entropy of integer labels, and its gradient, block by block.

With s the sum of e = exp(x - shift) over a row, e_y that of its label, v the weight of that class
and lse = shift + log(s),

    loss       = v log(s / e_y) + z_loss lse**2
    gradient_c = e_c (v + 2 z_loss lse) / s            for every other class
    gradient_y = e_y 2 z_loss lse / s - v (s - e_y) / s

A quotient has no difference that cancels, so the shift is mostly 0. Where the label is nearly
certain, s - e_y is summed from the other classes and the logarithm is log1p of it; where s / e_y
might overflow, the logarithm is shift - x_y + log(s), and no less accurate.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from softaxis._backends._numpy_layout import blocks_of, small_rows
from softaxis._backends._numpy_parts import Row, room_for
from softaxis._backends._numpy_shift import NEAR, PROBABLE, fits
from softaxis._dtypes import as_integral
from softaxis._libraries._numpy import LIBRARY

NDArray: TypeAlias = npt.NDArray[Any]

_FAR = 2.0**100
"""A quotient above it is taken apart: its logarithm is large beside the error of log(s)."""
_LABELS = 1 << 17
"""Labels that are looked at together."""


class Options(NamedTuple):
    """The keyword arguments of the public functions."""

    axis: int
    where: NDArray | None
    class_weights: NDArray | None
    ignore_index: int | None
    z_loss: float
    reduction: str
    gradient: bool


class Terms(NamedTuple):
    """What is asked for beside logits and labels."""

    weights: NDArray | None
    """One weight for each class."""
    ignored: int | None
    z_loss: float
    divisor: Any
    """What the gradient is divided by."""


class _Known(NamedTuple):
    """What is known of each row; all have its shape with length 1 along the axis."""

    y: NDArray
    s: NDArray
    e_y: NDArray
    v: Any
    others: Any
    """The sum of exp(x - shift) over the other classes."""
    pull: Any
    """2 z_loss lse."""
    shift: Any


def loss(logits: NDArray, labels: NDArray, options: Options, working: Any, final: Any) -> Any:
    """Return the loss, or the loss and its gradient."""
    axis, where, class_weights, ignored, z_loss, reduction, gradient = options
    if ignored is not None:
        ignored = as_integral(ignored, labels.dtype, labels, LIBRARY.xp)
    if where is None and class_weights is None and ignored is None and not z_loss:
        result = _of_small(logits, labels, options)
        if result is not None:
            return result
    divisor = _divisor(labels, ignored, class_weights, working) if reduction == "mean" else 1
    terms = Terms(class_weights, ignored, z_loss, divisor)
    mask = None if where is None else np.broadcast_to(where, logits.shape)
    grad = np.empty(logits.shape, final) if gradient else None
    losses = np.empty(labels.shape, final) if reduction == "none" else None
    kept = None if losses is None else np.expand_dims(losses, axis)
    sums = []
    operands = (logits, np.expand_dims(labels, axis), mask, grad, kept)
    itemsize = working.itemsize * (1 if mask is None else 2)  # what is masked is a copy
    for x, y, of_mask, of_grad, of_loss in blocks_of(operands, (axis,), itemsize):
        row = Row(x, working, room_for(x.shape, working), of_mask)
        found = _of_rows(row, y, terms, of_grad)
        if of_loss is not None:
            of_loss[...] = found
        else:
            sums.append(np.add.reduce(found, axis=None))
    if losses is None:
        result = final.type(np.add.reduce(np.array(sums, working)) / divisor)
    else:
        result = losses[()] if losses.ndim == 0 else losses
    return (result, grad) if gradient else result


def _of_small(logits: NDArray, labels: NDArray, options: Options) -> Any:
    """Compute a small matrix in a few steps; None for anything else."""
    if logits.ndim != 2 or options.axis != 1 or small_rows(logits, 1) is None:
        return None
    divisor = labels.size if options.reduction == "mean" else 1
    found = _of_matrix(logits, labels, divisor, options.gradient)
    if found is None:
        return None
    result, grad = found
    if options.reduction != "none":
        result = np.add.reduce(result) / logits.dtype.type(divisor)
    return (result, grad) if options.gradient else result


def _of_matrix(x: NDArray, labels: NDArray, divisor: int, gradient: bool) -> Any:
    """Return the losses of contiguous rows in the cache and what their gradient is, or None.

    None if one of them needs a shift, or the logarithm to be taken apart. The bits are those that
    `_of_rows` computes; for few and short rows this takes a fifth of its time.
    """
    e = np.exp(x)
    s = np.add.reduce(e, axis=1)
    flat = e.reshape(-1)
    at = labels.astype(np.intp, copy=False) + np.arange(0, x.size, x.shape[1])
    e_y = flat[at]
    quotient = s / e_y
    if not (fits(s, PROBABLE) and quotient.item(quotient.argmax()) <= _FAR):
        return None
    loss = np.log(quotient)
    others = s - e_y
    if quotient.item(quotient.argmin()) < NEAR:
        near = quotient < NEAR
        flat[at] = 0
        rest = np.add.reduce(e, axis=1)
        np.copyto(loss, np.log1p(rest / e_y), where=near)
        np.copyto(others, rest, where=near)
    if not gradient:
        return loss, None
    scale = s * divisor
    np.multiply(e, (1 / scale)[:, None], e)
    flat[at] = -others / scale
    return loss, e


def _of_rows(row: Row, labels: NDArray, terms: Terms, grad: NDArray | None) -> NDArray:
    """Return the loss of each row in the dtype to compute in; write the gradient if asked for."""
    y = labels.astype(np.intp, copy=False)
    ignored = None
    if terms.ignored is not None:
        ignored = y == terms.ignored
        ignored = ignored if ignored.any() else None
    if ignored is not None:
        y = np.where(ignored, 0, y)
    kept = grad if grad is not None and grad.dtype == row.working else None
    s, shift = row.sum_of_exp(PROBABLE, kept)
    loss, known = _loss(row, y, s, shift, terms)
    if grad is not None:
        _write(row, known, terms, grad, kept is not None)
    if ignored is not None:
        np.copyto(loss, 0, where=ignored)
        if grad is not None:
            np.copyto(grad, 0, where=ignored)
    return loss


def _loss(row: Row, y: NDArray, s: NDArray, shift: Any, terms: Terms) -> tuple[NDArray, _Known]:
    x_y = row.at(y)
    e_y = np.exp(x_y if shift is None else x_y - shift)
    quotient = s / e_y
    loss = np.log(quotient)
    others = s - e_y
    near = quotient < NEAR
    if near.any():
        rest, some = row.rest(near, shift, y)
        others[some] = np.where(near[some], rest, others[some])
        loss[some] = np.where(near[some], np.log1p(rest / e_y[some]), loss[some])
    far = ~(quotient <= _FAR)
    if far.any():
        np.copyto(loss, _lse(s, shift) - x_y, where=far)
        if shift is not None:
            np.copyto(loss, (shift - x_y) + np.log(s), where=far)
            np.copyto(loss, inf, where=shift == -inf)  # of nothing but -inf
    v: Any = 1
    if terms.weights is not None:
        v = terms.weights[y].astype(row.working, copy=False)
        loss = np.where(v == 0, 0, v * loss)
    pull: Any = 0
    if terms.z_loss:
        lse = _lse(s, shift)
        loss = loss + terms.z_loss * lse * lse
        pull = 2 * terms.z_loss * lse
    return loss, _Known(y, s, e_y, v, others, pull, shift)


def _lse(s: NDArray, shift: Any) -> NDArray:
    if shift is None:
        return np.log(s)
    lse: NDArray = np.where(shift == -inf, shift, shift + np.log(s))
    return lse


def _write(row: Row, known: _Known, terms: Terms, grad: NDArray, kept: bool) -> None:
    """Write the gradient; where `kept`, it holds exp(x - shift) already."""
    y, s, e_y, v, others, pull, shift = known
    scale = s * terms.divisor
    factor = (v + pull) / scale
    if kept:
        np.multiply(grad, factor, out=grad)
    else:
        for i, j in row.parts():
            np.multiply(row.exp(i, j, shift, row.room(i, j)), factor, out=grad[:, i:j])
    outer, _, inner = grad.shape
    grad[np.arange(outer)[:, None], y[:, 0], np.arange(inner)] = (
        (e_y * pull - v * others) / scale
    )[:, 0]
    if row.where is not None:
        for i, j in row.parts():
            np.copyto(grad[:, i:j], 0, where=~row.where[:, i:j])


def _divisor(labels: NDArray, ignored: int | None, weights: NDArray | None, working: Any) -> Any:
    """Return the number, or the summed weights, of the rows that count; 1 for none at all."""
    sums = []
    for i in range(0, labels.size, _LABELS):
        y = labels.flat[i : i + _LABELS].astype(np.intp, copy=False)
        if ignored is not None:
            y = y[y != ignored]
        if weights is None:
            sums.append(y.size)
        else:
            sums.append(np.add.reduce(weights[y].astype(working, copy=False)))
    n = sum(sums) if weights is None else np.add.reduce(np.array(sums, working))
    return n or 1
