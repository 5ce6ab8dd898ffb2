"""Candidates: an implementation behind its capability record, and the trace of what ran."""

from __future__ import annotations

from typing import Any, TypeAlias

from softaxis._dispatch._gates import Call, Gate, gate, guarded
from softaxis._dispatch._options import Event
from softaxis._libraries import Library, library_of, refusal_message
from softaxis.backend import Capability, Implementation, _reason, declined

Candidate: TypeAlias = tuple[Gate | None, Call]

DEFAULT_CAPABILITY = Capability(
    dtypes=None,
    differentiable=True,
    traceable=True,
    lazy=True,
    notes="the array-API implementation",
)


def default(generic: Call) -> Call:
    """Bind the array-API implementation to whatever library the first array is of."""

    def call(x: Any, /, *arrays: Any, out: Any = None, **arguments: Any) -> Any:
        library = library_of(x)
        if library.refusal:
            raise TypeError(refusal_message(type(x), _first_parameter(generic), library.refusal))
        with library.quiet():
            result = generic(x, *arrays, xp=library.xp, **arguments)
        if out is None:
            return result
        first = result[0] if isinstance(result, tuple) else result
        out[...] = first
        return (out, *result[1:]) if isinstance(result, tuple) else out

    return call


def _first_parameter(function: Call) -> str:
    import inspect

    return next(iter(inspect.signature(function).parameters))


def candidate(
    implementation: Implementation, keywords: dict[str, Any], library: Library
) -> Candidate:
    """Return what looks at the first array and admits it (None: any), and what then runs."""
    capability = implementation.capability
    function = guarded(implementation.function, capability, library)
    takes = implementation.keywords
    if takes is not None:
        missing = tuple((k, v) for k, v in keywords.items() if k not in takes)
        if missing:
            function = _without(function, missing)
    return gate(capability, library, implementation.ready), function


def _without(function: Call, missing: tuple[tuple[str, Any], ...]) -> Call:
    """Leave out the keywords that an older backend does not take; decline where they matter."""

    def call(x: Any, /, *arrays: Any, **arguments: Any) -> Any:
        for name, value in missing:
            given = arguments.pop(name, value)
            if given is not value and not (type(given) is type(value) is float and given == value):
                return declined(f"takes no `{name}`")
        return function(x, *arrays, **arguments)

    return call


def traced(
    identity: str, candidates: list[tuple[str, Candidate]], trace: list[Event]
) -> tuple[Candidate, ...]:
    """Return candidates that record what each of the given ones does."""
    return tuple((None, _recorded(identity, name, one, trace)) for name, one in candidates)


def _recorded(identity: str, name: str, one: Candidate, trace: list[Event]) -> Call:
    admits, function = one

    def call(x: Any, /, *arrays: Any, **arguments: Any) -> Any:
        _reason.set("")
        try:
            admitted = admits is None or admits(x)
            result = function(x, *arrays, **arguments) if admitted else NotImplemented
        except Exception as error:
            trace.append((identity, name, "raised", f"{type(error).__name__}: {error}"))
            raise
        if result is NotImplemented:
            trace.append((identity, name, "declined", _reason.get()))
        else:
            trace.append((identity, name, "ran", ""))
        return result

    return call
