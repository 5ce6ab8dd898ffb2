"""How many threads compiled kernels use, and the threads themselves.

A call cuts its work into parts. The calling thread computes parts until none are left, and the
threads of the pool help if they come in time: nobody waits for a helper that has not begun, so
that calls from several threads, from inside a helper or in a forked child cannot hang.
"""

from __future__ import annotations

import os
from _thread import _local, allocate_lock  # `threading` is imported with the first thread
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from queue import SimpleQueue

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


class at_most:  # noqa: N801 - reads as what it does
    """A ``with`` block whose calls, in this thread, use no more threads than `n`."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __enter__(self) -> None:
        self.outer = getattr(_limit, "n", None)
        _limit.n = self.n

    def __exit__(self, *_: object) -> None:
        _limit.n = self.outer


_limit: Any = _local()


def allowed_threads() -> int:
    """Return `get_num_threads()`, or what an `at_most` block leaves of it."""
    limit = getattr(_limit, "n", None)
    return get_num_threads() if limit is None else min(limit, get_num_threads())


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


class _Help:
    """One helper's share in a call: taken by whoever comes first, the helper or the caller."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.taken = allocate_lock()
        self.done = allocate_lock()
        self.done.acquire()

    def run(self) -> None:
        if self.taken.acquire(blocking=False):
            try:
                self.work()
            finally:
                self.done.release()

    def finish(self) -> None:
        """Wait for the helper, or see to it that it does not begin any more."""
        if not self.taken.acquire(blocking=False):
            self.done.acquire()


class _Pool:
    """Threads that wait for work; they are started when they are first needed."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Help] | None = None
        self.size = 0
        self.growing = allocate_lock()

    def ask(self, helps: list[_Help]) -> None:
        queue = self.queue
        if queue is None or self.size < len(helps):
            queue = self._grow(len(helps))
        for one in helps:
            queue.put(one)

    def _grow(self, size: int) -> SimpleQueue[_Help]:
        from queue import SimpleQueue
        from threading import Thread

        with self.growing:
            if self.queue is None:
                self.queue = SimpleQueue()
            while self.size < size:
                name = f"softaxis-{self.size}"
                Thread(target=_serve, args=(self.queue,), name=name, daemon=True).start()
                self.size += 1
            return self.queue


def _serve(queue: SimpleQueue[_Help]) -> None:
    while True:
        queue.get().run()


_pool = [_Pool()]


def _forget() -> None:
    """In a forked child: the threads of the parent are not there, and its locks may be held."""
    _pool[:] = [_Pool()]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def share(function: Callable[..., Any], parts: Iterable[tuple[Any, ...]], threads: int) -> None:
    """Call a function that releases the GIL with each of the parts, by some threads."""
    waiting = deque(parts)
    errors: list[BaseException] = []

    def work() -> None:
        while waiting and not errors:
            try:
                part = waiting.popleft()
            except IndexError:  # another one was faster
                return
            try:
                function(*part)
            except BaseException as error:  # noqa: BLE001 - the caller raises it
                errors.append(error)

    helps = [_Help(work) for _ in range(min(threads, len(waiting)) - 1)]
    if helps:
        _pool[0].ask(helps)
    try:
        work()
    finally:
        for one in helps:
            one.finish()
    if errors:
        raise errors[0]
