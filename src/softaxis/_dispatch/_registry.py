"""The registry: which backends there are, loaded when they are needed and not before.

First-party backends stand in a static table, so that a plain call never scans the environment.
Its loaders are plain import statements, which torch.compile can trace and `import_module` is not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from softaxis._dispatch._environment import BLOCKED, THIRD_PARTY
from softaxis._dispatch._extras import has_extra, require
from softaxis.backend import Backend

GROUP = "softaxis.backends."


class Source(NamedTuple):
    """Where a backend comes from: its name, the array package it serves, how to load it."""

    name: str
    package: str
    origin: str
    load: Callable[[], Any]
    imported: str
    """The module that is imported wherever arrays of the package are at hand."""
    modules: tuple[str, ...]
    """Top-level modules that classes of the array package live in."""
    needs: str = ""
    """What has to be installed beside the array package: an extra of ours."""
    is_default: bool = True
    """Whether it runs where nobody asks for it by name."""


def _load_numba() -> Any:
    require("numba")
    from softaxis._backends.numba import backend

    return backend


def _load_numpy() -> Any:
    from softaxis._backends.numpy import backend

    return backend


def _load_torch() -> Any:
    from softaxis._backends.torch import backend

    return backend


def _load_torch_numba() -> Any:
    require("numba")
    from softaxis._backends.torch_numba import backend

    return backend


def _load_torch_triton() -> Any:
    require("triton")
    from softaxis._backends.torch_triton import backend

    return backend


def _load_jax_numba() -> Any:
    require("numba")
    from softaxis._backends.jax_numba import backend

    return backend


def _load_jax() -> Any:
    from softaxis._backends.jax import backend

    return backend


def _load_cupy() -> Any:
    from softaxis._backends.cupy import backend

    return backend


def _load_dask() -> Any:
    from softaxis._backends.dask import backend

    return backend


FIRST_PARTY = (
    Source("numba", "numpy", "softaxis", _load_numba, "numpy", ("numpy",), "numba"),
    Source("numpy", "numpy", "softaxis", _load_numpy, "numpy", ("numpy",)),
    Source("torch_numba", "torch", "softaxis", _load_torch_numba, "torch", ("torch",), "numba"),
    Source("torch", "torch", "softaxis", _load_torch, "torch", ("torch",)),
    Source(
        *("torch_triton", "torch", "softaxis", _load_torch_triton, "torch", ("torch",), "triton"),
        is_default=False,  # not measured on a GPU yet
    ),
    Source("jax_numba", "jax", "softaxis", _load_jax_numba, "jax", ("jax", "jaxlib"), "numba"),
    Source("jax", "jax", "softaxis", _load_jax, "jax", ("jax", "jaxlib")),
    Source("cupy", "cupy", "softaxis", _load_cupy, "cupy", ("cupy",)),
    Source("dask", "dask", "softaxis", _load_dask, "dask.array", ("dask",)),
)
_OWNED = frozenset(source.package for source in FIRST_PARTY)
_DEFAULTS = tuple(source for source in FIRST_PARTY if source.is_default)

_loaded: dict[str, Backend] = {}
_broken: dict[str, Exception] = {}
_scanned: list[tuple[Source, ...]] = []


def third_party() -> tuple[Source, ...]:
    """Return what other distributions publish; the environment is scanned once."""
    if not THIRD_PARTY:
        return ()
    if not _scanned:
        _scanned.append(_scan())
    return _scanned[0]


def _scan() -> tuple[Source, ...]:
    from importlib.metadata import entry_points

    found: dict[str, Source] = {}
    taken = {source.name for source in FIRST_PARTY} | {"default"}
    groups = [group for group in entry_points().groups if group.startswith(GROUP)]
    for entry in (entry for group in sorted(groups) for entry in entry_points(group=group)):
        if _is_ours(entry):
            continue
        if entry.name in taken or entry.name in found:
            _log("the name of backend %r is taken; %s skipped", entry.name, entry.value)
            continue
        package = entry.group.removeprefix(GROUP)
        found[entry.name] = Source(
            entry.name, package, _origin(entry), entry.load, package, (package,)
        )
    return tuple(found.values())


def _is_ours(entry: Any) -> bool:
    return bool(entry.value.startswith("softaxis._backends."))


def _origin(entry: Any) -> str:
    dist = entry.dist
    return entry.value.partition(":")[0] if dist is None else f"{dist.name} {dist.version}"


def find(name: str) -> Source | None:
    """Return the source of the backend called `name`; None where there is none."""
    for source in FIRST_PARTY:
        if source.name == name:
            return source
    for source in third_party():
        if source.name == name:
            return source
    return None


def load(source: Source) -> Backend:
    """Load a backend once; raise what it raised, every time."""
    found = _loaded.get(source.name)
    if found is None:
        error = _broken.get(source.name)
        if error is not None:
            raise error
        # of two threads that load at once both get what the first one stores
        found = _loaded.setdefault(source.name, _load(source))
    return found


def _load(source: Source) -> Backend:
    try:
        return _checked(source.load(), source.name)
    except Exception as error:
        _broken.setdefault(source.name, error)
        raise


def _checked(backend: Any, name: str) -> Backend:
    if not isinstance(backend, Backend):
        raise TypeError(f"expected a softaxis.backend.Backend, got {type(backend).__name__}")
    if backend.name != name:
        raise ValueError(f"the backend calls itself {backend.name!r}")
    return backend


def try_load(source: Source) -> Backend | None:
    """Load a backend that nobody asked for by name: a log line where it is broken, once."""
    try:
        return load(source)
    except Exception as error:  # noqa: BLE001 - whatever the import of a plugin raises
        _log_once(
            "backend %r (%s) is broken and skipped: %r", source.name, source.origin, repr(error)
        )
        return None


def loaded(source: Source) -> Backend | None:
    """Return the backend if it is loaded."""
    return _loaded.get(source.name)


def broken(source: Source) -> Exception | None:
    """Return what loading it raised, if it was tried."""
    return _broken.get(source.name)


def is_blocked(source: Source) -> bool:
    """Return whether the environment forbids to load it."""
    return source.name in BLOCKED


def owners(cls: type, chosen: tuple[str, ...], disabled: frozenset[str]) -> list[Source]:
    """Return the backends that own arrays of type `cls`: the most derived claim wins.

    Those are the first-party ones of its package, or the one usable third-party backend of a
    package that has none; of two, neither, and no word about it to whoever has chosen. The class's
    own module says which first-party backends to ask first, so that an array of one package never
    loads the backend of another.
    """
    module = cls.__module__.partition(".")[0]
    native = [s for s in _DEFAULTS if module in s.modules and _claim(s, cls) is not None]
    if native:
        return native
    ours = _claims(_DEFAULTS, cls)
    usable = (s for s in third_party() if s.package not in _OWNED and s.name not in disabled)
    others = _claims(usable, cls)
    others = {
        source: claim
        for source, claim in others.items()
        if all(_is_strictly_derived(claim, other) for other in ours.values())
        and not any(_is_strictly_derived(other, claim) for other in others.values())
    }
    if len(others) > 1:
        names = tuple(source.name for source in others)
        if not set(names) & set(chosen):
            _log_conflict(cls, names)
        return list(ours)
    return list(others or ours)


def _claims(sources: Iterable[Source], cls: type) -> dict[Source, type]:
    claims = {source: _claim(source, cls) for source in sources}
    return {source: claim for source, claim in claims.items() if claim is not None}


def _is_strictly_derived(cls: type, other: type) -> bool:
    return cls is not other and issubclass(cls, other)


def _claim(source: Source, cls: type) -> type | None:
    """Return the most derived class through which a backend claims `cls`."""
    if sys.modules.get(source.imported) is None or is_blocked(source):
        return None
    if source.needs and not has_extra(source.needs):
        return None
    backend = try_load(source)
    if backend is None:
        return None
    return claim_of(backend, cls)


def claim_of(backend: Backend, cls: type) -> type | None:
    """Return the most derived of the backend's classes that `cls` is a subclass of."""
    best: type | None = None
    for claimed in backend.types:
        if issubclass(cls, claimed) and (best is None or issubclass(claimed, best)):
            best = claimed
    return best


def _log_conflict(cls: type, names: tuple[str, ...]) -> None:
    _log_once(
        "backends %s all claim %s; none is used. Choose one with "
        "softaxis.set_backends(prioritize=%r) or SOFTAXIS_PRIORITIZE=%s",
        ", ".join(names),
        cls.__name__,
        names[0],
        names[0],
    )


def demand(name: str) -> Backend:
    """Load the backend that the user named in code, or say why that cannot be."""
    source = find(name)
    if source is None:
        known = sorted({s.name for s in (*FIRST_PARTY, *third_party())} | {"default"})
        raise ValueError(f"no backend is called {name!r}; there are: {', '.join(known)}")
    if is_blocked(source):
        raise RuntimeError(f"backend {name!r} is blocked by SOFTAXIS_BLOCK")
    try:
        return load(source)
    except Exception as error:
        raise RuntimeError(
            f"backend {name!r} ({source.origin}) cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def log_unknown(name: str) -> None:
    """Say once that the environment names a backend that does not exist."""
    _log_once("SOFTAXIS_PRIORITIZE names %r, which is not installed", name)


_logged: dict[tuple[str, ...], object] = {}


def _log_once(*line: str) -> None:
    first = object()
    if _logged.setdefault(line, first) is first:
        _log(*line)


def _log(message: str, *values: str) -> None:
    import logging  # costs a tenth of what importing softaxis may take

    logging.getLogger("softaxis").warning(f"softaxis: {message}", *values)  # noqa: G004
