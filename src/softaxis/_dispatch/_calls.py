"""Calls: an implementation behind its capability record, several in order, and the trace."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

from softaxis._dispatch._options import Event
from softaxis._libraries import library_of
from softaxis.backend import Capability, Implementation, _reason, declined

Call: TypeAlias = Callable[..., Any]
Check: TypeAlias = Callable[[Any], bool]

DEFAULT_CAPABILITY = Capability(
    dtypes=None, differentiable=True, traceable=True, lazy=True, notes="the array-API implementation"
)


def default(generic: Call) -> Call:
    """Bind the array-API implementation to whatever library the first array is of."""

    def call(x: Any, /, *arrays: Any, out: Any = None, **arguments: Any) -> Any:
        library = library_of(x)
        with library.quiet():
            result = generic(x, *arrays, xp=library.xp, **arguments)
        if out is None:
            return result
        first = result[0] if isinstance(result, tuple) else result
        out[...] = first
        return (out, *result[1:]) if isinstance(result, tuple) else out

    return call


def gated(implementation: Implementation, keywords: dict[str, Any]) -> Call:
    """Return a call that declines what the capability record, or the signature, rules out."""
    checks = _checks(implementation.capability)
    function = implementation.function
    missing = ()
    if implementation.keywords is not None:
        missing = tuple((k, v) for k, v in keywords.items() if k not in implementation.keywords)
    if not checks and not missing:
        return function

    def call(x: Any, /, *arrays: Any, **arguments: Any) -> Any:
        for passes, reason in checks:
            if not passes(x):
                return declined(reason)
        for name, value in missing:
            if arguments.pop(name, value) is not value:
                return declined(f"takes no `{name}`")
        return function(x, *arrays, **arguments)

    return call


def _checks(capability: Capability) -> tuple[tuple[Check, str], ...]:
    checks: list[tuple[Check, str]] = []
    if capability.dtypes is not None:
        checks.append(_dtype_check(capability.dtypes))
    if capability.min_size:
        checks.append(_size_check(capability.min_size))
    if capability.devices is not None:
        checks.append(_device_check(capability.devices))
    if not capability.differentiable:
        checks.append((lambda x: not library_of(x).differentiating(x), "not differentiable"))
    if not capability.traceable:
        checks.append((lambda x: not library_of(x).tracing(x), "not traceable"))
    return tuple(checks)


def _dtype_check(names: tuple[str, ...]) -> tuple[Check, str]:
    known: dict[Any, bool] = {}

    def passes(x: Any) -> bool:
        dtype = x.dtype
        found = known.get(dtype)
        if found is None:
            found = known[dtype] = str(dtype).rpartition(".")[2] in names
        return found

    return passes, f"takes {', '.join(names)} only"


def _size_check(least: int) -> tuple[Check, str]:
    return (lambda x: prod(x.shape) >= least), f"fewer than {least} elements"


def _device_check(devices: tuple[str, ...]) -> tuple[Check, str]:
    return (lambda x: library_of(x).device(x) in devices), f"runs on {', '.join(devices)} only"


def chained(identity: str, calls: list[tuple[str, Call]]) -> Call:
    """Try each in order until one does not decline."""
    if len(calls) == 1 and calls[0][0] == "default":
        return calls[0][1]
    only = tuple(call for _, call in calls)

    def call(x: Any, /, *arrays: Any, **arguments: Any) -> Any:
        for one in only:
            result = one(x, *arrays, **arguments)
            if result is not NotImplemented:
                return result
        raise _nothing_left(identity, x, [name for name, _ in calls])

    return call


def traced(identity: str, calls: list[tuple[str, Call]], trace: list[Event]) -> Call:
    """Do the same and record what each of them did."""

    def call(x: Any, /, *arrays: Any, **arguments: Any) -> Any:
        for name, one in calls:
            _reason.set("")
            try:
                result = one(x, *arrays, **arguments)
            except Exception as error:
                trace.append((identity, name, "raised", f"{type(error).__name__}: {error}"))
                raise
            if result is not NotImplemented:
                trace.append((identity, name, "ran", ""))
                return result
            trace.append((identity, name, "declined", _reason.get()))
        raise _nothing_left(identity, x, [name for name, _ in calls])

    return call


def _nothing_left(identity: str, x: Any, tried: list[str]) -> NotImplementedError:
    names = ", ".join(tried) or "none"
    return NotImplementedError(
        f"no backend that may run {identity} takes this {type(x).__name__} (tried: {names}); "
        "softaxis.explain_dispatch says why each declined"
    )
