"""Time the contestants of one point of the grid in turns, so that all see the same machine."""

import time
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from benchmarks.contestants import Contestant, prepare
from benchmarks.grid import Case
from benchmarks.threads import Copy
from benchmarks.timing import repeats, turn

ROUNDS = range(5, 30)
"""At least and at most so many; between the two the time given decides."""


class Point(NamedTuple):
    """What one function did on one case and dtype: medians, or why there is none."""

    function: str
    case: Case
    dtype: str
    seconds: dict[str, float]
    missing: dict[str, str]
    copy_seconds: float


def measure(
    function: str, case: Case, dtype: str, names: Sequence[str], seconds: float = 1.0
) -> Point:
    """Let the contestants take turns for about so many seconds; return their medians."""
    running: dict[str, Contestant] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            running[name] = prepare(name, function, case, dtype)
        except NotImplementedError as error:
            missing[name] = str(error)
    copy = Copy(case.nbytes(dtype))
    running["copy"] = Contestant(copy)
    medians = {name: median(taken) for name, taken in in_turns(running, seconds).items()}
    copy.helper.shutdown()
    return Point(function, case, dtype, medians, missing, medians.pop("copy"))


def in_turns(running: dict[str, Contestant], seconds: float) -> dict[str, list[float]]:
    """Return the samples of each; every round starts with another one."""
    names = list(running)
    numbers = {name: repeats(contestant) for name, contestant in running.items()}
    samples: dict[str, list[float]] = {name: [] for name in names}
    end = time.perf_counter() + seconds
    for done in range(ROUNDS.stop):
        if done >= ROUNDS.start and time.perf_counter() > end:
            break
        first = done % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(turn(running[name], numbers[name]))
    return samples
