"""Primitives of JAX that are kernels of the `numba` backend on the CPU, and steps elsewhere.

Elsewhere is on other devices, in a program for several of them, and in one that is exported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from softaxis._backends._jax_rows import Array
from softaxis._backends._numba._layout import FOUR

Steps = Callable[..., Array]


def of_steps(name: str, result: str, steps: Steps) -> Primitive:
    """Return a primitive of rows along `axis`.

    `result` says by a letter what it returns: "c" is an array of the shape of the first operand,
    "q" one of that without `axis`, "Q" four numbers for each place of that.
    """
    primitive = Primitive(f"softaxis_{name}")
    primitive.def_impl(steps)  # which is what `jax.disable_jit` asks for

    @primitive.def_abstract_eval
    def _(x: Any, *_: Any, axis: int) -> Any:
        rows = x.shape[:axis] + x.shape[axis + 1 :]
        shape = {"c": x.shape, "q": rows, "Q": (*rows, FOUR)}[result]
        return jax.core.ShapedArray(shape, x.dtype)

    def batch(operands: tuple[Array, ...], dims: tuple[Any, ...], *, axis: int) -> Any:
        pairs = list(zip(operands, dims, strict=True))
        n = next(a.shape[d] for a, d in pairs if d is not None)
        batched = (
            jnp.broadcast_to(a, (n, *a.shape)) if d is None else jnp.moveaxis(a, d, 0)
            for a, d in pairs
        )
        return primitive.bind(*batched, axis=axis + 1), 0

    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(steps, multiple_results=False))
    return primitive


def of_kernel(name: str, operands: str, result: str, steps: Steps) -> Primitive:
    """Return a primitive that is a kernel on the CPU; the letters are those of `_numba._xla`."""
    primitive = of_steps(name, result, steps)
    in_steps = mlir.lower_fun(steps, multiple_results=False)

    def lowered(context: Any, *values: Any, axis: int) -> Any:
        if not _is_alone(context.module_context):
            return in_steps(context, *values, axis=axis)
        from softaxis._backends._numba._xla import call

        x = context.avals_in[0]
        kernel, plan = call(name, x.dtype.name, x.shape, axis, operands, result)
        return jax.ffi.ffi_lowering(_target(kernel, x.dtype.name))(context, *values, plan=plan)

    mlir.register_lowering(primitive, lowered, platform="cpu")
    return primitive


def _is_alone(module: Any) -> bool:
    """Return whether a program is for one device, and for this process."""
    devices = getattr(module.axis_context, "num_devices", None)
    return devices == 1 and not module.lowering_parameters.for_export


_targets: dict[tuple[str, str], str] = {}


def _target(kernel: str, dtype: str) -> str:
    """Return the name by which XLA knows a kernel: compiled programs may be kept, so no other
    code ever has the same."""
    found = _targets.get((kernel, dtype))
    if found is None:
        from softaxis._backends._numba._cache import fingerprint
        from softaxis._backends._numba._machine import handler

        found = f"softaxis.{kernel}.{dtype}.{fingerprint()}"
        pointer = jax.ffi.pycapsule(handler(kernel, dtype))
        jax.ffi.register_ffi_target(found, pointer, platform="cpu")
        _targets[kernel, dtype] = found
    return found


def linear(primitive: Primitive, transposed: Primitive, *rules: Any) -> None:
    """Make a primitive linear in its last operand, with rules for the derivatives by the others.

    `transposed` takes the same others; a rule of None says that nothing depends on one of them.
    """

    def in_direction(t: Array, *operands: Array, axis: int) -> Array:
        return primitive.bind(*operands[:-1], t, axis=axis)

    def transpose(g: Any, *operands: Any, axis: int) -> list[Any]:
        none: list[Any] = [None] * len(rules)
        if type(g) is ad.Zero:
            return [*none, ad.Zero(operands[-1].aval)]
        return [*none, transposed.bind(*operands[:-1], g, axis=axis)]

    ad.defjvp(primitive, *rules, in_direction)
    ad.primitive_transposes[primitive] = transpose
