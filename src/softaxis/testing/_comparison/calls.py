"""The call of a contestant: its input in place, compiled where users compile, waited for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from softaxis.testing._arrays import Arrays
from softaxis.testing._comparison.contestants import Contestant
from softaxis.testing._comparison.problem import Problem


class Ready(NamedTuple):
    """A contestant with its input in place."""

    arrays: Arrays
    on_host: bool
    call: Callable[[], Any]  # as a user calls it
    finished: Callable[[], Any]  # the same, waiting for the result


def ready(contestant: Contestant, problem: Problem) -> Ready:
    """Make the input and the call; JAX's is compiled, as its users do."""
    arrays = contestant.make_arrays()
    if not arrays.has_dtype(problem.dtype):
        raise TypeError(f"{arrays.name} has no {problem.dtype}")
    x = arrays.asarray(problem.x, problem.dtype)
    operands = [arrays.asarray(each, arrays.stored_as("int64")) for each in problem.operands]

    def function(*inputs: Any) -> Any:
        return contestant.function(*inputs, axis=problem.axis)

    if contestant.library == "jax":
        function = import_module("jax").jit(function)
    wait = _WAITING.get(contestant.library, lambda result: result)

    def call() -> Any:
        with contestant.active(problem.dtype):
            return function(x, *operands)

    def finished() -> Any:
        with contestant.active(problem.dtype):
            return wait(function(x, *operands))

    return Ready(arrays, "cpu" in arrays.device_of(x).lower(), call, finished)


def _wait_for_cupy(result: Any) -> Any:
    import_module("cupy").cuda.get_current_stream().synchronize()
    return result


_WAITING: dict[str, Callable[[Any], Any]] = {
    "jax": lambda result: result.block_until_ready(),
    "dask": lambda result: result.compute(),
    "cupy": _wait_for_cupy,
}
