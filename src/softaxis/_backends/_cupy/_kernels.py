"""Kernels: the CUDA source in one piece, its compilation, and the launches of a call.

CuPy compiles a configuration when it is first met and keeps it on disk. The headers are put into
the source, so that what CuPy keeps depends on them too; no header of CUDA is needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import cupy

from softaxis._backends._cupy._calls import CALL
from softaxis._backends._cupy._configure import ASIDE, MAX_BLOCKS, WARP, Configuration, Limits

SOURCE = "rows.cu"
SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, LOGMEANEXP, CROSS_ENTROPY, CROSS_ENTROPY_AND_GRAD = range(6)
HARDMAX, SOFTMAX_VJP, LOG_SOFTMAX_VJP = range(6, 9)
"""Which function, as the source numbers them."""
_FIRST_WITH_CLUSTERS = 90
_LARGEST_CLUSTER = 8
"""Blocks; what every device of that generation and later ones can do."""
_NUMBERS = 6
"""float64 numbers that are left of a row, or of a part of one: NUMBERS in the source."""
_MOST_READY = 1024
_ready: dict[tuple[Any, ...], Callable[[Any], None]] = {}
_found: dict[tuple[str, tuple[str, ...], int], Any] = {}


@cache
def source(name: str = SOURCE) -> str:
    """Return a file of this folder with its headers put in."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    text = text.replace("#pragma once\n", "")
    return re.sub(r'#include "([\w.]+)"\n', lambda found: source(found[1]), text)


def shape_of(configuration: Configuration, dtype: str, result: str) -> tuple[str, ...]:
    """Return the options that say what the threads hold, read from one dtype for another."""
    return (
        f"-DELEMENT={dtype}",
        f"-DRESULT={result}",
        f"-DLANES={configuration.lanes}",
        f"-DHELD={configuration.held}",
        f"-DBESIDE={int(configuration.beside)}",
        f"-DMAX_THREADS={configuration.threads}",
        f"-DIN_PARTS={int(configuration.parts > 1)}",
        f"-DCLUSTER={configuration.cluster}",
        f"-DCALL_BYTES={CALL.itemsize}",
    )


def task_of(function: int, asked: int) -> tuple[str, ...]:
    """Return the options that say what is computed."""
    left_out = "WHOLE" if is_vjp(function) else "VJP"
    return (f"-DFUNCTION={function}", f"-DASKED={asked}", f"-DWITHOUT_{left_out}")


def is_vjp(function: int) -> bool:
    """Whether a second array comes in the place of the mask."""
    return function in (SOFTMAX_VJP, LOG_SOFTMAX_VJP)


def takes_parts(function: int) -> bool:
    """Whether rows may be cut into parts."""
    return function < HARDMAX


def is_reduction(function: int) -> bool:
    """Whether one number comes out of a row."""
    return function in (LOGSUMEXP, LOGMEANEXP, CROSS_ENTROPY)


def launches(configuration: Configuration, rows: int, function: int) -> list[tuple[str, int, int]]:
    """Return name, blocks and threads of each kernel of a call, in their order."""
    blocks, threads = configuration.blocks, configuration.threads
    if configuration.cluster:
        return [("kept_vjp" if is_vjp(function) else "kept", blocks, threads)]
    if configuration.parts == 1:
        return [("vjp" if is_vjp(function) else "whole", blocks, threads)]
    three = [
        ("parts_of", blocks, threads),
        ("merge", min(rows, MAX_BLOCKS), WARP),
        ("finish", blocks, threads),
    ]
    return three[:2] if is_reduction(function) else three


def numbers_for_parts(configuration: Configuration, rows: int) -> int:
    """Return how many float64 numbers the kernels leave each other: rows first, then parts."""
    return 0 if configuration.parts == 1 else _NUMBERS * rows * (1 + configuration.parts)


@cache
def limits_of(device: int) -> Limits:
    """Return what a device has."""
    of = cupy.cuda.Device(device)
    found = of.attributes
    has_clusters = int(of.compute_capability) >= _FIRST_WITH_CLUSTERS
    has_room = found["MultiProcessorCount"] >= 2 * _LARGEST_CLUSTER  # or it is a slice of a device
    cluster = _LARGEST_CLUSTER if has_clusters and has_room else 1
    return Limits(found["MaxSharedMemoryPerBlockOptin"], cluster)


def prepared(
    device: int,
    configuration: Configuration,
    dtype: Any,
    result: Any,
    rows: int,
    function: int,
    asked: int,
) -> Callable[[Any], None]:
    """Return what launches the kernels of a call, given their argument, on the current stream.

    The device is the current one.
    """
    options = ("--std=c++17", *shape_of(configuration, dtype.name, result.name))
    options += task_of(function, asked)
    shared = configuration.shared
    ready = [
        (_kernel(name, options, device), (blocks,), (threads,))
        for name, blocks, threads in launches(configuration, rows, function)
    ]

    def launch(call: Any) -> None:
        for kernel, blocks, threads in ready:
            kernel(blocks, threads, (call,), shared_mem=shared)

    return launch


def run(key: tuple[Any, ...], call: Any) -> None:
    """Launch the kernels of a call; `key` is what `prepared` takes."""
    launch = _ready.get(key)
    if launch is None:
        if len(_ready) >= _MOST_READY:
            _ready.clear()
        launch = _ready[key] = prepared(*key)
    launch(call)


def _kernel(name: str, options: tuple[str, ...], device: int) -> Any:
    """Return one kernel; each device has its own, which may ask for all of its shared memory."""
    kernel = _found.get((name, options, device))
    if kernel is None:
        kernel = cupy.RawKernel(source(), name, options=options)
        if name.startswith("kept"):
            kernel.max_dynamic_shared_size_bytes = limits_of(device).shared - ASIDE
        _found[name, options, device] = kernel
    return kernel
