"""Rows that lie one after the other in memory, and nothing else: what XLA has.

`reduce`, `merge`, `again`, `settle` and `finish` are those of `_walk`, without its scratch buffer
and its tables.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from softaxis._backends._numba._layout import CHUNK, SLOTS, TEAM
from softaxis._backends._numba._memory import advance, claim, peek, pointer, size_of
from softaxis._backends._numba._rows import inlined, separate
from softaxis._backends._numba._walk import GROUP, Lines, walk_rows


class Rows(NamedTuple):
    """Where rows are: addresses of arrays a, b and c, and of what there is of a row, p and q."""

    like: Any
    """A number of the dtype."""
    a: int
    b: int
    c: int
    p: int
    q: int
    p_step: int
    q_step: int
    """Bytes from a row to the next in p and q."""
    n: int
    """How long a row is."""
    chunks: int
    extra: Any
    """What else the kernel wants to know."""


@inlined
def _start(rows, place, i):
    return place + i * rows.n * size_of(rows.like)


@inlined
def walk_short(begin, end, rows, start, stop):
    """Compute rows of one chunk."""
    size = rows.n * size_of(rows.like)
    spare = pointer(rows.c, rows.like)  # nothing is written past the caches
    lines = Lines(
        _start(rows, rows.a, start),
        _start(rows, rows.b, start),
        _start(rows, rows.c, start),
        rows.p + start * rows.p_step,
        rows.q + start * rows.q_step,
        size,
        size,
        size,
        rows.p_step,
        rows.q_step,
    )
    if stop > start:
        run = stop - start
        walk_rows(begin, end, lines, run, rows.n, spare, spare, rows.like, rows.extra, False)


@inlined
def _noted(rows, notes, i):
    return advance(pointer(notes, 0.0), i * (rows.chunks + 1) * SLOTS)


@separate
def _note(reduce, rows, i, begin, end, row, keep):
    for j in range(begin, end):
        first = j * CHUNK
        reduce(
            advance(pointer(_start(rows, rows.a, i), rows.like), first),
            advance(pointer(_start(rows, rows.b, i), rows.like), first),
            advance(pointer(_start(rows, rows.c, i), rows.like), first),
            min(CHUNK, rows.n - first),
            first,
            rows.p + i * rows.p_step,
            rows.extra,
            row,
            advance(row, (j + 1) * SLOTS),
            keep,
        )


@inlined
def _join(merge, rows, i, row):
    p, q = rows.p + i * rows.p_step, rows.q + i * rows.q_step
    merge(row, advance(row, SLOTS), rows.chunks, rows.n, p, q, rows.like, rows.extra)


@separate
def _make(finish, rows, i, begin, end, row):
    for j in range(begin, end):
        first = j * CHUNK
        finish(
            advance(pointer(_start(rows, rows.a, i), rows.like), first),
            advance(pointer(_start(rows, rows.b, i), rows.like), first),
            advance(pointer(_start(rows, rows.c, i), rows.like), first),
            min(CHUNK, rows.n - first),
            first,
            rows.p + i * rows.p_step,
            rows.extra,
            row,
            advance(row, (j + 1) * SLOTS),
            True,
            False,
        )


@inlined
def walk_long(reduce, merge, again, settle, finish, rows, start, stop, team, notes):
    """Compute longer rows: alone, or chunk by chunk with those that got the same `team`."""
    if team != 0:
        _walk_together(reduce, merge, again, settle, finish, rows, stop, team, notes)
        return
    row = pointer(notes, 0.0)
    for i in range(start, stop):
        _note(reduce, rows, i, 0, rows.chunks, row, True)
        _join(merge, rows, i, row)
        if again is not None:
            _note(again, rows, i, 0, rows.chunks, row, False)
            _join(settle, rows, i, row)
        if finish is not None:
            _make(finish, rows, i, 0, rows.chunks, row)


@inlined
def _walk_together(reduce, merge, again, settle, finish, rows, count, team, notes):
    """Take chunks as long as there are any, and wait for the others' before the next step.

    What joins the notes is done by every thread: each writes the same.
    """
    _share_notes(reduce, rows, count, team, notes, True)
    for i in range(count):
        _join(merge, rows, i, _noted(rows, notes, i))
    if again is not None:
        _share_notes(again, rows, count, team + TEAM, notes, False)
        for i in range(count):
            _join(settle, rows, i, _noted(rows, notes, i))
    if finish is not None:
        groups = (rows.chunks + GROUP - 1) // GROUP
        j = claim(team + 2 * TEAM)
        while j < groups:
            end = min(rows.chunks, (j + 1) * GROUP)
            for i in range(count):
                _make(finish, rows, i, j * GROUP, end, _noted(rows, notes, i))
            j = claim(team + 2 * TEAM)


@inlined
def _share_notes(reduce, rows, count, team, notes, keep):
    """Note chunks of every row: two counters say which are taken, and how many are done."""
    groups = (rows.chunks + GROUP - 1) // GROUP
    j = claim(team)
    while j < groups:
        end = min(rows.chunks, (j + 1) * GROUP)
        for i in range(count):
            _note(reduce, rows, i, j * GROUP, end, _noted(rows, notes, i), keep)
        claim(team + TEAM // 2)
        j = claim(team)
    while peek(team + TEAM // 2) < groups:
        pass
