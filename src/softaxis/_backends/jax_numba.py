"""jax_numba: the kernels of the `numba` backend, called by XLA inside its programs on the CPU.

They take rows along the last axis or axes; what is masked XLA selects around them.
Everything else, and what is cut over several devices, is left to the backend `jax`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from softaxis._axes import Axis, as_tuple
from softaxis._backends import _jax_functions
from softaxis._backends import _jax_kernels as kernels
from softaxis._backends._jax_rows import Array
from softaxis._backends._jax_shortcuts import SHORTCUTS, of_labels, of_rows
from softaxis._backends._numba._layout import IGNORED
from softaxis._backends.jax import compiled
from softaxis._dtypes import as_integral, cast, default_integral
from softaxis._generic._rows import masked
from softaxis.backend import Backend, declined

if jax.__version_info__ < (0, 10):
    raise ImportError("the backend 'jax_numba' needs JAX 0.10 or newer")

backend = Backend("jax_numba", types=(jax.Array, jax.core.Tracer))

PAYS = 1 << 17
"""Elements from which on kernels are compiled that are not on disk: that takes some seconds."""
_FLOATS = ("float32", "float64")


def _why_not(x: Array, axis: Axis) -> str:
    """Return why a call is not for kernels; nothing where it is."""
    if x.size == 0 or axis == () or x.dtype.name not in _FLOATS:
        return "takes arrays of float32 and float64 that are not empty"
    axes = as_tuple(axis)
    if axes != tuple(range(x.ndim - len(axes), x.ndim)):
        return "takes rows along the last axis or axes"
    if _is_of_a_mesh(x):
        return "takes arrays on one device"
    return ""


def _is_of_a_mesh(x: Array) -> bool:
    """Return whether the type of an array tells, or may tell, how it is cut over devices."""
    mesh = jax.typeof(x).sharding.mesh
    kinds = {kind for kind in mesh.axis_types if kind is not jax.sharding.AxisType.Auto}
    return bool(kinds) or mesh.size > 1


def _flat(x: Array, axis: Axis) -> Array:
    """Return an array whose rows lie along its last axis."""
    rows = x.shape[: -len(as_tuple(axis))]
    return x.reshape(*rows, -1)


def _softmax(x: Array, /, *, axis: Axis, where: Array | None = None, xp: Any) -> Array:
    if _why_not(x, axis):
        return _jax_functions.softmax(x, axis=axis, where=where, xp=xp)
    p = kernels.softmax(_flat(masked(x, where, xp), axis)).reshape(x.shape)
    return p if where is None else jnp.where(where, p, 0)


def _log_softmax(x: Array, /, *, axis: Axis, where: Array | None = None, xp: Any) -> Array:
    if _why_not(x, axis):
        return _jax_functions.log_softmax(x, axis=axis, where=where, xp=xp)
    y = kernels.log_softmax(_flat(masked(x, where, xp), axis)).reshape(x.shape)
    return y if where is None else jnp.where(where, y, -jnp.inf)


def _logsumexp(
    x: Array, /, *, axis: Axis, where: Array | None = None, keepdims: bool = False, xp: Any
) -> Array:
    if _why_not(x, axis):
        y: Array = _jax_functions.logsumexp(x, axis=axis, where=where, keepdims=keepdims, xp=xp)
        return y
    y = kernels.logsumexp(_flat(masked(x, where, xp), axis))
    return jnp.expand_dims(y, as_tuple(axis)) if keepdims else y


def _codes(
    labels: Array, n: int, ignore_index: int | None, x: Array, xp: Any
) -> tuple[Array, Array]:
    """Return labels as the kernels take them, and which of them count."""
    index = cast(labels, default_integral(x, xp), xp)
    codes = jnp.where((index >= 0) & (index < n), index, -1)
    counted = jnp.ones_like(index, bool)
    ignored = None if ignore_index is None else as_integral(ignore_index, labels.dtype, x, xp)
    if ignored is not None:
        counted = index != ignored
    return jnp.where(counted, codes, IGNORED).astype(jnp.int32), counted


def _cross_entropy(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: Axis,
    ignore_index: int | None = None,
    reduction: str = "none",
    xp: Any,
) -> Array:
    if _no_loss(logits, labels, axis):
        return _jax_functions.cross_entropy(
            logits, labels, axis=axis, ignore_index=ignore_index, reduction=reduction, xp=xp
        )
    codes, counted = _codes(labels, logits.shape[-1], ignore_index, logits, xp)
    loss = kernels.cross_entropy(logits, codes)
    return _reduced(loss, reduction) / _divisor(counted, reduction, loss)


def _cross_entropy_and_grad(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: Axis,
    ignore_index: int | None = None,
    reduction: str = "none",
    xp: Any,
) -> tuple[Array, Array]:
    if _no_loss(logits, labels, axis):
        return _jax_functions.cross_entropy_and_grad(
            logits, labels, axis=axis, ignore_index=ignore_index, reduction=reduction, xp=xp
        )
    codes, counted = _codes(labels, logits.shape[-1], ignore_index, logits, xp)
    divisor = _divisor(counted, reduction, logits)
    g = jnp.broadcast_to(1 / divisor, codes.shape)
    loss, slope = kernels.loss_and_slope(logits, codes, g)
    return _reduced(loss, reduction) / divisor, slope


def _no_loss(logits: Array, labels: Array, axis: Axis) -> str:
    """Return why a loss is not for kernels; nothing where it is."""
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        return "takes integer labels"
    if axis != logits.ndim - 1:
        return "takes classes on the last axis"
    return _why_not(logits, axis)


def _reduced(loss: Array, reduction: str) -> Array:
    return loss if reduction == "none" else jnp.sum(loss)


def _divisor(counted: Array, reduction: str, like: Array) -> Array:
    """Return the number of rows that count where a mean is asked for, and 1 elsewhere."""
    if reduction != "mean":
        return jnp.ones((), like.dtype)
    return jnp.maximum(jnp.sum(counted, dtype=like.dtype), 1)


def _masks(where: Array | None) -> dict[str, Array]:
    return {} if where is None else {"where": where}


_programs = {
    function.__name__[1:]: compiled(function)
    for function in (_softmax, _log_softmax, _logsumexp, _cross_entropy, _cross_entropy_and_grad)
}
_RECORD: dict[str, Any] = {
    "dtypes": _FLOATS,
    "devices": ("cpu",),
    "differentiable": True,
    "traceable": True,
    "min_size": PAYS,
}


def _selective(name: str, large: Callable[..., Any]) -> Callable[..., Any]:
    """Return what is asked first: a program of kernels, or for small arrays one of XLA's steps."""
    small = SHORTCUTS[name]

    def shortcut(x: Array, *arguments: Any) -> Any:
        return (small if x.size < PAYS else large)(x, *arguments)

    return shortcut


@backend.implements(**_RECORD)
def softmax(x: Array, /, *, axis: Axis, where: Array | None = None) -> Any:
    """exp(x - m) / s."""
    why = _why_not(x, axis)
    return declined(why) if why else _programs["softmax"](x, axis=axis, **_masks(where))


@backend.implements(**_RECORD)
def log_softmax(x: Array, /, *, axis: Axis, where: Array | None = None) -> Any:
    """x - m - L."""
    why = _why_not(x, axis)
    return declined(why) if why else _programs["log_softmax"](x, axis=axis, **_masks(where))


@backend.implements(**_RECORD)
def logsumexp(
    x: Array, /, *, axis: Axis, where: Array | None = None, keepdims: bool = False
) -> Any:
    """m + L."""
    why = _why_not(x, axis)
    if why:
        return declined(why)
    return _programs["logsumexp"](x, axis=axis, keepdims=keepdims, **_masks(where))


@backend.implements(**_RECORD)
def cross_entropy(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: Axis,
    ignore_index: int | None = None,
    reduction: str = "none",
) -> Any:
    """(m - x_y) + L."""
    why = _no_loss(logits, labels, axis)
    if why:
        return declined(why)
    return _programs["cross_entropy"](
        logits, labels, axis=axis, ignore_index=ignore_index, reduction=reduction
    )


@backend.implements(**_RECORD)
def cross_entropy_and_grad(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: Axis,
    ignore_index: int | None = None,
    reduction: str = "none",
) -> Any:
    """The loss, and p minus one-hot labels."""
    why = _no_loss(logits, labels, axis)
    if why:
        return declined(why)
    return _programs["cross_entropy_and_grad"](
        logits, labels, axis=axis, ignore_index=ignore_index, reduction=reduction
    )


_LARGE = {
    "softmax": of_rows(_softmax),
    "log_softmax": of_rows(_log_softmax),
    "logsumexp": of_rows(_logsumexp),
    "cross_entropy": of_labels(_cross_entropy),
    "cross_entropy_and_grad": of_labels(_cross_entropy_and_grad),
}
for _name, _large in _LARGE.items():  # for what `jax.Array` stands for outside of a trace
    _concrete = dict.fromkeys(jax.Array.__subclasses__(), _selective(_name, _large))
    backend.functions[_name] = backend.functions[_name]._replace(selective=_concrete)
