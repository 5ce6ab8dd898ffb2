"""Kernels as XLA calls them: handlers of its foreign function interface, and their helpers.

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

from numba.core.compiler_lock import global_compiler_lock
from softaxis._backends._numba._layout import EXTRA, TEAM
from softaxis._backends._numba._compile import _lowered
from softaxis._backends._numba._entries import LIKE, HEAT, KERNELS, _extra
from softaxis._backends._numba._jobs import job_at
from softaxis._backends._numba._memory import claim, read_index
from softaxis._backends._numba._rows import inlined, separate

_BYTE = ir.IntType(8).as_pointer()
_WORD = ir.IntType(64)


@intrinsic
def write_index(typingctx, address, value):
    """Write a 64-bit integer."""

    def codegen(context, builder, sig, args):
        builder.store(args[1], builder.inttoptr(args[0], _WORD.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.none(address, types.int64), codegen


@intrinsic
def read_word(typingctx, address):
    """Return the 32-bit integer at an address."""

    def codegen(context, builder, sig, args):
        place = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        return builder.zext(builder.load(place, align=4), _WORD)

    return types.int64(address), codegen


@intrinsic
def call(typingctx, address, argument):
    """Call the C function at an address with one pointer; return what it returns, an address."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_BYTE, [_BYTE])
        function = builder.inttoptr(args[0], kind.as_pointer())
        found = builder.call(function, [builder.inttoptr(args[1], _BYTE)])
        return builder.ptrtoint(found, _WORD)

    return types.int64(address, argument), codegen


@intrinsic
def allocate(typingctx, size):
    """C's malloc."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_BYTE, [_WORD])
        function = get_or_insert_function(builder.module, kind, "malloc")
        return builder.ptrtoint(builder.call(function, [args[0]]), _WORD)

    return types.int64(size), codegen


@intrinsic
def release(typingctx, address):
    """C's free."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(ir.VoidType(), [_BYTE])
        function = get_or_insert_function(builder.module, kind, "free")
        builder.call(function, [builder.inttoptr(args[0], _BYTE)])
        return context.get_dummy_value()

    return types.none(address), codegen


# The call frame, and what it points to: offsets in bytes, of 64-bit fields.
_EXTENSION, _API, _CONTEXT, _STAGE = 8, 16, 24, 32
_ARGUMENTS, _RESULTS, _ATTRIBUTES, _FUTURE = 72, 112, 160, 168
_EXECUTE = 3
_METADATA, _VERSION = 24, 24
_DATA = 24
# The table of functions of XLA.
_DESTROY, _SCHEDULE, _COUNT, _CREATE, _SET = 64, 136, 144, 152, 160

# The plan, an attribute of 64-bit integers; the job follows.
UNITS, GRAINS, CHUNKS, ROOM, NOTED, GIVEN, PLACES = range(7)
JOB = PLACES + 6
_PARTS = 4
"""Parts for each thread, where there is enough to do: a thread that is held up gets fewer."""

# The block: three counters, a cache line each, and what does not change.
_NEXT, _DONE, _DROPPED = 0, 64, 128
(_OF_API, _OF_FUTURE, _OF_UNITS, _OF_PARTS, _OF_THREADS, _TOGETHER, _SCRATCH, _NOTES, _SHARED) = range(
    192, 264, 8
)
_COUNTERS = 264 + 56
_OF_JOB = _COUNTERS + 3 * TEAM


@inlined
def _scratch(size):
    """Return what has to be freed: room for a multiple of 64."""
    return allocate(size + 64) if size > 0 else 0


def handler(kernel: Callable[..., Any]) -> Callable[[int, int], int]:
    """Return the function that XLA calls, or, with 0 in place of `task`, its helpers."""

    @separate
    def work(block):
        parts, units = read_index(block + _OF_PARTS), read_index(block + _OF_UNITS)
        together = read_index(block + _TOGETHER)
        job = block + _OF_JOB
        mine = theirs = 0
        i = claim(block + _NEXT)
        if i < parts:
            mine = _scratch(read_index(block + _SCRATCH))
            theirs = 0 if together else _scratch(8 * read_index(block + _NOTES))
        while i < parts:
            line = (mine + 63) & -64
            if together:
                kernel(job, 0, units, block + _COUNTERS, line, read_index(block + _SHARED))
            else:
                kernel(job, i * units // parts, (i + 1) * units // parts, 0, line, theirs)
            if claim(block + _DONE) == parts - 1:
                _tell(read_index(block + _OF_API), read_index(block + _OF_FUTURE))
            i = claim(block + _NEXT)
        release(mine)
        release(theirs)
        _drop(block)

    @inlined
    def function(place, task):
        block = place if task == 0 else _begun(place, task)
        if block != 0:
            work(block)
        return 0

    return function


@separate
def _tell(api, future):
    """Tell XLA that the result is there."""
    if future != 0:
        args = allocate(24)
        write_index(args, 24)
        write_index(args + 8, 0)
        write_index(args + 16, future)
        call(read_index(api + _SET), args)
        release(args)


@separate
def _drop(block):
    if claim(block + _DROPPED) == read_index(block + _OF_THREADS) - 1:
        release(read_index(block + _SHARED))
        release(block)


@separate
def _threads(api, context):
    args = allocate(40)
    write_index(args, 32)
    write_index(args + 8, 0)
    write_index(args + 16, context)
    write_index(args + 24, args + 32)
    write_index(args + 32, 1)
    _check(api, call(read_index(api + _COUNT), args))
    found = read_index(args + 32)
    release(args)
    return found


@separate
def _future(api):
    args = allocate(24)
    write_index(args, 24)
    write_index(args + 8, 0)
    write_index(args + 16, 0)
    _check(api, call(read_index(api + _CREATE), args))
    found = read_index(args + 16)
    release(args)
    return found


@separate
def _check(api, error):
    """Return whether there was no error; let XLA free what tells about one."""
    if error == 0:
        return True
    args = allocate(24)
    write_index(args, 24)
    write_index(args + 8, 0)
    write_index(args + 16, error)
    call(read_index(api + _DESTROY), args)
    release(args)
    return False


@separate
def _schedule(api, context, task, block):
    args = allocate(40)
    write_index(args, 40)
    write_index(args + 8, 0)
    write_index(args + 16, context)
    write_index(args + 24, task)
    write_index(args + 32, block)
    if not _check(api, call(read_index(api + _SCHEDULE), args)):
        _drop(block)
    release(args)


@separate
def _begun(frame, task):
    """Answer the question for the version, or write a block and ask for help; return the block."""
    extension = read_index(frame + _EXTENSION)
    if extension != 0 and read_word(extension + 8) == 1:
        metadata = read_index(extension + _METADATA)
        write_index(metadata + _VERSION, 3 << 32)
        return 0
    if read_word(frame + _STAGE) != _EXECUTE:
        return 0
    api, context = read_index(frame + _API), read_index(frame + _CONTEXT)
    attribute = read_index(read_index(frame + _ATTRIBUTES))
    size, plan = read_index(attribute + 8), read_index(attribute + 16)
    units, grains = read_index(plan + 8 * UNITS), read_index(plan + 8 * GRAINS)
    threads = max(1, min(_threads(api, context), grains, units if read_index(plan + 8 * CHUNKS) == 1 else grains))
    together = threads > 1 and read_index(plan + 8 * CHUNKS) > 1 and units < _PARTS * threads
    parts = threads
    if not together:
        parts = min(units, threads * (_PARTS if grains >= _PARTS * threads else 1))
        threads = min(threads, parts)
    words = size - JOB
    block = allocate(_OF_JOB + 8 * words)
    for i in range(_OF_JOB // 8):
        write_index(block + 8 * i, 0)
    for i in range(words):
        write_index(block + _OF_JOB + 8 * i, read_index(plan + 8 * (JOB + i)))
    arguments, results = read_index(frame + _ARGUMENTS), read_index(frame + _RESULTS)
    given = read_index(plan + 8 * GIVEN)
    for i in range(6):
        which = read_index(plan + 8 * (PLACES + i))
        if which >= 0:
            where = arguments + 8 * which if which < given else results + 8 * (which - given)
            write_index(block + _OF_JOB + 8 * i, read_index(read_index(where) + _DATA))
    notes = read_index(plan + 8 * NOTED)
    write_index(block + _OF_API, api)
    write_index(block + _OF_UNITS, units)
    write_index(block + _OF_PARTS, parts)
    write_index(block + _OF_THREADS, 1)
    write_index(block + _SCRATCH, read_index(plan + 8 * ROOM))
    write_index(block + _NOTES, notes)
    if together:
        write_index(block + _TOGETHER, 1)
        write_index(block + _SHARED, allocate(8 * notes * units))
    future = _future(api) if threads > 1 else 0
    if future != 0:
        write_index(frame + _FUTURE, future)
        write_index(block + _OF_FUTURE, future)
        write_index(block + _OF_THREADS, threads)
        for _ in range(threads - 1):
            _schedule(api, context, task, block)
    return block


_POINTER = ir.IntType(8).as_pointer()


@global_compiler_lock
def compiled(name: str, dtype: str, variant: str, symbol: str) -> bytes:
    """Return the object code of an entry as a handler."""
    function = handler_of(name, dtype, variant)
    result = _lowered(function, 2)
    library = result.library
    module = library.create_ir_module("xla")
    task = ir.Function(module, ir.FunctionType(ir.VoidType(), [_POINTER]), f"{symbol}.task")
    main = ir.Function(module, ir.FunctionType(_POINTER, [_POINTER]), symbol)
    for one, other in ((task, None), (main, task)):
        builder = ir.IRBuilder(one.append_basic_block())
        target, described = result.target_context, result.fndesc
        words = [
            builder.ptrtoint(one.args[0], _WORD),
            ir.Constant(_WORD, 0) if other is None else builder.ptrtoint(other, _WORD),
        ]
        target.call_conv.call_function(
            builder,
            target.declare_function(module, described),
            described.restype,
            described.argtypes,
            words,
        )
        if other is None:
            builder.ret_void()
        else:
            builder.ret(ir.Constant(_POINTER, None))
    library.add_ir_module(module)
    library.get_pointer_to_function(symbol)
    code: bytes = library._get_compiled_object()
    return code


def handler_of(name, dtype, variant):
    like = LIKE[dtype]
    extra = _extra(name, like, HEAT[variant])
    kernel = KERNELS[name]

    @inlined
    def run(job, start, stop, team, scratch, notes):
        kernel(job_at(job, like, extra(job + EXTRA)), start, stop, team, scratch, notes)

    return handler(run).py_func
