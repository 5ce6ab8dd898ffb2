"""Rows that do not lie side by side in memory: copied to a scratch buffer, and back.

Strides are in bytes. A table has a line of COLUMNS integers for each dimension: its size, and the
strides of the arrays a, b and c, of the mask, and of what there is one of for each row, p and q.
"""

from __future__ import annotations

import numpy as np

from softaxis._backends._numba._memory import (
    advance,
    allowed,
    filled,
    load,
    load_square,
    pointer,
    read,
    read_byte,
    read_index,
    size_of,
    store,
    store_square,
    width,
    write,
)
from softaxis._backends._numba._rows import inlined, separate
from softaxis._backends._numba._vectors import select

COLUMNS = 7
SIZE, A, B, C, MASK, P, Q = np.arange(COLUMNS)
ZERO = np.int64(0)
"""Not Python's integers: for each of those numba would compile the functions once more."""


@inlined
def entry(table, line, column):
    """Return a number of a table."""
    return read_index(table + 8 * (line * COLUMNS + column))


@inlined
def offset(table, dimensions, column, index):
    """Return how far the index-th place is from the first."""
    if dimensions == 1:
        return index * entry(table, ZERO, column)
    found = 0
    for d in range(dimensions - 1, -1, -1):
        size = entry(table, d, SIZE)
        found += (index % size) * entry(table, d, column)
        index //= size
    return found


@inlined
def _run(job, first, i, n):
    """Return how many numbers from the i-th on lie at equal distances."""
    size = entry(job.row, job.row_dimensions - 1, SIZE)
    return min(n - i, size - (first + i) % size)


@inlined
def _start_and_stride(job, start, column, i):
    """Return the address of the i-th number of a row, and how far it is to the next."""
    place = start + offset(job.row, job.row_dimensions, column, i)
    return place, entry(job.row, job.row_dimensions - 1, column)


@separate
def _gather(job, source, column, first, n, target):
    """Copy numbers of a row, from the first on, to lie side by side in `target`."""
    w = width(target)
    i = 0
    while i < n:
        run = _run(job, first, i, n)
        place, stride = _start_and_stride(job, source, column, first + i)
        j = 0
        if stride == size_of(job.like):
            here = pointer(place, job.like)
            while j + w <= run:
                store(target, i + j, load(here, j))
                j += w
        while j < run:
            write(target, i + j, read(pointer(place + j * stride, job.like), 0))
            j += 1
        i += run


@separate
def _scatter(job, source, column, first, n, target):
    """Copy numbers that lie side by side in `source` to their places in a row."""
    w = width(source)
    i = 0
    while i < n:
        run = _run(job, first, i, n)
        place, stride = _start_and_stride(job, target, column, first + i)
        j = 0
        if stride == size_of(job.like):
            there = pointer(place, job.like)
            while j + w <= run:
                store(there, j, load(source, i + j))
                j += w
        while j < run:
            write(pointer(place + j * stride, job.like), 0, read(source, i + j))
            j += 1
        i += run


@separate
def fetch(job, source, column, first, n, scratch, lanes):
    """Copy numbers of each row of a unit to lines of the scratch buffer."""
    w = width(scratch)
    item = size_of(job.like)
    squared = lanes // w * w
    i = 0
    while squared > 0 and i + w <= n and _run(job, first, i, n) >= w:
        place, stride = _start_and_stride(job, source, column, first + i)
        for r in range(0, squared, w):
            square = advance(scratch, r * job.line + i)
            load_square(pointer(place + r * item, job.like), stride, square, job.line)
        i += w
    for r in range(lanes):
        done = i if r < squared else 0
        target = advance(scratch, r * job.line + done)
        _gather(job, source + r * item, column, first + done, n - done, target)


@separate
def flush(job, scratch, column, first, n, target, lanes):
    """Copy lines of the scratch buffer to their rows."""
    w = width(scratch)
    item = size_of(job.like)
    squared = lanes // w * w
    i = 0
    while squared > 0 and i + w <= n and _run(job, first, i, n) >= w:
        place, stride = _start_and_stride(job, target, column, first + i)
        for r in range(0, squared, w):
            square = advance(scratch, r * job.line + i)
            store_square(pointer(place + r * item, job.like), stride, square, job.line)
        i += w
    for r in range(lanes):
        done = i if r < squared else 0
        source = advance(scratch, r * job.line + done)
        _scatter(job, source, column, first + done, n - done, target + r * item)


@separate
def cover(job, scratch, mask, first, n, fill, lanes):
    """Write `fill` over what the mask leaves out of each line."""
    fills = filled(scratch, fill)
    w = width(scratch)
    apart = entry(job.outer, job.outer_dimensions - 1, MASK)
    for r in range(lanes):
        line = advance(scratch, r * job.line)
        i = 0
        while i < n:
            run = _run(job, first, i, n)
            place, stride = _start_and_stride(job, mask + r * apart, MASK, first + i)
            j = 0
            while stride == 1 and j + w <= run:
                x = load(line, i + j)
                store(line, i + j, select(allowed(place + j, x), x, fills))
                j += w
            while j < run:
                if read_byte(place + j * stride) == 0:
                    write(line, i + j, fill)
                j += 1
            i += run
