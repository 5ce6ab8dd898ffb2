"""`get_backend`: one backend's functions, behind the same validation as the public ones."""

from __future__ import annotations

from functools import partial
from typing import Any

from softaxis._dispatch import _registry
from softaxis._dispatch._calls import Candidate, candidate
from softaxis._dispatch._gates import Call
from softaxis._dispatch._tables import Table, tables
from softaxis._libraries import Library, library_of_type
from softaxis.backend import Backend, Declined, Implementation, _listeners, _reason


class BackendFunctions:
    """The functions of one backend, as attributes."""

    def __init__(self, name: str, implementations: dict[str, Implementation]) -> None:
        self.name = name
        for function, implementation in implementations.items():
            forced = _Forced(tables[function], implementation)
            setattr(self, function, partial(_call, forced))

    def __repr__(self) -> str:
        return f"softaxis.get_backend({self.name!r})"

    def __getattr__(self, function: str) -> Call:
        raise AttributeError(f"backend {self.name!r} implements no {function!r}")


def get_backend(name: str) -> BackendFunctions:
    """Return the functions of one backend, which run there or not at all.

    Arguments are validated as always. What the backend declines is an error here: nothing
    else takes over. Its minimum size, which is about speed alone, does not count.

    Parameters
    ----------
    name : str
        A backend that `list_backends` knows, or ``"default"`` for the array-API implementation.

    Returns
    -------
    BackendFunctions
        Has the backend's functions as attributes, with the signatures of the public ones.

    Raises
    ------
    ValueError
        There is no such backend.
    RuntimeError
        It cannot be loaded; its own exception is the cause.

    Notes
    -----
    A call that the backend declines raises `softaxis.backend.Declined`, a NotImplementedError.

    Examples
    --------
    >>> import softaxis
    >>> softaxis.get_backend("default").softmax([0.0, 0.0])
    array([0.5, 0.5])
    """
    if name == "default":
        return BackendFunctions(name, {table.name: table.default for table in tables.values()})
    backend: Backend = _registry.demand(name)
    known = {n: i for n, i in backend.functions.items() if n in tables}
    return BackendFunctions(name, known)


class _Forced:
    """Stands in for a table and knows one implementation, whatever the type."""

    def __init__(self, table: Table, implementation: Implementation) -> None:
        self.table = table
        self.name = table.name
        of_any_size = implementation.capability._replace(min_size=0)
        self.implementation = implementation._replace(capability=of_any_size)
        self.backend = implementation.backend
        self.entries = self

    def __getitem__(self, cls: type) -> tuple[Candidate, ...]:
        return ((None, self._run),)

    def _run(self, x: Any, /, *arrays: Any, **arguments: Any) -> Any:
        library: Library = library_of_type(type(x))  # type: ignore[assignment] # validated before
        admits, function = candidate(self.implementation, self.table.keywords, library)
        _reason.set("")
        _listeners.append(self)
        try:
            admitted = admits is None or admits(x)
            return function(x, *arrays, **arguments) if admitted else NotImplemented
        finally:
            _listeners.remove(self)

    def nothing_left(self, x: Any) -> NotImplementedError:
        why = _reason.get() or "no reason given"
        return Declined(
            f"backend {self.backend!r} declined {self.table.identity} for this "
            f"{type(x).__name__}: {why}"
        )


def _call(forced: _Forced, /, *arrays: Any, **arguments: Any) -> Any:
    keywords = forced.table.keywords
    for name in arguments:
        if name not in keywords:
            raise TypeError(f"{forced.name}() got an unexpected keyword argument {name!r}")
    return forced.table.handover(forced, *arrays, *{**keywords, **arguments}.values())
