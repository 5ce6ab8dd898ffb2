"""Starting compiled kernels: the addresses they get, and the parts that threads compute."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite.binding import get_host_cpu_features

from softaxis._backends._numba._geometry import Geometry, geometry
from softaxis._backends._numba._jobs import Job
from softaxis._backends._numba._rows import SLOTS
from softaxis._backends._numba._walk import CHUNK
from softaxis._threads import get_num_threads, share

NDArray = npt.NDArray[Any]

LIKE: dict[str, Any] = {"e": np.uint16(0), "f": np.float32(0), "d": np.float64(0)}
"""What stands for a dtype in a job, by its character; numba has no float16."""
WORKING = {"e": np.float32, "f": np.float32, "d": np.float64}
_LANES = {"e": 16, "f": 16, "d": 8}
HAS_FLOAT16 = get_host_cpu_features().get("f16c", platform.machine() not in ("x86_64", "AMD64"))
"""Whether the processor converts float16; LLVM would call what numba does not have."""
_GRAIN = 1 << 15
"""Numbers that one more thread has to have to pay for the time it takes to wake it."""
_PARTS = 4
"""Parts for each thread, where there is enough to do: a thread that is held up gets fewer."""
_PAST = 1 << 25
"""Bytes of a result from which on it goes past the caches, which it would only fill."""


def address(a: NDArray | None) -> int:
    """Return where the first element of an array lies; 0 for None."""
    if a is None:
        return 0
    found: int = a.__array_interface__["data"][0]
    return found


def launch(
    kernel: Callable[..., Any],
    a: NDArray,
    axes: tuple[int, ...],
    extra: Any,
    *,
    b: NDArray | None = None,
    c: NDArray | None = None,
    mask: NDArray | None = None,
    fill: float = 0.0,
    p: NDArray | None = None,
    q: NDArray | None = None,
) -> None:
    """Run a kernel on the rows of `a` along `axes`.

    `b`, `c` and `mask` have the shape of `a`; `p` and `q` that without `axes`.
    """
    g = geometry(a.shape, axes, a.itemsize, (a, b, c, mask), (p, q))
    direct = g.direct and mask is None
    lanes = _LANES[a.dtype.char] if g.tiled and not direct else 1
    chunks = -(-g.length // CHUNK)
    job = Job(
        LIKE[a.dtype.char],
        address(a),
        address(b),
        address(c),
        address(mask),
        address(p),
        address(q),
        address(g.outer),
        len(g.outer),
        address(g.row),
        len(g.row),
        g.length,
        chunks,
        direct,
        lanes,
        _line(min(g.length, CHUNK), _LANES[a.dtype.char]),
        fill,
        c is not None and direct and c.nbytes >= _PAST and _is_aligned(c, g),
        extra,
    )
    inner = int(g.outer[-1, 0])
    units = g.rows // inner * -(-inner // lanes)
    threads = max(1, min(get_num_threads(), a.size // _GRAIN))
    notes = lanes * (chunks + 1) * SLOTS if chunks > 1 else 0
    if chunks > 1 and threads > 1 and units < _PARTS * threads:
        _by_stages(kernel, job, units, threads, np.zeros(units * notes))
        return
    cut = threads * (_PARTS if a.size >= _PARTS * threads * _GRAIN else 1) if threads > 1 else 1
    parts = [(i, j, -1, 0, chunks) for i, j in _cut(units, cut)]
    _run(kernel, job, parts, threads, notes)


def _by_stages(
    kernel: Callable[..., Any], job: Job, units: int, threads: int, notes: NDArray
) -> None:
    """Let threads share the chunks of a few long rows: they agree after every step."""
    for stage in range(5):
        spread = stage in (0, 2, 4)
        chunks = _cut(job.chunks, _PARTS * threads) if spread else [(0, job.chunks)]
        parts = [(0, units, stage, i, j) for i, j in chunks]
        _run(kernel, job, parts, threads if spread else 1, 0, notes)


def _run(
    kernel: Callable[..., Any],
    job: Job,
    parts: Sequence[tuple[int, ...]],
    threads: int,
    notes: int,
    shared: NDArray | None = None,
) -> None:
    """Run a kernel on every part, with memory of its own for each thread."""
    lines = job.lanes * (1 if job.b == 0 else 2)
    spare = [_memory(lines * job.line, notes) for _ in range(min(threads, len(parts)))]

    def part(*numbers: int) -> None:
        scratch, own = memory = spare.pop()
        kernel(job, *numbers, address(scratch), address(own if shared is None else shared))
        spare.append(memory)

    if len(parts) == 1:
        part(*parts[0])
    else:
        share(part, parts, threads)


def _memory(numbers: int, notes: int) -> tuple[NDArray, NDArray]:
    """Return a scratch buffer that begins at a multiple of 64 bytes, and room for notes."""
    whole = np.empty(numbers * 8 + 64, np.uint8)
    return whole[-address(whole) % 64 :], np.empty(notes)


def _line(n: int, lanes: int) -> int:
    """Return an odd number of vectors, lest the lines of a tile share a few sets of the cache."""
    return (n // lanes + 2 | 1) * lanes


def _is_aligned(c: NDArray, g: Geometry) -> bool:
    """Whether every row begins at a multiple of 16 bytes."""
    begins = (address(c), *g.outer[:, 3])
    return all(int(x) % 16 == 0 for x in begins)


def _cut(n: int, parts: int) -> list[tuple[int, int]]:
    """Cut 0..n into so many parts of about the same size, none of them empty."""
    parts = min(n, parts)
    return [(i * n // parts, (i + 1) * n // parts) for i in range(parts)]
