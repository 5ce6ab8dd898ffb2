"""CuPy: fused CUDA kernels, which CuPy compiles when they are first needed.

A row that fits in the registers of a block is read once and written once; a longer one is read
twice. The source is in the folder `_cupy`; importing this needs neither a GPU nor its driver.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._backends._cupy import _calls, _kernels
from softaxis._backends._cupy._calls import Options
from softaxis._backends._cupy._kernels import LOG_SOFTMAX, LOGMEANEXP, LOGSUMEXP, SOFTMAX
from softaxis._dtypes import as_held
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


def _filled(
    x: Array, axes: tuple[int, ...], where: Array | None, y: Array | None, options: Options
) -> Any:
    """Return the result, in `y` where that is given; the reduced axes of a sum have length 1."""
    if x.size == 0 or axes == ():
        return declined("takes rows that are not empty, along at least one axis")
    if cupy.cuda.runtime.is_hip:
        return declined("takes GPUs of NVIDIA")
    device = cupy.cuda.runtime.getDevice()
    if any(a is not None and a.data.device_id != device for a in (x, where, y)):
        return declined("takes arrays of the current device")
    mask = None if where is None else cupy.broadcast_to(where, x.shape)
    found = _launched(x, mask, y, axes, options)
    if found is NotImplemented:  # copies have one distance between elements, a fresh result too
        mask = None if mask is None else cupy.ascontiguousarray(mask)
        found = _launched(cupy.ascontiguousarray(x), mask, None, axes, options)
    return declined("takes neighbouring axes") if found is NotImplemented else found


def _launched(
    x: Array, mask: Array | None, y: Array | None, axes: tuple[int, ...], options: Options
) -> Any:
    """Launch the kernels and return the result, unless they cannot walk over these arrays."""
    target = y
    if _kernels.is_reduction(options.function):
        y = cupy.empty(reduced_shape(x.shape, axes, keepdims=True), x.dtype)
        target = cupy.broadcast_to(y, x.shape)
    elif y is None:
        target = y = cupy.empty_like(x)
    found = _calls.plan(x, mask, target, axes)
    if found is None:
        return NotImplemented
    layout, configuration = found
    parts = cupy.empty(_kernels.numbers_for_parts(configuration, layout.rows), np.float64)
    pointers = (x.data.ptr, 0 if mask is None else mask.data.ptr, y.data.ptr, parts.data.ptr)
    _kernels.run(
        configuration,
        x.dtype.name,
        layout.rows,
        options.function,
        options.is_plain(mask is not None),
        _calls.arguments(layout, configuration, options, *pointers),
    )
    return y
