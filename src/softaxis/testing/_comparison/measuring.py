"""Time and memory of calls."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

Call = Callable[[], Any]

PAUSE = 0.004  # seconds; threads of one library that wait for work would slow the next one down
SHORTEST = 1e-3  # seconds; faster calls are repeated until one measurement takes that long
AT_LEAST = 3  # rounds, however little time there is


def load() -> float | None:
    """Return how many processes want each processor, on average over the last minute.

    Above 1, times say little: threads that share a call wait for each other.
    """
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):  # not on Windows
        return None


def interleaved(
    calls: Sequence[Call], rounds: int, seconds: float
) -> tuple[list[float | Exception], int]:
    """Time all calls in turn, round by round; return the median of each, and the rounds made.

    Every round starts one further, so that no contestant always follows the same other one. A
    call that raises is left out from there on, and its exception returned.
    """
    samples: list[list[float]] = [[] for _ in calls]
    repeats = [0] * len(calls)  # 0: to be found out
    failed: dict[int, Exception] = {}
    made = 0
    with _collector_off():
        end = time.perf_counter() + seconds
        while made < rounds and (made < AT_LEAST or time.perf_counter() < end):
            for turn in range(len(calls)):
                place = (made + turn) % len(calls)
                if place in failed:
                    continue
                time.sleep(PAUSE)
                try:
                    repeats[place] = repeats[place] or _repeats(calls[place])
                    samples[place].append(_duration(calls[place], repeats[place]))
                except Exception as error:  # noqa: BLE001 - a row of the table
                    failed[place] = error
            made += 1
    return [failed.get(k) or median(each) for k, each in enumerate(samples)], made


def _repeats(call: Call) -> int:
    return max(1, min(1000, int(SHORTEST / max(_duration(call, 1), 1e-9))))


def _duration(call: Call, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


@contextmanager
def _collector_off() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def peak_memory(call: Call, times: int = 3) -> int | None:
    """Return the bytes that a call needs at its peak above what was resident before it.

    Linux keeps the peak of a process and resets it when told to; None elsewhere. The results are
    kept and the largest of some calls counts: one that takes memory which an earlier result has
    left behind would look as if it needed none.
    """
    if _reset() is None:
        return None
    results, peaks = [], []
    for _ in range(times):
        _trim()
        before = _reset() or 0
        results.append(call())
        peaks.append(_kilobytes("VmHWM") - before)
    return max(0, *peaks) * 1024


def _reset() -> int | None:
    """Let the peak start from here; return the resident memory in kB, or None."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _kilobytes("VmRSS")
    except (OSError, LookupError):
        return None


def _kilobytes(field: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    if found is None:
        raise LookupError(field)
    return int(found[1])


def _trim() -> None:
    """Give freed memory back, which a call could take again unseen; glibc alone can do that."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
