"""Rows on JAX, in the passes that XLA compiles best, each with a derivative of its own.

With m the maximum of a row, e = exp(x - m), s the sum of e and `rest` the sum of e below 1,

    softmax = e / s,    logsumexp = m + L,    L = log(s), or log1p(rest) where s < 2,

for s < 2 means that a single element is 1. Where XLA's own derivatives would cancel or make NaN
out of rows of nothing but -inf, and where they would save more than the result, `custom_jvp`
gives the formula; it calls these functions again, so that any order of derivative goes through.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softaxis._axes import Axis, as_tuple
from softaxis._backends._jax_namespace import is_cut, plain_total

Array = Any


class Sums(NamedTuple):
    """What one pass for the maximum and one for the sums find; dimensions are kept."""

    shift: Array
    """The maximum, or the finite number closest to it."""
    e: Array
    s: Array
    """0 for a row of nothing but -inf, inf for one with +inf, NaN for one with NaN."""
    rest: Array

    @property
    def log(self) -> Array:
        """L, of 1 + rest or s; 0 for a row of nothing but -inf."""
        return jnp.log1p(jnp.where(self.s < 2, self.rest, self.s - 1))


def sums(x: Array, axis: Axis) -> Sums:
    """Sum exp(x - m) over each row, and over what is below its maximum.

    Nothing but the sums is asked for NaN: XLA's maximum drops it in large arrays on the CPU.
    """
    info = jnp.finfo(x.dtype)
    shift = jnp.clip(jnp.max(x, axis, keepdims=True), info.min, info.max)
    e = jnp.exp(x - shift)
    return Sums(shift, e, plain_total(e, axis), _rest(e, axis))


def _rest(e: Array, axis: Axis) -> Array:
    """Sum what is below 1; halved before it is looked at, so that XLA never stores the whole."""
    if is_cut(e, axis):
        return plain_total(_below(e), axis)
    one = as_tuple(axis)[0]
    half = e.shape[one] // 2
    ends = [0, half, 2 * half, e.shape[one]]
    parts = [_below(jax.lax.slice_in_dim(e, i, j, axis=one)) for i, j in pairwise(ends) if i < j]
    odd = parts.pop() if len(parts) % 2 else None
    rest = plain_total(parts[0] + parts[1], axis) if parts else 0.0
    return rest if odd is None else rest + plain_total(odd, axis)


def _below(e: Array) -> Array:
    """0 at 1, and e from 1 - eps / 2 down."""
    return jnp.minimum(e, (1 - e) * (4 / float(jnp.finfo(e.dtype).eps)))


def softmax(x: Array, axis: Axis) -> Array:
    """Return e / s; NaN for a row of nothing but -inf or with +inf."""
    return _softmax(x, axis)[0]


def probabilities(x: Array, axis: Axis) -> tuple[Array, Array]:
    """Return softmax, but 0 for a row of nothing but -inf, and s."""
    y, s = _softmax(x, axis)
    return _live(s, y), s


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _softmax(x: Array, axis: Axis) -> tuple[Array, Array]:
    """The probabilities, and s, through which nothing is differentiated."""
    r = sums(x, axis)
    return r.e * jnp.where(r.s == jnp.inf, jnp.nan, 1 / r.s), r.s


def _softmax_jvp(axis: Axis, primals: tuple[Array], tangents: tuple[Array]) -> Any:
    (x,), (t,) = primals, tangents
    y, s = _softmax(x, axis)
    return (y, s), (product(_live(s, y), s, t, axis), jnp.zeros_like(s))


_softmax.defjvp(_softmax_jvp)


def product(p: Array, s: Array, t: Array, axis: Axis) -> Array:
    """p_i (h_i - sum_j p_j h_j), h being t as seen from the maximum."""
    h = _from_top(p, s, t, axis)
    return p * (h - _mean(p, s, h, axis))


def _from_top(p: Array, s: Array, t: Array, axis: Axis) -> Array:
    """t minus its mean over the maxima.

    That changes no derivative of softmax, and leaves for a maximum a sum over the others, so that
    nothing cancels. Where what is below the maxima is small, s rounds to their number; where it
    is not, any multiple of their sum that is no larger does.
    """
    mean = jnp.sum(jnp.where(p == 1 / s, t, 0), axis, keepdims=True) / jnp.maximum(jnp.round(s), 1)
    return t - _live(s, mean)


def _mean(p: Array, s: Array, h: Array, axis: Axis) -> Array:
    """sum_j p_j h_j."""
    return _live(s, jnp.sum(p * h, axis, keepdims=True))


def _live(s: Array, a: Array) -> Array:
    """Return `a`, 0 for a row of nothing but -inf.

    On the CPU a selection also ends what XLA's library fuses; otherwise it would broadcast the
    row's number first and keep the whole of it.
    """
    return jnp.where(s == 0, 0, a)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def log_softmax(x: Array, axis: Axis) -> Array:
    """Return x - m - L; NaN for a row of nothing but -inf or with +inf."""
    r = sums(x, axis)
    return (x - r.shift) - jnp.where((r.s == 0) | (r.s == jnp.inf), jnp.nan, r.log)


def _log_softmax_jvp(axis: Axis, primals: tuple[Array], tangents: tuple[Array]) -> Any:
    (x,), (t,) = primals, tangents
    p, s = probabilities(x, axis)
    h = _from_top(p, s, _live(s, t), axis)
    return log_softmax(x, axis), h - _mean(p, s, h, axis)


log_softmax.defjvp(_log_softmax_jvp)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def logsumexp(x: Array, axis: Axis) -> Array:
    """Return m + L with dimensions kept."""
    r = sums(x, axis)
    return jnp.where(r.s == 0, -jnp.inf, r.shift + r.log)


def _logsumexp_jvp(axis: Axis, primals: tuple[Array], tangents: tuple[Array]) -> Any:
    (x,), (t,) = primals, tangents
    return logsumexp(x, axis), jnp.sum(probabilities(x, axis)[0] * t, axis, keepdims=True)


logsumexp.defjvp(_logsumexp_jvp)
