"""The threads that help the calling one, and how long they wait for more to do.

The calling thread computes parts of its task until none are left, and helpers compute some if they
come in time: nobody waits for one that has not begun, so that calls from several threads or in a
forked child cannot hang. A helper that has computed something watches its box for a moment
(`_tasks.serve`) and sleeps in Python after that.
"""

from __future__ import annotations

import ctypes
import os
import time
from _thread import allocate_lock  # `threading` is imported with the first thread
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softaxis._backends._numba._layout import BOX, CALLED, SHARING, TASK, TEAM
from softaxis._backends._numba._machine import address, code
from softaxis._threads import lent_team

if TYPE_CHECKING:
    from queue import SimpleQueue

_WATCHED = 2e-4
"""Seconds for which a helper watches its box."""
_TRIED = 2_000
"""Looks at a box by which it is measured how many of them that is."""
_PATIENCE = 1 << 14
"""Looks at the boxes of helpers that compute the last parts, before other threads may run."""
_MOST = 255
"""Helpers that there may be."""


def share(
    kernel: int, job: bytes, units: int, parts: int, threads: int, room: tuple[int, int]
) -> None:
    """Let threads take parts of the units of a job, or where there are no parts, chunks of each.

    `room` is how many bytes of scratch buffers a thread needs, and how many notes it takes.
    """
    together = parts == 0
    team = lent_team()
    size, notes = room
    several = min(parts or threads, team.threads if team else threads)
    step = size + 127 & -64
    scratch = np.empty(several * step, np.uint8)
    if together:
        counters, noted, apart = np.zeros(3 * TEAM, np.uint8), np.empty(units * notes), 0
    else:
        counters, noted, apart = None, np.empty(several * notes), 8 * notes
    what = np.frombuffer(job, np.uint8)
    task = _aligned(TASK)
    task[:9] = (
        kernel,
        address(what),
        units,
        parts or several,
        0 if counters is None else address(counters),
        address(scratch) + 63 & -64,
        step,
        address(noted),
        apart,
    )
    if team is None:
        if not _pool:
            _pool.append(_Pool())
        _pool[0].compute(task, threads - 1)
    else:
        team.run(code("work", "any").plain, address(task))


def _aligned(words: int) -> npt.NDArray[Any]:
    """Return zeros that begin with a cache line."""
    a = np.zeros(words + 8, np.int64)
    start = -address(a) % 64 // 8
    return a[start : start + words]


class _Pool:
    """Helpers, which are started when they are first needed."""

    def __init__(self) -> None:
        self.size = 0
        self.growing = allocate_lock()
        self.calls: list[SimpleQueue[None]] = []
        self.words = _aligned(_MOST * BOX)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.words))  # helpers outlive the interpreter
        self.boxes = address(self.words)
        self.post, self.work, self.settle = (code(name, "any") for name in SHARING[:3])

    def compute(self, task: npt.NDArray[Any], helpers: int) -> None:
        helpers = min(helpers, _MOST)
        if self.size < helpers:
            self._grow(helpers)
        place, boxes, size = address(task), self.boxes, self.size
        try:
            if self.post.held(place, boxes, size, helpers):
                for i in np.flatnonzero(self.words[: size * BOX : BOX] == place + CALLED):
                    self.calls[i].put(None)
            self.work.free(place)
        finally:
            while self.settle.free(place, boxes, size, _PATIENCE):
                _let_others_run()

    def _grow(self, size: int) -> None:
        from queue import SimpleQueue
        from threading import Thread

        with self.growing:
            while self.size < size:
                call: SimpleQueue[None] = SimpleQueue()
                self.calls.append(call)
                box = self.boxes + 8 * BOX * self.size
                name = f"softaxis-{self.size}"
                Thread(target=_serve, args=(box, call), name=name, daemon=True).start()
                self.size += 1


def _serve(box: int, call: SimpleQueue[None]) -> None:
    serve = code("serve", "any").free
    start = time.perf_counter()
    serve(box, _TRIED)
    taken = time.perf_counter() - start
    patience = int(_WATCHED / taken * _TRIED)
    while True:
        call.get()
        serve(box, patience)


_pool: list[_Pool] = []


def _forget() -> None:
    """In a forked child the threads of the parent are not there."""
    _pool.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


_let_others_run: Callable[[], Any] = getattr(os, "sched_yield", lambda: time.sleep(0))
