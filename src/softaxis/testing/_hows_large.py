"""Trying a call on more elements than 32 bits count."""

from __future__ import annotations

from pathlib import Path

from softaxis.backend import Declined
from softaxis.testing._subject import Subject
from softaxis.testing._trials import Trial


def beyond_32_bits(subject: Subject, trial: Trial) -> None:
    """Repeat the rows until there are more elements than 32 bits count, and look at some."""
    xp = subject.arrays.xp
    rows, n = trial.arrays[0].values.shape
    count = 2**31 // (rows * n) + 1
    x = subject.make(trial.arrays[0])
    _need_memory(count * rows * n * BITS[trial.dtype] // 8, subject.name)
    many = xp.reshape(xp.broadcast_to(x[None], (count, rows, n)), (count * rows, n))
    result = getattr(subject.functions, trial.function)(many, axis=1)
    for first in (0, (count // 2) * rows, (count - 1) * rows):
        subject.compare(trial, (result[first : first + rows],))


BITS = {"float16": 16, "bfloat16": 16, "float32": 32, "float64": 64, "longdouble": 128}
"""Bits of a number."""


def _need_memory(size: int, backend: str) -> None:
    """Decline where input, result and temporary arrays would not fit."""
    needed = size * (16 if backend == "default" else 4)
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        raise Declined("the free memory is not known here")
    lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    if free < needed:
        raise Declined(f"needs {needed / 2**30:.0f} GiB of memory, {free / 2**30:.0f} are free")
