"""What is compiled for XLA: the kernels that it calls, for one dtype each."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core.compiler_lock import global_compiler_lock

from softaxis._backends._numba import _entries as entries
from softaxis._backends._numba import _gradients as gradients
from softaxis._backends._numba import _losses as losses
from softaxis._backends._numba import _reductions as reductions
from softaxis._backends._numba import _slopes as slopes
from softaxis._backends._numba._compile import lowered
from softaxis._backends._numba._jobs import job_at
from softaxis._backends._numba._layout import IGNORED
from softaxis._backends._numba._rows import inlined
from softaxis._backends._numba._walk import walk_long, walk_short
from softaxis._backends._numba._xla_handler import handler


def _walked(
    short: Any, reduce: Any, merge: Any, finish: Any = None, again: Any = None, settle: Any = None
) -> Any:
    @inlined
    def kernel(job, start, stop, team, scratch, notes):
        if job.chunks == 1:
            walk_short(short, job, start, stop, scratch)
        else:
            walk_long(
                reduce, merge, again, settle, finish, job, start, stop, team, scratch, notes
            )

    return kernel


_SLOPES = {
    "softmax_slope": _walked(
        slopes.softmax_short,
        gradients.softmax_reduce,
        gradients.softmax_merge,
        slopes.softmax_finish,
        gradients.softmax_again,
        gradients.softmax_settle,
    ),
    "log_softmax_slope": _walked(
        slopes.log_softmax_short,
        gradients.log_softmax_reduce,
        gradients.log_softmax_merge,
        slopes.log_softmax_finish,
    ),
    "logsumexp_noted": _walked(
        slopes.logsumexp_noted_short,
        reductions.reduce,
        slopes.logsumexp_noted_merge,
    ),
    "logsumexp_slope": _walked(
        slopes.logsumexp_short,
        slopes.nothing_of,
        slopes.nothing_merge,
        slopes.logsumexp_finish,
    ),
    "cross_entropy_noted": _walked(
        slopes.cross_entropy_noted_short,
        losses.reduce,
        slopes.cross_entropy_noted_merge,
    ),
    "cross_entropy_slope": _walked(
        slopes.cross_entropy_short,
        slopes.nothing_of,
        slopes.known_merge,
        slopes.cross_entropy_finish,
    ),
}
_NAMES = (
    "softmax",
    "softmax_columns",
    "log_softmax",
    "log_softmax_columns",
    "logsumexp",
    "logsumexp_columns",
    "cross_entropy",
)
KERNELS: dict[str, Any] = {name: entries.KERNELS[name] for name in _NAMES} | _SLOPES


def _extra(name: str, like: Any) -> Any:
    """Return what else a kernel wants to know."""
    if name.startswith("cross_entropy"):
        return losses.Terms(like, 0, 0.0, 0.0, IGNORED, 1.0, np.int32(0), like)
    if name == "logsumexp_slope":
        return like
    return (like, 0.0) if name.startswith("logsumexp") else None


def _of_job(name: str, dtype: str) -> Any:
    like = entries.LIKE[dtype]
    kernel, extra = KERNELS[name], _extra(name, like)

    @inlined
    def of_job(job, start, stop, team, scratch, notes):
        kernel(job_at(job, like, extra), start, stop, team, scratch, notes)

    return of_job


_POINTER = ir.IntType(8).as_pointer()
_WORD = ir.IntType(64)


@global_compiler_lock  # type: ignore[untyped-decorator]
def compiled(name: str, dtype: str, symbol: str) -> bytes:
    """Return the object code of a kernel's handler, which is called `symbol`."""
    result = lowered(handler(_of_job(name, dtype)), 2)
    library = result.library
    module = library.create_ir_module("xla")
    task = ir.Function(module, ir.FunctionType(ir.VoidType(), [_POINTER]), f"{symbol}.task")
    main = ir.Function(module, ir.FunctionType(_POINTER, [_POINTER]), symbol)
    builder = _calling(module, result, task, ir.Constant(_WORD, 0))
    builder.ret_void()
    builder = _calling(module, result, main, task.ptrtoint(_WORD))
    builder.ret(ir.Constant(_POINTER, None))
    library.add_ir_module(module)
    library.get_pointer_to_function(symbol)  # which makes the object code
    code: bytes = library._get_compiled_object()
    return code


def _calling(module: ir.Module, result: Any, function: ir.Function, task: Any) -> ir.IRBuilder:
    """Let a function call what numba compiled, with its argument and `task`."""
    builder = ir.IRBuilder(function.append_basic_block())
    target, described = result.target_context, result.fndesc
    target.call_conv.call_function(
        builder,
        target.declare_function(module, described),
        described.restype,
        described.argtypes,
        [builder.ptrtoint(function.args[0], _WORD), task],
    )
    return builder
