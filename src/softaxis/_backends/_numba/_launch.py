"""Starting compiled kernels: the addresses they get, and the parts that threads compute."""

from __future__ import annotations

import platform
from itertools import accumulate
from math import prod
from operator import mul
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from llvmlite.binding import get_host_cpu_features

from softaxis._backends._numba._geometry import Strides, geometry
from softaxis._backends._numba._layout import BESIDE_PLANES, CHUNK, COMMON, EXTRA_SIZE, SLOTS
from softaxis._backends._numba._machine import Code, address, code
from softaxis._backends._numba._team import share
from softaxis._backends._numba_small import HELD
from softaxis._threads import Team, allowed_threads, lent_team

NDArray = npt.NDArray[Any]

WORKING = {"e": np.float32, "f": np.float32, "d": np.float64}
_NAMES = {kind: np.dtype(kind).name for kind in WORKING}
_SIZES = {kind: np.dtype(working).itemsize for kind, working in WORKING.items()}
"""Bytes of a number while it is computed with."""
_LANES = {kind: 64 // size for kind, size in _SIZES.items()}
"""Numbers in a vector."""
HAS_FLOAT16 = get_host_cpu_features().get("f16c", platform.machine() not in ("x86_64", "AMD64"))
"""Whether the processor converts float16; LLVM would call what numba does not have."""
_ROW = Struct("=7q")
"""A line of a table of dimensions."""
_GRAIN = 1 << 15
"""Numbers that one more thread has to have to pay for the time it takes to wake it."""
_PARTS = 4
"""Parts for each thread, where there is enough to do: a thread that is held up gets fewer."""
_TILE = 1 << 19
"""Bytes that the scratch buffers of a tile may take."""
_PAST = 1 << 25
"""Bytes of a result from which on it goes past the caches, which it would only fill."""


class Plan(NamedTuple):
    """What a launch has to know of its arrays beside where they are."""

    table: bytes
    outer: int
    row: int
    """The tables of the dimensions, and how many lines they have."""
    length: int
    chunks: int
    direct: bool
    lanes: int
    line: int
    keep: bool
    """Fields of the job; nothing is kept in a result that goes past the caches."""
    units: int
    past: bool
    """Whether a result that begins at a multiple of 16 bytes may go past the caches."""
    copied: bool
    """Whether rows are computed in the scratch buffer; what goes past the caches needs it too."""
    lines: int
    """How many lines it has."""
    notes: int
    """Numbers that are noted of a unit."""
    in_columns: int
    """Bytes that a kernel for columns needs; 0 where rows do not lie in columns."""


Key = tuple[str, tuple[int, ...], tuple[int, ...], tuple[Strides, ...], tuple[Strides, ...]]
"""The character of a dtype, a shape, axes, and strides: of a, b, c and the mask, and of p and q."""

_plans: dict[Key, Plan] = {}
_PLANS = 256
"""So many are remembered, for a program has few shapes; it makes a small call twice as fast."""


def _planned(key: Key) -> Plan:
    kind, shape, axes, full, by_row = key
    item = np.dtype(kind).itemsize
    g = geometry(shape, axes, item, full, by_row)
    _, b, c, mask = full
    direct = g.direct and mask is None
    number = 1 if b is None else 2
    lanes = _lanes(kind, g.length, number) if g.tiled and not direct else 1
    chunks = -(-g.length // CHUNK)
    inner = g.table[g.outer - 1][0]
    alone = len(g.table) == g.outer + 1
    columns = g.tiled and alone and chunks == 1 and mask is None and kind != "e"
    large = c is not None and direct and g.rows * g.length * item >= _PAST
    plan = Plan(
        b"".join([_ROW.pack(*d) for d in g.table]),
        g.outer,
        len(g.table) - g.outer,
        g.length,
        chunks,
        direct,
        lanes,
        _line(min(g.length, CHUNK), _LANES[kind]),
        kind != "e",
        g.rows // inner * -(-inner // lanes),
        large and all(d[3] % 16 == 0 for d in g.table[: g.outer]),
        not direct or kind == "e",
        max(2, lanes * number),  # rows that lie ready are begun two at a time
        lanes * (chunks + 1) * SLOTS if chunks > 1 else 0,
        lanes * g.length * item + BESIDE_PLANES if columns else 0,
    )
    if len(_plans) >= _PLANS:
        _plans.clear()
    _plans[key] = plan
    return plan


def launch(
    name: str,
    a: NDArray,
    axes: tuple[int, ...],
    *,
    variant: str = "",
    extra: bytes = b"",
    columns: bool = False,
    b: NDArray | None = None,
    c: NDArray | None = None,
    fresh: bool = True,
    mask: NDArray | None = None,
    fill: float = 0.0,
    p: NDArray | None = None,
    q: NDArray | None = None,
) -> None:
    """Run a kernel on the rows of `a` along `axes`.

    `b`, `c` and `mask` have the shape of `a`; `p` and `q` that without `axes`. `variant` and
    `extra` are what else the kernel wants to know: when it is compiled, and in its job. `columns`
    tells that there is one more for rows that lie in columns, and `fresh` that `c` is new to the
    process: then its pages come cleared, by way of the caches, and the result goes the same way.
    """
    kind = a.dtype.char
    full = (a.strides, *[None if one is None else one.strides for one in (b, c, mask)])
    by_row = (None if p is None else p.strides, None if q is None else q.strides)
    key = (kind, a.shape, axes, full, by_row)
    plan = _plans.get(key) or _planned(key)
    places = [0 if one is None else address(one) for one in (a, b, c, mask, p, q)]
    past = plan.past and not fresh and places[2] % 16 == 0
    job = COMMON.pack(*places, *plan[1:8], fill, past, plan.keep and not past)
    job += extra.ljust(EXTRA_SIZE, b"\0") + plan.table
    if columns and plan.in_columns:
        kernel, size = code(f"{name}_columns", _NAMES[kind]), plan.in_columns
    else:
        lines = plan.lines if plan.copied or past else 0
        kernel, size = code(name, _NAMES[kind], variant), lines * plan.line * _SIZES[kind]
    _start(kernel, job, plan, a.size, size, allowed_threads(), lent_team())


def _start(
    kernel: Code, job: bytes, plan: Plan, n: int, size: int, allowed: int, team: Team | None
) -> None:
    """Let as many threads as pay compute a job on n numbers, with scratch buffers of `size`."""
    threads = min(allowed, n // _GRAIN)
    if threads <= 1:
        function = kernel.held if n <= HELD else kernel.free
        memory = _Memory(size, plan.notes) if size or plan.notes else _NO_MEMORY
        function(job, 0, plan.units, 0, memory.scratch, memory.notes)
        return
    parts = 0  # chunks of a few long rows are taken instead
    if plan.chunks == 1 or plan.units >= _PARTS * threads:
        parts = min(threads * (_PARTS if n >= _PARTS * threads * _GRAIN else 1), plan.units)
    share(kernel.plain, job, plan.units, parts, threads, (size, plan.notes), team)


class Prepared(NamedTuple):
    """A launch on C-contiguous arrays whose rows lie along the last axis, but for their places."""

    kernel: Code
    plan: Plan
    job: bytes
    """What follows the addresses in it."""
    n: int
    """How many numbers there are."""
    few: bool
    """Whether they are computed at once, with the GIL."""


def prepared(name: str, dtype: str, shape: tuple[int, ...], has_b: bool) -> Prepared | None:
    """Return what `start` takes, of arrays a, c and maybe b; None for a dtype that is copied."""
    kind = np.dtype(dtype).char
    steps = (np.dtype(dtype).itemsize, *shape[:0:-1])
    strides = tuple(accumulate(steps, mul))[::-1]
    full = (strides, strides if has_b else None, strides, None)
    plan = _planned((kind, shape, (len(shape) - 1,), full, (None, None)))
    if plan.copied:
        return None
    job = COMMON.pack(*[0] * 6, *plan[1:8], 0.0, False, plan.keep)[6 * 8 :]
    job += bytes(EXTRA_SIZE) + plan.table
    n = prod(shape)
    return Prepared(code(name, dtype), plan, job, n, n <= HELD and not plan.notes)


_pack_places = Struct("=6q").pack


def start(found: Prepared, a: int, b: int, c: int, allowed: int, team: Team | None) -> None:
    """Launch it with the addresses of a, b and c."""
    kernel, plan, rest, n, few = found
    job = _pack_places(a, b, c, 0, 0, 0) + rest
    if few:
        kernel.held(job, 0, plan.units, 0, 0, 0)
    else:
        _start(kernel, job, plan, n, 0, allowed, team)


class _Memory:
    """Addresses of a scratch buffer, a multiple of 64 bytes, and of room for notes.

    They are good as long as this object is there.
    """

    def __init__(self, size: int, notes: int) -> None:
        self.scratch = self.notes = 0
        if size:
            self.bytes = np.empty(size + 64, np.uint8)
            self.scratch = address(self.bytes) + 63 & -64
        if notes:
            self.numbers = np.empty(notes)
            self.notes = address(self.numbers)


_NO_MEMORY = _Memory(0, 0)


def _line(n: int, lanes: int) -> int:
    """Return an odd number of vectors, lest the lines of a tile share a few sets of the cache."""
    return (n // lanes + 2 | 1) * lanes


def _lanes(kind: str, n: int, arrays: int) -> int:
    """Return how many rows a tile has: the more of them, the more of a cache line is used."""
    lanes = _LANES[kind]
    one = lanes * min(n, CHUNK) * _SIZES[kind] * arrays
    return lanes * max(1, min(4, _TILE // one))
