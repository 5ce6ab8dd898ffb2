"""Primitives of JAX that are kernels of the `numba` backend on the CPU, and steps elsewhere.

Elsewhere is on other devices, in a program for several of them, and in one that is exported.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from softaxis._backends._jax_rows import Array
from softaxis._backends._numba._layout import FOUR

Steps = Callable[..., Array]


def of_steps(name: str, result: str, steps: Steps) -> Primitive:
    """Return a primitive of rows along the last axis.

    `result` says by a letter what it returns: "c" is an array of the shape of the first operand,
    "q" a number for each row, "Q" four of them.
    """
    primitive = Primitive(f"softaxis_{name}")
    primitive.def_impl(steps)  # which is what `jax.disable_jit` asks for

    def shaped(x: Any, *_: Any) -> Any:
        rows = x.shape[:-1]
        shape = {"c": x.shape, "q": rows, "Q": (*rows, FOUR)}[result]
        return jax.core.ShapedArray(shape, x.dtype)

    def batch(operands: tuple[Array, ...], dims: tuple[Any, ...]) -> Any:
        pairs = list(zip(operands, dims, strict=True))
        n = next(a.shape[d] for a, d in pairs if d is not None)
        batched = (
            jnp.broadcast_to(a, (n, *a.shape)) if d is None else jnp.moveaxis(a, d, 0)
            for a, d in pairs
        )
        return primitive.bind(*batched), 0

    primitive.def_abstract_eval(shaped)
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(steps, multiple_results=False))
    return primitive


def of_kernel(name: str, operands: str, result: str, steps: Steps) -> Primitive:
    """Return a primitive that is a kernel on the CPU.

    The letters say where the kernel finds the operands and the result; "P" and "Q" are four
    numbers for each row.
    """
    primitive = of_steps(name, result, steps)
    in_steps = mlir.lower_fun(steps, multiple_results=False)

    def lowered(context: Any, *values: Any) -> Any:
        target = ""
        if _is_alone(context.module_context):
            target = _target(name, context.avals_in[0].dtype.name)
        if not target:
            return in_steps(context, *values)
        plan = _plan(operands + result, context)
        return jax.ffi.ffi_lowering(target)(context, *values, plan=plan)

    mlir.register_lowering(primitive, lowered, platform="cpu")
    return primitive


def _plan(letters: str, context: Any) -> Any:
    """Return what a handler has to know, as `_layout` says."""
    avals = (*context.avals_in, *context.avals_out)
    *rows, n = avals[0].shape
    steps = {"p": 0, "q": 0}
    for letter, a in zip(letters, avals, strict=True):
        if letter in "pqPQ":
            steps[letter.lower()] = a.dtype.itemsize * (FOUR if letter in "PQ" else 1)
    places = (letters.lower().find(letter) for letter in "abcpq")
    head = prod(rows), n, len(context.avals_in)
    return np.array([*head, *places, *steps.values()], np.int64)


def _is_alone(module: Any) -> bool:
    """Return whether a program is for one device, and for this process."""
    devices = getattr(module.axis_context, "num_devices", None)
    return devices == 1 and not module.lowering_parameters.for_export


_log = logging.getLogger("softaxis")
_targets: dict[tuple[str, str], str] = {}


def _target(kernel: str, dtype: str) -> str:
    """Return the name by which XLA knows a kernel; nothing if it knows another interface.

    Compiled programs may be kept, so no other code ever has the same name.
    """
    found = _targets.get((kernel, dtype))
    if found is None:
        from softaxis._backends._numba._cache import fingerprint
        from softaxis._backends._numba._machine import handler

        found = f"softaxis.{kernel}.{dtype}.{fingerprint()}"
        pointer = jax.ffi.pycapsule(handler(kernel, dtype))
        try:
            jax.ffi.register_ffi_target(found, pointer, platform="cpu")
        except jax.errors.JaxRuntimeError as error:
            _log.warning("softaxis: XLA takes no kernels, its own steps run instead: %s", error)
            found = ""
        _targets[kernel, dtype] = found
    return found


def linear(primitive: Primitive, transposed: Primitive, *rules: Any) -> None:
    """Make a primitive linear in its last operand, with rules for the derivatives by the others.

    `transposed` takes the same others; a rule of None says that nothing depends on one of them.
    """

    def in_direction(t: Array, *operands: Array) -> Array:
        return primitive.bind(*operands[:-1], t)

    def transpose(g: Any, *operands: Any) -> list[Any]:
        none: list[Any] = [None] * len(rules)
        if type(g) is ad.Zero:
            return [*none, ad.Zero(operands[-1].aval)]
        return [*none, transposed.bind(*operands[:-1], g)]

    ad.defjvp(primitive, *rules, in_direction)
    ad.primitive_transposes[primitive] = transpose
