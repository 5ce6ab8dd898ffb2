"""The threads that help the calling one, and how long they wait for more to do.

The calling thread computes parts of its task until none are left, and helpers compute some if they
come in time: nobody waits for one that has not begun, so that calls from several threads or in a
forked child cannot hang. A helper that has computed something watches its box for a moment
(`_tasks`) and sleeps after that.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from _thread import allocate_lock  # `threading` is imported with the first thread
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from softaxis._backends._numba._layout import (
    ACQUIRE,
    BOX,
    LOCK,
    RELEASE,
    SHARING,
    TASK,
    TEAM,
    YIELD,
)
from softaxis._backends._numba._machine import Function, address, address_of_bytes, code
from softaxis._threads import Team

_WATCHED = 2e-4
"""Seconds for which a helper watches its box."""
_TRIED = 2_000
"""Looks at a box by which it is measured how many of them that is."""
_MOST = 255
"""Helpers that there may be."""


def share(
    kernel: int,
    job: bytes,
    units: int,
    parts: int,
    threads: int,
    room: tuple[int, int],
    team: Team | None,
) -> None:
    """Let threads take parts of the units of a job, or where there are no parts, chunks of each.

    `room` is how many bytes of scratch buffers a thread needs, and how many notes it takes. Threads
    are those of a team, or else helpers.
    """
    size, notes = room
    several = min(parts or threads, team.threads if team else threads)
    step = size + 127 & -64
    scratch = np.empty(several * step, np.uint8) if size else _NOTHING
    counters, noted, apart = _NOTHING, _NOTHING, 0
    if notes:
        counters = _NOTHING if parts else np.zeros(3 * TEAM, np.uint8)
        noted = np.empty((several if parts else units) * notes)
        apart = 8 * notes if parts else 0
    task = TASK.pack(  # a new object, of which nobody else knows: threads write to it
        kernel,
        address_of_bytes(job),
        units,
        parts or several,
        0 if parts else address(counters),
        address(scratch) + 63 & -64,
        step,
        address(noted),
        apart,
    )
    place = address_of_bytes(task)
    if team is not None:
        team.run(code("work", "any").plain, place)
        return
    if not _pool:
        _pool.append(_Pool())
    _pool[0].compute(place, threads - 1)


_NOTHING = np.empty(0)


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
        self.words = _aligned(_MOST * BOX)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.words))  # helpers outlive the interpreter
        self.boxes = address(self.words)
        _, self.lead, watch, serve = (code(name, "any").free for name in SHARING)
        self.loops = watch, serve

    def compute(self, task: int, helpers: int) -> None:
        helpers = min(helpers, _MOST)
        if self.size < helpers:
            self._grow(helpers)
        self.lead(task, self.boxes, self.size, helpers)

    def _grow(self, size: int) -> None:
        from threading import Thread

        with self.growing:
            while self.size < size:
                box = self.words[self.size * BOX :]
                box[[LOCK, ACQUIRE, RELEASE, YIELD]] = _new_lock(), *_functions()
                name = f"softaxis-{self.size}"
                told = address(box), *self.loops
                try:
                    Thread(target=_serve, args=told, name=name, daemon=True).start()
                except RuntimeError:  # the system has no more of them, or the interpreter ends
                    return
                self.size += 1


def _new_lock() -> int:
    """Return a lock of Python's that is taken, and that is never freed."""
    api = ctypes.pythonapi
    api.PyThread_allocate_lock.restype = ctypes.c_void_p
    lock: int | None = api.PyThread_allocate_lock()
    if lock is None:
        raise MemoryError("softaxis: there is no memory for the lock of a thread")
    api.PyThread_acquire_lock(ctypes.c_void_p(lock), 1)
    return lock


def _functions() -> Iterator[int]:
    """Return where the functions are that a box tells of; 0 for one that is missing here."""
    api = ctypes.pythonapi
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
    system = ctypes.CDLL("kernel32" if sys.platform == "win32" else None)
    for function in (
        api.PyThread_acquire_lock,
        api.PyThread_release_lock,
        getattr(system, name, None),
    ):
        yield (function and ctypes.cast(function, ctypes.c_void_p).value) or 0


def _serve(box: int, watch: Function, serve: Function) -> None:
    nobodys = _aligned(BOX)
    start = time.perf_counter()
    watch(address(nobodys), _TRIED)
    patience = int(_WATCHED / (time.perf_counter() - start) * _TRIED)
    serve(box, patience)


_pool: list[_Pool] = []


def _forget() -> None:
    """In a forked child the threads of the parent are not there."""
    _pool.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
