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

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from softaxis import _generic
from softaxis._backends import _jax_losses, _jax_rows
from softaxis._backends._jax_namespace import namespace
from softaxis._backends._jax_primitives import linear, of_kernel, of_steps
from softaxis._backends._jax_rows import Array
from softaxis._backends._numba._layout import FOUR, IGNORED


def softmax(x: Array) -> Array:
    """Return exp(x - m) / s, for rows along the last axis, as everywhere here."""
    return _softmax.bind(x)


def log_softmax(x: Array) -> Array:
    """Return x - logsumexp(x)."""
    return _log_softmax.bind(x)


def logsumexp(x: Array) -> Array:
    """Return m + log(s) of each row."""
    return _logsumexp_of(_sums.bind(x), x)


def cross_entropy(x: Array, codes: Array) -> Array:
    """Return the loss of each row: 0 for the label IGNORED, NaN for another that is negative.

    Labels are integers of 32 bits.
    """
    return _loss_of(_loss_sums.bind(x, codes), codes, x)


def loss_and_slope(x: Array, codes: Array, g: Array) -> tuple[Array, Array]:
    """Return the same, and the gradient times g."""
    known = _loss_sums.bind(x, codes)
    return _loss_of(known, codes, x), _loss_slope.bind(x, codes, known, g)


def _by_row(q: Array) -> Array:
    return q[..., None]


def _finite(y: Array, *others: Array) -> Any:
    """Return others, 0 where y is NaN."""
    return [jnp.where(jnp.isnan(y), 0, a) for a in others]


def _from_top(p: Array, t: Array) -> Array:
    """t minus its mean over the maxima of p, through which nothing is differentiated."""
    top = p == jnp.max(p, -1, keepdims=True)
    return t - jax.lax.stop_gradient(jnp.mean(t, -1, keepdims=True, where=top))


# softmax


def _softmax_steps(x: Array) -> Array:
    return _jax_rows.softmax(x, x.ndim - 1)


def _softmax_slope_steps(p: Array, g: Array) -> Array:
    return _unspoilt(_generic.softmax_vjp(p, g, axis=p.ndim - 1, xp=namespace), p, g)


def _unspoilt(dx: Array, y: Array, g: Array) -> Array:
    """0 for a g of 0 in a row of NaN: whoever has thrown the row away gets no NaN back."""
    return jnp.where(jnp.isnan(y) & (g == 0), 0, dx)


def _slope(p: Array, g: Array) -> Array:
    return _softmax_slope.bind(p, g)


def _slope_by_p(dp: Array, p: Array, g: Array) -> Array:
    """dp (h - sum(p h)) - p sum(dp h), h being g as seen from the maxima."""
    p, dp = _finite(p, p, dp)
    h = _from_top(p, g)
    mean, change = (jnp.sum(a * h, -1, keepdims=True) for a in (p, dp))
    return dp * (h - mean) - p * change


_softmax = of_kernel("softmax", "a", "c", _softmax_steps)
_softmax_slope = of_kernel("softmax_slope", "ab", "c", _softmax_slope_steps)
ad.defjvp2(_softmax, lambda t, p, _: _slope(p, t))
linear(_softmax_slope, _softmax_slope, _slope_by_p)


# log_softmax


def _log_softmax_steps(x: Array) -> Array:
    return _jax_rows.log_softmax(x, x.ndim - 1)


def _log_slope_steps(y: Array, g: Array) -> Array:
    return _unspoilt(_generic.log_softmax_vjp(y, g, axis=y.ndim - 1, xp=namespace), y, g)


def _log_tangent_steps(y: Array, t: Array) -> Array:
    return _unspoilt(_generic.log_softmax_jvp(y, t, axis=y.ndim - 1, xp=namespace), y, t)


def _log_slope_by_y(dy: Array, y: Array, g: Array) -> Array:
    p, dy = _finite(y, jnp.exp(y), dy)
    return -p * dy * jnp.sum(g, -1, keepdims=True)


def _log_tangent_by_y(dy: Array, y: Array, t: Array) -> Array:
    p, dy = _finite(y, jnp.exp(y), dy)
    change = jnp.sum(p * dy * _from_top(p, t), -1, keepdims=True)
    return jnp.broadcast_to(-change, y.shape)


_log_softmax = of_kernel("log_softmax", "a", "c", _log_softmax_steps)
_log_slope = of_kernel("log_softmax_slope", "ab", "c", _log_slope_steps)
_log_tangent = of_steps("log_softmax_tangent", "c", _log_tangent_steps)
ad.defjvp2(_log_softmax, lambda t, y, _: _log_tangent.bind(y, t))
linear(_log_slope, _log_tangent, _log_slope_by_y)
linear(_log_tangent, _log_slope, _log_tangent_by_y)


# logsumexp


class _Known(NamedTuple):
    """What is known of each row, as the kernels note it."""

    logit: Array
    """That of the right class, or 0."""
    shift: Array
    k: Array
    """How often the maximum is there; 0 for a row of nothing but -inf."""
    rest: Array
    """The sum of exp(x - shift) over the others; inf beside +inf, NaN beside NaN."""

    @property
    def log(self) -> Array:
        """L, and 0 for a row of nothing but -inf."""
        s = self.k + self.rest
        return jnp.log1p(jnp.where(s < 2, self.rest, s - 1))  # -1 + 1 where both are 0


def _known(noted: Array) -> _Known:
    return _Known(*(noted[..., i] for i in range(FOUR)))


def _noted(x: Array, logit: Array) -> Array:
    """Note it."""
    r = _jax_rows.sums(x, x.ndim - 1)
    k = jnp.sum(r.e == 1, -1, keepdims=True, dtype=x.dtype)
    rest = jnp.where(jnp.isfinite(r.s), r.rest, r.s)
    return jnp.concatenate([jnp.broadcast_to(logit, k.shape), r.shift, k, rest], -1)


def _sums_steps(x: Array) -> Array:
    return _noted(x, jnp.zeros((), x.dtype))


@partial(jax.custom_jvp)
def _logsumexp_of(noted: Array, _: Array) -> Array:
    """m + L, of what is noted of the rows of the second argument, on which alone it depends."""
    r = _known(noted)
    return jnp.where(r.k + r.rest == 0, -jnp.inf, r.shift + r.log)


def _logsumexp_of_jvp(primals: Any, tangents: Any) -> Any:
    noted, x = primals
    return _logsumexp_of(noted, x), _logsumexp_tangent.bind(x, noted, tangents[1])


_logsumexp_of.defjvp(_logsumexp_of_jvp)


def _probabilities(x: Array) -> Array:
    """Return softmax; 0 for a row of nothing but -inf."""
    dead = jnp.max(x, -1, keepdims=True) == -jnp.inf
    return jnp.where(dead, 0, softmax(x))


def _scaled_steps(x: Array, noted: Array) -> Array:
    return _jax_rows.probabilities(x, x.ndim - 1)[0] * _by_row(noted[..., 0])


def _with(noted: Array, g: Array) -> Array:
    """Return what is known of a row, with g in place of the value."""
    return jnp.concatenate([g[..., None], noted[..., 1:]], -1)


def _logsumexp_slope_steps(x: Array, noted: Array, g: Array) -> Array:
    return _scaled.bind(x, _with(noted, g))


def _logsumexp_tangent_steps(x: Array, _: Array, t: Array) -> Array:
    return jnp.sum(_jax_rows.probabilities(x, x.ndim - 1)[0] * t, -1)


def _logsumexp_slope_by_x(dx: Array, x: Array, _: Array, g: Array) -> Array:
    return _slope(_probabilities(x), dx) * _by_row(g)


def _logsumexp_tangent_by_x(dx: Array, x: Array, _: Array, t: Array) -> Array:
    return jnp.sum(_slope(_probabilities(x), dx) * t, -1)


_sums = of_kernel("logsumexp", "a", "Q", _sums_steps)
_scaled = of_kernel("logsumexp_slope", "aP", "c", _scaled_steps)
_logsumexp_slope = of_steps("logsumexp_vjp", "c", _logsumexp_slope_steps)
_logsumexp_tangent = of_steps("logsumexp_tangent", "q", _logsumexp_tangent_steps)
ad.defjvp(_sums, None)
linear(_logsumexp_slope, _logsumexp_tangent, _logsumexp_slope_by_x, None)
linear(_logsumexp_tangent, _logsumexp_slope, _logsumexp_tangent_by_x, None)


# cross_entropy


def _of_codes(codes: Array) -> tuple[Array, Array, Array]:
    """Return labels that index, which rows count and which labels are wrong, the axis kept."""
    index = _by_row(codes)
    return jnp.maximum(index, 0), index != IGNORED, (index < 0) & (index != IGNORED)


def _loss_sums_steps(x: Array, codes: Array) -> Array:
    at, counted, wrong = _of_codes(codes)
    logit = jnp.where(counted, _jax_losses.of_label(x, at, x.ndim - 1), 0)
    return _noted(x, jnp.where(wrong, jnp.nan, logit))


@partial(jax.custom_jvp)
def _loss_of(noted: Array, codes: Array, _: Array) -> Array:
    """(m - x_y) + L."""
    r = _known(noted)
    loss = (r.shift - r.logit) + jnp.where(r.rest == jnp.inf, jnp.nan, r.log)
    return jnp.where(codes == IGNORED, 0, loss)


def _loss_of_jvp(primals: Any, tangents: Any) -> Any:
    noted, codes, x = primals
    return _loss_of(*primals), _loss_tangent.bind(x, codes, noted, tangents[2])


_loss_of.defjvp(_loss_of_jvp)


def _residual(x: Array, codes: Array) -> Array:
    at, counted, wrong = _of_codes(codes)
    return jnp.where(wrong, jnp.nan, _jax_losses.residual(x, at, counted, x.ndim - 1))


def _counted(codes: Array, a: Array) -> Array:
    return jnp.where(_by_row(codes) == IGNORED, 0, a)


def _scaled_residual_steps(x: Array, codes: Array, noted: Array) -> Array:
    return _counted(codes, _residual(x, codes) * _by_row(noted[..., 0]))


def _loss_slope_steps(x: Array, codes: Array, noted: Array, g: Array) -> Array:
    return _scaled_residual.bind(x, codes, _with(noted, g))


def _loss_tangent_steps(x: Array, codes: Array, _: Array, t: Array) -> Array:
    return jnp.sum(_counted(codes, _residual(x, codes) * t), -1)


def _loss_slope_by_x(dx: Array, x: Array, codes: Array, _: Array, g: Array) -> Array:
    return _counted(codes, _slope(softmax(x), dx) * _by_row(g))


def _loss_tangent_by_x(dx: Array, x: Array, codes: Array, _: Array, t: Array) -> Array:
    return jnp.sum(_counted(codes, _slope(softmax(x), dx) * t), -1)


_loss_sums = of_kernel("cross_entropy", "ap", "Q", _loss_sums_steps)
_scaled_residual = of_kernel("cross_entropy_slope", "apQ", "c", _scaled_residual_steps)
_loss_slope = of_steps("cross_entropy_vjp", "c", _loss_slope_steps)
_loss_tangent = of_steps("cross_entropy_tangent", "q", _loss_tangent_steps)
ad.defjvp(_loss_sums, None, None)
linear(_loss_slope, _loss_tangent, _loss_slope_by_x, None, None)
linear(_loss_tangent, _loss_slope, _loss_tangent_by_x, None, None)
