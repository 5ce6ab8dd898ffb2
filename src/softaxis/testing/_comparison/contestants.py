"""Who takes part: backends of softaxis and native functions, each on arrays of its library."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import softaxis
from softaxis._cli._libraries import one_line
from softaxis._dispatch import _registry
from softaxis._dispatch._extras import is_installed
from softaxis.backend import Declined
from softaxis.testing._arrays import Arrays
from softaxis.testing._comparison.natives import NATIVES, Function, Native, without_axis
from softaxis.testing._known_arrays import KNOWN, arrays_for

ELEMENTWISE = ("sigmoid", "log_sigmoid")
WIDE = ("float64", "int64", "uint64")


class Contestant(NamedTuple):
    """A function of a library, and how its arrays are made."""

    name: str
    library: str
    backend: str | None  # None: the library's own function
    make_arrays: Callable[[], Arrays]
    function: Function  # f(x, *operands, axis=...)
    masked: Function | None  # the same with `where`

    def active(self, dtype: str) -> AbstractContextManager[Any]:
        """Return the context in which the library has this dtype: JAX has to be told of 64 bits."""
        if self.library != "jax" or dtype not in WIDE:
            return nullcontext()
        jax = import_module("jax")
        context: AbstractContextManager[Any]
        if hasattr(jax, "enable_x64"):
            context = jax.enable_x64(True)
        else:
            context = import_module("jax.experimental").enable_x64()
        return context


class Absent(NamedTuple):
    """What cannot take part, and why."""

    name: str
    library: str
    backend: str | None
    state: str  # "missing", "broken" or "blocked"
    reason: str


Entrant = Contestant | Absent


def contestants(function: str, libraries: Iterable[str] | None) -> Iterator[Entrant]:
    """Yield library by library: `default`, its own backends, its native function."""
    backends = softaxis.list_backends()
    default, others = backends[0], backends[1:]
    known = list(dict.fromkeys(each.package for each in others))
    wanted = known if libraries is None else _wanted(libraries, known)
    for library in wanted:
        if not is_installed(library):
            yield Absent(library, library, None, "missing", f"{library} is not installed")
            continue
        for backend in (default, *(each for each in others if each.package == library)):
            yield from _ours(backend, library, function)
        yield from _natives(function, library)


def _wanted(libraries: Iterable[str], known: list[str]) -> list[str]:
    wanted = [libraries] if isinstance(libraries, str) else list(libraries)
    possible = list(dict.fromkeys([*known, *KNOWN, "sparse"]))
    for name in wanted:
        if name not in possible:
            raise ValueError(f"`libraries` must be among {', '.join(possible)}, got {name!r}")
    return wanted


def _ours(backend: softaxis.BackendStatus, library: str, function: str) -> Iterator[Entrant]:
    """Load the backend, and nothing of other libraries."""
    label = f"{backend.name} ({library})" if backend.name == "default" else backend.name
    label = f"softaxis {label}"
    if backend.state not in {"ready", "available"}:
        yield Absent(label, library, backend.name, backend.state, backend.reason)
        return
    try:
        run = getattr(softaxis.get_backend(backend.name), function, None)
    except RuntimeError as error:
        cause = error if error.__cause__ is None else error.__cause__
        yield Absent(label, library, backend.name, "broken", one_line(cause))
        return
    if run is not None:
        called = without_axis(run) if function in ELEMENTWISE else run
        make_arrays = partial(_arrays_of, backend.name, library)
        yield Contestant(label, library, backend.name, make_arrays, called, run)


def _arrays_of(backend: str, library: str) -> Arrays:
    """Ask the backend how arrays are made, if it says; else the kit."""
    path = None if backend == "default" else getattr(_registry.demand(backend), "arrays", None)
    if path is None:
        return arrays_for(library)
    module, _, name = path.partition(":")
    arrays: Arrays = getattr(import_module(module), name)
    return arrays


def _natives(function: str, library: str) -> Iterator[Entrant]:
    for owner, package, load in NATIVES.get(function, ()):
        if owner != library or (package == "optax" and not is_installed(package)):
            continue
        try:
            native: Native = load()
        except Exception as error:  # noqa: BLE001 - what does not import is a row of the table
            state = "broken" if is_installed(package) else "missing"
            reason = one_line(error) if state == "broken" else f"{package} is not installed"
            yield Absent(package, library, None, state, reason)
        else:
            yield Contestant(
                native.name,
                library,
                None,
                partial(arrays_for, library),
                native.function,
                native.masked,
            )


def with_default(backend: str, function: str) -> Function:
    """Return a backend's function that hands over to `default` what it declines, as a call does."""
    default = getattr(softaxis.get_backend("default"), function)
    own = getattr(softaxis.get_backend(backend), function, default)

    def call(*arrays: Any, **arguments: Any) -> Any:
        try:
            return own(*arrays, **arguments)
        except Declined:
            return default(*arrays, **arguments)

    return call
