"""JAX: programs of few passes with derivatives of their own, compiled as a whole.

The functions that nearly every call is about are written for XLA, the rest is the array-API
implementation. Called on plain arrays it runs as one XLA program instead of some thirty; inside
`jax.jit`, `jax.vmap` or `jax.grad` it becomes part of the surrounding one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import copysign, inf
from typing import Any

import jax
import jax.numpy as jnp

from softaxis import _generic
from softaxis._backends import _jax_functions
from softaxis._backends._jax_namespace import namespace
from softaxis._backends._jax_shortcuts import SHORTCUTS
from softaxis.backend import Backend

backend = Backend("jax", types=(jax.Array, jax.core.Tracer))

_STATIC = (
    "axis",
    "dtype",
    "ignore_index",
    "keepdims",
    "label_smoothing",
    "reduction",
    "return_sign",
    "z_loss",
)
_TRACED = ("temperature", "sink")


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that runs as a program of XLA, compiled for each way to call it."""
    jitted: dict[tuple[str, ...], Callable[..., Any]] = {}

    def call(*arrays: Any, **arguments: Any) -> Any:
        arguments.pop("out", None)  # always None: JAX arrays are immutable
        for name in _TRACED:  # a new number must not compile a new program
            if isinstance(arguments.get(name), float):
                arguments[name] = _number(arguments[name])
        static = tuple(name for name in arguments if name in _STATIC)
        program = jitted.get(static)
        if program is None:
            program = jitted[static] = jax.jit(
                partial(function, xp=namespace), static_argnames=static
            )
        return program(*arrays, **arguments)

    return call


def _number(value: float) -> Any:
    """A number in the widest dtype; what is infinite or 0 there, subnormal numbers too, as that."""
    dtype = jnp.result_type(float)
    limits = jnp.finfo(dtype)
    if abs(value) > float(limits.max):
        value = copysign(inf, value)
    return jnp.asarray(0.0 if abs(value) < float(limits.smallest_normal) else value, dtype)


for _name in _generic.__all__:
    backend.implements(name=_name, dtypes=None, differentiable=True, traceable=True)(
        compiled(getattr(_jax_functions, _name, getattr(_generic, _name)))
    )
for _name, _shortcut in SHORTCUTS.items():  # for what `jax.Array` stands for outside of a trace
    _concrete = dict.fromkeys(jax.Array.__subclasses__(), _shortcut)
    backend.functions[_name] = backend.functions[_name]._replace(shortcuts=_concrete)
