"""The peak of a call above its input and its output: what the system says, and what NumPy says."""

import ctypes
import re
import sys
import tracemalloc
from math import ceil
from pathlib import Path
from typing import Any

from .contestants import make, prepare
from .grid import FUNCTIONS, IMPLEMENTATIONS, OURS, TRACKED, Case, case
from .threads import limit_threads

PART = 1 << 18
"""Elements of the array on which a contestant warms up: 1 MB of float32."""


def part(whole: Case) -> Case:
    """Return a case like this one with no more elements than that, its longest side cut."""
    shape = list(whole.shape)
    longest = shape.index(max(shape))
    shape[longest] = ceil(shape[longest] * min(1.0, PART / whole.size))
    return Case(tuple(shape), whole.axis)


def ready(implementation: str, function: str, whole: Case, dtype: str) -> Any:
    """Return the call to watch.

    Ours have then been called on a part of the array only, so that buffers which they keep count
    as well; the others compile and set up for the shape itself.
    """
    prepare(implementation, function, part(whole), dtype)
    if implementation not in OURS:
        return prepare(implementation, function, whole, dtype).call
    contestant = make(implementation, function, whole, dtype)
    contestant.before()
    return contestant.call


def resident(call: Any) -> int:
    """Return by how many bytes memory in use rose during a call, less those of its result."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back
    before = _status("VmRSS")
    result = call()
    return _status("VmHWM") - before - result.nbytes


def traced(call: Any) -> int:
    """Return the peak of what Python and NumPy allocated during a call, less its result."""
    tracemalloc.start()
    try:
        result = call()
        return tracemalloc.get_traced_memory()[1] - result.nbytes
    finally:
        tracemalloc.stop()


def _status(field: str) -> int:
    """Read a field of /proc/self/status that is given in kB."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"{field}:\s+(\d+) kB", text)[1])


class Peak:
    """Memory above input and output, with every implementation in one graph."""

    params = (IMPLEMENTATIONS, FUNCTIONS, TRACKED)
    param_names = ("implementation", "function", "case")
    unit = "bytes"
    version = "1"
    timeout = 120

    def setup(self, implementation: str, function: str, name: str) -> None:
        if sys.platform != "linux":
            raise NotImplementedError("only Linux sets the high-water mark back")
        limit_threads()
        self.call = ready(implementation, function, case(name), "float32")

    def track_peak_above(self, implementation: str, function: str, name: str) -> int:
        return max(0, resident(self.call))
