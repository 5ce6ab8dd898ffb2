"""Seconds of one call: repeated until a clock can tell, after some calls that nobody times.

asv's own `time_` benchmarks run `setup` again before every single call (asv_runner 0.3), which
leaves a call of microseconds cold; so ours time themselves, and asv tracks their seconds.
"""

import gc
import time
from collections.abc import Callable
from itertools import repeat
from math import ceil
from statistics import median
from typing import Any

from .contestants import Contestant

SAMPLE = 1e-3
"""Seconds of one sample at least; a call that is faster is repeated within it."""
WARM = 5
"""A call that is repeated is first called so often untimed, for another one was just running."""
SAMPLES = range(5, 200)
"""At least and at most so many; between the two the time given decides."""


def repeats(contestant: Contestant) -> int:
    """Return how many calls make a sample that is long enough; one interruption is forgiven."""
    number = 1
    while number < SAMPLE / 1e-7:
        taken = number * min(turn(contestant, number), turn(contestant, number))
        if taken >= SAMPLE:
            break
        number = ceil(number * min(10.0, 1.2 * SAMPLE / taken))
    return number


def turn(contestant: Contestant, number: int) -> float:
    """Give one contestant its turn; return the seconds of one call."""
    contestant.before()
    gc.disable()
    try:
        if number > 1:
            _seconds(contestant.call, WARM)
        return _seconds(contestant.call, number)
    finally:
        gc.enable()
        contestant.after()


def median_seconds(contestant: Contestant, seconds: float = 0.5) -> float:
    """Return the median of one contestant that has the machine to itself for so long."""
    number = repeats(contestant)
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while len(samples) < SAMPLES.stop:
        samples.append(turn(contestant, number))
        if len(samples) >= SAMPLES.start and time.perf_counter() > end:
            break
    return median(samples)


def _seconds(call: Callable[[], Any], number: int) -> float:
    """Return the seconds of one call, averaged over `number`."""
    start = time.perf_counter()
    for _ in repeat(None, number):
        call()
    return (time.perf_counter() - start) / number
