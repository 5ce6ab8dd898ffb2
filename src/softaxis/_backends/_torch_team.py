"""PyTorch's own threads, for kernels that are not its own.

Its operators on the CPU run in teams of OpenMP, whose threads wait for the next operator at work
for some milliseconds before they sleep. Threads of ours would have to share processors with them.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from softaxis._threads import Team, at_most, get_num_threads


@cache
def _parallel() -> Callable[[int, int, int, int], None] | None:
    """Return the function of PyTorch's OpenMP that starts a team; None where it is not to be had.

    Compilers call it for what GNU's OpenMP names ``#pragma omp parallel``: a function, its
    argument, how many threads (0: as many as usual), and flags.
    """
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        found = ctypes.CDLL(str(library)).GOMP_parallel  # of what it was linked with
    except (AttributeError, OSError):
        return None
    found.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    found.restype = None
    parallel: Callable[[int, int, int, int], None] = found
    return parallel


_is_child: list[bool] = []


def _run(function: int, argument: int) -> None:
    parallel = _parallel()
    assert parallel is not None
    parallel(function, argument, 0, 0)


def crew() -> tuple[int, Team | None]:
    """Return how many threads PyTorch and softaxis allow, and PyTorch's where they are to be used.

    In a forked child, which has none, kernels use their own.
    """
    n, mine = _get_num_threads(), get_num_threads()
    if n == 1 or n > mine or _is_child or _parallel() is None:
        return min(n, mine), None
    return n, Team(n, _run)


_get_num_threads = torch.get_num_threads


def threads() -> at_most:
    """Return a ``with`` block in which kernels use such threads."""
    return at_most(*crew())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _is_child.append(True))
