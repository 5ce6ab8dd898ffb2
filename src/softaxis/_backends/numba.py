"""numba: fused kernels that read and write memory once, by as many threads as pay."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from softaxis._axes import Axis
from softaxis.backend import Backend

NDArray = npt.NDArray[Any]

backend = Backend("numba", types=(np.ndarray,))

_FLOATS = ("float16", "float32", "float64")
_PAYS = 1 << 17
"""Elements from which on it is worth to import numba, and to wake threads: docs/performance."""
_SMALL = 1 << 18
"""Elements up to which one thread computes plain rows sooner than two can be told to."""


def _engine() -> Any:
    """Import numba and the compiled functions, when a call has come as far as here."""
    from softaxis._backends._numba import _engine

    return _engine


class _Small(dict[str, Any]):
    """The compiled functions for small arrays, by name."""

    def __missing__(self, name: str) -> Any:
        found = self[name] = _engine().small(name)
        return found


_small = _Small()


def _of_small(name: str, x: NDArray, y: NDArray) -> bool:
    """Compute rows side by side in memory, and say whether that could be done.

    What the compiled function was not made for, it refuses: other dtypes, layouts, read-only
    arrays. All that it costs to ask is what such arrays can spare.
    """
    try:
        return bool(_small[name](x, y))
    except TypeError:
        return False


@backend.implements(dtypes=_FLOATS, min_size=_PAYS)
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
    if (
        axis == 1
        and x.size <= _SMALL
        and where is temperature is sink is dtype is out is None
        and type(x) is np.ndarray
    ):
        y = np.empty_like(x)
        if _of_small("softmax", x, y):
            return y
    return _engine().normalized("softmax", x, axis, where, temperature, sink, dtype, out)


@backend.implements(dtypes=_FLOATS, min_size=_PAYS)
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
    if (
        axis == 1
        and x.size <= _SMALL
        and where is temperature is sink is dtype is out is None
        and type(x) is np.ndarray
    ):
        y = np.empty_like(x)
        if _of_small("log_softmax", x, y):
            return y
    return _engine().normalized("log_softmax", x, axis, where, temperature, sink, dtype, out)


@backend.implements(dtypes=_FLOATS, min_size=_PAYS)
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
    if (
        axis == 1
        and x.size <= _SMALL
        and where is dtype is out is None
        and keepdims is False
        and type(x) is np.ndarray
    ):
        y = np.empty(x.shape[0], x.dtype)
        if _of_small("logsumexp", x, y):
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


@backend.implements(dtypes=_FLOATS, min_size=_PAYS)
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


@backend.implements(dtypes=_FLOATS, min_size=_PAYS)
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
