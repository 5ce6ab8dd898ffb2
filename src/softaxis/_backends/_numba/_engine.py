"""The functions of the `numba` backend: from arguments to jobs."""

from __future__ import annotations

from math import inf, isfinite
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._backends._numba._launch import HAS_FLOAT16, WORKING, launch
from softaxis._backends._numba._layout import NO_LABEL, NOTED
from softaxis._backends._numba._machine import address
from softaxis._dtypes import as_integral
from softaxis._libraries._numpy import LIBRARY
from softaxis.backend import declined

NDArray = npt.NDArray[Any]

_DIRECTION = "takes one or more axes of an array that is not empty"


def _unfit(x: NDArray, axis: Axis, dtype: Any) -> Any:
    if x.dtype.char == "e" and not HAS_FLOAT16:
        return declined("takes float16 on processors that convert it")
    if x.size == 0 or axis == ():
        return declined(_DIRECTION)
    if dtype is not None and dtype != x.dtype:
        return declined("takes no other `dtype` than that of the array")
    return None


_SUM = Struct("=d")
"""What the sum is divided by; 0 for nothing, less where it differs by row."""
_TERMS = Struct("=qddqdq")
"""The fields of `_losses.Terms`, without `like`."""
_FILL = {"softmax": 0.0, "log_softmax": -inf}
"""What is written where the mask leaves something out."""


def normalized(
    name: str,
    x: NDArray,
    axis: Axis,
    where: NDArray | None,
    temperature: Any,
    sink: Any,
    dtype: Any,
    out: NDArray | None,
) -> Any:
    """exp(z) / sum(exp(z)), or its logarithm."""
    if _unfit(x, axis, dtype) is not None:
        return NotImplemented
    if temperature is not None and sink is not None:
        return declined("takes one of `temperature` and `sink`")
    heat: Any = None
    variant = ""
    if temperature is not None:
        heat, variant = _heat(temperature, x, axis), "temperature"
    if sink is not None:
        heat, variant = _sunk(sink, x, axis), "sink"
    if heat is NotImplemented:
        return heat
    y = out
    if out is None or (out is not x and _overlap(out, x, where)):
        y = np.empty_like(x, subok=False)
    assert y is not None
    launch(
        name,
        x,
        as_tuple(axis),
        variant=variant,
        columns=not variant,
        c=y,
        fresh=y is not out,
        mask=None if where is None else np.broadcast_to(where, x.shape),
        fill=_FILL[name],
        p=heat,
    )
    if out is None or y is out:
        return y
    out[...] = y
    return out


def _overlap(out: NDArray, *others: NDArray | None) -> bool:
    return any(a is not None and np.may_share_memory(out, a) for a in others)


def _heat(temperature: Any, x: NDArray, axis: Axis) -> Any:
    """Return a temperature for each row, positive and finite in the dtype of computation."""
    working = WORKING[x.dtype.char]
    if not isinstance(temperature, float):
        axes = as_tuple(axis)
        shape = (1,) * (x.ndim - temperature.ndim) + temperature.shape
        if any(shape[i] != 1 for i in axes):
            return declined("takes no `temperature` that varies along `axis`")
        temperature = temperature.reshape([n for i, n in enumerate(shape) if i not in axes])
    with np.errstate(all="ignore"):
        heat = np.asarray(temperature).astype(working).astype(np.float64)
    if not (np.isfinite(heat) & (heat > 0)).all():
        return declined("takes a `temperature` that is positive and finite")
    return np.broadcast_to(heat, reduced_shape(x.shape, axis))


def _sunk(sink: Any, x: NDArray, axis: Axis) -> Any:
    """Return a sink for each row, as the dtype of computation holds it."""
    with np.errstate(all="ignore"):
        own = np.asarray(sink).astype(WORKING[x.dtype.char]).astype(np.float64)
    if not np.isfinite(own).all():
        return declined("takes a `sink` that is finite")
    return np.broadcast_to(own, reduced_shape(x.shape, axis))


def logsumexp(
    x: NDArray,
    axis: Axis,
    where: NDArray | None,
    keepdims: bool,
    dtype: Any,
    out: NDArray | None,
    mean: bool = False,
) -> Any:
    """m + log(sum(exp(x - m)))."""
    if _unfit(x, axis, dtype) is not None:
        return NotImplemented
    held = np.dtype(np.float64) if x.dtype.char == "e" else x.dtype  # float16 is rounded once
    y = np.empty(reduced_shape(x.shape, axis), held)
    n = float(x.size // y.size) if mean else 0.0
    mask = None if where is None else np.broadcast_to(where, x.shape)
    members = None
    if mean and mask is not None:
        n = -1.0
        members = np.asarray(np.add.reduce(mask, axis=as_tuple(axis), dtype=np.float64))
    launch(
        "logsumexp",
        x,
        as_tuple(axis),
        extra=_SUM.pack(n),
        columns=True,
        mask=mask,
        p=members,
        q=y,
    )
    with np.errstate(all="ignore"):
        y = y.astype(x.dtype, copy=False)
    if out is not None:
        out[...] = y.reshape(out.shape)
        return out
    y = y.reshape(reduced_shape(x.shape, axis, keepdims))
    return y[()] if y.ndim == 0 else y


def vjp(name: str, p: NDArray, g: NDArray, axis: Axis) -> Any:
    """The vector-Jacobian product of `name`."""
    if _unfit(p, axis, g.dtype) is not None:
        return NotImplemented
    dx = np.empty_like(p, subok=False)
    launch(f"{name}_vjp", p, as_tuple(axis), b=g, c=dx)
    return dx


class Losses(NamedTuple):
    """What a kernel is told of losses: its jobs' `extra`, mask and labels, and the divisor."""

    extra: bytes
    mask: NDArray | None
    classes: NDArray
    divisor: float
    weights: NDArray | None
    """Whose address is in `extra`."""


def _losses(
    logits: NDArray,
    labels: NDArray,
    axis: Axis,
    where: NDArray | None,
    class_weights: NDArray | None,
    ignore_index: int | None,
    label_smoothing: float,
    z_loss: float,
    reduction: str,
    *,
    scale: float = 1.0,
    noted: bool = False,
) -> Any:
    if _unfit(logits, axis, None) is not None:
        return NotImplemented
    if labels.dtype.kind not in "iu" or not isfinite(z_loss):
        return declined("takes integer labels")
    if label_smoothing and not (where is None and class_weights is None):
        return declined("takes `label_smoothing` without `where` and `class_weights`")
    classes = labels.astype(np.int64, copy=False)
    ignored = _ignored(labels, ignore_index)
    weights = None
    if class_weights is not None:
        weights = np.ascontiguousarray(class_weights, WORKING[logits.dtype.char])
    divisor = _divisor(classes, ignored, weights) if reduction == "mean" else 1.0
    place = 0 if weights is None else address(weights)
    extra = _TERMS.pack(place, label_smoothing, z_loss, ignored, scale / divisor, noted)
    mask = None if where is None else np.broadcast_to(where, logits.shape)
    return Losses(extra, mask, classes, divisor, weights)


def cross_entropy(
    logits: NDArray, labels: NDArray, axis: Axis, *terms: Any, gradient: bool, scale: float = 1.0
) -> Any:
    """The loss, and where asked for its gradient, times `scale`; `terms` as for `_losses`."""
    told = _losses(logits, labels, axis, *terms, scale=scale)
    if told is NotImplemented:
        return told
    loss = np.empty(labels.shape)
    slope = np.empty_like(logits, subok=False) if gradient else None
    name = "cross_entropy_and_grad" if gradient else "cross_entropy"
    _launch(name, logits, axis, told, c=slope, q=loss)
    y = _reduced(loss, told, logits.dtype, terms[-1])
    return (y, slope) if gradient else y


def cross_entropy_noted(logits: NDArray, labels: NDArray, axis: Axis, *terms: Any) -> Any:
    """The loss, and what `cross_entropy_vjp` has to know of each row."""
    told = _losses(logits, labels, axis, *terms, noted=True)
    if told is NotImplemented:
        return told, None
    notes = np.empty((*labels.shape, NOTED))
    _launch("cross_entropy", logits, axis, told, q=notes[..., 0])
    return _reduced(notes[..., 0], told, logits.dtype, terms[-1]), notes


def cross_entropy_vjp(
    logits: NDArray, labels: NDArray, notes: NDArray, axis: Axis, *terms: Any, scale: float
) -> NDArray:
    """The gradient, times `scale`."""
    told = _losses(logits, labels, axis, *terms, scale=scale)
    slope = np.empty_like(logits, subok=False)
    _launch("cross_entropy_vjp", logits, axis, told, c=slope, q=notes[..., 0])
    return slope


def _launch(name: str, logits: NDArray, axis: Axis, told: Losses, **arrays: Any) -> None:
    launch(name, logits, as_tuple(axis), extra=told.extra, mask=told.mask, p=told.classes, **arrays)


def _reduced(loss: NDArray, told: Losses, dtype: Any, reduction: str) -> Any:
    with np.errstate(all="ignore"):
        if reduction == "none":
            y = loss.astype(dtype)
            return y[()] if y.ndim == 0 else y
        return dtype.type(np.add.reduce(loss, axis=None) / told.divisor)


def _ignored(labels: NDArray, ignore_index: int | None) -> int:
    """Return the label that does not count; one that no class has where there is none."""
    found = None
    if ignore_index is not None:
        found = as_integral(ignore_index, labels.dtype, labels, LIBRARY.xp)
    return NO_LABEL if found is None else found


def _divisor(classes: NDArray, ignored: int, weights: NDArray | None) -> float:
    """The number, or the summed weights, of the rows that count; 1 for none at all."""
    counted = classes != ignored
    if weights is None:
        n = float(np.count_nonzero(counted))
    else:
        n = float(np.add.reduce(weights[classes[counted]], axis=None, dtype=np.float64))
    return n or 1.0
