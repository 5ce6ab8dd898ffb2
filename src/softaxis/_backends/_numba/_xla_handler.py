"""How XLA calls kernels: a handler of its foreign function interface, and those that help it.

XLA calls a handler with the address of a call frame (xla/ffi/api/c_api.h), on any thread and
without the GIL. The handler writes what is to be done in a *block*, asks XLA's threads for help,
and takes parts of it until none are left. Nobody waits: who computes the last part tells XLA that
the result is there, and who drops the last reference frees the block. So a helper that comes late
holds nobody up, whatever else XLA's threads do meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from softaxis._backends._numba._layout import (
    CHUNK,
    LENGTH,
    OPERANDS,
    PLACES,
    ROWS,
    SLOTS,
    STEPS,
    TEAM,
)
from softaxis._backends._numba._memory import claim, read_half_index, read_index
from softaxis._backends._numba._rows import inlined, separate
from softaxis._backends._numba._side_by_side import Rows

_POINTER = ir.IntType(8).as_pointer()
_WORD = ir.IntType(64)


@intrinsic
def write_index(typingctx, address, value):
    """Write a 64-bit integer."""

    def codegen(context, builder, sig, args):
        builder.store(args[1], builder.inttoptr(args[0], _WORD.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), codegen


@intrinsic
def call(typingctx, function, argument):
    """Call the C function at an address with one pointer; return the one that it returns."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_POINTER, [_POINTER])
        place = builder.inttoptr(args[0], kind.as_pointer())
        return builder.ptrtoint(builder.call(place, [builder.inttoptr(args[1], _POINTER)]), _WORD)

    return types.int64(function, argument), codegen


@intrinsic
def allocate(typingctx, size):
    """C's malloc."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_POINTER, [_WORD])
        function = get_or_insert_function(builder.module, kind, "malloc")
        return builder.ptrtoint(builder.call(function, [args[0]]), _WORD)

    return types.int64(types.int64), codegen


@intrinsic
def release(typingctx, address):
    """C's free."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(ir.VoidType(), [_POINTER])
        function = get_or_insert_function(builder.module, kind, "free")
        builder.call(function, [builder.inttoptr(args[0], _POINTER)])
        return context.get_dummy_value()

    return types.none(address), codegen


# The call frame and what it points to, in bytes; all fields that are read have 64 or 32 bits.
_EXTENSION, _API, _CONTEXT, _STAGE = 8, 16, 24, 32
_ARGUMENTS, _RESULTS, _ATTRIBUTES, _FUTURE = 72, 112, 160, 168
_KIND, _OF_EXTENSION, _VERSION = 8, 24, 24
_OF_ARRAY, _OF_BUFFER = 16, 24
_METADATA, _EXECUTE = 1, 3
"""A kind of extension, by which XLA asks for the version, and a stage."""
_WRITTEN_FOR = 3 << 32
"""Version 0.3 of the interface; XLA knows whether it still goes with that."""
# XLA's functions, each of which takes the address of its arguments: those begin with their size
# and no extension.
_DESTROY, _SCHEDULE, _COUNT, _CREATE, _SET_AVAILABLE = 64, 136, 144, 152, 160

# The block: counters, each in a cache line of its own, what is told once, and the addresses.
_NEXT, _DONE, _DROPPED = 0, 64, 128
_TELL, _FUTURE_OF, _COUNT_OF, _PARTS, _REFERENCES, _N, _SHARED, _ADDRESSES = range(192, 256, 8)
_TEAM = 320
_SIZE = _TEAM + 3 * TEAM
_GRAIN = 1 << 15
"""Numbers that one more thread has to have to pay for the time it takes to wake it."""
_PARTS_EACH = 4
"""Parts for each thread, where there is enough to do: a thread that is held up gets fewer."""


@inlined
def _arguments(size, first):
    """Return the address of arguments of so many bytes, of which the first one is known."""
    args = allocate(size)
    write_index(args, size)
    write_index(args + 8, 0)
    write_index(args + 16, first)
    return args


@separate
def _drop(block):
    if claim(block + _DROPPED) == read_index(block + _REFERENCES) - 1:
        release(read_index(block + _SHARED))
        release(block)


@separate
def _tell(block):
    """Tell XLA that the result is there, if that was promised."""
    future = read_index(block + _FUTURE_OF)
    if future != 0:
        args = _arguments(24, future)
        call(read_index(block + _TELL), args)
        release(args)


def handler(kernel: Any, like: Any, extra: Any) -> Callable[[int, int], int]:
    """Return the function that XLA calls with a frame and the address of `task`.

    A helper calls it with a block and 0.
    """

    @separate
    def work(block):
        rows = _rows(block, like, extra)
        count, parts = read_index(block + _COUNT_OF), read_index(block + _PARTS)
        shared = read_index(block + _SHARED)
        notes = 0
        i = claim(block + _NEXT)
        if i < parts and shared == 0 and rows.chunks > 1:
            notes = allocate(8 * SLOTS * (rows.chunks + 1))
        while i < parts:
            if shared != 0:
                kernel(rows, 0, count, block + _TEAM, shared)
            else:
                kernel(rows, i * count // parts, (i + 1) * count // parts, 0, notes)
            if claim(block + _DONE) == parts - 1:
                _tell(block)
            i = claim(block + _NEXT)
        release(notes)
        _drop(block)

    @inlined
    def function(place, task):
        block = place if task == 0 else _begun(place, task)
        if block != 0:
            work(block)
        return 0

    return function.py_func


@inlined
def _rows(block, like, extra):
    places, n = block + _ADDRESSES, read_index(block + _N)
    return Rows(
        like,
        read_index(places),
        read_index(places + 8),
        read_index(places + 16),
        read_index(places + 24),
        read_index(places + 32),
        read_index(places + 40),
        read_index(places + 48),
        n,
        (n + CHUNK - 1) // CHUNK,
        extra,
    )


@separate
def _begun(frame, task):
    """Return a block that others may be at work on; 0 where XLA asks for something else."""
    extension = read_index(frame + _EXTENSION)
    if extension != 0 and read_half_index(extension + _KIND) == _METADATA:
        write_index(read_index(extension + _OF_EXTENSION) + _VERSION, _WRITTEN_FOR)
        return 0
    if read_half_index(frame + _STAGE) != _EXECUTE:
        return 0
    api, context = read_index(frame + _API), read_index(frame + _CONTEXT)
    block, threads = _written(frame, _threads(api, context))
    future = 0
    if threads > 1:
        future = _future(api)
    if future != 0:
        write_index(frame + _FUTURE, future)
        write_index(block + _TELL, read_index(api + _SET_AVAILABLE))
        write_index(block + _FUTURE_OF, future)
        write_index(block + _REFERENCES, threads)
        for _ in range(threads - 1):
            _ask(api, context, task, block)
    return block


@separate
def _written(frame, threads):
    """Write the block; return it and how many threads are worth their while."""
    plan = read_index(read_index(read_index(frame + _ATTRIBUTES)) + _OF_ARRAY)
    count, n = read_index(plan + 8 * ROWS), read_index(plan + 8 * LENGTH)
    chunks, grains = (n + CHUNK - 1) // CHUNK, count * n // _GRAIN
    threads = max(1, min(threads, grains))
    together = threads > 1 and chunks > 1 and count < _PARTS_EACH * threads
    parts = threads
    if not together:
        parts = min(count, threads * (_PARTS_EACH if grains >= _PARTS_EACH * threads else 1))
        threads = min(threads, parts)
    block = allocate(_SIZE)
    for i in range(_SIZE // 8):
        write_index(block + 8 * i, 0)
    operands = read_index(plan + 8 * OPERANDS)
    for i in range(5):
        which = read_index(plan + 8 * (PLACES + i))
        if which >= 0:
            table, j = read_index(frame + _ARGUMENTS), which
            if which >= operands:
                table, j = read_index(frame + _RESULTS), which - operands
            data = read_index(read_index(table + 8 * j) + _OF_BUFFER)
            write_index(block + _ADDRESSES + 8 * i, data)
    for i in range(2):
        write_index(block + _ADDRESSES + 8 * (5 + i), read_index(plan + 8 * (STEPS + i)))
    write_index(block + _COUNT_OF, count)
    write_index(block + _PARTS, parts)
    write_index(block + _REFERENCES, 1)
    write_index(block + _N, n)
    if together:
        write_index(block + _SHARED, allocate(8 * SLOTS * (chunks + 1) * count))
    return block, threads


@separate
def _threads(api, context):
    """Return how many threads XLA has."""
    args = _arguments(40, context)  # the last field of which is for the answer
    write_index(args, 32)
    write_index(args + 24, args + 32)
    write_index(args + 32, 1)
    _is_done(api, call(read_index(api + _COUNT), args))
    found = read_index(args + 32)
    release(args)
    return found


@separate
def _future(api):
    """Return a promise that the result will be there; 0 for none."""
    args = _arguments(24, 0)
    _is_done(api, call(read_index(api + _CREATE), args))
    found = read_index(args + 16)
    release(args)
    return found


@separate
def _ask(api, context, task, block):
    """Ask for a helper."""
    args = _arguments(40, context)
    write_index(args + 24, task)
    write_index(args + 32, block)
    if not _is_done(api, call(read_index(api + _SCHEDULE), args)):
        _drop(block)
    release(args)


@separate
def _is_done(api, error):
    """Return whether XLA did what it was asked; what tells why not is freed."""
    if error == 0:
        return True
    args = _arguments(24, error)
    call(read_index(api + _DESTROY), args)
    release(args)
    return False
