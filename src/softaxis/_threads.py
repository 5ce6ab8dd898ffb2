"""How many threads compiled kernels use, and whose."""

from __future__ import annotations

import os
from _thread import _local  # `threading` need not be imported
from collections.abc import Callable
from typing import Any, NamedTuple

_VARIABLE = "SOFTAXIS_NUM_THREADS"


def set_num_threads(n: int) -> None:
    """Set how many threads a call may use, the calling one included.

    Parameters
    ----------
    n : int
        At least 1. It holds for the process, and for the compiled kernels of the numba backend;
        results do not depend on it.

    Raises
    ------
    TypeError, ValueError
        `n` is not an integer, or is less than 1.

    See Also
    --------
    get_num_threads

    Examples
    --------
    >>> import softaxis
    >>> softaxis.set_num_threads(2)
    >>> softaxis.get_num_threads()
    2
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"`n` must be an int, got {n!r} of type {type(n).__name__}")
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n}")
    _chosen[:] = [n]


def get_num_threads() -> int:
    """Return how many threads a call may use, the calling one included.

    That is what `set_num_threads` was given, else the environment's SOFTAXIS_NUM_THREADS, else
    the number of processors that the process may run on.

    Returns
    -------
    int
        At least 1.

    See Also
    --------
    set_num_threads

    Examples
    --------
    >>> import softaxis
    >>> softaxis.get_num_threads() >= 1
    True
    """
    if not _chosen:
        _chosen.append(_by_environment() or _processors())
    return _chosen[0]


_chosen: list[int] = []


class Team(NamedTuple):
    """Threads of an array library."""

    threads: int
    """How many there are."""
    run: Callable[[int, int], object]
    """Let each of them call the C function at an address, with one pointer."""


class at_most:  # noqa: N801 - reads as what it does
    """A ``with`` block whose calls, in this thread, use at most `n` threads, or those of a team."""

    def __init__(self, n: int, team: Team | None = None) -> None:
        self.given = n, team

    def __enter__(self) -> None:
        self.outer = getattr(_limit, "given", None)
        _limit.given = self.given

    def __exit__(self, *_: object) -> None:
        _limit.given = self.outer


_limit: Any = _local()


def allowed_threads() -> int:
    """Return `get_num_threads()`, or what an `at_most` block leaves of it."""
    given = getattr(_limit, "given", None)
    return get_num_threads() if given is None else min(given[0], get_num_threads())


def lent_team() -> Team | None:
    """Return the team of an `at_most` block."""
    given = getattr(_limit, "given", None)
    return None if given is None else given[1]


def _by_environment() -> int | None:
    value = os.environ.get(_VARIABLE, "").strip()
    if not value:
        return None
    if value.isdecimal() and int(value) >= 1:
        return int(value)
    import logging

    logging.getLogger("softaxis").warning(
        "softaxis: %s must be an integer of at least 1, got %r; it is ignored", _VARIABLE, value
    )
    return None


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
