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

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeAlias, TypeVar, overload

__all__ = ["Backend", "Capability", "Declined", "Implementation", "declined"]

F = TypeVar("F", bound=Callable[..., Any])


Shortcut: TypeAlias = Callable[..., Any]
"""What takes the plainest calls, before their arguments are validated; see `Backend.implements`."""


class Capability(NamedTuple):
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
    bound : float
        The error it keeps to, as a multiple of the documented bound. What is above 1 stands in the
        documentation's table, and is what the conformance kit holds it to.
    notes : str
        What else a user should know.
    """

    dtypes: tuple[str, ...] | None = ("float32", "float64")
    devices: tuple[str, ...] | None = None
    min_size: int = 0
    differentiable: bool = False
    traceable: bool = False
    lazy: bool = False
    bound: float = 1.0
    notes: str = ""


class Implementation(NamedTuple):
    """One function of one backend, with its capability record.

    Parameters
    ----------
    name, backend : str
        The names of the function and of the backend.
    function : callable
        What runs.
    capability : Capability
        What it can do.
    keywords : frozenset of str, or None
        The keyword arguments it takes; None where it takes all of them.
    shortcuts : dict of type to callable, or None
        By exact type of the first array, what is asked before it.
    selective : dict of type to callable, or None
        The same where there is a minimum size.
    ready : callable, or None
        What tells of an array whether the minimum size does not count.
    """

    name: str
    backend: str
    function: Callable[..., Any]
    capability: Capability
    keywords: frozenset[str] | None
    shortcuts: dict[type, Shortcut] | None = None
    selective: dict[type, Shortcut] | None = None
    ready: Callable[[Any], bool] | None = None


class Backend:
    """A set of implementations for the arrays of one library.

    Parameters
    ----------
    name : str
        The name users write, the same as that of the entry point.
    types : tuple of type
        The array classes it serves, subclasses included.
    arrays : str, optional
        Where the conformance kit finds a `softaxis.testing.Arrays` that makes such arrays from
        NumPy's, written ``"module:name"``. Only a library that the kit does not know needs one.

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

    def __init__(self, name: str, *, types: tuple[type, ...], arrays: str | None = None) -> None:
        if not name.isidentifier() or name == "default":
            raise ValueError(f"`name` must be an identifier other than 'default', got {name!r}")
        if not types or not all(isinstance(cls, type) for cls in types):
            raise TypeError(f"`types` must be a tuple of array classes, got {types!r}")
        self.name = name
        self.types = tuple(types)
        self.arrays = arrays
        self.functions: dict[str, Implementation] = {}

    def __repr__(self) -> str:
        return f"Backend({self.name!r}, functions={sorted(self.functions)})"

    @overload
    def implements(self, function: F, /) -> F: ...
    @overload
    def implements(
        self,
        /,
        *,
        name: str | None = None,
        shortcut: Shortcut | None = None,
        selective: Shortcut | None = None,
        ready: Callable[[Any], bool] | None = None,
        **capability: Any,
    ) -> Callable[[F], F]: ...

    def implements(
        self,
        function: F | None = None,
        /,
        *,
        name: str | None = None,
        shortcut: Shortcut | None = None,
        selective: Shortcut | None = None,
        ready: Callable[[Any], bool] | None = None,
        **capability: Any,
    ) -> F | Callable[[F], F]:
        """Register an implementation; use it as a decorator.

        Parameters
        ----------
        function : callable
            The implementation. Its name is that of the softaxis function, unless `name` is given.
        name : str, optional
            The name of the softaxis function.
        shortcut : callable, optional
            What is asked first where validation would cost more than the computation: it gets the
            arrays and `axis` alone, for losses also `ignore_index` and `reduction`, as the user
            wrote them, where nothing else was given. It returns what the implementation would, or
            `NotImplemented` for whatever needs another look. Only arrays whose type is exactly one
            of the backend's come there, and only while the implementation is the first to be
            asked at every size and nobody is tracing.
        selective : callable, optional
            What is asked first in its place while there is a minimum size: it leaves what another
            implementation computes better, or to other bits.
        ready : callable, optional
            Whether an array below the minimum size is taken after all, as where what takes long to
            make is there already. It gets the first array, and may say why not by `declined`. For
            arrays of a dtype it always answers the same: a row's bits change with the answer.
        **capability
            Fields of `Capability`.
        """

        def register(f: F) -> F:
            key = name or f.__name__
            record = Capability(**capability)
            shortcuts, chosen = (
                dict.fromkeys(self.types, one) if one is not None else None
                for one in (shortcut, selective)
            )
            self.functions[key] = Implementation(
                key, self.name, f, record, _keywords(f), shortcuts, chosen, ready
            )
            return f

        return register if function is None else register(function)


def _keywords(function: Callable[..., Any]) -> frozenset[str] | None:
    import inspect

    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(
        p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)
    )


class Declined(NotImplementedError):
    """The one backend that was asked, by `softaxis.get_backend`, declined the call."""


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
        What the implementation returns in its turn.
    """
    if _listeners:
        _reason.set(reason)
    return NotImplemented
