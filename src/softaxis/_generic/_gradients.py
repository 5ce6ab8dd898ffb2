"""Derivatives from the results: vector-Jacobian and Jacobian-vector products.

The direction is shifted by its value at the row's largest probability. That changes nothing,
since the Jacobian of softmax maps constants to 0, and takes the large terms out of the sum:
what is left for the largest component is a sum over the others, without cancellation.
"""

from __future__ import annotations

from softaxis._axes import Axis
from softaxis._dtypes import cast, to_working
from softaxis._generic._indices import flattened, positions
from softaxis._generic._rows import each_by_itself, expanded, masked, maximum, squeezed
from softaxis._generic._summation import total
from softaxis._libraries import Array, Namespace

_INF = float("inf")


@each_by_itself(full=(0, 1))
def softmax_vjp(p: Array, g: Array, /, *, axis: Axis, xp: Namespace) -> Array:
    """dx_i = p_i (h_i - sum_j p_j h_j), h = g - g_top; 0 where p is 0."""
    p, final = to_working(p, None, xp)
    h = _from_top(p, cast(g, p.dtype, xp), p == 0, axis, xp)
    dx = p * (h - total(p * h, axis, xp))
    return cast(xp.where(p == 0, 0.0, dx), final, xp)


@each_by_itself(full=(0, 1))
def softmax_jvp(p: Array, t: Array, /, *, axis: Axis, xp: Namespace) -> Array:
    """dp_i = p_i (h_i - sum_j p_j h_j): the Jacobian is symmetric."""
    return softmax_vjp(p, t, axis=axis, xp=xp)


@each_by_itself(full=(0, 1))
def log_softmax_vjp(logp: Array, g: Array, /, *, axis: Axis, xp: Namespace) -> Array:
    """dx_i = g_i - p_i sum_j g_j = g_i (1 - p_i) - p_i sum_(j != i) g_j; 0 where logp is -inf."""
    logp, final = to_working(logp, None, xp)
    dead = logp == -_INF
    g = xp.where(dead, 0.0, cast(g, logp.dtype, xp))
    p = xp.exp(logp)
    top = logp == maximum(logp, axis, xp)
    alone = top & (p > 0.6)  # of two equal ones, rounding may put both above 1/2
    others = total(xp.where(alone, 0.0, g), axis, xp)
    dx = g - p * total(g, axis, xp)
    dx = xp.where(alone, -g * xp.expm1(logp) - p * others, dx)
    return cast(xp.where(dead, 0.0, dx), final, xp)


@each_by_itself(full=(0, 1))
def log_softmax_jvp(logp: Array, t: Array, /, *, axis: Axis, xp: Namespace) -> Array:
    """dy_i = h_i - sum_j p_j h_j, h = t - t_top; 0 where logp is -inf."""
    logp, final = to_working(logp, None, xp)
    p = xp.exp(logp)
    dead = logp == -_INF
    h = _from_top(p, cast(t, p.dtype, xp), dead, axis, xp)
    dy = h - total(p * h, axis, xp)
    return cast(xp.where(dead, 0.0, dy), final, xp)


def _from_top(p: Array, g: Array, dead: Array, axis: Axis, xp: Namespace) -> Array:
    """g minus its value where p is largest; 0 where `dead` and nothing of g takes part."""
    top = p == maximum(p, axis, xp)
    h = g - maximum(masked(g, top, xp), axis, xp)
    return xp.where(dead, 0.0, h)


@each_by_itself(full=(0,))
def logsumexp_vjp(
    x: Array,
    lse: Array,
    g: Array,
    /,
    *,
    axis: Axis,
    weights: Array | None = None,
    where: Array | None = None,
    sign: Array | None = None,
    keepdims: bool = False,
    xp: Namespace,
) -> Array:
    """dx_i = g sign w_i exp(x_i - lse)."""
    x, final = to_working(x, None, xp)
    share = _share(x, lse, axis, weights, where, sign, keepdims, xp)
    g = cast(g if keepdims else expanded(g, axis, xp), x.dtype, xp)
    return cast(xp.where(share == 0, 0.0, g * share), final, xp)


@each_by_itself(full=(0, 2))
def logsumexp_jvp(
    x: Array,
    lse: Array,
    t: Array,
    /,
    *,
    axis: Axis,
    weights: Array | None = None,
    where: Array | None = None,
    sign: Array | None = None,
    keepdims: bool = False,
    xp: Namespace,
) -> Array:
    """dlse = sum_i sign w_i exp(x_i - lse) t_i."""
    x, final = to_working(x, None, xp)
    share = _share(x, lse, axis, weights, where, sign, keepdims, xp)
    products = xp.where(share == 0, 0.0, share * cast(t, x.dtype, xp))
    return squeezed(cast(total(products, axis, xp), final, xp), axis, keepdims, xp)


def _share(
    x: Array,
    lse: Array,
    axis: Axis,
    weights: Array | None,
    where: Array | None,
    sign: Array | None,
    keepdims: bool,
    xp: Namespace,
) -> Array:
    """sign w exp(x - lse): what each element adds to the sum; 0 where the sum is empty."""
    x = masked(x, where, xp)
    if weights is not None:
        weights = cast(weights, x.dtype, xp)
        x = masked(x, weights != 0, xp)
    lse = cast(lse if keepdims else expanded(lse, axis, xp), x.dtype, xp)
    dead = (x == -_INF) | (lse == -_INF)
    z = xp.where(dead, 0.0, x) - xp.where(lse == -_INF, 0.0, lse)
    if weights is None:
        share = xp.exp(z)
    else:  # exp(z) may overflow where w is tiny and vanish where it is huge
        half = xp.exp(z / 2)
        share = weights * half * half
    if sign is not None:
        share = share * cast(sign if keepdims else expanded(sign, axis, xp), x.dtype, xp)
    return xp.where(dead, 0.0, share)


def softmax_jacobian(p: Array, /, *, axis: Axis, xp: Namespace) -> Array:
    """J_ij = p_i (delta_ij - p_j), with 1 - p_i summed from the others where p_i > 1/2."""
    p, final = to_working(flattened(p, axis, xp), None, xp)
    others = xp.where(p > 0.5, total(xp.where(p > 0.5, 0.0, p), -1, xp), 1.0 - p)
    row, column = xp.expand_dims(p, axis=-1), xp.expand_dims(p, axis=-2)
    index = positions(p, -1, xp)
    diagonal = xp.expand_dims(index, axis=-1) == xp.expand_dims(index, axis=0)
    return cast(xp.where(diagonal, row * xp.expand_dims(others, axis=-1), -row * column), final, xp)
