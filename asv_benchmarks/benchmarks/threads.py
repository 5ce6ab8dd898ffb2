"""Two threads for everybody, and the copy of memory that nobody can outrun on them."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .grid import THREADS

TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def cores(allowed: set[int]) -> list[int]:
    """Return one logical processor of every core first, then those that share a core."""
    first, second = [], []
    seen: set[str] = set()
    for processor in sorted(allowed):
        siblings = Path(TOPOLOGY.format(processor))
        core = siblings.read_text() if siblings.exists() else str(processor)
        (second if core in seen else first).append(processor)
        seen.add(core)
    return first + second


def limit_threads() -> None:
    """Hold this process to two threads on two cores; to be called before a library is imported."""
    if hasattr(os, "sched_setaffinity"):  # the only limit that JAX knows
        os.sched_setaffinity(0, cores(os.sched_getaffinity(0))[:THREADS])
    for library in ("SOFTAXIS", "OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = str(THREADS)


class Copy:
    """Copy an array of so many bytes with `np.copyto`, half by half on two threads."""

    def __init__(self, nbytes: int) -> None:
        self.source = np.ones(nbytes, np.uint8)
        self.target = np.zeros_like(self.source)
        self.middle = nbytes // 2
        self.helper = ThreadPoolExecutor(THREADS - 1)

    def __call__(self) -> None:
        middle = self.middle
        half = self.helper.submit(np.copyto, self.target[middle:], self.source[middle:])
        np.copyto(self.target[:middle], self.source[:middle])
        half.result()
