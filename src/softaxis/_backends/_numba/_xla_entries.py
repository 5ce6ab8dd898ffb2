"""What is compiled for XLA: the kernels that it calls, for one dtype each."""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba.core.compiler_lock import global_compiler_lock

from softaxis._backends._numba import _gradients as gradients
from softaxis._backends._numba import _losses as losses
from softaxis._backends._numba import _normalizers as normalizers
from softaxis._backends._numba import _reductions as reductions
from softaxis._backends._numba import _slopes as slopes
from softaxis._backends._numba._compile import lowered
from softaxis._backends._numba._entries import LIKE
from softaxis._backends._numba._rows import inlined
from softaxis._backends._numba._side_by_side import walk_long, walk_short
from softaxis._backends._numba._xla_handler import handler


class _Kernel(NamedTuple):
    """How rows of one chunk are computed, and longer ones."""

    begin: Any
    end: Any
    reduce: Any
    merge: Any
    finish: Any = None
    again: Any = None
    settle: Any = None


KERNELS = {
    "softmax": _Kernel(
        normalizers.softmax_begin,
        normalizers.softmax_end,
        normalizers.softmax_reduce,
        normalizers.softmax_merge,
        normalizers.softmax_finish,
    ),
    "softmax_slope": _Kernel(
        gradients.softmax_begin,
        slopes.softmax_end,
        gradients.softmax_reduce,
        gradients.softmax_merge,
        slopes.softmax_finish,
        gradients.softmax_again,
        gradients.softmax_settle,
    ),
    "log_softmax": _Kernel(
        normalizers.log_softmax_begin,
        normalizers.log_softmax_end,
        normalizers.reduce_sums,
        normalizers.merge_sums,
        normalizers.log_softmax_finish,
    ),
    "log_softmax_slope": _Kernel(
        gradients.log_softmax_begin,
        slopes.log_softmax_end,
        gradients.log_softmax_reduce,
        gradients.log_softmax_merge,
        slopes.log_softmax_finish,
    ),
    "logsumexp": _Kernel(slopes.sums_short, None, reductions.reduce, slopes.sums_merge),
    "logsumexp_slope": _Kernel(
        slopes.logsumexp_short,
        None,
        losses.nothing_of,
        slopes.nothing_merge,
        slopes.logsumexp_finish,
    ),
    "cross_entropy": _Kernel(slopes.loss_short, None, slopes.loss_reduce, slopes.loss_merge),
    "cross_entropy_slope": _Kernel(
        slopes.cross_entropy_short,
        None,
        losses.nothing_of,
        slopes.known_merge,
        slopes.cross_entropy_finish,
    ),
}


def _extra(name: str, like: Any) -> Any:
    """Return what else a kernel wants to know: the dtype, where it writes or reads of rows."""
    return like if name.startswith(("logsumexp", "cross_entropy")) else None


def _walked(kernel: _Kernel) -> Any:
    begin, end, reduce, merge, finish, again, settle = kernel

    def walked(rows: Any, start: int, stop: int, team: int, notes: int) -> None:
        if rows.chunks == 1:
            walk_short(begin, end, rows, start, stop)
        else:
            walk_long(reduce, merge, again, settle, finish, rows, start, stop, team, notes)

    return inlined(walked)


_POINTER = ir.IntType(8).as_pointer()
_WORD = ir.IntType(64)


@global_compiler_lock  # type: ignore[untyped-decorator]
def compiled(name: str, dtype: str, symbol: str) -> bytes:
    """Return the object code of a kernel's handler, which is called `symbol`."""
    like = LIKE[dtype]
    result = lowered(handler(_walked(KERNELS[name]), like, _extra(name, like)), 2)
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
