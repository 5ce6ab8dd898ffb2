"""`explain_dispatch`: which backend ran a call, and why not another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from softaxis._dispatch._options import backend_opts, context_options
from softaxis._dispatch._tables import Table, tables
from softaxis._libraries import adopt


class Explanation(NamedTuple):
    """What one call did. `str` of it is for people.

    Parameters
    ----------
    function : str
        The identity of the function, such as ``"softaxis:softmax"``.
    array : str
        The type of the first array.
    backend : str
        The backend that ran; empty if none did.
    candidates : tuple of (str, str, str)
        Every backend in the order tried, its outcome (``"ran"``, ``"declined"``, ``"raised"`` or
        ``"not needed"``) and the reason.
    """

    function: str
    array: str
    backend: str
    candidates: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        lines = [f"{self.function} on {self.array} ran on: {self.backend or 'nothing'}"]
        for number, (name, outcome, reason) in enumerate(self.candidates, 1):
            lines.append(f"  {number}. {name}: {outcome}" + (f" ({reason})" if reason else ""))
        return "\n".join(lines)


def explain_dispatch(
    function: Callable[..., Any], /, *arrays: Any, **arguments: Any
) -> Explanation:
    """Make a call and say which backend ran it, and why not another.

    Parameters
    ----------
    function : callable
        A public function of softaxis.
    *arrays, **arguments
        What to call it with. The result is dropped.

    Returns
    -------
    Explanation
        What ran, and what each of the others did.

    Raises
    ------
    TypeError
        `function` is not one of softaxis.

    Examples
    --------
    >>> import numpy as np, softaxis
    >>> print(softaxis.explain_dispatch(softaxis.softmax, np.ones(3)))
    softaxis:softmax on numpy.ndarray ran on: numpy
      1. numba: declined (fewer than 131072 elements)
      2. numpy: ran
      3. default: not needed
    """
    table = _table_of(function)
    with backend_opts(trace=True) as trace:
        if not arrays:
            function(**arguments)
        x = adopt(arrays[0], "x")
        names = [i.backend for i in table.implementations(type(x), context_options())]
        error: Exception | None = None
        try:
            function(*arrays, **arguments)
        except NotImplementedError as caught:
            error = caught
    events = [event for event in trace or () if event[0] == table.identity]
    if error is not None and len(events) < len(names):
        raise error
    tried = [(name, outcome, reason) for _, name, outcome, reason in events]
    rest = [(name, "not needed", "") for name in names[len(tried) :]]
    ran = next((name for name, outcome, _ in tried if outcome == "ran"), "")
    cls = type(x)
    return Explanation(table.identity, f"{cls.__module__}.{cls.__qualname__}", ran, (*tried, *rest))


def _table_of(function: Callable[..., Any]) -> Table:
    table = tables.get(getattr(function, "__name__", ""))
    if table is None or table.function is not function:
        raise TypeError(f"`function` must be a public function of softaxis, got {function!r}")
    return table
