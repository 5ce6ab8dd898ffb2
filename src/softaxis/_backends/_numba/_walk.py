"""From row to row, and through the chunks of long ones.

A kernel is some functions: `begin` and `end` compute a row of one chunk, and what `begin` returns
is all that `end` has to know; of a longer row, `reduce` notes what it has to know of each chunk,
`merge` joins the notes of a row, and `finish` makes a chunk of the result. Where one pair is not
enough, `again` and `settle` follow as a second. The notes of a row are SLOTS numbers for all of
it, and then SLOTS for each chunk.

A row ends when the next one has begun: what it waits for, the sum of a vector's lanes, a division
or a logarithm, is then ready, and the processor was busy meanwhile.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

from numba.extending import overload

from softaxis._backends._numba._copies import SIZE, ZERO, A, B, C, P, Q, cover, entry, fetch, flush
from softaxis._backends._numba._jobs import of_row, unit_of
from softaxis._backends._numba._layout import CHUNK, SLOTS, TEAM
from softaxis._backends._numba._memory import advance, claim, peek, pointer, scratch_pointer
from softaxis._backends._numba._rows import INLINED, inlined, separate

GROUP = 4
"""Chunks that a thread takes at a time."""


def buffer(c, scratch, past):
    """Return where a row's exponentials wait for their sum: in the result, if they can."""
    raise NotImplementedError


@overload(buffer, jit_options=INLINED)
def _buffer(c, scratch, past):
    if c == scratch:
        return lambda c, scratch, past: scratch if past else c
    return lambda c, scratch, past: scratch


@inlined
def _lines(job, scratch):
    """Return the scratch buffers of a and b."""
    a = scratch_pointer(scratch, job.like)
    return a, advance(a, job.lanes * job.line)


@inlined
def _bring(job, unit, first, n, scratch):
    """Copy a chunk of each row of a unit to the scratch buffer."""
    a, b = _lines(job, scratch)
    fetch(job, unit.a, A, first, n, a, unit.lanes)
    if job.b != 0:
        fetch(job, unit.b, B, first, n, b, unit.lanes)
    if job.mask != 0:
        cover(job, a, unit.mask, first, n, -inf, unit.lanes)


@inlined
def _put_back(job, unit, first, n, scratch):
    """Copy a chunk of each row's result from the scratch buffer to where it belongs."""
    a, _ = _lines(job, scratch)
    if job.c != 0:
        if job.mask != 0:
            cover(job, a, unit.mask, first, n, job.fill, unit.lanes)
        flush(job, a, C, first, n, unit.c, unit.lanes)


class Lines(NamedTuple):
    """Rows at equal distances: addresses of the first one, and how far it is to the next."""

    a: Any
    b: Any
    c: Any
    p: Any
    q: Any
    next_a: Any
    next_b: Any
    next_c: Any
    next_p: Any
    next_q: Any


@inlined
def walk_rows(begin, end, rows, run, n, one, two, like, extra, past):
    """Compute so many rows; `one` and `two` are buffers in which the exponentials may wait."""
    if end is None:
        for r in range(run):
            _begin(begin, rows, r, n, one, like, extra, past)
        return
    # 0, not ZERO: of a function in two places, LLVM lost what the first one read (numba 0.68)
    state = _begin(begin, rows, 0, n, one, like, extra, past)
    for r in range(1, run):
        following = _begin(begin, rows, r, n, two if r & 1 else one, like, extra, past)
        _end(end, rows, r - 1, n, one if r & 1 else two, like, extra, state, past)
        state = following
    _end(end, rows, run - 1, n, one if run & 1 else two, like, extra, state, past)


@inlined
def _begin(begin, rows, r, n, spare, like, extra, past):
    a, b = pointer(rows.a + r * rows.next_a, like), pointer(rows.b + r * rows.next_b, like)
    c = pointer(rows.c + r * rows.next_c, like)
    p, q = rows.p + r * rows.next_p, rows.q + r * rows.next_q
    return begin(a, b, buffer(c, spare, past), c, n, p, q, extra, past)


@inlined
def _end(end, rows, r, n, spare, like, extra, state, past):
    a, b = pointer(rows.a + r * rows.next_a, like), pointer(rows.b + r * rows.next_b, like)
    c = pointer(rows.c + r * rows.next_c, like)
    end(a, b, buffer(c, spare, past), c, n, rows.p + r * rows.next_p, extra, state, past)


@inlined
def _walk_direct(begin, end, job, start, stop, scratch):
    """Compute rows whose numbers lie side by side, one strided dimension of them at a time."""
    last = job.outer_dimensions - 1
    inner = entry(job.outer, last, SIZE)
    one = scratch_pointer(scratch, job.like)
    two = advance(one, job.line)
    i = start
    while i < stop:
        unit = unit_of(job, i)
        run = min(stop - i, inner - i % inner)
        rows = Lines(
            unit.a,
            unit.b,
            unit.c,
            unit.p,
            unit.q,
            entry(job.outer, last, A),
            entry(job.outer, last, B),
            entry(job.outer, last, C),
            entry(job.outer, last, P),
            entry(job.outer, last, Q),
        )
        walk_rows(begin, end, rows, run, job.length, one, two, job.like, job.extra, job.past)
        i += run


@inlined
def walk_short(begin, end, job, start, stop, scratch):
    """Compute units of rows that are one chunk long."""
    if job.direct:
        _walk_direct(begin, end, job, start, stop, scratch)
        return
    n = job.length
    one, two = _lines(job, scratch)
    for i in range(start, stop):
        unit = unit_of(job, i)
        _bring(job, unit, ZERO, n, scratch)
        for r in range(unit.lanes):
            x, y = advance(one, r * job.line), advance(two, r * job.line)
            p, q = of_row(job, unit, r)
            state = begin(x, y, x, x, n, p, q, job.extra, False)
            if end is not None:
                end(x, y, x, x, n, p, job.extra, state, False)
        _put_back(job, unit, ZERO, n, scratch)


@inlined
def _per_row(job):
    """Return how many numbers are noted of a row."""
    return (job.chunks + 1) * SLOTS


@separate
def _note(reduce, job, unit, begin, end, scratch, notes, keep):
    one, two = _lines(job, scratch)
    for j in range(begin, end):
        first = j * CHUNK
        n = min(CHUNK, job.length - first)
        if job.direct:
            a = advance(pointer(unit.a, job.like), first)
            b = advance(pointer(unit.b, job.like), first)
            c = buffer(advance(pointer(unit.c, job.like), first), one, not keep)
            chunk = advance(notes, (j + 1) * SLOTS)
            reduce(a, b, c, n, first, unit.p, job.extra, notes, chunk, keep)
            continue
        _bring(job, unit, first, n, scratch)
        for r in range(unit.lanes):
            p, _ = of_row(job, unit, r)
            row = advance(notes, r * _per_row(job))
            chunk = advance(row, (j + 1) * SLOTS)
            x, y = advance(one, r * job.line), advance(two, r * job.line)
            reduce(x, y, x, n, first, p, job.extra, row, chunk, False)


@separate
def _join(merge, job, unit, notes):
    for r in range(unit.lanes):
        p, q = of_row(job, unit, r)
        row = advance(notes, r * _per_row(job))
        merge(row, advance(row, SLOTS), job.chunks, job.length, p, q, job.like, job.extra)


@separate
def _make(finish, job, unit, begin, end, scratch, notes, keep):
    one, two = _lines(job, scratch)
    for j in range(begin, end):
        first = j * CHUNK
        n = min(CHUNK, job.length - first)
        if job.direct:
            a = advance(pointer(unit.a, job.like), first)
            b = advance(pointer(unit.b, job.like), first)
            c = advance(pointer(unit.c, job.like), first)
            chunk = advance(notes, (j + 1) * SLOTS)
            finish(a, b, c, n, first, unit.p, job.extra, notes, chunk, keep, job.past)
            continue
        _bring(job, unit, first, n, scratch)
        for r in range(unit.lanes):
            p, _ = of_row(job, unit, r)
            row = advance(notes, r * _per_row(job))
            chunk = advance(row, (j + 1) * SLOTS)
            x, y = advance(one, r * job.line), advance(two, r * job.line)
            finish(x, y, x, n, first, p, job.extra, row, chunk, False, False)
        _put_back(job, unit, first, n, scratch)


@inlined
def walk_long(reduce, merge, again, settle, finish, job, start, stop, team, scratch, notes):
    """Compute units of longer rows: alone, or chunk by chunk together with other threads.

    `team` is the address of what those have in common, or 0.
    """
    if team != 0:
        _walk_together(reduce, merge, again, settle, finish, job, stop, team, scratch, notes)
        return
    noted = pointer(notes, 0.0)
    for i in range(start, stop):
        unit = unit_of(job, i)
        _note(reduce, job, unit, ZERO, job.chunks, scratch, noted, job.keep)
        _join(merge, job, unit, noted)
        if again is not None:
            _note(again, job, unit, ZERO, job.chunks, scratch, noted, False)
            _join(settle, job, unit, noted)
        if finish is not None:
            _make(finish, job, unit, ZERO, job.chunks, scratch, noted, job.keep)


@inlined
def _walk_together(reduce, merge, again, settle, finish, job, units, team, scratch, notes):
    """Take chunks as long as there are any, and wait for the others' before the next step.

    What joins the notes is done by every thread: each writes the same.
    """
    _share_notes(reduce, job, units, team, scratch, notes, job.keep)
    for i in range(units):
        _join(merge, job, unit_of(job, i), _notes_of(job, notes, i))
    if again is not None:
        _share_notes(again, job, units, team + TEAM, scratch, notes, False)
        for i in range(units):
            _join(settle, job, unit_of(job, i), _notes_of(job, notes, i))
    if finish is not None:
        _share_results(finish, job, units, team + 2 * TEAM, scratch, notes)


@inlined
def _notes_of(job, notes, i):
    return advance(pointer(notes, 0.0), i * job.lanes * _per_row(job))


@inlined
def _share_notes(reduce, job, units, team, scratch, notes, keep):
    """Note chunks of every unit: two counters say which are taken, and how many are done."""
    groups = (job.chunks + GROUP - 1) // GROUP
    j = claim(team)
    while j < groups:
        begin, end = j * GROUP, min(job.chunks, (j + 1) * GROUP)
        for i in range(units):
            noted = _notes_of(job, notes, i)
            _note(reduce, job, unit_of(job, i), begin, end, scratch, noted, keep)
        claim(team + TEAM // 2)
        j = claim(team)
    while peek(team + TEAM // 2) < groups:
        pass


@inlined
def _share_results(finish, job, units, team, scratch, notes):
    """Make chunks of every unit's result; whoever called has to wait for all of them."""
    groups = (job.chunks + GROUP - 1) // GROUP
    j = claim(team)
    while j < groups:
        begin, end = j * GROUP, min(job.chunks, (j + 1) * GROUP)
        for i in range(units):
            noted = _notes_of(job, notes, i)
            _make(finish, job, unit_of(job, i), begin, end, scratch, noted, job.keep)
        j = claim(team)
