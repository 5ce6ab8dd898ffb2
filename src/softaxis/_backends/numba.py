"""numba: fused kernels that read and write memory once, by as many threads as pay."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from softaxis._axes import Axis
from softaxis._backends._numba_small import (
    cross_entropy_and_grad_of_rows,
    cross_entropy_of_rows,
    log_softmax_of_rows,
    logsumexp_of_rows,
    softmax_of_rows,
    takes,
)
from softaxis.backend import Backend

NDArray = npt.NDArray[Any]

backend = Backend("numba", types=(np.ndarray,))

_FLOATS = ("float16", "float32", "float64")
_PAYS = 1 << 17
"""Elements from which on loading, or even compiling, kernels and waking threads pays: measured in
docs/performance."""


@cache
def _engine() -> Any:
    """Import what loads or compiles kernels, when a call has come as far as here."""
    from softaxis._backends._numba import _engine

    return _engine


@backend.implements(dtypes=_FLOATS, min_size=_PAYS, shortcut=softmax_of_rows)
def softmax(
    x: NDArray,
    /,
    *,
    axis: Axis,
    where: NDArray | None = None,
    temperature: Any = None,
    sink: Any = None,
    dtype: Any = None,
    out: NDArray | None = None,
) -> Any:
    """exp(z) / sum(exp(z))."""
    if where is temperature is sink is dtype is None and takes(x, out):
        y = softmax_of_rows(x, axis, out)
        if y is not NotImplemented:
            return y
    return _engine().normalized("softmax", x, axis, where, temperature, sink, dtype, out)


@backend.implements(dtypes=_FLOATS, min_size=_PAYS, shortcut=log_softmax_of_rows)
def log_softmax(
    x: NDArray,
    /,
    *,
    axis: Axis,
    where: NDArray | None = None,
    temperature: Any = None,
    sink: Any = None,
    dtype: Any = None,
    out: NDArray | None = None,
) -> Any:
    """z - log(sum(exp(z)))."""
    if where is temperature is sink is dtype is None and takes(x, out):
        y = log_softmax_of_rows(x, axis, out)
        if y is not NotImplemented:
            return y
    return _engine().normalized("log_softmax", x, axis, where, temperature, sink, dtype, out)


@backend.implements(dtypes=_FLOATS, min_size=_PAYS, shortcut=logsumexp_of_rows)
def logsumexp(
    x: NDArray,
    /,
    *,
    axis: Axis,
    where: NDArray | None = None,
    keepdims: bool = False,
    dtype: Any = None,
    out: NDArray | None = None,
) -> Any:
    """m + log(sum(exp(x - m)))."""
    if where is dtype is out is None and keepdims is False and type(x) is np.ndarray:
        y = logsumexp_of_rows(x, axis)
        if y is not NotImplemented:
            return y
    return _engine().logsumexp(x, axis, where, keepdims, dtype, out)


@backend.implements(dtypes=_FLOATS, min_size=_PAYS)
def logmeanexp(
    x: NDArray,
    /,
    *,
    axis: Axis,
    where: NDArray | None = None,
    keepdims: bool = False,
    dtype: Any = None,
) -> Any:
    """logsumexp(x) - log(n)."""
    return _engine().logsumexp(x, axis, where, keepdims, dtype, None, mean=True)


@backend.implements(dtypes=_FLOATS, min_size=_PAYS, shortcut=cross_entropy_of_rows)
def cross_entropy(
    logits: NDArray,
    labels: NDArray,
    /,
    *,
    axis: Axis,
    where: NDArray | None = None,
    class_weights: NDArray | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    """-log p of the right class."""
    if where is class_weights is None and label_smoothing == z_loss == 0.0:
        y = cross_entropy_of_rows(logits, labels, axis, ignore_index, reduction)
        if y is not NotImplemented:
            return y
    return _engine().cross_entropy(
        logits,
        labels,
        axis,
        where,
        class_weights,
        ignore_index,
        label_smoothing,
        z_loss,
        reduction,
        gradient=False,
    )


@backend.implements(dtypes=_FLOATS, min_size=_PAYS, shortcut=cross_entropy_and_grad_of_rows)
def cross_entropy_and_grad(
    logits: NDArray,
    labels: NDArray,
    /,
    *,
    axis: Axis,
    where: NDArray | None = None,
    class_weights: NDArray | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    """The same, and p - [c is the right class]."""
    if where is class_weights is None and label_smoothing == z_loss == 0.0:
        y = cross_entropy_and_grad_of_rows(logits, labels, axis, ignore_index, reduction)
        if y is not NotImplemented:
            return y
    return _engine().cross_entropy(
        logits,
        labels,
        axis,
        where,
        class_weights,
        ignore_index,
        label_smoothing,
        z_loss,
        reduction,
        gradient=True,
    )


@backend.implements(dtypes=_FLOATS, min_size=_PAYS)
def softmax_vjp(p: NDArray, g: NDArray, /, *, axis: Axis) -> Any:
    """p (h - sum(p h)), h = g - g_top."""
    return _engine().vjp("softmax", p, g, axis)


@backend.implements(dtypes=_FLOATS, min_size=_PAYS)
def log_softmax_vjp(logp: NDArray, g: NDArray, /, *, axis: Axis) -> Any:
    """g - p sum(g)."""
    return _engine().vjp("log_softmax", logp, g, axis)
