"""CuPy: fused CUDA kernels, which CuPy compiles when they are first needed.

A row that fits in the registers of a block, or in the shared memory of a block or of a cluster of
blocks, is read once and written once; a longer one is read twice. The source is in the folder
`_cupy`; importing this needs neither a GPU nor its driver.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import cupy
import numpy as np

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._backends._cupy import _calls, _kernels
from softaxis._backends._cupy._calls import FLOATS, Labels, Options
from softaxis._backends._cupy._kernels import (
    CROSS_ENTROPY,
    CROSS_ENTROPY_AND_GRAD,
    HARDMAX,
    LOG_SOFTMAX,
    LOG_SOFTMAX_VJP,
    LOGMEANEXP,
    LOGSUMEXP,
    SOFTMAX,
    SOFTMAX_VJP,
)
from softaxis._backends._cupy._shortcuts import of_rows
from softaxis._dtypes import as_held, as_integral
from softaxis._libraries._cupy import LIBRARY
from softaxis.backend import Backend, declined

Array = Any

backend = Backend("cupy", types=(cupy.ndarray,))

_NOTES = "kernels compiled and run on a CPU in the tests; not measured on a GPU"


@backend.implements(shortcut=of_rows(SOFTMAX), dtypes=FLOATS, devices=("cuda",), notes=_NOTES)
def softmax(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    temperature: Array | float | None = None,
    sink: Array | float | None = None,
    dtype: Any = None,
    out: Array | None = None,
) -> Any:
    """exp(x - m) / (k + rest)."""
    return _normalized(x, axis, where, dtype, out, temperature, sink, SOFTMAX)


@backend.implements(shortcut=of_rows(LOG_SOFTMAX), dtypes=FLOATS, devices=("cuda",), notes=_NOTES)
def log_softmax(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    temperature: Array | float | None = None,
    sink: Array | float | None = None,
    dtype: Any = None,
    out: Array | None = None,
) -> Any:
    """(x - m) - (log(k) + log1p(rest / k))."""
    return _normalized(x, axis, where, dtype, out, temperature, sink, LOG_SOFTMAX)


@backend.implements(dtypes=FLOATS, devices=("cuda",), notes=_NOTES)
def softmin(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    temperature: Array | float | None = None,
    sink: Array | float | None = None,
    dtype: Any = None,
    out: Array | None = None,
) -> Any:
    """softmax(-x)."""
    return _normalized(x, axis, where, dtype, out, temperature, sink, SOFTMAX, negated=True)


@backend.implements(shortcut=of_rows(LOGSUMEXP), dtypes=FLOATS, devices=("cuda",), notes=_NOTES)
def logsumexp(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    keepdims: bool = False,
    dtype: Any = None,
    out: Array | None = None,
) -> Any:
    """m + log(k) + log1p(rest / k)."""
    return _reduced(x, axis, where, keepdims, dtype, out, LOGSUMEXP)


@backend.implements(dtypes=FLOATS, devices=("cuda",), notes=_NOTES)
def logmeanexp(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    keepdims: bool = False,
    dtype: Any = None,
) -> Any:
    """m + log(k / n) + log1p(rest / k)."""
    return _reduced(x, axis, where, keepdims, dtype, None, LOGMEANEXP)


@backend.implements(dtypes=FLOATS, devices=("cuda",), notes=_NOTES)
def cross_entropy(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    class_weights: Array | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    """log(k) + log1p(rest / k) - z of the right class."""
    terms = Terms(class_weights, ignore_index, label_smoothing, z_loss, reduction)
    return _loss(CROSS_ENTROPY, logits, labels, axis, where, terms)


@backend.implements(dtypes=FLOATS, devices=("cuda",), notes=_NOTES)
def cross_entropy_and_grad(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    class_weights: Array | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    """The same, and p - [c is the right class]."""
    terms = Terms(class_weights, ignore_index, label_smoothing, z_loss, reduction)
    return _loss(CROSS_ENTROPY_AND_GRAD, logits, labels, axis, where, terms)


@backend.implements(dtypes=FLOATS, devices=("cuda",), notes=_NOTES)
def hardmax(x: Array, /, *, axis: Axis, where: Array | None = None, dtype: Any = None) -> Any:
    """1 at the first maximum, 0 elsewhere."""
    options = Options(HARDMAX, x.dtype if dtype is None else dtype)
    return _filled(x, as_tuple(axis), where, None, options)


@backend.implements(dtypes=FLOATS, devices=("cuda",), notes=_NOTES)
def softmax_vjp(p: Array, g: Array, /, *, axis: Axis) -> Any:
    """p (h - sum(p h)), h = g - g_top."""
    return _product(SOFTMAX_VJP, p, g, axis)


@backend.implements(dtypes=FLOATS, devices=("cuda",), notes=_NOTES)
def log_softmax_vjp(logp: Array, g: Array, /, *, axis: Axis) -> Any:
    """g - p sum(g)."""
    return _product(LOG_SOFTMAX_VJP, logp, g, axis)


def _product(function: int, x: Array, g: Array, axis: Axis) -> Any:
    if g.dtype != x.dtype:
        return declined("takes two arrays of one dtype")
    return _filled(x, as_tuple(axis), g, None, Options(function, x.dtype))


def _normalized(
    x: Array,
    axis: Axis,
    where: Array | None,
    dtype: Any,
    out: Array | None,
    temperature: Array | float | None,
    sink: Array | float | None,
    function: int,
    *,
    negated: bool = False,
) -> Any:
    axes = as_tuple(axis)
    result = x.dtype if dtype is None else dtype
    options = Options(function, result, negated)
    if temperature is not None or sink is not None:
        options = _with_numbers(options, x, axes, temperature, sink)
    is_target = out is not None and (out is x or not cupy.may_share_memory(out, x))
    y = _filled(x, axes, where, out if is_target else None, options)
    if out is None or y is out or y is NotImplemented:
        return y
    out[...] = y
    return out


def _with_numbers(
    options: Options,
    x: Array,
    axes: tuple[int, ...],
    temperature: Array | float | None,
    sink: Array | float | None,
) -> Options:
    working = _working(x.dtype, options.result)
    if isinstance(temperature, float):
        options = options._replace(temperature=as_held(temperature, working, LIBRARY.xp))
    elif temperature is not None:
        temperature = temperature.astype(working, copy=False)
        options = options._replace(temperatures=cupy.broadcast_to(temperature, x.shape))
    if sink is None or isinstance(sink, float):
        return options._replace(sink=sink)
    sinks = cupy.broadcast_to(sink.astype(working, copy=False), reduced_shape(x.shape, axes))
    sinks = sinks.reshape(reduced_shape(x.shape, axes, keepdims=True))
    return options._replace(sinks=cupy.broadcast_to(sinks, x.shape))


def _working(dtype: np.dtype[Any], result: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype of computation: float64 where one of two is, else float32."""
    return np.dtype(np.float64 if dtype.itemsize == 8 or result.itemsize == 8 else np.float32)


def _reduced(
    x: Array,
    axis: Axis,
    where: Array | None,
    keepdims: bool,
    dtype: Any,
    out: Array | None,
    function: int,
) -> Any:
    options = Options(function, x.dtype if dtype is None else dtype)
    y = _filled(x, as_tuple(axis), where, None, options)
    if y is NotImplemented:
        return y
    y = y.reshape(reduced_shape(x.shape, axis, keepdims))
    if out is None:
        return y
    out[...] = y
    return out


class Terms(NamedTuple):
    """What a loss is asked for."""

    class_weights: Array | None
    ignore_index: int | None
    smoothing: float
    z_loss: float
    reduction: str


def _loss(
    function: int,
    logits: Array,
    labels: Array,
    axis: Axis,
    where: Array | None,
    terms: Terms,
) -> Any:
    if labels.dtype.kind not in "iu" or terms.z_loss == inf or logits.size == 0:
        return declined("takes integer labels, a finite `z_loss`, and rows that are not empty")
    working = _working(logits.dtype, logits.dtype)
    (one,) = as_tuple(axis)
    given = _labels(labels, logits.shape[one], terms, working)
    grad = _filled(logits, (one,), where, None, Options(function, logits.dtype), given)
    if grad is NotImplemented:
        return grad
    losses = given.losses
    if terms.reduction != "none":
        losses = cupy.sum(losses)
    if terms.reduction == "mean":
        divisor = given.divisor if given.counted is None else given.counted.astype(working)
        losses = losses / divisor
    losses = losses.astype(logits.dtype, copy=False)
    return losses if function == CROSS_ENTROPY else (losses, grad)


def _labels(labels: Array, classes: int, terms: Terms, working: np.dtype[Any]) -> Labels:
    """Return the labels with the divisor of their mean, which is computed where they are."""
    weights, ignored, counted, divisor = terms.class_weights, None, None, 1.0
    if terms.ignore_index is not None:
        ignored = as_integral(terms.ignore_index, labels.dtype, labels, LIBRARY.xp)
    order = cupy.ascontiguousarray(labels.astype(np.int64, copy=False))
    if weights is not None:
        weights = cupy.ascontiguousarray(weights.astype(working, copy=False))
    if terms.reduction == "mean":
        divisor = float(labels.size)
        if weights is not None or ignored is not None:
            share = 1 if weights is None else weights[cupy.clip(order, 0, classes - 1)]
            share = cupy.where(order == ignored, 0, share) if ignored is not None else share
            counted = cupy.sum(share, dtype=np.float64)
            counted = cupy.where(counted == 0, 1.0, counted)
    losses = cupy.empty(labels.shape, working)
    return Labels(order, ignored, divisor, counted, weights, terms.smoothing, terms.z_loss, losses)


def _filled(
    x: Array,
    axes: tuple[int, ...],
    where: Array | None,
    y: Array | None,
    options: Options,
    labels: Labels | None = None,
) -> Any:
    """Return the result, in `y` where that is given; the reduced axes of a sum have length 1.

    `where` is the second array of a vector-Jacobian product.
    """
    if x.size == 0 or axes == ():
        return declined("takes rows that are not empty, along at least one axis")
    if options.result is not x.dtype and options.result.name not in FLOATS:
        return declined(f"gives {', '.join(FLOATS)} only")
    if cupy.cuda.runtime.is_hip:
        return declined("takes GPUs of NVIDIA")
    device = cupy.cuda.runtime.getDevice()
    given = [x, where, y, options.temperatures, options.sinks]
    given += [] if labels is None else [labels.labels, labels.weights]
    for a in given:
        if a is not None and a.data.device_id != device:
            return declined("takes arrays of the current device")
    mask = None if where is None else cupy.broadcast_to(where, x.shape)
    found = _launched(device, x, mask, y, axes, options, labels)
    if found is NotImplemented:  # copies have one distance between elements, a fresh result too
        mask = None if mask is None else cupy.ascontiguousarray(mask)
        for name in ("temperatures", "sinks"):
            array = getattr(options, name)
            if array is not None:
                options = options._replace(**{name: cupy.ascontiguousarray(array)})
        found = _launched(device, cupy.ascontiguousarray(x), mask, None, axes, options, labels)
    if found is NotImplemented:
        short = "" if _kernels.takes_parts(options.function) else ", and rows that fit on the chip"
        return declined(f"takes neighbouring axes{short}")
    return found


def _launched(
    device: int,
    x: Array,
    mask: Array | None,
    y: Array | None,
    axes: tuple[int, ...],
    options: Options,
    labels: Labels | None,
) -> Any:
    """Launch the kernels and return the result, unless they cannot walk over these arrays.

    The losses of labels are no such result.
    """
    function = options.function
    target = y
    if function in (LOGSUMEXP, LOGMEANEXP):
        y = cupy.empty(reduced_shape(x.shape, axes, keepdims=True), options.result)
        target = cupy.broadcast_to(y, x.shape)
    elif y is None and function != CROSS_ENTROPY:
        target = y = cupy.empty_like(x, options.result)
    is_vjp = _kernels.is_vjp(function)
    arrays = (x, mask, target, options.temperatures, options.sinks)
    plan = _calls.plan(arrays, axes, _kernels.limits_of(device), 2 if is_vjp else 1)
    if plan is None:
        return NotImplemented
    configuration, rows, parts = plan.configuration, plan.layout.rows, None
    if configuration.parts > 1:
        if not _kernels.takes_parts(function):
            return NotImplemented
        parts = cupy.empty(_kernels.numbers_for_parts(configuration, rows), np.float64)
    asked = options.asked(mask is not None and not is_vjp, labels)
    _kernels.run(
        (device, configuration, x.dtype, options.result, rows, function, asked),
        _calls.pack(plan.packed, options, labels, x, mask, y, parts),
    )
    return y
