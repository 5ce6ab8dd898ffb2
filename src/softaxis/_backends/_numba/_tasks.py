"""How threads share a job: they take parts of a *task* until none are left.

Of the threads of softaxis's own each has a *box*. For a short while after a task it watches the box
for the next one, which then begins at once: to wake a thread that sleeps takes longer than many
tasks do, and it may be woken where the one that waits for it is running. It sleeps by a lock of
Python's, but without the GIL, which it never takes: it might wait for that longer than for a task.
"""

from __future__ import annotations

import platform

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

from softaxis._backends._numba._layout import (
    ACQUIRE,
    ASLEEP,
    BOX,
    CALLED,
    CAME,
    FOUND,
    JOB,
    KERNEL,
    LOCK,
    NEXT,
    NOTES,
    NOTES_STEP,
    PARTS,
    READY,
    RELEASE,
    SCRATCH,
    SCRATCH_STEP,
    SHARED,
    TAKEN,
    UNITS,
    YIELD,
)
from softaxis._backends._numba._memory import claim, peek, publish, read_index, swap
from softaxis._backends._numba._rows import inlined

_WORD = ir.IntType(64)
_PATIENCE = 1 << 14
"""Looks at the box of a helper that computes a last part, before it may need the processor."""
_PAUSES = {
    "x86_64": ("llvm.x86.sse2.pause", ()),
    "AMD64": ("llvm.x86.sse2.pause", ()),
    "aarch64": ("llvm.aarch64.hint", (1,)),
    "arm64": ("llvm.aarch64.hint", (1,)),
}
"""LLVM's functions that tell a processor that a loop waits, and their arguments."""


@intrinsic
def _pause(typingctx):
    def codegen(context, builder, sig, args):
        if platform.machine() in _PAUSES:
            name, numbers = _PAUSES[platform.machine()]
            given = [ir.Constant(ir.IntType(32), n) for n in numbers]
            kind = ir.FunctionType(ir.VoidType(), [one.type for one in given])
            builder.call(get_or_insert_function(builder.module, kind, name), given)
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic
def _run(typingctx, kernel, job, start, stop, team, scratch, notes):
    """Call the kernel at an address."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_WORD, [_WORD] * 6)
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])

    return types.int64(*[types.int64] * 7), codegen


@intrinsic
def _acquire(typingctx, function, lock):
    """Call PyThread_acquire_lock, and wait."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(ir.IntType(32), [_WORD, ir.IntType(32)])
        wait = ir.Constant(ir.IntType(32), 1)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [args[1], wait])
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), codegen


@intrinsic
def _release(typingctx, function, lock):
    """Call PyThread_release_lock."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(ir.VoidType(), [_WORD])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [args[1]])
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), codegen


@intrinsic
def _let_others_run(typingctx, function):
    """Call sched_yield, or what it is called here; where there is none, do nothing."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(ir.IntType(32), [])
        with builder.if_then(builder.icmp_unsigned("!=", args[0], _WORD(0))):
            builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])
        return context.get_dummy_value()

    return types.none(types.int64), codegen


@inlined
def _word(place, i):
    return read_index(place + 8 * i)


def work(task):
    """Compute parts of a task until none are left."""
    parts, units, team = _word(task, PARTS), _word(task, UNITS), _word(task, SHARED)
    kernel, job = _word(task, KERNEL), _word(task, JOB)
    i = claim(task + 8 * NEXT)
    if i < parts:
        which = claim(task + 8 * CAME)
        scratch = _word(task, SCRATCH) + which * _word(task, SCRATCH_STEP)
        notes = _word(task, NOTES) + which * _word(task, NOTES_STEP)
        while i < parts:
            if team != 0:
                _run(kernel, job, 0, units, team, scratch, notes)
            else:
                start, stop = i * units // parts, (i + 1) * units // parts
                _run(kernel, job, start, stop, 0, scratch, notes)
            i = claim(task + 8 * NEXT)
    return 0


_work = inlined(work)


@inlined
def _box(boxes, i):
    return boxes + 8 * BOX * i


@inlined
def _post(task, boxes, count, wanted):
    """Put a task into so many boxes: of helpers that watch them, else of some to be woken."""
    i = 0
    while i < count and wanted > 0:
        wanted -= swap(_box(boxes, i), READY, task + FOUND)
        i += 1
    i = 0
    while i < count and wanted > 0:
        box = _box(boxes, i)
        if swap(box, ASLEEP, task + CALLED):
            _release(_word(box, RELEASE), _word(box, LOCK))
            wanted -= 1
        i += 1


@inlined
def _settle(task, boxes, count):
    """Take a task out of the boxes, and wait for those that compute it."""
    for i in range(count):
        box = _box(boxes, i)
        if not (swap(box, task + FOUND, READY) or swap(box, task + CALLED, ASLEEP)):
            looks = 0
            while peek(box) == task + TAKEN:
                looks += 1
                if looks % _PATIENCE == 0:
                    _let_others_run(_word(box, YIELD))
                _pause()


def lead(task, boxes, count, wanted):
    """Compute a task with the help of so many threads of those that have the boxes."""
    _post(task, boxes, count, wanted)
    _work(task)
    _settle(task, boxes, count)
    return 0


def watch(box, patience):
    """Watch a box so many times, and again after each task that comes."""
    left = patience
    while left > 0:
        found = peek(box)
        if found == READY:
            left -= 1
            _pause()
        elif found == ASLEEP:
            swap(box, ASLEEP, READY)
        else:
            task = found & -16
            if swap(box, found, task + TAKEN):
                _work(task)
                publish(box, READY)
                left = patience
    return 0


_watch = inlined(watch)


def serve(box, patience):
    """Watch a box, sleep when nothing has come for a while, and so on until the process ends."""
    while peek(box) >= 0:
        _watch(box, patience)
        if swap(box, READY, ASLEEP):
            _acquire(_word(box, ACQUIRE), _word(box, LOCK))
    return 0


FUNCTIONS = {
    "work": (work, "i"),
    "lead": (lead, "iiii"),
    "watch": (watch, "ii"),
    "serve": (serve, "ii"),
}
"""What is compiled, and that all of its arguments are integers."""
