"""`list_backends`: what is installed, in which state, and what it can do."""

from __future__ import annotations

from typing import NamedTuple

from softaxis._dispatch import _registry
from softaxis._dispatch._environment import BLOCKED
from softaxis._dispatch._extras import is_installed
from softaxis._dispatch._options import context_options
from softaxis._dispatch._registry import Source
from softaxis._dispatch._tables import tables
from softaxis.backend import Capability


class BackendStatus(NamedTuple):
    """One backend.

    Parameters
    ----------
    name, package, origin : str
        Its name, the array package it serves, and the distribution it comes from.
    state : str
        ``"ready"`` (loaded), ``"available"`` (not loaded yet), ``"missing"`` (its array package
        is not installed), ``"blocked"`` (by the user or the environment) or ``"broken"``.
    reason : str
        Why, where the state is no good one.
    functions : dict of str to Capability
        What it implements; empty unless it is loaded.
    """

    name: str
    package: str
    origin: str
    state: str
    reason: str
    functions: dict[str, Capability]


def list_backends(*, load: bool = False) -> list[BackendStatus]:
    """Return every backend that is installed, the array-API implementation included.

    Parameters
    ----------
    load : bool
        Load those whose array package is installed, which imports that package.

    Returns
    -------
    list of BackendStatus
        One for each, `default` first.

    Examples
    --------
    >>> import softaxis
    >>> [b.name for b in softaxis.list_backends() if b.origin == "softaxis"]
    ['default', 'numba', 'numpy', 'torch_numba', 'torch', 'torch_triton',
     'jax_numba', 'jax', 'cupy', 'dask']
    """
    sources = (*_registry.FIRST_PARTY, *_registry.third_party())
    return [_default(), *(_status(source, load) for source in sources)]


def _default() -> BackendStatus:
    functions = {table.name: table.default.capability for table in tables.values()}
    reason = _why_blocked("default")
    state = "blocked" if reason else "ready"
    return BackendStatus("default", "any array-API library", "softaxis", state, reason, functions)


def _status(source: Source, load: bool) -> BackendStatus:
    def status(state: str, reason: str = "") -> BackendStatus:
        return BackendStatus(source.name, source.package, source.origin, state, reason, {})

    reason = _why_blocked(source.name)
    if reason:
        return status("blocked", reason)
    if not is_installed(source.package):
        return status("missing", f"{source.package} is not installed")
    if source.needs and not is_installed(source.needs):
        return status("missing", f"{source.needs} is not installed")
    if load:
        _registry.try_load(source)
    error = _registry.broken(source)
    if error is not None:
        return status("broken", f"{type(error).__name__}: {error}")
    backend = _registry.loaded(source)
    if backend is None:
        return status("available")
    functions = {n: i.capability for n, i in backend.functions.items() if n in tables}
    return BackendStatus(source.name, source.package, source.origin, "ready", "", functions)


def _why_blocked(name: str) -> str:
    if name in BLOCKED:
        return "SOFTAXIS_BLOCK names it"
    return "disabled in code" if name in context_options().disable else ""
