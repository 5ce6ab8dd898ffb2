"""Compiling: from an entry to the address of machine code that Python can call, by way of numba."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.compiler import Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from softaxis._backends._numba._entries import entry

_OBJECT = ir.IntType(8).as_pointer()
_WORD = ir.IntType(64)


@global_compiler_lock  # type: ignore[untyped-decorator]
def compiled(name: str, dtype: str, variant: str, symbols: tuple[str, str, str]) -> bytes:
    """Return the object code of an entry.

    It holds a function of Python's binary interface, of the sort METH_FASTCALL, twice: the first
    of `symbols` keeps the GIL, the second one releases it. The third one is a function of C, of
    integers.
    """
    function, arguments = entry(name, dtype, variant)
    result = lowered(function, len(arguments))
    library = result.library
    module = library.create_ir_module("python")
    for symbol, releases in zip(symbols[:2], (False, True), strict=True):
        _add_wrapper(module, result, symbol, arguments, releases)
    _add_plain(module, result, symbols[2])
    library.add_ir_module(module)
    library.get_pointer_to_function(symbols[0])  # which makes the object code
    code: bytes = library._get_compiled_object()
    return code


def lowered(function: Callable[..., int], count: int) -> Any:
    """Let numba compile a function of integers, as far as LLVM's language."""
    flags = Flags()
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.error_model = "numpy"
    context, target = cpu_target.typing_context, cpu_target.target_context
    context.refresh()
    target.refresh()
    integers = (types.int64,) * count
    return compile_extra(context, target, function, integers, types.int64, flags, {})


def _add_wrapper(
    module: ir.Module, result: Any, symbol: str, arguments: str, releases: bool
) -> None:
    """Write the function that gets an array of Python's objects.

    No kernel raises anything, so it does not ask for the status.
    """
    signature = ir.FunctionType(_OBJECT, [_OBJECT, _OBJECT.as_pointer(), _WORD])
    builder = ir.IRBuilder(ir.Function(module, signature, symbol).append_basic_block())
    words = [
        _word(builder, module, kind, i, builder.function.args[1])
        for i, kind in enumerate(arguments)
    ]
    if releases:
        state = builder.call(_python(module, "PyEval_SaveThread", _OBJECT), [])
    value = _called(builder, module, result, words)
    if releases:
        restore = _python(module, "PyEval_RestoreThread", ir.VoidType(), _OBJECT)
        builder.call(restore, [state])
    builder.ret(builder.call(_python(module, "PyLong_FromLongLong", _OBJECT, _WORD), [value]))


def _add_plain(module: ir.Module, result: Any, symbol: str) -> None:
    """Write the function of C."""
    signature = ir.FunctionType(_WORD, [_WORD] * len(result.fndesc.argtypes))
    function = ir.Function(module, signature, symbol)
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(_called(builder, module, result, function.args))


def _called(builder: ir.IRBuilder, module: ir.Module, result: Any, words: Sequence[Any]) -> Any:
    """Call what numba compiled."""
    described, target = result.fndesc, result.target_context
    _, value = target.call_conv.call_function(
        builder,
        target.declare_function(module, described),
        described.restype,
        described.argtypes,
        words,
    )
    return value


def _word(builder: ir.IRBuilder, module: ir.Module, kind: str, i: int, objects: Any) -> Any:
    """Return the i-th argument as an integer: of a job (j) its place in a bytes object, of another
    object (o) its own, and an integer (i) itself."""
    one = builder.load(builder.gep(objects, [_WORD(i)]))
    if kind == "i":
        return builder.call(_python(module, "PyLong_AsLongLong", _WORD, _OBJECT), [one])
    if kind == "j":
        one = builder.call(_python(module, "PyBytes_AsString", _OBJECT, _OBJECT), [one])
    return builder.ptrtoint(one, _WORD)


def _python(module: ir.Module, name: str, result: Any, *arguments: Any) -> Any:
    """Return a function of Python's stable binary interface."""
    found = module.globals.get(name)
    return found or ir.Function(module, ir.FunctionType(result, arguments), name)
