"""logsumexp and logmeanexp."""

from __future__ import annotations

from typing import Any

from softaxis import _arguments, _generic
from softaxis._arguments import REAL
from softaxis._axes import normalize_axis, reduced_shape
from softaxis._dispatch import Table

_LOGSUMEXP = Table(_generic.logsumexp)
_LOGMEANEXP = Table(_generic.logmeanexp)


def _sum(
    table: Table,
    x: Any,
    axis: Any,
    weights: Any,
    where: Any,
    keepdims: Any,
    return_sign: Any,
    dtype: Any,
    out: Any,
) -> Any:
    x = _arguments.array(x, "x")
    axis = normalize_axis(axis, x.ndim)
    if weights is not None:
        weights = _arguments.weights(weights, x)
    if where is not None:
        where = _arguments.mask(where, x)
    if dtype is not None:
        dtype = _arguments.real_dtype(dtype, x)
    if keepdims is not False:
        _arguments.flag(keepdims, "keepdims")
    if return_sign is not False:
        _arguments.flag(return_sign, "return_sign")
    if out is not None:
        shape = reduced_shape(tuple(x.shape), axis, keepdims)
        out = _arguments.output(out, x, shape, dtype)
    for gate, call in table.entries[type(x)]:
        if gate is None or gate(x):
            result = call(
                x,
                axis=axis,
                weights=weights,
                where=where,
                keepdims=keepdims,
                return_sign=return_sign,
                dtype=dtype,
                out=out,
            )
            if result is not NotImplemented:
                return result
    raise table.nothing_left(x)


@_LOGSUMEXP.serves(_sum)
def logsumexp(
    x: Any,
    /,
    *,
    axis: Any = None,
    weights: Any = None,
    where: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    r"""Return the logarithm of a sum of exponentials, which may all overflow.

    .. math:: \log \sum_j w_j e^{x_j} = m + \log k + \operatorname{log1p}\Bigl(\tfrac1k
              \sum_{x_j < m} e^{x_j - m}\Bigr) \quad (w = 1)

    with :math:`m` the maximum and :math:`k` the number of elements equal to it.

    Parameters
    ----------
    x : array
        Numbers of any boolean, integer, real or complex dtype.
    axis : int, tuple of int or None, optional
        What to sum over. None means all axes, as for ``sum``.
    weights : array, optional
        Real or complex factors of the exponentials; broadcasts to `x`. Where a weight is 0 the
        element takes no part, whatever it holds.
    where : bool array, optional
        What takes part; broadcasts to `x`.
    keepdims : bool, optional
        Keep the reduced axes with length 1.
    return_sign : bool, optional
        Return ``(log|s|, sign(s))``, so that a sum s may be negative. For a complex s the sign
        is ``s / |s|``.
    dtype : dtype, optional
        A real floating dtype for the result.
    out : array, optional
        Where to write the result (the first one, with `return_sign`).

    Returns
    -------
    array, or a tuple of two arrays
        The logarithm, and the sign with `return_sign`. A reduction to no dimensions returns what
        the library's own ``sum`` returns. A complex result has its imaginary part in (-pi, pi].

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype, shape or value; the message names it.

    See Also
    --------
    logmeanexp, log_softmax

    Notes
    -----
    The sum over no elements, or over masked or -inf ones only, is -inf. A negative sum is NaN
    without `return_sign`. ``axis=None`` as default agrees with SciPy and jax.nn; PyTorch has none.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
       softmax functions", IMA J. Numer. Anal. 41 (2021), :doi:`10.1093/imanum/draa038`.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.logsumexp(np.array([1000.0, 1000.0]))
    np.float64(1000.6931471805599)
    >>> softaxis.logsumexp(np.array([0.0, -40.0]))
    np.float64(4.248354255291589e-18)

    A difference of exponentials, 1 - e:

    >>> softaxis.logsumexp([0.0, 1.0], weights=[1.0, -1.0], return_sign=True)
    (np.float64(0.541324854612918), np.float64(-1.0))
    """
    if weights is where is dtype is out is None and keepdims is return_sign is False:
        shortcut = _LOGSUMEXP.shortcuts.get(type(x))
        if shortcut is not None:
            y = shortcut(x, axis)
            if y is not NotImplemented:
                return y
    return _sum(
        _LOGSUMEXP,
        x,
        axis,
        weights,
        where,
        keepdims,
        return_sign,
        dtype,
        out,
    )


def _mean(
    table: Table, x: Any, axis: Any, weights: Any, where: Any, keepdims: Any, dtype: Any
) -> Any:
    x = _arguments.array(x, "x", REAL)
    axis = normalize_axis(axis, x.ndim)
    if weights is not None:
        weights = _arguments.weights(weights, x, REAL)
    if where is not None:
        where = _arguments.mask(where, x)
    if dtype is not None:
        dtype = _arguments.real_dtype(dtype, x)
    _arguments.flag(keepdims, "keepdims")
    for gate, call in table.entries[type(x)]:
        if gate is None or gate(x):
            result = call(
                x, axis=axis, weights=weights, where=where, keepdims=keepdims, dtype=dtype
            )
            if result is not NotImplemented:
                return result
    raise table.nothing_left(x)


@_LOGMEANEXP.serves(_mean)
def logmeanexp(
    x: Any,
    /,
    *,
    axis: Any = None,
    weights: Any = None,
    where: Any = None,
    keepdims: bool = False,
    dtype: Any = None,
) -> Any:
    r"""Return the logarithm of a mean of exponentials.

    .. math:: \log \frac{\sum_j w_j e^{x_j}}{\sum_j w_j}

    Parameters
    ----------
    x : array
        Numbers of any boolean, integer or real dtype.
    axis : int, tuple of int or None, optional
        What to average over. None means all axes.
    weights : array, optional
        Real weights; broadcasts to `x`. Where a weight is 0 the element takes no part.
    where : bool array, optional
        What takes part; broadcasts to `x`.
    keepdims : bool, optional
        Keep the reduced axes with length 1.
    dtype : dtype, optional
        A real floating dtype for the result.

    Returns
    -------
    array
        The logarithm of the mean; NaN where nothing takes part.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype, shape or value; the message names it.

    See Also
    --------
    logsumexp

    Examples
    --------
    The evidence of a model from four log-likelihoods too small for ``exp``:

    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.logmeanexp(np.array([-1000.0, -1001.0, -1002.0, -1000.0])).round(4)
    np.float64(-1000.4687)
    """
    return _mean(_LOGMEANEXP, x, axis, weights, where, keepdims, dtype)
