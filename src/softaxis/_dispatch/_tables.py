"""Tables: from the type of the first array to what runs, decided once per type."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from softaxis._dispatch import _registry
from softaxis._dispatch._calls import DEFAULT_CAPABILITY, Call, chained, default, gated, traced
from softaxis._dispatch._options import (
    Options,
    context_options,
    is_overridden,
    on_change,
    process_options,
)
from softaxis._libraries import refuse
from softaxis.backend import Implementation

F = TypeVar("F", bound=Callable[..., Any])
Handover = Callable[..., Any]

tables: dict[str, Table] = {}


class Table:
    """One public function's way to its implementations.

    A call reads ``table.entries[type(x)]``. `entries` is a dict that decides on a miss; it is
    replaced, not emptied, when the options change, so that a thread that was deciding under the
    old ones stores its decision where nobody reads it.
    """

    def __init__(self, generic: Callable[..., Any]) -> None:
        self.name = generic.__name__
        self.identity = f"softaxis:{self.name}"
        self.default = Implementation(
            self.name, "default", default(generic), DEFAULT_CAPABILITY, None
        )
        self.handover: Handover = _unset
        self.function: Callable[..., Any] = _unset
        self.keywords: dict[str, Any] = {}
        self.entries: dict[type, Call] = {}
        self.renew()
        on_change(self.renew)
        tables[self.name] = self

    def serves(self, handover: Handover) -> Callable[[F], F]:
        """Name the public function and the one that validates its arguments for this table."""

        def decorator(function: F) -> F:
            self.handover, self.function = handover, function
            self.keywords = {
                p.name: p.default
                for p in inspect.signature(function).parameters.values()
                if p.kind is p.KEYWORD_ONLY
            }
            return function

        return decorator

    def renew(self) -> None:
        """Forget every decision."""
        self.entries = _Undecided(self) if is_overridden() else _Decided(self)

    def candidates(self, cls: type, options: Options) -> list[Implementation]:
        """Return the implementations to try for arrays of type `cls`, in order."""
        refuse(cls)
        found: list[Implementation] = []
        for name in options.prioritize:
            self._add(name, cls, found)
        for source in _registry.owners(cls):
            backend = _registry.try_load(source)
            if backend is not None and self.name in backend.functions:
                found.append(backend.functions[self.name])
        found.append(self.default)
        unique = dict.fromkeys(i for i in found if i.backend not in options.disable)
        return list(unique)

    def _add(self, name: str, cls: type, found: list[Implementation]) -> None:
        if name == "default":
            found.append(self.default)
            return
        source = _registry.find(name)
        if source is None:
            _registry.log_unknown(name)
            return
        backend = _registry.try_load(source)
        if (
            backend is not None
            and self.name in backend.functions
            and _registry.claim_of(backend, cls) is not None
        ):
            found.append(backend.functions[self.name])

    def decide(self, cls: type, options: Options) -> Call:
        """Return what a call with a first array of type `cls` runs."""
        calls = [(i.backend, gated(i, self.keywords)) for i in self.candidates(cls, options)]
        if options.trace is not None:
            return traced(self.identity, calls, options.trace)
        return chained(self.identity, calls)


class _Decided(dict[type, Call]):
    def __init__(self, table: Table) -> None:
        self.table = table

    def __missing__(self, cls: type) -> Call:
        call = self[cls] = self.table.decide(cls, process_options())
        return call


class _Undecided(dict[type, Call]):
    """While a `backend_opts` block is open: every call decides, by the options of its context."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __missing__(self, cls: type) -> Call:
        return self.table.decide(cls, context_options())


def _unset(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("the table serves no public function")


