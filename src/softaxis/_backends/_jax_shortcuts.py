"""The plainest calls with arrays that nobody traces, straight to a compiled program.

There is one program for each way to write the arguments, called with arrays alone: that is the
way through `jax.jit` with the least Python in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from softaxis._axes import normalize_axis
from softaxis._backends import _jax_functions
from softaxis._backends._jax_namespace import namespace
from softaxis._backends._jax_rows import Array

_REDUCTIONS = ("none", "sum", "mean")


class _Programs(dict[Any, Any]):
    def __init__(self, compiled: Callable[..., Any]) -> None:
        self.compiled = compiled

    def __missing__(self, key: Any) -> Any:
        found = self[key] = jax.jit(partial(self.compiled, key))
        return found


class _Kinds(dict[Any, bool]):
    """By dtype, whether it is one of a kind."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def __missing__(self, dtype: Any) -> bool:
        found = self[dtype] = bool(jnp.issubdtype(dtype, self.kind))
        return found


_is_real = _Kinds(jnp.floating)
_is_integral = _Kinds(jnp.integer)


def of_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the shortcut of a function of one array and `axis`."""

    def compiled(axis: Any, x: Array) -> Array:
        return function(x, axis=normalize_axis(axis, x.ndim), xp=namespace)

    programs = _Programs(compiled)

    def shortcut(x: Array, axis: Any) -> Any:
        if (axis is None or (type(axis) is int and -x.ndim <= axis < x.ndim)) and _is_real[x.dtype]:
            return programs[axis](x)
        return NotImplemented

    return shortcut


def of_labels(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the shortcut of a loss, for integer labels and classes on the last axis."""

    def compiled(key: Any, logits: Array, labels: Array) -> Any:
        ignore_index, reduction = key
        return function(
            logits,
            labels,
            axis=logits.ndim - 1,
            ignore_index=ignore_index,
            reduction=reduction,
            xp=namespace,
        )

    programs = _Programs(compiled)

    def shortcut(logits: Array, labels: Array, axis: Any, ignore_index: Any, reduction: Any) -> Any:
        if (
            type(axis) is int
            and type(labels) is type(logits)
            and (ignore_index is None or type(ignore_index) is int)
            and type(reduction) is str
            and reduction in _REDUCTIONS
            and _is_real[logits.dtype]
            and _is_integral[labels.dtype]
        ):
            shape = logits.shape
            if shape and axis in (-1, len(shape) - 1) and labels.shape == shape[:-1]:
                return programs[ignore_index, reduction](logits, labels)
        return NotImplemented

    return shortcut


SHORTCUTS = {
    "softmax": of_rows(_jax_functions.softmax),
    "log_softmax": of_rows(_jax_functions.log_softmax),
    "logsumexp": of_rows(_jax_functions.logsumexp),
    "cross_entropy": of_labels(_jax_functions.cross_entropy),
    "cross_entropy_and_grad": of_labels(_jax_functions.cross_entropy_and_grad),
}
