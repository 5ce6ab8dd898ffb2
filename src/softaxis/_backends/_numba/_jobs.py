"""What a kernel is told, and where it finds the numbers of a row."""

from __future__ import annotations

from typing import Any, NamedTuple

from softaxis._backends._numba._copies import COLUMNS, MASK, SIZE, A, B, C, P, Q, entry, offset
from softaxis._backends._numba._layout import TABLE
from softaxis._backends._numba._memory import pointer, read, read_index
from softaxis._backends._numba._rows import inlined


class Job(NamedTuple):
    """What a kernel is told: plain numbers, so that it is compiled once for each dtype.

    What is computed in one go is a *unit*: one row, or a tile of some neighbouring rows, a multiple
    of the lanes of a vector. An address is 0 where there is no such array.
    """

    like: Any
    """A number of the dtype that is stored; uint16 stands for float16."""
    a: int
    b: int
    c: int
    mask: int
    p: int
    q: int
    """Addresses: of one or two arrays, the result, its mask, and what there is one of a row."""
    outer: int
    outer_dimensions: int
    """The table of where rows begin, as `_copies` describes it."""
    row: int
    row_dimensions: int
    """The table of where the numbers of a row are."""
    length: int
    """How many those are."""
    chunks: int
    """Into how many parts a row is cut."""
    direct: bool
    """The numbers of a row lie side by side and there is no mask: no scratch buffer is needed."""
    lanes: int
    """How many rows a unit has."""
    line: int
    """How far apart their lines are in the scratch buffer."""
    fill: float
    """What is written where the mask leaves something out."""
    past: bool
    """Whether the result goes past the caches."""
    keep: bool
    """Whether the exponentials of a long row are kept in its result, and not computed again."""
    extra: Any
    """What else the kernel wants to know."""


@inlined
def number_at(place):
    """Return the floating-point number at an address."""
    return read(pointer(place, 0.0), 0)


@inlined
def job_at(job, like, extra):
    """Return the job that lies at an address, as `_layout` says."""
    outer_dimensions = read_index(job + 48)
    return Job(
        like,
        read_index(job),
        read_index(job + 8),
        read_index(job + 16),
        read_index(job + 24),
        read_index(job + 32),
        read_index(job + 40),
        job + TABLE,
        outer_dimensions,
        job + TABLE + 8 * COLUMNS * outer_dimensions,
        read_index(job + 56),
        read_index(job + 64),
        read_index(job + 72),
        read_index(job + 80) != 0,
        read_index(job + 88),
        read_index(job + 96),
        number_at(job + 104),
        read_index(job + 112) != 0,
        read_index(job + 120) != 0,
        extra,
    )


class Unit(NamedTuple):
    """Addresses of the first row of a unit, and how many rows it has."""

    a: int
    b: int
    c: int
    mask: int
    p: int
    q: int
    lanes: int


@inlined
def unit_of(job, i):
    """Return the i-th unit."""
    lanes = 1
    if job.lanes > 1:
        inner = entry(job.outer, job.outer_dimensions - 1, SIZE)
        tiles = (inner + job.lanes - 1) // job.lanes
        first = i % tiles * job.lanes
        i = i // tiles * inner + first
        lanes = min(job.lanes, inner - first)
    table, d = job.outer, job.outer_dimensions
    return Unit(
        job.a + offset(table, d, A, i),
        job.b + offset(table, d, B, i),
        job.c + offset(table, d, C, i),
        job.mask + offset(table, d, MASK, i),
        job.p + offset(table, d, P, i),
        job.q + offset(table, d, Q, i),
        lanes,
    )


@inlined
def of_row(job, unit, r):
    """Return the addresses of p and q of row r of a unit."""
    last = job.outer_dimensions - 1
    return unit.p + r * entry(job.outer, last, P), unit.q + r * entry(job.outer, last, Q)
