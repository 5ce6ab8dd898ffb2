"""Starting compiled kernels: the addresses they get, and the parts that threads compute."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite.binding import get_host_cpu_features

from softaxis._backends._numba._columns import FEW, SUMS
from softaxis._backends._numba._geometry import Geometry, geometry
from softaxis._backends._numba._jobs import Job
from softaxis._backends._numba._rows import SLOTS
from softaxis._backends._numba._walk import CHUNK, TEAM
from softaxis._threads import get_num_threads, share

NDArray = npt.NDArray[Any]

LIKE: dict[str, Any] = {"e": np.uint16(0), "f": np.float32(0), "d": np.float64(0)}
"""What stands for a dtype in a job, by its character; numba has no float16."""
WORKING = {"e": np.float32, "f": np.float32, "d": np.float64}
_SIZES = {kind: np.dtype(working).itemsize for kind, working in WORKING.items()}
"""Bytes of a number while it is computed with."""
_LANES = {kind: 64 // size for kind, size in _SIZES.items()}
"""Numbers in a vector."""
HAS_FLOAT16 = get_host_cpu_features().get("f16c", platform.machine() not in ("x86_64", "AMD64"))
"""Whether the processor converts float16; LLVM would call what numba does not have."""
_GRAIN = 1 << 15
"""Numbers that one more thread has to have to pay for the time it takes to wake it."""
_PARTS = 4
"""Parts for each thread, where there is enough to do: a thread that is held up gets fewer."""
_TILE = 1 << 19
"""Bytes that the scratch buffers of a tile may take."""
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
    columns: Callable[..., Any] | None = None,
    b: NDArray | None = None,
    c: NDArray | None = None,
    fresh: bool = True,
    mask: NDArray | None = None,
    fill: float = 0.0,
    p: NDArray | None = None,
    q: NDArray | None = None,
) -> None:
    """Run a kernel on the rows of `a` along `axes`.

    `b`, `c` and `mask` have the shape of `a`; `p` and `q` that without `axes`. `fresh` says that
    `c` is new to the process: its pages come cleared, and so by way of the caches. `columns` is a
    kernel that computes rows which lie side by side in columns.
    """
    kind = a.dtype.char
    g = geometry(a.shape, axes, a.itemsize, (a, b, c, mask), (p, q))
    direct = g.direct and mask is None
    number = 1 if b is None else 2
    lanes = _lanes(kind, g.length, number) if g.tiled and not direct else 1
    chunks = -(-g.length // CHUNK)
    if columns is not None and _in_columns(g, kind, mask, chunks):
        kernel = columns
    past = not fresh and c is not None and direct and c.nbytes >= _PAST and _is_aligned(c, g)
    table = address(g.table)
    job = Job(
        LIKE[kind],
        address(a),
        address(b),
        address(c),
        address(mask),
        address(p),
        address(q),
        table,
        g.outer,
        table + g.outer * g.table.strides[0],
        len(g.table) - g.outer,
        g.length,
        chunks,
        direct,
        lanes,
        _line(min(g.length, CHUNK), _LANES[kind]),
        fill,
        past,
        kind != "e" and not past,
        extra,
    )
    inner = int(g.table[g.outer - 1, 0])
    units = g.rows // inner * -(-inner // lanes)
    threads = max(1, min(get_num_threads(), a.size // _GRAIN))
    lines = 0 if direct and kind != "e" and not past else lanes * number
    room = lines * job.line * _SIZES[kind], lanes * (chunks + 1) * SLOTS if chunks > 1 else 0
    if kernel is columns:
        room = lanes * g.length * a.itemsize + FEW + SUMS, 0
    if threads == 1:
        scratch, notes = _memory(*room)
        kernel(job, 0, units, 0, address(scratch), address(notes))
    elif chunks > 1 and units < _PARTS * threads:
        _together(kernel, job, units, threads, room)
    else:
        parts = threads * (_PARTS if a.size >= _PARTS * threads * _GRAIN else 1)
        _apart(kernel, job, _cut(units, parts), threads, room)


def _together(
    kernel: Callable[..., Any], job: Job, units: int, threads: int, room: tuple[int, int]
) -> None:
    """Let threads share the chunks of a few long rows."""
    counters = np.zeros(3 * TEAM, np.uint8)
    notes = np.empty(units * room[1])
    team, shared = address(counters), address(notes)

    def part(_: int) -> None:
        scratch, _none = _memory(room[0], 0)
        kernel(job, 0, units, team, address(scratch), shared)

    share(part, [(i,) for i in range(threads)], threads)


def _apart(
    kernel: Callable[..., Any],
    job: Job,
    parts: list[tuple[int, int]],
    threads: int,
    room: tuple[int, int],
) -> None:
    """Let threads take some units at a time; each has memory of its own."""
    spare = [_memory(*room) for _ in range(min(threads, len(parts)))]

    def part(start: int, stop: int) -> None:
        scratch, notes = memory = spare.pop()
        kernel(job, start, stop, 0, address(scratch), address(notes))
        spare.append(memory)

    share(part, parts, threads)


def _memory(size: int, notes: int) -> tuple[NDArray | None, NDArray | None]:
    """Return a scratch buffer that begins at a multiple of 64 bytes, and room for notes."""
    scratch = None
    if size:
        whole = np.empty(size + 64, np.uint8)
        scratch = whole[-address(whole) % 64 :]
    return scratch, np.empty(notes) if notes else None


def _line(n: int, lanes: int) -> int:
    """Return an odd number of vectors, lest the lines of a tile share a few sets of the cache."""
    return (n // lanes + 2 | 1) * lanes


def _lanes(kind: str, n: int, arrays: int) -> int:
    """Return how many rows a tile has: the more of them, the more of a cache line is used."""
    lanes = _LANES[kind]
    one = lanes * min(n, CHUNK) * _SIZES[kind] * arrays
    return lanes * max(1, min(4, _TILE // one))


def _in_columns(g: Geometry, kind: str, mask: NDArray | None, chunks: int) -> bool:
    """Whether a kernel for columns can do it."""
    row_dimensions = len(g.table) - g.outer
    return g.tiled and kind != "e" and mask is None and chunks == 1 and row_dimensions == 1


def _is_aligned(c: NDArray, g: Geometry) -> bool:
    """Whether every row begins at a multiple of 16 bytes."""
    begins = (address(c), *g.table[: g.outer, 3])
    return all(int(x) % 16 == 0 for x in begins)


def _cut(n: int, parts: int) -> list[tuple[int, int]]:
    """Cut 0..n into so many parts of about the same size, none of them empty."""
    parts = min(n, parts)
    return [(i * n // parts, (i + 1) * n // parts) for i in range(parts)]
