"""From where on compiled kernels are worth loading: words and table, from what was recorded."""

from math import inf

from benchmarks.grid import OURS
from goals import NUMBA, NUMPY
from speeds import (
    MISSING,
    calls_to_pay,
    microseconds,
    of_size,
    recording,
    shown,
    speedups,
    takes_over,
    times,
)
from tables import table


def start():
    """Say what numba costs once a process, and from where on it is worth that."""
    once = recording("row_lengths").head.get("start", {})
    first = shown(once.get("first_call"), lambda seconds: f"{1e3 * seconds:.0f} ms")
    points = {point.case.size: point for point in of_size()}
    at = points.get(takes_over())
    numpy = at and at.seconds.get(NUMPY)
    calls = {size: to_pay(point) for size, point in points.items()}
    largest = max(points, default=0)
    return (
        f"From {takes_over():,} elements on, where both are installed. The first call in a "
        "process that finds the kernels compiled and on disk loads them, which takes it "
        f"{first} longer than the next one; numba itself it does not import. NumPy alone needs "
        f"{shown(numpy, microseconds)} microseconds for a softmax of {takes_over():,} `float32` "
        f"elements. It takes {calls.get(takes_over(), MISSING)} such calls until "
        f"the kernels have saved what they cost once; of {largest:,} elements "
        f"{calls.get(largest, MISSING)}."
    )


def to_pay(point):
    """Say how many such calls save what numba costs once."""
    once = recording("row_lengths").head.get("start")
    total = once.get("first_call") if once else None
    calls = calls_to_pay(total, *(point.seconds.get(name) for name in (NUMPY, NUMBA)))
    return "infinitely many" if calls == inf else shown(calls, "{:,.0f}".format)


def sizes():
    """Return the times of our two backends, and how many calls pay for numba."""
    rows = []
    for point in of_size():
        pair = [shown(point.seconds.get(name), microseconds) for name in OURS]
        ratio = next(iter(speedups([point], NUMBA, NUMPY).values()), None)
        rows.append([f"{point.case.size:,}", *pair, shown(ratio, times), to_pay(point)])
    head = ["elements", "`numpy`, µs", "`numba`, µs", "times as fast", "calls that pay for numba"]
    return table(head, rows or [[MISSING] * len(head)])


WORDS = {"start": start, "sizes": sizes}
