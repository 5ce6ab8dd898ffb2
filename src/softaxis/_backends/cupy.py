"""CuPy: fused CUDA kernels, which CuPy compiles when they are first needed.

A row that fits in the registers of a block, or in the shared memory of a block or of a cluster of
blocks, is read once and written once; a longer one is read twice. The source is in the folder
`_cupy`; importing this needs neither a GPU nor its driver.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._backends._cupy import _calls, _kernels
from softaxis._backends._cupy._calls import Labels, Options
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
from softaxis._dtypes import as_held, as_integral
from softaxis._libraries._cupy import LIBRARY
from softaxis.backend import Backend, declined

Array = Any

backend = Backend("cupy", types=(cupy.ndarray,))

_FLOATS = ("float16", "float32", "float64")
_NOTES = "kernels compiled and run on a CPU in the tests; not measured on a GPU"


@backend.implements(dtypes=_FLOATS, devices=("cuda",), notes=_NOTES)
def softmax(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    temperature: Array | float | None = None,
    sink: Array | float | None = None,
    out: Array | None = None,
) -> Any:
    """exp(x - m) / (k + rest)."""
    return _normalized(x, axis, where, out, temperature, sink, SOFTMAX)


@backend.implements(dtypes=_FLOATS, devices=("cuda",), notes=_NOTES)
def log_softmax(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    temperature: Array | float | None = None,
    sink: Array | float | None = None,
    out: Array | None = None,
) -> Any:
    """(x - m) - (log(k) + log1p(rest / k))."""
    return _normalized(x, axis, where, out, temperature, sink, LOG_SOFTMAX)


@backend.implements(dtypes=_FLOATS, devices=("cuda",), notes=_NOTES)
def softmin(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    temperature: Array | float | None = None,
    sink: Array | float | None = None,
    out: Array | None = None,
) -> Any:
    """softmax(-x)."""
    return _normalized(x, axis, where, out, temperature, sink, SOFTMAX, negated=True)


@backend.implements(dtypes=_FLOATS, devices=("cuda",), notes=_NOTES)
def logsumexp(
    x: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    keepdims: bool = False,
    out: Array | None = None,
) -> Any:
    """m + log(k) + log1p(rest / k)."""
    return _reduced(x, axis, where, keepdims, out, Options(LOGSUMEXP))


@backend.implements(dtypes=_FLOATS, devices=("cuda",), notes=_NOTES)
def logmeanexp(
    x: Array, /, *, axis: Axis, where: Array | None = None, keepdims: bool = False
) -> Any:
    """m + log(k / n) + log1p(rest / k)."""
    return _reduced(x, axis, where, keepdims, None, Options(LOGMEANEXP))


@backend.implements(dtypes=_FLOATS, devices=("cuda",), notes=_NOTES)
def cross_entropy(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    ignore_index: int | None = None,
    reduction: str = "none",
) -> Any:
    """log(k) + log1p(rest / k) - z of the right class."""
    return _loss(CROSS_ENTROPY, logits, labels, axis, where, ignore_index, reduction)


@backend.implements(dtypes=_FLOATS, devices=("cuda",), notes=_NOTES)
def cross_entropy_and_grad(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: Axis,
    where: Array | None = None,
    ignore_index: int | None = None,
    reduction: str = "none",
) -> Any:
    """The same, and p - [c is the right class]."""
    return _loss(CROSS_ENTROPY_AND_GRAD, logits, labels, axis, where, ignore_index, reduction)


@backend.implements(dtypes=_FLOATS, devices=("cuda",), notes=_NOTES)
def hardmax(x: Array, /, *, axis: Axis, where: Array | None = None) -> Any:
    """1 at the first maximum, 0 elsewhere."""
    return _filled(x, as_tuple(axis), where, None, Options(HARDMAX))


@backend.implements(dtypes=_FLOATS, devices=("cuda",), notes=_NOTES)
def softmax_vjp(p: Array, g: Array, /, *, axis: Axis) -> Any:
    """p (h - sum(p h)), h = g - g_top."""
    return _product(SOFTMAX_VJP, p, g, axis)


@backend.implements(dtypes=_FLOATS, devices=("cuda",), notes=_NOTES)
def log_softmax_vjp(logp: Array, g: Array, /, *, axis: Axis) -> Any:
    """g - p sum(g)."""
    return _product(LOG_SOFTMAX_VJP, logp, g, axis)


def _product(function: int, x: Array, g: Array, axis: Axis) -> Any:
    if g.dtype != x.dtype:
        return declined("takes two arrays of one dtype")
    return _filled(x, as_tuple(axis), g, None, Options(function))


def _normalized(
    x: Array,
    axis: Axis,
    where: Array | None,
    out: Array | None,
    temperature: Array | float | None,
    sink: Array | float | None,
    function: int,
    *,
    negated: bool = False,
) -> Any:
    if not isinstance(temperature, float | None) or not isinstance(sink, float | None):
        return declined("takes one number as `temperature` and as `sink`")
    if temperature is None:
        temperature = 1.0
    working = np.promote_types(x.dtype, np.float32)
    options = Options(function, negated, as_held(temperature, working, LIBRARY.xp), sink)
    is_target = out is not None and (out is x or not cupy.may_share_memory(out, x))
    y = out if is_target else None
    y = _filled(x, as_tuple(axis), where, y, options)
    if out is None or y is out or y is NotImplemented:
        return y
    out[...] = y
    return out


def _reduced(
    x: Array,
    axis: Axis,
    where: Array | None,
    keepdims: bool,
    out: Array | None,
    options: Options,
) -> Any:
    y = _filled(x, as_tuple(axis), where, None, options)
    if y is NotImplemented:
        return y
    y = y.reshape(reduced_shape(x.shape, axis, keepdims))
    if out is None:
        return y
    out[...] = y
    return out


def _loss(
    function: int,
    logits: Array,
    labels: Array,
    axis: Axis,
    where: Array | None,
    ignore_index: int | None,
    reduction: str,
) -> Any:
    if labels.dtype.kind not in "iu":
        return declined("takes integer labels")
    working = np.promote_types(logits.dtype, np.float32)
    ignored = None
    if ignore_index is not None:
        ignored = as_integral(ignore_index, labels.dtype, labels, LIBRARY.xp)
    order = cupy.ascontiguousarray(labels.astype(np.int64, copy=False))
    divisor, counted = 1.0, None
    if reduction == "mean":
        divisor = float(labels.size)
        if ignored is not None:
            counted = cupy.maximum(cupy.sum(order != ignored), 1).astype(np.float64)
    losses = cupy.empty(labels.shape, working)
    given = Labels(order, ignored, divisor, counted, losses)
    grad = _filled(logits, as_tuple(axis), where, None, Options(function), given)
    if grad is NotImplemented:
        return grad
    if reduction != "none":
        losses = cupy.sum(losses)
    if reduction == "mean":
        losses = losses / (divisor if counted is None else counted.astype(working))
    losses = losses.astype(logits.dtype, copy=False)
    return losses if function == CROSS_ENTROPY else (losses, grad)


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
    if cupy.cuda.runtime.is_hip:
        return declined("takes GPUs of NVIDIA")
    device = cupy.cuda.runtime.getDevice()
    given = (x, where, y, None if labels is None else labels.labels)
    if any(a is not None and a.data.device_id != device for a in given):
        return declined("takes arrays of the current device")
    mask = None if where is None else cupy.broadcast_to(where, x.shape)
    found = _launched(device, x, mask, y, axes, options, labels)
    if found is NotImplemented:  # copies have one distance between elements, a fresh result too
        mask = None if mask is None else cupy.ascontiguousarray(mask)
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
        y = cupy.empty(reduced_shape(x.shape, axes, keepdims=True), x.dtype)
        target = cupy.broadcast_to(y, x.shape)
    elif y is None and function != CROSS_ENTROPY:
        target = y = cupy.empty_like(x)
    arrays = 2 if _kernels.is_vjp(function) else 1
    found = _calls.plan(x, mask, target, axes, _kernels.limits_of(device), arrays)
    if found is None:
        return NotImplemented
    layout, configuration = found
    if configuration.parts > 1 and not _kernels.takes_parts(function):
        return NotImplemented
    parts = cupy.empty(_kernels.numbers_for_parts(configuration, layout.rows), np.float64)
    _kernels.run(
        device,
        configuration,
        x.dtype.name,
        layout.rows,
        function,
        options.is_plain(mask is not None and not _kernels.is_vjp(function)),
        _calls.arguments(layout, configuration, options, labels, x, mask, y, parts),
    )
    return y
