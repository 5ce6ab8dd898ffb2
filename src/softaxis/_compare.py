"""`compare`: every installed library side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softaxis.testing._comparison import Comparison


def compare(
    function: str | Callable[..., Any],
    x: Any = None,
    /,
    *,
    shape: Sequence[int] | None = None,
    dtype: str | None = None,
    axis: int | tuple[int, ...] | None = -1,
    libraries: Iterable[str] | None = None,
    seed: int = 0,
    rounds: int = 20,
    seconds: float = 5.0,
) -> Comparison:
    """Compare every installed library on one function and one input.

    Each backend of softaxis and each library's own function gets the same numbers, as an array of
    its library. Measured are the time of a call, the memory it needs, its largest error against
    mpmath, and what it gives for a few special inputs. What is not installed, refuses or breaks
    is a row that says so.

    Parameters
    ----------
    function : str or callable
        One of softaxis' functions, or its name: softmax, log_softmax, logsumexp, cross_entropy,
        softmin, sigmoid, log_sigmoid or logmeanexp.
    x : array, optional
        The input. Left out, normal numbers are drawn.
    shape : sequence of int, optional
        The shape of the numbers to draw; (4096, 1024) unless given.
    dtype : str, optional
        Such as ``"float32"``, which is the default for drawn numbers, or ``"bfloat16"``. An `x`
        that is given keeps its own.
    axis : int, tuple of int, or None
        The axis of a row. The last one by default, for reductions too.
    libraries : sequence of str, optional
        The array libraries to look at, such as ``["numpy", "torch"]``; unless given, those that
        have a backend.
    seed : int
        Seed of the drawn numbers, and of the labels of cross_entropy, which are always drawn.
    rounds : int
        How often each contestant is timed at most.
    seconds : float
        The time after which no further round begins.

    Returns
    -------
    Comparison
        ``print`` shows it; it has `rows`, `as_json()` and `plot(path)`.

    Raises
    ------
    ImportError
        mpmath or NumPy is not installed.
    TypeError, ValueError
        An argument is none of the above.

    Examples
    --------
    >>> import softaxis
    >>> found = softaxis.compare("log_softmax", shape=(8, 10), libraries=["numpy"], rounds=3)
    >>> for row in found.rows:
    ...     if row.backend in {None, "default", "numpy"}:
    ...         print(row.name, "|", row.special[0])
    softaxis default (numpy) | right
    softaxis numpy | right
    scipy.special.log_softmax | WRONG: gives 0, should be -2.06e-09
    """
    from softaxis.testing import _comparison

    return _comparison.compare(
        function,
        x,
        shape=shape,
        dtype=dtype,
        axis=axis,
        libraries=libraries,
        seed=seed,
        rounds=rounds,
        seconds=seconds,
    )
