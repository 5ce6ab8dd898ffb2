"""`softmax`, `log_softmax` and `logsumexp` with the signatures and defaults of `scipy.special`.

Change ``from scipy.special import softmax`` to ``from softaxis.compat.scipy import softmax``. What
the functions mean is softaxis' own: integers of every width are right, float16 does not overflow,
``log_softmax`` is accurate near 0.
"""

from __future__ import annotations

from typing import Any

import softaxis
from softaxis._libraries import adopt, library_of

__all__ = ["log_softmax", "logsumexp", "softmax"]


def softmax(x: Any, axis: Any = None) -> Any:
    """Return `softaxis.softmax` over all axes by default, as `scipy.special.softmax`.

    Parameters
    ----------
    x : array
        The numbers.
    axis : int, tuple of int or None, optional
        The axis, or axes together, that sum to 1. None means all of them.

    Returns
    -------
    array
        The probabilities, with the shape of `x`.

    Examples
    --------
    >>> from softaxis.compat.scipy import softmax
    >>> softmax([[0.0, 0.0], [0.0, 0.0]])
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    return softaxis.softmax(x, axis=axis)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """Return `softaxis.log_softmax` over all axes by default, as `scipy.special.log_softmax`.

    Parameters
    ----------
    x : array
        The numbers.
    axis : int, tuple of int or None, optional
        The axis, or axes together, of the distribution. None means all of them.

    Returns
    -------
    array
        The log-probabilities, with the shape of `x`.

    Examples
    --------
    >>> from softaxis.compat.scipy import log_softmax
    >>> log_softmax([0.0, 0.0])
    array([-0.69314718, -0.69314718])
    """
    return softaxis.log_softmax(x, axis=axis)


def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """Return `softaxis.logsumexp` with SciPy's names: `a` for x and `b` for weights.

    Parameters
    ----------
    a : array
        The numbers.
    axis : int, tuple of int or None, optional
        What to sum over.
    b : array, optional
        Factors of the exponentials. `a` and `b` broadcast against each other.
    keepdims : bool, optional
        Keep the reduced axes with length 1.
    return_sign : bool, optional
        Return ``(log|s|, sign(s))``.

    Returns
    -------
    array, or a tuple of two arrays
        The logarithm, and the sign with `return_sign`.

    Examples
    --------
    >>> from softaxis.compat.scipy import logsumexp
    >>> logsumexp([0.0, 0.0], b=[1.0, 3.0]).round(6)
    np.float64(1.386294)
    """
    if b is not None:
        a, b = adopt(a, "a"), adopt(b, "b")
        if tuple(a.shape) != tuple(b.shape):
            a, b = library_of(a).xp.broadcast_arrays(a, b)
    return softaxis.logsumexp(a, axis=axis, weights=b, keepdims=keepdims, return_sign=return_sign)
