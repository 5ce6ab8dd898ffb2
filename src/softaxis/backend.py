"""For backend authors: `Backend`, `Capability`, `declined`.

A backend is a faster implementation of some of softaxis' functions for the arrays of one
library. It is published as an entry point in the group of that library::

    [project.entry-points."softaxis.backends.torch"]
    mine = "my_package:backend"

What an implementation receives has been validated: `axis` is an int in ``0..ndim-1`` or an
increasing tuple of such ints whose length is not 1; `where` is None or a boolean array of the
same library that broadcasts to the first array; `temperature` and `sink` are None, a float or an
array of the same library; `dtype` is None or a real floating dtype of the library; `out` is None
or an array of the right shape and dtype. It returns the result, or declines the call by
returning `NotImplemented`. Exceptions it raises reach the user.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias, TypeVar, overload

from softaxis._libraries import library_of

__all__ = ["Backend", "Capability", "Implementation", "declined"]

F = TypeVar("F", bound=Callable[..., Any])
Gate: TypeAlias = Callable[[Any], bool]


@dataclass(frozen=True)
class Capability:
    """What one implementation can do: read by dispatch, tests, documentation and command line.

    Parameters
    ----------
    dtypes : tuple of str, or None
        Names of the dtypes of the first array, such as ``"float32"``. None means any.
    devices : tuple of str, or None
        Kinds of devices, such as ``"cpu"`` and ``"cuda"``. None means any.
    min_size : int
        Number of elements below which another implementation is faster.
    differentiable : bool
        The library's automatic differentiation can go through it.
    traceable : bool
        It runs on the stand-ins that `jax.jit` and `torch.compile` pass.
    lazy : bool
        It computes nothing while it builds a graph.
    bound : str
        The error bound it keeps where that is weaker than the documented one.
    notes : str
        What else a user should know.
    """

    dtypes: tuple[str, ...] | None = ("float32", "float64")
    devices: tuple[str, ...] | None = None
    min_size: int = 0
    differentiable: bool = False
    traceable: bool = False
    lazy: bool = False
    bound: str = ""
    notes: str = ""


@dataclass(frozen=True, eq=False)
class Implementation:
    """One function of one backend, with its capability record."""

    name: str
    backend: str
    function: Callable[..., Any]
    capability: Capability
    keywords: frozenset[str] | None
    """The keyword arguments it takes; None where it takes all of them."""
    gate: Gate | None
    """What looks at the first array and admits it; None where the record admits any."""


class Backend:
    """A set of implementations for the arrays of one library.

    Parameters
    ----------
    name : str
        The name users write, the same as that of the entry point.
    types : tuple of type
        The array classes it serves, subclasses included.

    Examples
    --------
    >>> import numpy as np
    >>> from softaxis.backend import Backend, declined
    >>> backend = Backend("tutorial", types=(np.ndarray,))
    >>> @backend.implements(dtypes=("float64",))
    ... def softmax(x, /, *, axis, where=None):
    ...     if where is not None:
    ...         return declined("no mask yet")
    ...     e = np.exp(x - x.max(axis, keepdims=True))
    ...     return e / e.sum(axis, keepdims=True)
    >>> sorted(backend.functions)
    ['softmax']
    """

    def __init__(self, name: str, *, types: tuple[type, ...]) -> None:
        if not name.isidentifier() or name == "default":
            raise ValueError(f"`name` must be an identifier other than 'default', got {name!r}")
        if not types or not all(isinstance(cls, type) for cls in types):
            raise TypeError(f"`types` must be a tuple of array classes, got {types!r}")
        self.name = name
        self.types = tuple(types)
        self.functions: dict[str, Implementation] = {}

    def __repr__(self) -> str:
        return f"Backend({self.name!r}, functions={sorted(self.functions)})"

    @overload
    def implements(self, function: F, /) -> F: ...
    @overload
    def implements(self, /, *, name: str | None = None, **capability: Any) -> Callable[[F], F]: ...

    def implements(
        self, function: F | None = None, /, *, name: str | None = None, **capability: Any
    ) -> F | Callable[[F], F]:
        """Register an implementation; use it as a decorator.

        Parameters
        ----------
        function : callable
            The implementation. Its name is that of the softaxis function, unless `name` is given.
        name : str, optional
            The name of the softaxis function.
        **capability
            Fields of `Capability`.
        """

        def register(f: F) -> F:
            key = name or f.__name__
            record = Capability(**capability)
            self.functions[key] = Implementation(
                key, self.name, f, record, _keywords(f), _gate(record)
            )
            return f

        return register if function is None else register(function)


def _keywords(function: Callable[..., Any]) -> frozenset[str] | None:
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(
        p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
    )


_listeners: list[object] = []
_reason: ContextVar[str] = ContextVar("softaxis_declined", default="")


def declined(reason: str) -> Any:
    """Decline a call: return `NotImplemented`, and say why to whoever is tracing.

    Parameters
    ----------
    reason : str
        Why, in a few words, for `softaxis.explain_dispatch`.

    Returns
    -------
    NotImplemented
    """
    if _listeners:
        _reason.set(reason)
    return NotImplemented


def _gate(capability: Capability) -> Gate | None:
    checks: list[tuple[Gate, str]] = []
    if capability.dtypes is not None:
        checks.append(_dtype_check(capability.dtypes))
    if capability.min_size:
        checks.append(_size_check(capability.min_size))
    if capability.devices is not None:
        checks.append(_device_check(capability.devices))
    if not capability.differentiable:
        checks.append((_is_not_differentiated, "not differentiable"))
    if not capability.traceable:
        checks.append((_is_not_traced, "not traceable"))

    def gate(x: Any) -> bool:
        for passes, reason in checks:
            if not passes(x):
                declined(reason)
                return False
        return True

    return gate if checks else None


def _dtype_check(names: tuple[str, ...]) -> tuple[Gate, str]:
    known: dict[Any, bool] = {}

    def passes(x: Any) -> bool:
        dtype = x.dtype
        found = known.get(dtype)
        if found is None:
            found = known[dtype] = str(dtype).rpartition(".")[2] in names
        return found

    return passes, f"takes {', '.join(names)} only"


def _size_check(least: int) -> tuple[Gate, str]:
    return (lambda x: prod(x.shape) >= least), f"fewer than {least} elements"


def _device_check(devices: tuple[str, ...]) -> tuple[Gate, str]:
    return (lambda x: library_of(x).device(x) in devices), f"runs on {', '.join(devices)} only"


def _is_not_differentiated(x: Any) -> bool:
    return not library_of(x).differentiating(x)


def _is_not_traced(x: Any) -> bool:
    return not library_of(x).tracing(x)
