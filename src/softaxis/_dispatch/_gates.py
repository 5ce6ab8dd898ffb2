"""Gates: which calls an implementation is offered, by its capability record.

They are made once per type of array, when its library is known, so that a call is asked only
what can differ from one array of the type to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any, TypeAlias

from softaxis._libraries import Library, library_of_type, never, on_cpu
from softaxis.backend import Capability, declined

Call: TypeAlias = Callable[..., Any]
Gate: TypeAlias = Callable[[Any], bool]


def gate(capability: Capability, library: Library, ready: Gate | None = None) -> Gate | None:
    """Return what looks at the first array and admits it; None where any array is admitted.

    Where `ready` says so, the minimum size does not count.
    """
    checks: list[Gate] = []
    if capability.min_size:  # first: most arrays are small, and those can least afford a look
        of_numpy = library.name == "numpy"
        large = (_numpy_size_gate if of_numpy else _size_gate)(capability.min_size)
        checks.append(large if ready is None else _either(large, ready))
    if capability.dtypes is not None:
        checks.append(_dtype_gate(capability.dtypes))
    kinds = capability.devices
    if kinds is not None and (library.device is not on_cpu or "cpu" not in kinds):
        checks.append(_device_gate(kinds, library))
    return reduce(_both, checks) if checks else None


def _both(first: Gate, second: Gate) -> Gate:
    return lambda x: first(x) and second(x)


def _either(first: Gate, second: Gate) -> Gate:
    return lambda x: first(x) or second(x)


def _dtype_gate(names: tuple[str, ...]) -> Gate:
    takes = _Takes(names)

    def passes(x: Any) -> bool:
        if takes[x.dtype]:
            return True
        declined(f"takes {', '.join(names)} only")
        return False

    return passes


class _Takes(dict[Any, bool]):
    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def __missing__(self, dtype: Any) -> bool:
        found = self[dtype] = str(dtype).rpartition(".")[2] in self.names
        return found


def _size_gate(least: int) -> Gate:
    reason = f"fewer than {least} elements"

    def passes(x: Any) -> bool:
        if prod(x.shape) >= least:
            return True
        declined(reason)
        return False

    return passes


def _numpy_size_gate(least: int) -> Gate:
    reason = f"fewer than {least} elements"

    def passes(x: Any) -> bool:
        if x.size >= least:
            return True
        declined(reason)
        return False

    return passes


def _device_gate(kinds: tuple[str, ...], library: Library) -> Gate:
    def passes(x: Any) -> bool:
        if library.device(x) in kinds:
            return True
        declined(f"runs on {', '.join(kinds)} only")
        return False

    return passes


def guarded(function: Call, capability: Capability, library: Library) -> Call:
    """Decline calls with an array, the first or another, that a transformation has replaced."""
    checks: list[tuple[Gate, str]] = []
    if not capability.differentiable and library.differentiating is not never:
        checks.append((library.differentiating, "not differentiable"))
    if not capability.traceable and library.tracing is not never:
        checks.append((library.tracing, "not traceable"))
    if not checks:
        return function

    def call(*arrays: Any, **arguments: Any) -> Any:
        for a in (*arrays, *arguments.values()):
            if library_of_type(type(a)) is library:
                for is_so, reason in checks:
                    if is_so(a):
                        return declined(reason)
        return function(*arrays, **arguments)

    return call
