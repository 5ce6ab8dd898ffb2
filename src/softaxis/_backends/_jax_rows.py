"""Rows on JAX, in the passes that XLA compiles best, each with a derivative of its own.

With m the maximum of a row, e = exp(x - m), s the sum of e and `rest` the sum of e below 1,

    softmax = e / s,    logsumexp = m + L,    L = log(s), or log1p(rest) where s < 2,

for s < 2 means that a single element is 1. XLA on the CPU would take the last sums of a row anew
for each of its elements; it does not where a division or a logarithm comes between, so that 1 / s
tells elements what s is.

Where XLA's own derivatives would cancel or make NaN
out of rows of nothing but -inf, and where they would save more than the result, `custom_jvp`
gives the formula; it calls these functions again, so that any order of derivative goes through.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from softaxis._axes import Axis, as_tuple
from softaxis._backends._jax_namespace import plain_total

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
    def scale(self) -> Array:
        """1 / s, inf for a row of nothing but -inf, and NaN for one with +inf or NaN."""
        scale = 1 / self.s
        return jnp.where(scale == 0, jnp.nan, scale)

    @property
    def log(self) -> Array:
        """L, of 1 + rest or s; 0 for a row of nothing but -inf."""
        return jnp.log1p(self._below_log)

    @property
    def strict_log(self) -> Array:
        """L; NaN for a row of nothing but -inf or with +inf."""
        nothing = (self.s == 0) | (self.s == jnp.inf)
        return jnp.log1p(jnp.where(nothing, jnp.nan, self._below_log))

    @property
    def _below_log(self) -> Array:
        return jnp.where(self.s < 2, self.rest, self.s - 1)


def sums(x: Array, axis: Axis) -> Sums:
    """Sum exp(x - m) over each row, and over what is below its maximum.

    Nothing but the sums is asked for NaN: XLA's maximum drops it in large arrays on the CPU.
    """
    shift = _shift(x, axis)
    e = jnp.exp(x - shift)
    return Sums(shift, e, plain_total(e, axis), plain_total(e, axis, _below))


def sums_alone(x: Array, axis: Axis) -> Sums:
    """Return the same, for whoever needs both sums and nothing else: e is not stored.

    They are one complex number. XLA on the CPU makes vectors of that where neighbours are of
    other rows.
    """
    if x.ndim - 1 in as_tuple(axis):
        return sums(x, axis)
    shift = _shift(x, axis)

    def both(part: Array) -> Array:
        e = jnp.exp(part - shift)
        return jax.lax.complex(e, _below(e))

    z = plain_total(x, axis, both)
    return Sums(shift, jnp.exp(x - shift), z.real, z.imag)


def _shift(x: Array, axis: Axis) -> Array:
    """Return the maximum, or the finite number closest to it.

    Negated in between, for XLA on the CPU computes exp(x - m) in its pass for the maximum, but not
    if it finds a maximum and a minimum that it can join.
    """
    largest = float(jnp.finfo(x.dtype).max)
    m = jnp.maximum(jnp.max(x, axis, keepdims=True), -largest)
    return -jnp.maximum(-m, -largest)


def _below(e: Array) -> Array:
    """0 at 1, and e from 1 - eps / 2 down."""
    return jnp.minimum(e, (1 - e) * (4 / float(jnp.finfo(e.dtype).eps)))


def softmax(x: Array, axis: Axis) -> Array:
    """Return e / s; NaN for a row of nothing but -inf or with +inf."""
    return _softmax(x, axis)[0]


def probabilities(x: Array, axis: Axis) -> tuple[Array, Array]:
    """Return softmax, but 0 for a row of nothing but -inf, and 1 / s as `Sums.scale`."""
    y, scale = _softmax(x, axis)
    return _live(scale, y), scale


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _softmax(x: Array, axis: Axis) -> tuple[Array, Array]:
    """The probabilities, and 1 / s, through which nothing is differentiated."""
    r = sums(x, axis)
    return r.e * r.scale, r.scale


def _softmax_jvp(axis: Axis, primals: tuple[Array], tangents: tuple[Array]) -> Any:
    (x,), (t,) = primals, tangents
    y, scale = _softmax(x, axis)
    return (y, scale), (product(_live(scale, y), scale, t, axis), jnp.zeros_like(scale))


_softmax.defjvp(_softmax_jvp)


def product(p: Array, scale: Array, t: Array, axis: Axis) -> Array:
    """p_i (h_i - sum_j p_j h_j), h being t as seen from the maximum."""
    h = _from_top(p, scale, t, axis)
    return p * (h - _mean(p, scale, h, axis))


def _from_top(p: Array, scale: Array, t: Array, axis: Axis) -> Array:
    """t minus its mean over the maxima.

    That changes no derivative of softmax, and leaves for a maximum a sum over the others, so that
    nothing cancels. Where what is below the maxima is small, s rounds to their number; where it
    is not, any multiple of their sum that is no larger does.
    """
    k = jnp.maximum(jnp.round(1 / scale), 1)
    mean = jnp.sum(jnp.where(p == scale, t, 0), axis, keepdims=True) / k
    return t - _live(scale, mean)


def _mean(p: Array, scale: Array, h: Array, axis: Axis) -> Array:
    """sum_j p_j h_j."""
    return _live(scale, jnp.sum(p * h, axis, keepdims=True))


def _live(scale: Array, a: Array) -> Array:
    """Return `a`, 0 for a row of nothing but -inf.

    On the CPU a selection also ends what XLA's library fuses; otherwise it would broadcast the
    row's number first and keep the whole of it.
    """
    return jnp.where(scale == jnp.inf, 0, a)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def log_softmax(x: Array, axis: Axis, alone: bool = True) -> Array:
    """Return x - m - L; NaN for a row of nothing but -inf or with +inf.

    Not `alone` is what stands beside its derivative, where e is stored anyway.
    """
    r = sums_alone(x, axis) if alone else sums(x, axis)
    return (x - r.shift) - r.strict_log


def _log_softmax_jvp(axis: Axis, _: bool, primals: tuple[Array], tangents: tuple[Array]) -> Any:
    (x,), (t,) = primals, tangents
    p, scale = probabilities(x, axis)
    h = _from_top(p, scale, _live(scale, t), axis)
    return log_softmax(x, axis, False), h - _mean(p, scale, h, axis)


log_softmax.defjvp(_log_softmax_jvp)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def logsumexp(x: Array, axis: Axis, alone: bool = True) -> Array:
    """Return m + L with dimensions kept; `alone` as in `log_softmax`."""
    r = sums_alone(x, axis) if alone else sums(x, axis)
    return jnp.where(r.s == 0, -jnp.inf, r.shift + r.log)


def _logsumexp_jvp(axis: Axis, _: bool, primals: tuple[Array], tangents: tuple[Array]) -> Any:
    (x,), (t,) = primals, tangents
    tangent = jnp.sum(probabilities(x, axis)[0] * t, axis, keepdims=True)
    return logsumexp(x, axis, False), tangent


logsumexp.defjvp(_logsumexp_jvp)
