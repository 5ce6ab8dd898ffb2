"""softmax, log_softmax, softmin, hardmax, sigmoid, log_sigmoid."""

from __future__ import annotations

from typing import Any

from softaxis import _arguments, _generic
from softaxis._arguments import NUMBERS, REAL
from softaxis._axes import normalize_axis
from softaxis._dispatch import Table

_SOFTMAX = Table(_generic.softmax)
_LOG_SOFTMAX = Table(_generic.log_softmax)
_SOFTMIN = Table(_generic.softmin)
_HARDMAX = Table(_generic.hardmax)
_SIGMOID = Table(_generic.sigmoid)
_LOG_SIGMOID = Table(_generic.log_sigmoid)


def _normalize(
    table: Table,
    x: Any,
    axis: Any,
    where: Any,
    temperature: Any,
    sink: Any,
    dtype: Any,
    out: Any,
) -> Any:
    x = _arguments.array(x, "x", REAL if table.name == "softmin" else NUMBERS)
    axis = normalize_axis(axis, x.ndim)
    if where is not None:
        where = _arguments.mask(where, x)
    if temperature is not None:
        temperature = _arguments.temperature(temperature, x)
    if sink is not None:
        sink = _arguments.sink(sink, x, axis)
    if dtype is not None:
        dtype = _arguments.real_dtype(dtype, x)
    if out is not None:
        out = _arguments.output(out, x, tuple(x.shape), dtype)
    for gate, call in table.entries[type(x)]:
        if gate is None or gate(x):
            result = call(
                x, axis=axis, where=where, temperature=temperature, sink=sink, dtype=dtype, out=out
            )
            if result is not NotImplemented:
                return result
    raise table.nothing_left(x)


@_SOFTMAX.serves(_normalize)
def softmax(
    x: Any,
    /,
    *,
    axis: Any = -1,
    where: Any = None,
    temperature: Any = None,
    sink: Any = None,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    r"""Turn numbers into probabilities that sum to 1 along an axis.

    .. math:: \operatorname{softmax}(x)_i = \frac{e^{x_i - m}}{\sum_j e^{x_j - m}},
              \qquad m = \max_j x_j

    Parameters
    ----------
    x : array
        Numbers of any boolean, integer, real or complex dtype, on any array-API library. A
        list, a tuple or a number goes to NumPy.
    axis : int, tuple of int or None, optional
        The axis, or axes together, that sum to 1. None means all of them, and ``()`` every
        element by itself.
    where : bool array, optional
        What takes part; broadcasts to `x`. The rest is 0, whatever `x` holds there.
    temperature : float or array, optional
        Compute ``softmax(x / temperature)``. 0 is the limit, mass shared evenly among the
        maxima, and inf the uniform distribution.
    sink : float or array, optional
        A logit that joins the denominator only: "none of these". It broadcasts to the shape of
        `x` without `axis`, is not divided by `temperature`, and 0 gives softmax-off-by-one [2]_.
    dtype : dtype, optional
        A real floating dtype for the result. A wider one than that of `x` casts first, a
        narrower one last.
    out : array, optional
        Where to write the result: an array of its shape and dtype; `x` itself is allowed.

    Returns
    -------
    array
        The probabilities, with the shape of `x`. The dtype is that of `x`, or the default real
        dtype of its library for booleans and integers.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype, shape or value; the message names it.

    See Also
    --------
    log_softmax : The logarithm, accurate where probabilities underflow or come close to 1.
    softmin, hardmax, sigmoid

    Notes
    -----
    Rows with NaN or +inf, and rows of nothing but -inf, are NaN. float16 and bfloat16 are
    computed in float32. The relative error is at most ``(4 + m - x_i)`` eps, however long the row.

    PyTorch refuses integers, and JAX reads them with wrap-around; here they are converted first.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
       softmax functions", IMA J. Numer. Anal. 41 (2021), :doi:`10.1093/imanum/draa038`.
    .. [2] Evan Miller, "Attention is off by one" (2023).

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.softmax(np.array([-1.0, 1.0, 2.0, 3.0])).round(2)
    array([0.01, 0.09, 0.24, 0.66])

    The columns instead of the rows, some of them masked:

    >>> x = np.array([[1.0, np.nan], [1.0, 2.0]])
    >>> softaxis.softmax(x, axis=0, where=np.array([[True, False], [True, True]]))
    array([[0.5, 0. ],
           [0.5, 1. ]])

    "None of these" takes a share of its own:

    >>> softaxis.softmax([0.0, 0.0], sink=0.0).round(3)
    array([0.333, 0.333])
    """
    if where is temperature is sink is dtype is out is None:  # nearly every call
        shortcut = _SOFTMAX.shortcuts.get(type(x))
        if shortcut is not None:
            y = shortcut(x, axis)
            if y is not NotImplemented:
                return y
    return _normalize(
        _SOFTMAX,
        x,
        axis,
        where,
        temperature,
        sink,
        dtype,
        out,
    )


@_LOG_SOFTMAX.serves(_normalize)
def log_softmax(
    x: Any,
    /,
    *,
    axis: Any = -1,
    where: Any = None,
    temperature: Any = None,
    sink: Any = None,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    r"""Return the logarithm of `softmax`, accurate also near 0.

    .. math:: \operatorname{log\,softmax}(x)_i = (x_i - m) - \log k
              - \operatorname{log1p}\Bigl(\tfrac1k \sum_{x_j < m} e^{x_j - m}\Bigr)

    with :math:`m` the maximum and :math:`k` the number of elements equal to it.

    Parameters
    ----------
    x : array
        Numbers of any boolean, integer, real or complex dtype.
    axis : int, tuple of int or None, optional
        The axis, or axes together, of the distribution.
    where : bool array, optional
        What takes part; broadcasts to `x`. The rest is -inf, whatever `x` holds there.
    temperature : float or array, optional
        Compute ``log_softmax(x / temperature)``.
    sink : float or array, optional
        A logit that joins the denominator only; see `softmax`.
    dtype : dtype, optional
        A real floating dtype for the result.
    out : array, optional
        Where to write the result.

    Returns
    -------
    array
        The log-probabilities, with the shape of `x`.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype, shape or value; the message names it.

    See Also
    --------
    softmax, logsumexp, cross_entropy

    Notes
    -----
    SciPy, PyTorch and JAX return 0 for ``log_softmax([0, -20])[0]`` in float32. The maxima taken
    out of the sum keep it.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
       softmax functions", IMA J. Numer. Anal. 41 (2021), :doi:`10.1093/imanum/draa038`.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.log_softmax(np.array([0.0, -20.0], dtype=np.float32))
    array([-2.0611537e-09, -2.0000000e+01], dtype=float32)
    """
    if where is temperature is sink is dtype is out is None:  # nearly every call
        shortcut = _LOG_SOFTMAX.shortcuts.get(type(x))
        if shortcut is not None:
            y = shortcut(x, axis)
            if y is not NotImplemented:
                return y
    return _normalize(
        _LOG_SOFTMAX,
        x,
        axis,
        where,
        temperature,
        sink,
        dtype,
        out,
    )


@_SOFTMIN.serves(_normalize)
def softmin(
    x: Any,
    /,
    *,
    axis: Any = -1,
    where: Any = None,
    temperature: Any = None,
    sink: Any = None,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    """Return ``softmax(-x)``: the smallest number gets the largest probability.

    Parameters
    ----------
    x : array
        Numbers of any boolean, integer or real dtype. Unsigned integers are converted before
        the sign changes.
    axis : int, tuple of int or None, optional
        The axis, or axes together, that sum to 1.
    where : bool array, optional
        What takes part; the rest is 0.
    temperature : float or array, optional
        Compute ``softmin(x / temperature)``.
    sink : float or array, optional
        A logit that joins the denominator only; see `softmax`. Its sign is not changed.
    dtype : dtype, optional
        A real floating dtype for the result.
    out : array, optional
        Where to write the result.

    Returns
    -------
    array
        The probabilities, with the shape of `x`.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype, shape or value; the message names it.

    See Also
    --------
    softmax

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.softmin(np.array([1, 2, 3], dtype=np.uint8)).round(3)
    array([0.665, 0.245, 0.09 ])
    """
    return _normalize(
        _SOFTMIN,
        x,
        axis,
        where,
        temperature,
        sink,
        dtype,
        out,
    )


def _pick(table: Table, x: Any, axis: Any, where: Any, dtype: Any) -> Any:
    x = _arguments.array(x, "x", REAL)
    axis = normalize_axis(axis, x.ndim)
    if where is not None:
        where = _arguments.mask(where, x)
    if dtype is not None:
        dtype = _arguments.real_dtype(dtype, x)
    for gate, call in table.entries[type(x)]:
        if gate is None or gate(x):
            result = call(x, axis=axis, where=where, dtype=dtype)
            if result is not NotImplemented:
                return result
    raise table.nothing_left(x)


@_HARDMAX.serves(_pick)
def hardmax(x: Any, /, *, axis: Any = -1, where: Any = None, dtype: Any = None) -> Any:
    """Return 1 at the first maximum along an axis and 0 elsewhere: argmax as one-hot.

    Parameters
    ----------
    x : array
        Numbers of any boolean, integer or real dtype.
    axis : int, tuple of int or None, optional
        The axis, or axes together, that hold a single 1.
    where : bool array, optional
        What takes part; the rest is 0.
    dtype : dtype, optional
        A real floating dtype for the result.

    Returns
    -------
    array
        Zeros and ones, with the shape of `x` and its dtype (the default real one for integers).

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype, shape or value; the message names it.

    See Also
    --------
    softmax : With ``temperature=0``, the mass is shared among the maxima instead.

    Notes
    -----
    NaN among what takes part makes its row NaN. Infinities are ordinary values. A row that is
    masked entirely is 0. The function is the one of ONNX's Hardmax operator.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.hardmax(np.array([0.25, 1.23, -0.8]))
    array([0., 1., 0.])
    """
    return _pick(_HARDMAX, x, axis, where, dtype)


def _map(table: Table, x: Any, dtype: Any, out: Any) -> Any:
    x = _arguments.array(x, "x", REAL)
    if dtype is not None:
        dtype = _arguments.real_dtype(dtype, x)
    if out is not None:
        out = _arguments.output(out, x, tuple(x.shape), dtype)
    for gate, call in table.entries[type(x)]:
        if gate is None or gate(x):
            result = call(x, dtype=dtype, out=out)
            if result is not NotImplemented:
                return result
    raise table.nothing_left(x)


@_SIGMOID.serves(_map)
def sigmoid(x: Any, /, *, dtype: Any = None, out: Any = None) -> Any:
    r"""Return the logistic function, the first component of ``softmax((x, 0))``.

    .. math:: \operatorname{sigmoid}(x) = \frac{1}{1 + e^{-x}}

    Parameters
    ----------
    x : array
        Numbers of any boolean, integer or real dtype.
    dtype : dtype, optional
        A real floating dtype for the result.
    out : array, optional
        Where to write the result.

    Returns
    -------
    array
        Numbers in [0, 1], with the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, dtype, shape or value; the message names it.

    See Also
    --------
    log_sigmoid, softmax

    Notes
    -----
    Infinities have their limits, 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return _map(_SIGMOID, x, dtype, out)


@_LOG_SIGMOID.serves(_map)
def log_sigmoid(x: Any, /, *, dtype: Any = None, out: Any = None) -> Any:
    r"""Return the logarithm of `sigmoid`, accurate also near 0.

    .. math:: \log \operatorname{sigmoid}(x) = \min(x, 0) - \operatorname{log1p}(e^{-|x|})

    Parameters
    ----------
    x : array
        Numbers of any boolean, integer or real dtype.
    dtype : dtype, optional
        A real floating dtype for the result.
    out : array, optional
        Where to write the result.

    Returns
    -------
    array
        Numbers <= 0, with the shape of `x`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type, dtype, shape or value; the message names it.

    See Also
    --------
    sigmoid, log_softmax

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> softaxis.log_sigmoid(np.array([-1000.0, 40.0]))
    array([-1.00000000e+03, -4.24835426e-18])
    """
    return _map(_LOG_SIGMOID, x, dtype, out)
