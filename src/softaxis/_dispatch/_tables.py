"""Tables: from the type of the first array to what runs, decided once per type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from softaxis._dispatch import _registry
from softaxis._dispatch._calls import DEFAULT_CAPABILITY, Candidate, candidate, default, traced
from softaxis._dispatch._options import (
    Options,
    is_overridden,
    on_change,
    process_options,
    traceable_options,
)
from softaxis._libraries import Library, library_of_type
from softaxis.backend import Implementation, Shortcut

F = TypeVar("F", bound=Callable[..., Any])
Handover = Callable[..., Any]

tables: dict[str, Table] = {}


class Table:
    """One public function's way to its implementations.

    A call tries what ``table.entries[type(x)]`` holds, in order, until one does not decline; the
    public functions write that loop out, because forwarding ``**arguments`` once more costs more
    than all the rest. `entries` is a dict that decides on a miss; it is replaced, not emptied,
    when the options change, so that a thread that was deciding under the old ones stores its
    decision where nobody reads it. What was decided by the options of the process outlives a
    `backend_opts` block, and so does what torch.compile compiled under them.

    `shortcuts` holds, by the same rules, what the plainest calls may ask before: the shortcut of
    the first implementation, for a type that the table has decided about.
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
        self._decided = _Decided(self, process_options())
        self.entries: dict[type, tuple[Candidate, ...]] = self._decided
        self.shortcuts: dict[type, Shortcut] = {}
        self.renew()
        on_change(self.renew)
        tables[self.name] = self

    def serves(self, handover: Handover) -> Callable[[F], F]:
        """Name the public function and the one that validates its arguments for this table."""

        def decorator(function: F) -> F:
            self.handover, self.function = handover, function
            self.keywords = dict(function.__kwdefaults__ or {})
            return function

        return decorator

    def renew(self) -> None:
        """Follow a change of the options: forget what was decided by others."""
        options = process_options()
        if self._decided.options is not options:
            self._decided = _Decided(self, options)
        is_open = is_overridden()
        self.entries = _Undecided(self) if is_open else self._decided
        self.shortcuts = {} if is_open else self._decided.shortcuts

    def implementations(self, cls: type, options: Options) -> list[Implementation]:
        """Return the implementations to try for arrays of type `cls`, in order."""
        found: list[Implementation] = []
        for name in options.prioritize:
            if name not in options.disable:
                self._add(name, cls, found)
        for source in _registry.owners(cls, options.prioritize, options.disable):
            backend = _registry.try_load(source)
            if backend is not None and self.name in backend.functions:
                found.append(backend.functions[self.name])
        found.append(self.default)
        unique: list[Implementation] = []
        for one in found:
            known = (u.backend for u in unique)
            if one.backend not in options.disable and one.backend not in known:
                unique.append(one)
        return unique

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
            one = backend.functions[self.name]  # whoever names a backend wants it at every size
            found.append(one._replace(capability=one.capability._replace(min_size=0)))

    def decide(self, cls: type, options: Options) -> tuple[Candidate, ...]:
        """Return what a call with a first array of type `cls` tries."""
        library: Library = library_of_type(cls)  # type: ignore[assignment] # validated before
        found = [
            (i.backend, candidate(i, self.keywords, library))
            for i in self.implementations(cls, options)
        ]
        if options.trace is not None:
            return traced(self.identity, found, options.trace)
        return tuple(one for _, one in found)

    def shortcut(self, cls: type, options: Options) -> Shortcut | None:
        """Return what may be asked before all else with an array of type `cls`."""
        first = self.implementations(cls, options)[0]
        found = first.selective if first.capability.min_size else first.shortcuts
        return None if found is None else found.get(cls)

    def nothing_left(self, x: Any) -> NotImplementedError:
        """Return the error for a call that every candidate declined."""
        return NotImplementedError(
            f"no backend that may run {self.identity} takes this {type(x).__name__}; "
            "softaxis.backend_opts(trace=True) records why each declined"
        )


class _Decided(dict[type, "tuple[Candidate, ...]"]):
    """Outside of any block: a call decides once per type, by the options of the process."""

    def __init__(self, table: Table, options: Options) -> None:
        self.table = table
        self.options = options
        self.shortcuts: dict[type, Shortcut] = {}

    def __missing__(self, cls: type) -> tuple[Candidate, ...]:
        found = self[cls] = self.table.decide(cls, self.options)
        shortcut = self.table.shortcut(cls, self.options)
        if shortcut is not None:
            self.shortcuts[cls] = shortcut
        return found


class _Undecided(dict[type, "tuple[Candidate, ...]"]):
    """While a `backend_opts` block is open: every call decides, by the options of its context."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def __missing__(self, cls: type) -> tuple[Candidate, ...]:
        return self.table.decide(cls, traceable_options())


def _unset(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("the table serves no public function")
