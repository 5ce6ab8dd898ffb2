"""Kernels: the CUDA source in one piece, its compilation, and the launches of a call.

CuPy compiles a configuration when it is first met and keeps it on disk. The headers are put into
the source, so that what CuPy keeps depends on them too.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import cupy

from softaxis._backends._cupy._configure import MAX_BLOCKS, WARP, Configuration

SOURCE = "rows.cu"
_NUMBERS = 5
"""float64 numbers that are left of a row, or of a part of one: NUMBERS in the source."""
_modules: dict[tuple[Any, ...], Any] = {}


def source(name: str = SOURCE) -> str:
    """Return a file of this folder with its headers put in."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    text = text.replace("#pragma once\n", "")
    return re.sub(r'#include "([\w.]+)"\n', lambda found: source(found[1]), text)


def definitions(configuration: Configuration, itemsize: int) -> tuple[str, ...]:
    """Return the options that make the source what one configuration needs."""
    return (
        f"-DLANES={configuration.lanes}",
        f"-DHELD={configuration.held}",
        f"-DELEMENT={itemsize}",
        f"-DBESIDE={int(configuration.beside)}",
        f"-DMAX_THREADS={configuration.threads}",
    )


def launches(
    configuration: Configuration, rows: int, is_reduction: bool
) -> list[tuple[str, int, int]]:
    """Return name, blocks and threads of each kernel of a call, in their order."""
    blocks, threads = configuration.blocks, configuration.threads
    if configuration.parts == 1:
        return [("whole", blocks, threads)]
    three = [
        ("parts_of", blocks, threads),
        ("merge", min(rows, MAX_BLOCKS), WARP),
        ("finish", blocks, threads),
    ]
    return three[:2] if is_reduction else three


def numbers_for_parts(configuration: Configuration, rows: int) -> int:
    """Return how many float64 numbers the kernels leave each other: rows first, then parts."""
    return 0 if configuration.parts == 1 else _NUMBERS * rows * (1 + configuration.parts)


def run(
    configuration: Configuration, itemsize: int, rows: int, is_reduction: bool, *arguments: Any
) -> None:
    """Launch the kernels of a call on the current stream of the current device."""
    options = definitions(configuration, itemsize)
    key = (cupy.cuda.runtime.getDevice(), options)
    module = _modules.get(key)
    if module is None:
        module = cupy.RawModule(code=source(), options=("--std=c++17", *options))
        _modules[key] = module
    for name, blocks, threads in launches(configuration, rows, is_reduction):
        module.get_function(name)((blocks,), (threads,), arguments)
