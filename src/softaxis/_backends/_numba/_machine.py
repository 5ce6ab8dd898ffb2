"""Machine code as functions of Python: what is kept is loaded by LLVM alone, without numba.

To have numba load anything takes it 0.3 s, and each of its calls some tenths of a microsecond
more than a plain function of Python's binary interface.
"""

from __future__ import annotations

import ctypes
import logging  # noqa: F401 - see `_loading`
import os
import sys
from collections.abc import Callable, Iterator
from threading import RLock
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
import numpy.typing as npt

from softaxis._backends._numba._cache import keep, kept
from softaxis._backends._numba._layout import BYTES, DATA, DIMENSIONS, SIZES, STRIDES

Function = Callable[..., int]


class Code(NamedTuple):
    """An entry, compiled: the function that keeps the GIL, and the one that releases it."""

    held: Function
    free: Function
    plain: int
    """The address of the same as a function of C, which takes integers and returns one."""


_loading = RLock()
"""A fork takes this one before that of `logging`, which was registered earlier and which compiling
needs: the other way round, the two would wait for each other."""
if hasattr(os, "register_at_fork"):  # nobody else loads while a process forks
    os.register_at_fork(
        before=_loading.acquire,
        after_in_parent=_loading.release,
        after_in_child=_loading.release,
    )

_codes: dict[tuple[str, str, str], Code] = {}
_alive: list[Any] = []
"""What the functions need as long as there are any, which is until the process ends."""
compiled_now: list[str] = []
"""The names of what was not kept, so that this process had to compile it."""


def code(name: str, dtype: str, variant: str = "") -> Code:
    """Return the functions of an entry, from what was kept or else from numba."""
    found = _codes.get((name, dtype, variant))
    if found is None:
        with _loading:
            found = _codes.get((name, dtype, variant)) or _load(name, dtype, variant)
            _codes[name, dtype, variant] = found
    return found


def is_compiled(name: str, dtype: str, variant: str = "") -> bool:
    """Return whether `code` would be quick: it is in memory, or has been kept."""
    key = name, dtype, variant
    return key in _codes or kept(f"{_label(*key)}.o") is not None


def _label(name: str, dtype: str, variant: str) -> str:
    return "-".join(filter(None, (name, dtype, variant)))


def _load(name: str, dtype: str, variant: str) -> Code:
    def made() -> Any:
        from softaxis._backends._numba._compile import compiled

        return compiled(name, dtype, variant, symbols)

    label = _label(name, dtype, variant)
    symbols = tuple(f"softaxis.{label}.{one}" for one in ("held", "free", "plain"))
    held, free, plain = _addresses(label, symbols, made)
    return Code(_function(label, held), _function(label, free), plain)


_handlers: dict[tuple[str, str], int] = {}


def handler(name: str, dtype: str) -> int:
    """Return the address of the function by which XLA calls a kernel."""

    def made() -> Any:
        from softaxis._backends._numba._xla_entries import compiled

        return compiled(name, dtype, symbol)

    label = _label("xla", name, dtype)
    symbol = f"softaxis.{label}"
    with _loading:
        found = _handlers.get((name, dtype))
        if found is None:
            (found,) = _addresses(label, (symbol,), made)
            _handlers[name, dtype] = found
    return found


def _addresses(label: str, symbols: tuple[str, ...], made: Callable[[], Any]) -> Iterator[int]:
    """Return where functions are, from what was kept under a label or else just compiled."""
    machine = kept(f"{label}.o")
    if machine is None:
        machine = made()
        compiled_now.append(label)
        keep(f"{label}.o", machine)
    engine = _engine(machine)
    return (engine.get_function_address(symbol) for symbol in symbols)


_API = (
    "PyBytes_AsString",
    "PyEval_RestoreThread",
    "PyEval_SaveThread",
    "PyLong_AsLongLong",
    "PyLong_FromLongLong",
)
_C = "free", "malloc"
_MATH = "exp", "expm1", "log", "log1p"


def _engine(machine: bytes) -> Any:
    """Load object code. Each has an engine of its own, for numba's names are not unique."""
    if not _alive:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        for name in _API:
            function = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p)
            llvm.add_symbol(name, function.value)
        library = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        for name in _C:
            llvm.add_symbol(name, ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
    target = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    if any(llvm.address_of_symbol(name) is None for name in _MATH):
        from numba.core.registry import cpu_target  # knows where this system has them

        cpu_target.target_context.codegen()
    engine.add_object_file(llvm.ObjectFileRef.from_data(machine))
    engine.finalize_object()
    _alive.append(engine)
    return engine


class _MethodDef(ctypes.Structure):
    """Python's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_FASTCALL = 0x80
_new_function = ctypes.pythonapi.PyCFunction_NewEx
_new_function.argtypes = [ctypes.POINTER(_MethodDef), ctypes.c_void_p, ctypes.c_void_p]
_new_function.restype = ctypes.py_object


def _function(label: str, address: int) -> Function:
    method = _MethodDef(label.encode(), address, _FASTCALL, None)
    _alive.append(method)
    found: Function = _new_function(method, None, None)
    return found


def _read_address(a: npt.NDArray[Any]) -> int:
    """Return where the first element of an array lies: five times as fast as `a.ctypes.data`."""
    found = _pointer(id(a) + DATA).value
    return found or 0


def _ask_address(a: npt.NDArray[Any]) -> int:
    found: int = a.ctypes.data
    return found


_pointer = ctypes.c_void_p.from_address


def address_of_bytes(text: bytes) -> int:
    """Return where the contents of a bytes object lie."""
    return id(text) + BYTES if _KNOWS_BYTES else int(np.frombuffer(text, np.uint8).ctypes.data)


def _knows_bytes() -> bool:
    text = b"lie in one piece"
    return ctypes.string_at(id(text) + BYTES, len(text)) == text


_KNOWS_BYTES = _knows_bytes()


def _knows_arrays() -> bool:
    """Whether an array is in memory as NumPy promises, and Python keeps its objects in place."""
    a = np.empty((3, 5, 7))
    sizes, strides = _pointer(id(a) + SIZES).value, _pointer(id(a) + STRIDES).value
    if not sizes or not strides:
        return False
    numbers = ctypes.c_ssize_t * a.ndim
    return (
        _read_address(a) == a.ctypes.data
        and ctypes.c_int.from_address(id(a) + DIMENSIONS).value == a.ndim
        and tuple(numbers.from_address(sizes)) == a.shape
        and tuple(numbers.from_address(strides)) == a.strides
    )


KNOWS_ARRAYS = _knows_arrays()
address: Callable[[npt.NDArray[Any]], int] = _read_address if KNOWS_ARRAYS else _ask_address
