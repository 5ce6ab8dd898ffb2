"""softmax, log_softmax, logsumexp and cross_entropy on JAX by kernels, with all derivatives.

With p = softmax(x), r = p - [c is the right class] and sums over a row,

                      value      in direction t        transposed, of g
    softmax             p        p (t - sum(p t))      p (g - sum(p g))
    log_softmax         y        t - sum(p t)          g - p sum(g)
    logsumexp           y        sum(p t)              p g
    cross_entropy      loss      sum(r t)              r g

The last column and the values are kernels; of the last two functions, the kernel of the value
notes what it has found of a row for the one of the last column. All is linear in t or g, and
differentiated again in the other operands, so that any order goes through.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from softaxis import _generic
from softaxis._backends import _jax_losses, _jax_rows
from softaxis._backends._jax_namespace import namespace
from softaxis._backends._jax_primitives import linear, of_kernel, of_steps
from softaxis._backends._jax_rows import Array
from softaxis._backends._numba._layout import FOUR, IGNORED


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
    """Return the loss of each row: 0 for the label IGNORED, NaN for another that is negative.

    Labels are integers of 32 bits.
    """
    return _loss.bind(x, codes, axis=axis)


def loss_and_slope(x: Array, codes: Array, g: Array, axis: int) -> tuple[Array, Array]:
    """Return the same, and the gradient times g."""
    known = _loss_noted.bind(x, codes, axis=axis)
    return known[..., 0], _loss_slope.bind(x, codes, known, g, axis=axis)


def _by_row(q: Array, axis: int) -> Array:
    return jnp.expand_dims(q, axis)


def _finite(a: Array) -> Array:
    return jnp.where(jnp.isnan(a), 0, a)


def _from_top(p: Array, t: Array, axis: int) -> Array:
    """t minus its mean over the maxima of p, through which nothing is differentiated."""
    top = p == jnp.max(p, axis, keepdims=True)
    return t - jax.lax.stop_gradient(jnp.mean(t, axis, keepdims=True, where=top))


# softmax


def _softmax_steps(x: Array, *, axis: int) -> Array:
    return _jax_rows.softmax(x, axis)


def _softmax_slope_steps(p: Array, g: Array, *, axis: int) -> Array:
    return _unspoilt(_generic.softmax_vjp(p, g, axis=axis, xp=namespace), p, g)


def _unspoilt(dx: Array, y: Array, g: Array) -> Array:
    """0 for a g of 0 in a row of NaN: whoever has thrown the row away gets no NaN back."""
    return jnp.where(jnp.isnan(y) & (g == 0), 0, dx)


def _slope(p: Array, g: Array, axis: int) -> Array:
    return _softmax_slope.bind(p, g, axis=axis)


def _slope_by_p(dp: Array, p: Array, g: Array, *, axis: int) -> Array:
    """dp (h - sum(p h)) - p sum(dp h), h being g as seen from the maxima."""
    p, dp = _finite(p), _finite(dp)
    h = _from_top(p, g, axis)
    mean, change = (jnp.sum(a * h, axis, keepdims=True) for a in (p, dp))
    return dp * (h - mean) - p * change


_softmax = of_kernel("softmax", "a", "c", _softmax_steps)
_softmax_slope = of_kernel("softmax_slope", "ab", "c", _softmax_slope_steps)
ad.defjvp2(_softmax, lambda t, p, _, *, axis: _slope(p, t, axis))
linear(_softmax_slope, _softmax_slope, _slope_by_p)


# log_softmax


def _log_softmax_steps(x: Array, *, axis: int) -> Array:
    return _jax_rows.log_softmax(x, axis)


def _log_slope_steps(y: Array, g: Array, *, axis: int) -> Array:
    return _unspoilt(_generic.log_softmax_vjp(y, g, axis=axis, xp=namespace), y, g)


def _log_tangent_steps(y: Array, t: Array, *, axis: int) -> Array:
    return _unspoilt(_generic.log_softmax_jvp(y, t, axis=axis, xp=namespace), y, t)


def _log_slope_by_y(dy: Array, y: Array, g: Array, *, axis: int) -> Array:
    return -_finite(jnp.exp(y) * dy) * jnp.sum(g, axis, keepdims=True)


def _log_tangent_by_y(dy: Array, y: Array, t: Array, *, axis: int) -> Array:
    p = _finite(jnp.exp(y))
    change = jnp.sum(p * _finite(dy) * _from_top(p, t, axis), axis, keepdims=True)
    return jnp.broadcast_to(-change, y.shape)


_log_softmax = of_kernel("log_softmax", "a", "c", _log_softmax_steps)
_log_slope = of_kernel("log_softmax_slope", "ab", "c", _log_slope_steps)
_log_tangent = of_steps("log_softmax_tangent", "c", _log_tangent_steps)
ad.defjvp2(_log_softmax, lambda t, y, _, *, axis: _log_tangent.bind(y, t, axis=axis))
linear(_log_slope, _log_tangent, _log_slope_by_y)
linear(_log_tangent, _log_slope, _log_tangent_by_y)


# logsumexp


def _logsumexp_steps(x: Array, *, axis: int) -> Array:
    return jnp.squeeze(_jax_rows.logsumexp(x, axis), axis)


def _logsumexp_noted_steps(x: Array, *, axis: int) -> Array:
    return _noted(_logsumexp_steps(x, axis=axis), x, axis)


def _noted(value: Array, x: Array, axis: int) -> Array:
    """Return values with what is known of their rows, as the kernels write it."""
    r = _jax_rows.sums(x, axis)
    count = jnp.sum(r.e == 1, axis, keepdims=True, dtype=x.dtype)
    others = (jnp.squeeze(a, axis) for a in (r.shift, count, r.rest))
    return jnp.stack([value, *others], -1)


def _probabilities(x: Array, axis: int) -> Array:
    """Return softmax; 0 for a row of nothing but -inf."""
    dead = jnp.max(x, axis, keepdims=True) == -jnp.inf
    return jnp.where(dead, 0, softmax(x, axis))


def _scaled_steps(x: Array, known: Array, *, axis: int) -> Array:
    return _jax_rows.probabilities(x, axis)[0] * _by_row(known[..., 0], axis)


def _with(known: Array, g: Array) -> Array:
    """Return what is known of a row, with g in place of the value."""
    return jnp.concatenate([g[..., None], known[..., 1:]], -1)


def _logsumexp_slope_steps(x: Array, known: Array, g: Array, *, axis: int) -> Array:
    return _scaled.bind(x, _with(known, g), axis=axis)


def _logsumexp_tangent_steps(x: Array, _: Array, t: Array, *, axis: int) -> Array:
    return jnp.sum(_jax_rows.probabilities(x, axis)[0] * t, axis)


def _logsumexp_slope_by_x(dx: Array, x: Array, _: Array, g: Array, *, axis: int) -> Array:
    return _slope(_probabilities(x, axis), dx, axis) * _by_row(g, axis)


def _logsumexp_tangent_by_x(dx: Array, x: Array, _: Array, t: Array, *, axis: int) -> Array:
    return jnp.sum(_slope(_probabilities(x, axis), dx, axis) * t, axis)


_logsumexp = of_kernel("logsumexp", "a", "q", _logsumexp_steps)
_logsumexp_noted = of_kernel("logsumexp_noted", "a", "Q", _logsumexp_noted_steps)
_scaled = of_kernel("logsumexp_slope", "aP", "c", _scaled_steps)
_logsumexp_slope = of_steps("logsumexp_vjp", "c", _logsumexp_slope_steps)
_logsumexp_tangent = of_steps("logsumexp_tangent", "q", _logsumexp_tangent_steps)
linear(_logsumexp_slope, _logsumexp_tangent, _logsumexp_slope_by_x, None)
linear(_logsumexp_tangent, _logsumexp_slope, _logsumexp_tangent_by_x, None)


# cross_entropy


def _of_codes(codes: Array, axis: int) -> tuple[Array, Array, Array]:
    """Return labels that index, which rows count and which labels are wrong, the axis kept."""
    index = _by_row(codes, axis)
    return jnp.maximum(index, 0), index != IGNORED, (index < 0) & (index != IGNORED)


def _loss_steps(x: Array, codes: Array, *, axis: int) -> Array:
    at, counted, wrong = _of_codes(codes, axis)
    loss = _jax_losses.cross_entropy(x, at, counted, axis)
    return jnp.squeeze(jnp.where(wrong, jnp.nan, loss), axis)


def _loss_noted_steps(x: Array, codes: Array, *, axis: int) -> Array:
    return _noted(_loss_steps(x, codes, axis=axis), x, axis)


def _residual(x: Array, codes: Array, axis: int) -> Array:
    at, counted, wrong = _of_codes(codes, axis)
    return jnp.where(wrong, jnp.nan, _jax_losses.residual(x, at, counted, axis))


def _counted(codes: Array, a: Array, axis: int) -> Array:
    return jnp.where(_by_row(codes, axis) == IGNORED, 0, a)


def _scaled_residual_steps(x: Array, codes: Array, known: Array, *, axis: int) -> Array:
    return _counted(codes, _residual(x, codes, axis) * _by_row(known[..., 0], axis), axis)


def _loss_slope_steps(x: Array, codes: Array, known: Array, g: Array, *, axis: int) -> Array:
    return _scaled_residual.bind(x, codes, _with(known, g), axis=axis)


def _loss_tangent_steps(x: Array, codes: Array, _: Array, t: Array, *, axis: int) -> Array:
    return jnp.sum(_counted(codes, _residual(x, codes, axis) * t, axis), axis)


def _loss_slope_by_x(
    dx: Array, x: Array, codes: Array, _: Array, g: Array, *, axis: int
) -> Array:
    return _counted(codes, _slope(softmax(x, axis), dx, axis) * _by_row(g, axis), axis)


def _loss_tangent_by_x(
    dx: Array, x: Array, codes: Array, _: Array, t: Array, *, axis: int
) -> Array:
    return jnp.sum(_counted(codes, _slope(softmax(x, axis), dx, axis) * t, axis), axis)


_loss = of_kernel("cross_entropy", "ap", "q", _loss_steps)
_loss_noted = of_kernel("cross_entropy_noted", "ap", "Q", _loss_noted_steps)
_scaled_residual = of_kernel("cross_entropy_slope", "apQ", "c", _scaled_residual_steps)
_loss_slope = of_steps("cross_entropy_vjp", "c", _loss_slope_steps)
_loss_tangent = of_steps("cross_entropy_tangent", "q", _loss_tangent_steps)
linear(_loss_slope, _loss_tangent, _loss_slope_by_x, None, None)
linear(_loss_tangent, _loss_slope, _loss_tangent_by_x, None, None)


def _noting(value: Any, noted: Any, tangent: Any) -> None:
    """Let a value that is differentiated be the first of what is noted of each row."""

    def of_value(primals: Any, tangents: Any, *, axis: int) -> Any:
        t = tangents[0]
        if type(t) is ad.Zero:
            y = value.bind(*primals, axis=axis)
            return y, ad.Zero.from_primal_value(y)
        known = noted.bind(*primals, axis=axis)
        return known[..., 0], tangent.bind(*primals, known, t, axis=axis)

    def of_noted(primals: Any, tangents: Any, *, axis: int) -> Any:
        known, t = noted.bind(*primals, axis=axis), tangents[0]
        if type(t) is ad.Zero:
            return known, ad.Zero.from_primal_value(known)
        change = tangent.bind(*primals, known, t, axis=axis)[..., None]
        zeros = jnp.zeros((*change.shape[:-1], FOUR - 1), change.dtype)
        return known, jnp.concatenate([change, zeros], -1)

    ad.primitive_jvps[value] = of_value
    ad.primitive_jvps[noted] = of_noted


_noting(_logsumexp, _logsumexp_noted, _logsumexp_tangent)
_noting(_loss, _loss_noted, _loss_tangent)
