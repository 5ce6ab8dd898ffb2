"""Derivatives from the results: vector-Jacobian and Jacobian-vector products."""

from __future__ import annotations

from typing import Any

from softaxis import _arguments, _generic
from softaxis._arguments import REAL
from softaxis._axes import normalize_axis, reduced_shape
from softaxis._dispatch import Table

_SOFTMAX_VJP = Table(_generic.softmax_vjp)
_SOFTMAX_JVP = Table(_generic.softmax_jvp)
_LOG_SOFTMAX_VJP = Table(_generic.log_softmax_vjp)
_LOG_SOFTMAX_JVP = Table(_generic.log_softmax_jvp)
_LOGSUMEXP_VJP = Table(_generic.logsumexp_vjp)
_LOGSUMEXP_JVP = Table(_generic.logsumexp_jvp)
_SOFTMAX_JACOBIAN = Table(_generic.softmax_jacobian)


def _asked(table: Table, value: Any, direction: Any, axis: Any) -> Any:
    """Ask the shortcut of a product, where there is one, before anything is validated."""
    shortcut = table.shortcuts.get(type(value))
    if shortcut is not None:
        result = shortcut(value, direction, axis)
        if result is not NotImplemented:
            return result
    return _product(table, value, direction, axis)


def _product(table: Table, value: Any, direction: Any, axis: Any) -> Any:
    names = _NAMES[table.name]
    value = _arguments.array(value, names[0], REAL)
    axis = normalize_axis(axis, value.ndim)
    shape = tuple(value.shape)
    like = f"the shape of `{names[0]}`"
    direction = _arguments.of_shape(direction, names[1], value, shape, like)
    for gate, call in table.entries[type(value)]:
        if gate is None or gate(value):
            result = call(value, direction, axis=axis)
            if result is not NotImplemented:
                return result
    raise table.nothing_left(value)


_NAMES = {
    "softmax_vjp": ("p", "g"),
    "softmax_jvp": ("p", "t"),
    "log_softmax_vjp": ("logp", "g"),
    "log_softmax_jvp": ("logp", "t"),
}


@_SOFTMAX_VJP.serves(_product)
def softmax_vjp(p: Any, g: Any, /, *, axis: Any = -1) -> Any:
    r"""Pull a gradient back through `softmax`, from its result.

    .. math:: \bar x_i = p_i \Bigl(g_i - \sum_j p_j g_j\Bigr)

    Parameters
    ----------
    p : array
        What `softmax` returned.
    g : array
        The gradient with respect to it, of the same shape.
    axis : int, tuple of int or None, optional
        The axis that `softmax` was given.

    Returns
    -------
    array
        The gradient with respect to the input of `softmax`, 0 where `p` is 0.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype or shape; the message names it.

    See Also
    --------
    softmax_jvp, softmax_jacobian

    Notes
    -----
    `g` is shifted by its value at the largest probability, which changes nothing but the
    rounding: near certainty the result is right where PyTorch and JAX give 0.

    References
    ----------
    .. [1] B. Gao and L. Pavel, "On the properties of the softmax function with application in
       game theory and reinforcement learning" (2017), :doi:`10.48550/arXiv.1704.00805`,
       proposition 2.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> p = softaxis.softmax(np.array([40.0, 0.0]))
    >>> softaxis.softmax_vjp(p, np.array([1.0, 0.0]))
    array([ 4.24835426e-18, -4.24835426e-18])
    """
    return _asked(_SOFTMAX_VJP, p, g, axis)


@_SOFTMAX_JVP.serves(_product)
def softmax_jvp(p: Any, t: Any, /, *, axis: Any = -1) -> Any:
    r"""Push a tangent forward through `softmax`, from its result.

    .. math:: \dot p_i = p_i \Bigl(t_i - \sum_j p_j t_j\Bigr)

    Parameters
    ----------
    p : array
        What `softmax` returned.
    t : array
        The tangent of the input, of the same shape.
    axis : int, tuple of int or None, optional
        The axis that `softmax` was given.

    Returns
    -------
    array
        The tangent of the result. It is the formula of `softmax_vjp`: the Jacobian is symmetric.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype or shape; the message names it.

    See Also
    --------
    softmax_vjp

    References
    ----------
    .. [1] Bolin Gao and Lacra Pavel (2017), :doi:`10.48550/arXiv.1704.00805`, proposition 2.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.softmax_jvp(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    array([ 0.25, -0.25])
    """
    return _asked(_SOFTMAX_JVP, p, t, axis)


@_LOG_SOFTMAX_VJP.serves(_product)
def log_softmax_vjp(logp: Any, g: Any, /, *, axis: Any = -1) -> Any:
    r"""Pull a gradient back through `log_softmax`, from its result.

    .. math:: \bar x_i = g_i - e^{\log p_i} \sum_j g_j

    Parameters
    ----------
    logp : array
        What `log_softmax` returned.
    g : array
        The gradient with respect to it, of the same shape.
    axis : int, tuple of int or None, optional
        The axis that `log_softmax` was given.

    Returns
    -------
    array
        The gradient with respect to the input of `log_softmax`, 0 where `logp` is -inf.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype or shape; the message names it.

    See Also
    --------
    log_softmax_jvp, softmax_vjp

    Notes
    -----
    Where a probability is above 1/2 the same number is computed as
    ``-g_i expm1(logp_i) - p_i sum_{j != i} g_j``, which does not cancel.

    References
    ----------
    .. [1] Bolin Gao and Lacra Pavel (2017), :doi:`10.48550/arXiv.1704.00805`, proposition 2.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> logp = softaxis.log_softmax(np.array([40.0, 0.0]))
    >>> softaxis.log_softmax_vjp(logp, np.array([1.0, 0.0]))
    array([ 4.24835426e-18, -4.24835426e-18])
    """
    return _asked(_LOG_SOFTMAX_VJP, logp, g, axis)


@_LOG_SOFTMAX_JVP.serves(_product)
def log_softmax_jvp(logp: Any, t: Any, /, *, axis: Any = -1) -> Any:
    r"""Push a tangent forward through `log_softmax`, from its result.

    .. math:: \dot y_i = t_i - \sum_j e^{\log p_j} t_j

    Parameters
    ----------
    logp : array
        What `log_softmax` returned.
    t : array
        The tangent of the input, of the same shape.
    axis : int, tuple of int or None, optional
        The axis that `log_softmax` was given.

    Returns
    -------
    array
        The tangent of the result, 0 where `logp` is -inf.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype or shape; the message names it.

    See Also
    --------
    log_softmax_vjp

    References
    ----------
    .. [1] Bolin Gao and Lacra Pavel (2017), :doi:`10.48550/arXiv.1704.00805`, proposition 2.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.log_softmax_jvp(np.log([0.5, 0.5]), np.array([1.0, 0.0]))
    array([ 0.5, -0.5])
    """
    return _asked(_LOG_SOFTMAX_JVP, logp, t, axis)


def _through_sum(
    table: Table,
    x: Any,
    lse: Any,
    direction: Any,
    axis: Any,
    weights: Any,
    where: Any,
    sign: Any,
    keepdims: Any,
) -> Any:
    x = _arguments.array(x, "x", REAL)
    axis = normalize_axis(axis, x.ndim)
    _arguments.flag(keepdims, "keepdims")
    shape = tuple(x.shape)
    reduced = reduced_shape(shape, axis, keepdims)
    lse = _arguments.of_shape(lse, "lse", x, reduced, "the reduced shape")
    if table.name == "logsumexp_vjp":
        direction = _arguments.of_shape(direction, "g", x, reduced, "the reduced shape")
    else:
        direction = _arguments.of_shape(direction, "t", x, shape, "the shape of `x`")
    if weights is not None:
        weights = _arguments.weights(weights, x, REAL)
    if where is not None:
        where = _arguments.mask(where, x)
    if sign is not None:
        sign = _arguments.of_shape(sign, "sign", x, reduced, "the reduced shape")
    for gate, call in table.entries[type(x)]:
        if gate is None or gate(x):
            result = call(
                x,
                lse,
                direction,
                axis=axis,
                weights=weights,
                where=where,
                sign=sign,
                keepdims=keepdims,
            )
            if result is not NotImplemented:
                return result
    raise table.nothing_left(x)


@_LOGSUMEXP_VJP.serves(_through_sum)
def logsumexp_vjp(
    x: Any,
    lse: Any,
    g: Any,
    /,
    *,
    axis: Any = None,
    weights: Any = None,
    where: Any = None,
    sign: Any = None,
    keepdims: bool = False,
) -> Any:
    r"""Pull a gradient back through `logsumexp`, from its input and its result.

    .. math:: \bar x_i = g\, w_i\, e^{x_i - \operatorname{lse}}

    Parameters
    ----------
    x : array
        The input of `logsumexp`, real.
    lse : array
        What `logsumexp` returned.
    g : array
        The gradient with respect to it, of its shape.
    axis : int, tuple of int or None, optional
        The axis that `logsumexp` was given.
    weights, where : array, optional
        What `logsumexp` was given.
    sign : array, optional
        The sign that it returned, if it was asked for.
    keepdims : bool, optional
        What `logsumexp` was given; `lse` and `g` have the shape that belongs to it.

    Returns
    -------
    array
        The gradient with respect to `x`: 0 where masked, and for rows whose sum is 0.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype or shape; the message names it.

    See Also
    --------
    logsumexp_jvp

    References
    ----------
    .. [1] Bolin Gao and Lacra Pavel (2017), :doi:`10.48550/arXiv.1704.00805`, proposition 1.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> x = np.array([0.0, 0.0])
    >>> softaxis.logsumexp_vjp(x, softaxis.logsumexp(x), np.array(1.0))
    array([0.5, 0.5])
    """
    return _through_sum(
        _LOGSUMEXP_VJP,
        x,
        lse,
        g,
        axis,
        weights,
        where,
        sign,
        keepdims,
    )


@_LOGSUMEXP_JVP.serves(_through_sum)
def logsumexp_jvp(
    x: Any,
    lse: Any,
    t: Any,
    /,
    *,
    axis: Any = None,
    weights: Any = None,
    where: Any = None,
    sign: Any = None,
    keepdims: bool = False,
) -> Any:
    r"""Push a tangent forward through `logsumexp`, from its input and its result.

    .. math:: \dot{\operatorname{lse}} = \sum_i w_i\, e^{x_i - \operatorname{lse}}\, t_i

    Parameters
    ----------
    x : array
        The input of `logsumexp`, real.
    lse : array
        What `logsumexp` returned.
    t : array
        The tangent of `x`, of its shape.
    axis : int, tuple of int or None, optional
        The axis that `logsumexp` was given.
    weights, where : array, optional
        What `logsumexp` was given.
    sign : array, optional
        The sign that it returned, if it was asked for.
    keepdims : bool, optional
        What `logsumexp` was given; `lse` has the shape that belongs to it.

    Returns
    -------
    array
        The tangent of `lse`, of its shape.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype or shape; the message names it.

    See Also
    --------
    logsumexp_vjp

    References
    ----------
    .. [1] Bolin Gao and Lacra Pavel (2017), :doi:`10.48550/arXiv.1704.00805`, proposition 1.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> x = np.array([0.0, 0.0])
    >>> softaxis.logsumexp_jvp(x, softaxis.logsumexp(x), np.array([1.0, 0.0]))
    np.float64(0.5)
    """
    return _through_sum(
        _LOGSUMEXP_JVP,
        x,
        lse,
        t,
        axis,
        weights,
        where,
        sign,
        keepdims,
    )


def _whole(table: Table, p: Any, axis: Any) -> Any:
    p = _arguments.array(p, "p", REAL)
    for gate, call in table.entries[type(p)]:
        if gate is None or gate(p):
            result = call(p, axis=normalize_axis(axis, p.ndim))
            if result is not NotImplemented:
                return result
    raise table.nothing_left(p)


@_SOFTMAX_JACOBIAN.serves(_whole)
def softmax_jacobian(p: Any, /, *, axis: Any = -1) -> Any:
    r"""Return the Jacobian of `softmax`, from its result.

    .. math:: J_{ij} = p_i (\delta_{ij} - p_j)

    Parameters
    ----------
    p : array
        What `softmax` returned.
    axis : int, tuple of int or None, optional
        The axis, of length n, that `softmax` was given; several count as one.

    Returns
    -------
    array
        The Jacobian of each row, with the shape of `p` without `axis`, followed by ``(n, n)``.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError
        `p` has no real dtype.

    See Also
    --------
    softmax_vjp, softmax_jvp : Products with it, without n * n numbers in memory.

    References
    ----------
    .. [1] Bolin Gao and Lacra Pavel (2017), :doi:`10.48550/arXiv.1704.00805`, proposition 2.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.softmax_jacobian(np.array([0.2, 0.8])).round(2)
    array([[ 0.16, -0.16],
           [-0.16,  0.16]])
    """
    return _whole(_SOFTMAX_JACOBIAN, p, axis)
