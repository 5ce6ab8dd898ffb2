"""The command `warmup`: compile the kernels of the `numba` backend ahead of their first call."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import softaxis
from softaxis._cli._input import BadInput

DESCRIPTION = """Compile the kernels of the backend `numba`, and keep them for later processes.

example: softaxis warmup
         softaxis warmup --function softmax --function logsumexp --dtype float32

Each of them takes some seconds once; a first call that needs it would otherwise wait for it.
"""
DTYPES = ("float32", "float64", "float16")


def add_parser(commands: Any) -> None:
    """Describe the arguments."""
    parser = commands.add_parser(
        "warmup",
        help="compile the kernels of the numba backend ahead",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--function", metavar="F", action="append", help="only this one")
    parser.add_argument("--dtype", metavar="D", action="append", help="only this one")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        backend = softaxis.get_backend("numba")
        from softaxis._backends.numba import backend as record

        functions = _chosen(options.function, tuple(record.functions), "--function")
        dtypes = _chosen(options.dtype, DTYPES, "--dtype")
        from softaxis._backends._numba._cache import cache_folder
        from softaxis._backends._numba._machine import compiled_now
    except (ImportError, RuntimeError) as error:  # the latter: of a backend that was asked for
        return _failed(str(error))
    folder = cache_folder()
    if folder is None:
        return _failed(
            "there is no place to keep compiled kernels. Let NUMBA_CACHE_DIR name a folder that "
            "can be written."
        )
    print(f"The kernels are kept in {folder}", flush=True)
    begun, compiled = time.perf_counter(), 0
    for name in functions:
        for dtype in dtypes:
            start, before = time.perf_counter(), len(compiled_now)
            outcome = _compile(backend, name, dtype)
            new = len(compiled_now) - before
            compiled += new
            seconds = f"{time.perf_counter() - start:7.2f} s"
            print(f"{name:22} {dtype:8} {seconds}  {outcome or 'was there' * (not new)}".rstrip())
            sys.stdout.flush()
    print(f"{compiled} compiled in {time.perf_counter() - begun:.1f} s; all are ready.")
    return 0


def _failed(message: str) -> int:
    print(f"softaxis warmup: {message}", file=sys.stderr)
    return 1


def _chosen(given: list[str] | None, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    for name in given or ():
        if name not in known:
            raise BadInput(f"`{option}` must be one of {', '.join(known)}; got {name!r}")
    return tuple(dict.fromkeys(given or known))


def _compile(backend: Any, name: str, dtype: str) -> str:
    """Call a function in all ways that are compiled apart; say so if it takes no such array."""
    try:
        for call in _calls(getattr(backend, name), name, dtype):
            call()
        _compile_the_rest(name, dtype)
        if find_spec("jax") is not None and dtype != "float16":
            _compile_for_xla(name, dtype)
    except softaxis.backend.Declined as error:
        return f"not here: {str(error).rpartition(': ')[2]}"
    return ""


def _compile_the_rest(name: str, dtype: str) -> None:
    """Compile what lets threads share a task, and the way back that tensors take from a loss."""
    from softaxis._backends._numba._layout import SHARING
    from softaxis._backends._numba._machine import code

    for one in SHARING:
        code(one, "any")
    if name == "cross_entropy":
        code("cross_entropy_vjp", dtype)


def _compile_for_xla(name: str, dtype: str) -> None:
    """Compile what XLA calls for a function, if it does, and for its gradient."""
    from softaxis._backends._numba._layout import CALLED_BY_XLA
    from softaxis._backends._numba._machine import handler

    for one in (name, f"{name}_slope"):
        if one in CALLED_BY_XLA:
            handler(one, dtype)


def _calls(function: Callable[..., Any], name: str, dtype: str) -> Iterator[Callable[[], Any]]:
    import numpy as np

    x = np.ones((2, 3), dtype)
    if name.endswith("_vjp"):
        yield lambda: function(x, x, axis=0)
        return
    of_rows, of_columns = ([np.zeros(n, np.int64)] * name.startswith("cross") for n in x.shape)
    yield lambda: function(x, *of_rows, axis=1)  # plain rows, which are few
    yield lambda: function(x[:, ::-1], *of_rows, axis=1)  # a job
    yield lambda: function(x, *of_columns, axis=0)  # one of columns
    if name in {"softmax", "log_softmax"}:
        yield lambda: function(x, axis=0, temperature=2.0)
        yield lambda: function(x, axis=0, sink=0.0)
