"""What users ask for: which backends come first, which never run, and a trace of what ran."""

from __future__ import annotations

from _thread import allocate_lock  # `threading` takes a tenth of what this may take to import
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple, TypeAlias

from softaxis import backend as _backend
from softaxis._dispatch import _registry
from softaxis._dispatch._environment import BLOCKED, PRIORITIZED

Event: TypeAlias = "tuple[str, str, str, str]"
"""Identity of the function, name of the backend, "ran", "declined" or "raised", and why."""


Choice: TypeAlias = "tuple[tuple[str, ...], frozenset[str]]"
"""Names of backends in order of preference, and of those that do not run."""


class Options(NamedTuple):
    """Names of backends in order of preference, names of those that never run, and a trace."""

    prioritize: tuple[str, ...] = ()
    disable: frozenset[str] = frozenset()
    trace: list[Event] | None = None


_process = [Options(prioritize=PRIORITIZED, disable=BLOCKED)]
_override: ContextVar[Options | None] = ContextVar("softaxis_options", default=None)
_live: list[Choice] = []
"""What the open blocks choose, of all threads."""
_lock = allocate_lock()
_on_change: list[Callable[[], None]] = []


def process_options() -> Options:
    """Return the options of the process: the only ones that a cached decision depends on."""
    return _process[0]


def context_options() -> Options:
    """Return the options in force here; reads the ContextVar."""
    return _override.get() or _process[0]


def traceable_options() -> Options:
    """Return `context_options`, and let torch.compile, which cannot trace a ContextVar, read them.

    It takes them as constant until other options are in force in some block.
    """
    return _constant_options(tuple(_live))


def _constant_options(_: tuple[Choice, ...]) -> Options:
    return context_options()


_constant_options._dynamo_marked_constant = True  # type: ignore[attr-defined] # for torch.compile


def is_overridden() -> bool:
    """Return whether a `backend_opts` block is open anywhere, in any thread."""
    return bool(_live)


def on_change(callback: Callable[[], None]) -> None:
    """Call back whenever decisions made so far stop being valid."""
    _on_change.append(callback)


def _changed() -> None:
    for callback in tuple(_on_change):
        callback()


@contextmanager
def backend_opts(
    *,
    prioritize: str | Iterable[str] = (),
    disable: str | Iterable[str] = (),
    trace: bool = False,
) -> Iterator[list[Event] | None]:
    """Choose backends, or watch them, within a ``with`` block.

    The options hold in the thread, or the asyncio task, that opened the block. Blocks nest: an
    inner one adds to the outer one, and its `prioritize` comes first. While any block is open,
    every call decides anew, which costs some microseconds.

    Parameters
    ----------
    prioritize : str or iterable of str
        Backends that come first, in this order, for the arrays they support. ``"default"`` is
        the array-API implementation.
    disable : str or iterable of str
        Backends that do not run. Names of backends that are not installed are ignored.
    trace : bool
        Record what each call did.

    Yields
    ------
    list of tuple, or None
        With `trace`, one tuple for every implementation tried: the function's identity, the
        backend, ``"ran"``, ``"declined"`` or ``"raised"``, and the reason.

    Raises
    ------
    ValueError
        A prioritized backend is unknown.
    RuntimeError
        A prioritized backend cannot be loaded; its own exception is the cause.

    Examples
    --------
    >>> import softaxis
    >>> with softaxis.backend_opts(prioritize="default", trace=True) as trace:
    ...     p = softaxis.softmax([1.0, 2.0])
    >>> trace
    [('softaxis:softmax', 'default', 'ran', '')]
    """
    outer = context_options()
    inner = outer._replace(
        prioritize=_merged(_checked(prioritize), outer.prioritize),
        disable=outer.disable | frozenset(_as_names(disable, "disable")),
        trace=[] if trace else outer.trace,
    )
    opened = (inner.prioritize, inner.disable)
    with _lock:
        _live.append(opened)
        _changed()
    if trace:
        _backend._listeners.append(inner)  # the other half of `declined`
    token = _override.set(inner)
    try:
        yield inner.trace
    finally:
        _override.reset(token)
        if trace:
            _backend._listeners.remove(inner)
        with _lock:
            _live.remove(opened)
            _changed()


def set_backends(
    *, prioritize: str | Iterable[str] = (), disable: str | Iterable[str] = ()
) -> None:
    """Choose backends for the whole process, in place of what was chosen before.

    Without arguments it returns to the choice of the environment variables
    ``SOFTAXIS_PRIORITIZE`` and ``SOFTAXIS_BLOCK``; what the latter blocks stays blocked.

    Parameters
    ----------
    prioritize : str or iterable of str
        Backends that come first, in this order, for the arrays they support.
    disable : str or iterable of str
        Backends that do not run.

    Raises
    ------
    ValueError
        A prioritized backend is unknown.
    RuntimeError
        A prioritized backend cannot be loaded; its own exception is the cause.

    Examples
    --------
    >>> import softaxis
    >>> softaxis.set_backends(disable="numpy")
    >>> softaxis.explain_dispatch(softaxis.softmax, [1.0, 2.0]).backend
    'default'
    >>> softaxis.set_backends()
    """
    names = _checked(prioritize) or PRIORITIZED
    options = Options(names, BLOCKED | frozenset(_as_names(disable, "disable")))
    with _lock:
        _process[0] = options
        _changed()


def _merged(first: tuple[str, ...], then: tuple[str, ...]) -> tuple[str, ...]:
    return first + tuple(name for name in then if name not in first)


def _as_names(names: str | Iterable[str], parameter: str) -> tuple[str, ...]:
    found = (names,) if isinstance(names, str) else tuple(names)
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"`{parameter}` must be a name or names of backends, got {name!r}")
    return found


def _checked(prioritize: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names; a backend that is unknown or broken is an error here, not later."""
    names = _as_names(prioritize, "prioritize")
    for name in names:
        if name != "default":
            _registry.demand(name)
    return names
