"""The kernels of the `numba` backend as primitives of JAX, which XLA calls on the CPU.

Elsewhere, on several devices and where a program is exported, they are the steps of `_jax_rows`
and `_jax_losses`. Every primitive has rules for both modes of differentiation, so that any order
goes through, and one for `vmap`, which adds rows. With p = softmax(x), r = p - [c is the right
class] and sums over a row,

    primitive        derivative in direction t       transposed, of g
    softmax          p (t - sum(p t))                p (g - sum(p g))
    log_softmax      t - sum(p t)                    g - p sum(g)
    logsumexp        sum(p t)                        p g
    cross_entropy    sum(r t)                        r g
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from softaxis import _generic
from softaxis._backends import _jax_losses, _jax_rows
from softaxis._backends._jax_namespace import namespace
from softaxis._backends._jax_rows import Array
from softaxis._backends._numba._layout import IGNORED

Steps = Callable[..., Array]


def _primitive(name: str, operands: str, result: str, steps: Steps) -> Primitive:
    """Return a primitive of rows along `axis`.

    `operands` and `result` say by a letter each what they are: a, b and c have the shape of the
    first one, p and q that without `axis`; labels are integers of 32 bits.
    """
    primitive = Primitive(f"softaxis_{name}")
    primitive.def_impl(steps)  # where `jax.disable_jit` asks for steps

    @primitive.def_abstract_eval
    def _(x: Any, *_: Any, axis: int) -> Any:
        shape = x.shape if result == "c" else x.shape[:axis] + x.shape[axis + 1 :]
        return jax.core.ShapedArray(shape, x.dtype)

    def batch(arrays: tuple[Array, ...], dims: tuple[Any, ...], *, axis: int) -> Any:
        size = next(a.shape[d] for a, d in zip(arrays, dims, strict=True) if d is not None)
        moved = (
            jnp.broadcast_to(a, (size, *a.shape)) if d is None else jnp.moveaxis(a, d, 0)
            for a, d in zip(arrays, dims, strict=True)
        )
        return primitive.bind(*moved, axis=axis + 1), 0

    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(steps, multiple_results=False))
    return primitive


def _kernel(name: str, operands: str, result: str, steps: Steps) -> Primitive:
    """Return a primitive that is a kernel on the CPU."""
    primitive = _primitive(name, operands, result, steps)
    in_steps = mlir.lower_fun(steps, multiple_results=False)

    def lowered(ctx: Any, *values: Any, axis: int) -> Any:
        if not _is_alone(ctx.module_context):
            return in_steps(ctx, *values, axis=axis)
        from softaxis._backends._numba._xla import call

        x = ctx.avals_in[0]
        kernel, plan = call(name, str(x.dtype), x.shape, axis, operands, result)
        return jax.ffi.ffi_lowering(_target(kernel, str(x.dtype)))(ctx, *values, plan=plan)

    mlir.register_lowering(primitive, lowered, platform="cpu")
    return primitive


def _is_alone(module: Any) -> bool:
    """Return whether a program is for one device, and for this process."""
    devices = getattr(module.axis_context, "num_devices", None)
    return devices == 1 and not module.lowering_parameters.for_export


_targets: dict[tuple[str, str], str] = {}


def _target(kernel: str, dtype: str) -> str:
    """Return the name under which XLA knows a kernel; it is that of no other code."""
    found = _targets.get((kernel, dtype))
    if found is None:
        from softaxis._backends._numba._cache import fingerprint
        from softaxis._backends._numba._machine import handler

        found = f"softaxis.{kernel}.{dtype}.{fingerprint()}"
        jax.ffi.register_ffi_target(found, jax.ffi.pycapsule(handler(kernel, dtype)), "cpu")
        _targets[kernel, dtype] = found
    return found


def _spread(q: Array, axis: int) -> Array:
    return jnp.expand_dims(q, axis)


def _logsumexp_steps(x: Array, *, axis: int) -> Array:
    return jnp.squeeze(_jax_rows.logsumexp(x, axis), axis)


def _of_codes(codes: Array, axis: int) -> tuple[Array, Array, Array]:
    """Return labels that index, which rows count and which are wrong, the axis kept."""
    index = _spread(codes, axis)
    return jnp.maximum(index, 0), index != IGNORED, (index < 0) & (index != IGNORED)


def _cross_entropy_steps(x: Array, codes: Array, *, axis: int) -> Array:
    at, counted, wrong = _of_codes(codes, axis)
    loss = _jax_losses.cross_entropy(x, at, counted, axis)
    return jnp.squeeze(jnp.where(wrong, jnp.nan, loss), axis)


def _residual(x: Array, codes: Array, axis: int) -> Array:
    at, counted, wrong = _of_codes(codes, axis)
    return jnp.where(wrong, jnp.nan, _jax_losses.residual(x, at, counted, axis))


def _unspoilt(dx: Array, y: Array, g: Array) -> Array:
    """0 for a g of 0 in a row of NaN."""
    return jnp.where(jnp.isnan(y) & (g == 0), 0, dx)


def _softmax_slope_steps(p: Array, g: Array, *, axis: int) -> Array:
    return _unspoilt(_generic.softmax_vjp(p, g, axis=axis, xp=namespace), p, g)


def _log_softmax_slope_steps(y: Array, g: Array, *, axis: int) -> Array:
    return _unspoilt(_generic.log_softmax_vjp(y, g, axis=axis, xp=namespace), y, g)


def _log_softmax_jvp_steps(y: Array, t: Array, *, axis: int) -> Array:
    return _unspoilt(_generic.log_softmax_jvp(y, t, axis=axis, xp=namespace), y, t)


def _logsumexp_slope_steps(x: Array, g: Array, *, axis: int) -> Array:
    return _jax_rows.probabilities(x, axis)[0] * _spread(g, axis)


def _logsumexp_jvp_steps(x: Array, t: Array, *, axis: int) -> Array:
    return jnp.sum(_jax_rows.probabilities(x, axis)[0] * t, axis)


def _cross_entropy_slope_steps(x: Array, codes: Array, g: Array, *, axis: int) -> Array:
    return _counted(codes, _residual(x, codes, axis) * _spread(g, axis), axis)


def _cross_entropy_jvp_steps(x: Array, codes: Array, t: Array, *, axis: int) -> Array:
    return jnp.sum(_counted(codes, _residual(x, codes, axis) * t, axis), axis)


def _counted(codes: Array, a: Array, axis: int) -> Array:
    return jnp.where(_spread(codes, axis) != IGNORED, a, 0)


def _softmax_steps(x: Array, *, axis: int) -> Array:
    return _jax_rows.softmax(x, axis)


def _log_softmax_steps(x: Array, *, axis: int) -> Array:
    return _jax_rows.log_softmax(x, axis)


_softmax = _kernel("softmax", "a", "c", _softmax_steps)
_softmax_slope = _kernel("softmax_slope", "ab", "c", _softmax_slope_steps)
_log_softmax = _kernel("log_softmax", "a", "c", _log_softmax_steps)
_log_softmax_slope = _kernel("log_softmax_slope", "ab", "c", _log_softmax_slope_steps)
_log_softmax_jvp = _primitive("log_softmax_jvp", "ab", "c", _log_softmax_jvp_steps)
_logsumexp = _kernel("logsumexp", "a", "q", _logsumexp_steps)
_logsumexp_slope = _kernel("logsumexp_slope", "ap", "c", _logsumexp_slope_steps)
_logsumexp_jvp = _primitive("logsumexp_jvp", "ab", "q", _logsumexp_jvp_steps)
_cross_entropy = _kernel("cross_entropy", "ap", "q", _cross_entropy_steps)
_cross_entropy_slope = _kernel("cross_entropy_slope", "apq", "c", _cross_entropy_slope_steps)
_cross_entropy_jvp = _primitive("cross_entropy_jvp", "apb", "q", _cross_entropy_jvp_steps)


def softmax(x: Array, axis: int) -> Array:
    """Return exp(x - m) / s."""
    return _softmax.bind(x, axis=axis)


def log_softmax(x: Array, axis: int) -> Array:
    """Return x - logsumexp(x)."""
    return _log_softmax.bind(x, axis=axis)


def logsumexp(x: Array, axis: int) -> Array:
    """Return m + log(s) of each row."""
    return _logsumexp.bind(x, axis=axis)


def cross_entropy(x: Array, codes: Array, axis: int) -> Array:
    """Return the loss of each row: 0 for the label IGNORED, NaN for another that is negative."""
    return _cross_entropy.bind(x, codes, axis=axis)


def cross_entropy_slope(x: Array, codes: Array, g: Array, axis: int) -> Array:
    """Return its gradient, times g."""
    return _cross_entropy_slope.bind(x, codes, g, axis=axis)


def _slope(p: Array, t: Array, axis: int) -> Array:
    return _softmax_slope.bind(p, t, axis=axis)


def _probabilities(x: Array, axis: int) -> Array:
    """Return softmax; 0 for a row of nothing but -inf."""
    dead = jnp.max(x, axis, keepdims=True) == -jnp.inf
    return jnp.where(dead, 0, softmax(x, axis))


def _from_top(p: Array, t: Array, axis: int) -> Array:
    """t minus its mean over the maxima of p, through which nothing is differentiated."""
    top = p == jnp.max(p, axis, keepdims=True)
    mean = jnp.mean(t, axis, keepdims=True, where=top)
    return t - jax.lax.stop_gradient(mean)


def _finite(p: Array) -> Array:
    return jnp.where(jnp.isnan(p), 0, p)


def _slope_by_p(dp: Array, p: Array, t: Array, *, axis: int) -> Array:
    """dp (h - sum(p h)) - p sum(dp h), h being t as seen from the maxima."""
    p = _finite(p)
    dp = _finite(dp)
    h = _from_top(p, t, axis)
    mean, change = (jnp.sum(a * h, axis, keepdims=True) for a in (p, dp))
    return dp * (h - mean) - p * change


def _log_slope_by_y(dy: Array, y: Array, g: Array, *, axis: int) -> Array:
    return -_finite(jnp.exp(y) * dy) * jnp.sum(g, axis, keepdims=True)


def _log_jvp_by_y(dy: Array, y: Array, t: Array, *, axis: int) -> Array:
    p = _finite(jnp.exp(y))
    change = jnp.sum(p * _finite(dy) * _from_top(p, t, axis), axis, keepdims=True)
    return jnp.broadcast_to(-change, y.shape)


def _logsumexp_slope_by_x(dx: Array, x: Array, g: Array, *, axis: int) -> Array:
    return _slope(_probabilities(x, axis), dx, axis) * _spread(g, axis)


def _logsumexp_jvp_by_x(dx: Array, x: Array, t: Array, *, axis: int) -> Array:
    return jnp.sum(_slope(_probabilities(x, axis), dx, axis) * t, axis)


def _loss_slope_by_x(dx: Array, x: Array, codes: Array, g: Array, *, axis: int) -> Array:
    return _counted(codes, _slope(softmax(x, axis), dx, axis) * _spread(g, axis), axis)


def _loss_jvp_by_x(dx: Array, x: Array, codes: Array, t: Array, *, axis: int) -> Array:
    return jnp.sum(_counted(codes, _slope(softmax(x, axis), dx, axis) * t, axis), axis)


def _linear(primitive: Primitive, transposed: Primitive, *of_others: Any) -> None:
    """Make a primitive linear in its last operand, and differentiable by the others."""
    count = len(of_others)

    def in_direction(t: Array, *operands: Array, axis: int) -> Array:
        return primitive.bind(*operands[:count], t, axis=axis)

    def transpose(g: Any, *operands: Any, axis: int) -> list[Any]:
        none: list[Any] = [None] * count
        if type(g) is ad.Zero:
            return [*none, ad.Zero(operands[-1].aval)]
        return [*none, transposed.bind(*operands[:count], g, axis=axis)]

    ad.defjvp(primitive, *of_others, in_direction)
    ad.primitive_transposes[primitive] = transpose


ad.defjvp2(_softmax, lambda t, y, _, *, axis: _slope(y, t, axis))
ad.defjvp2(_log_softmax, lambda t, y, _, *, axis: _log_softmax_jvp.bind(y, t, axis=axis))
ad.defjvp2(_logsumexp, lambda t, _, x, *, axis: _logsumexp_jvp.bind(x, t, axis=axis))
ad.defjvp2(
    _cross_entropy,
    lambda t, _, x, codes, *, axis: _cross_entropy_jvp.bind(x, codes, t, axis=axis),
    None,
)
_linear(_softmax_slope, _softmax_slope, _slope_by_p)
_linear(_log_softmax_slope, _log_softmax_jvp, _log_slope_by_y)
_linear(_log_softmax_jvp, _log_softmax_slope, _log_jvp_by_y)
_linear(_logsumexp_slope, _logsumexp_jvp, _logsumexp_slope_by_x)
_linear(_logsumexp_jvp, _logsumexp_slope, _logsumexp_jvp_by_x)
_linear(_cross_entropy_slope, _cross_entropy_jvp, _loss_slope_by_x, None)
_linear(_cross_entropy_jvp, _cross_entropy_slope, _loss_jvp_by_x, None)
