"""The record of an array library: what the functions need to know about it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, TypeAlias

Array: TypeAlias = Any
Namespace: TypeAlias = Any


def always(_: Array) -> bool:
    """Return True."""
    return True


def never(_: Array) -> bool:
    """Return False."""
    return False


def on_cpu(_: Array) -> str:
    """Return the only kind of device there is."""
    return "cpu"


def _itself(value: Any) -> Any:
    return value


class Library(NamedTuple):
    """What an array library is like."""

    name: str
    xp: Namespace
    readable: Callable[[Array], bool] = never
    """Values can be read without tracing, computing or waiting for a device."""
    in_memory: Callable[[Array], Array] = _itself
    """A readable array as one whose operators are cheap; RuntimeError where that cannot be."""
    tracing: Callable[[Array], bool] = never
    """The array stands for values that a compiler will see later."""
    differentiating: Callable[[Array], bool] = never
    """Somebody records what is computed from the array in order to differentiate it."""
    device: Callable[[Array], str] = on_cpu
    """The kind of device an array is on: "cpu", "cuda", ..."""
    dtype: Callable[[Any], Any] = _itself
    """The library's own object for what a user may write as a dtype; TypeError for others."""
    immutable: bool = False
    refusal: str = ""
    """Why the array-API implementation takes none of its arrays, and the way out."""
    quiet: Callable[[], AbstractContextManager[Any]] = nullcontext
    """Within it, arithmetic reports nothing to NumPy's floating-point error state."""
