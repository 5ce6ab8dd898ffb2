"""A call as a line of Python to paste."""

from __future__ import annotations

from typing import Any

import numpy as np

from softaxis.testing._arrays import Arrays, NDArray
from softaxis.testing._trials import Operand, Trial

LONG = 40
"""A longer array is written by the rule that made it, where there is one."""


def paste(trial: Trial, backend: str, arrays: Arrays, where: str, remark: str = "") -> str:
    """Return the call, with what it needs, in one line.

    Parameters
    ----------
    trial : Trial
        The call.
    backend : str
        Whose implementation is called.
    arrays : Arrays
        How its arrays are made.
    where : str
        Where a stranger's `Arrays` can be imported from, ``"module:name"``; empty for one of ours.
    remark : str
        What stands behind it.
    """
    plain = arrays.name == "numpy" and not where
    array = _numpy if plain else _other
    given = [array(operand) for operand in trial.arrays]
    for key, value in trial.keywords.items():
        if isinstance(value, Operand):
            given.append(f"{key}={array(value)}")
        elif isinstance(value, DType):
            written = f"np.dtype({value.name!r})" if plain else f"a.dtype({value.name!r})"
            given.append(f"{key}={written}")
        else:
            given.append(f"{key}={value!r}")
    call = f"softaxis.get_backend({backend!r}).{trial.function}({', '.join(given)})"
    steps = ["import numpy as np, softaxis", call]
    if where:
        module, _, name = where.partition(":")
        steps.insert(1, f"from {module} import {name} as a")
    elif not plain:
        steps.insert(1, "from softaxis.testing import arrays_for")
        steps.insert(2, f"a = arrays_for({arrays.name!r})")
    if "long_row(" in call:
        steps.insert(1, "from softaxis.testing import long_row")
    if "layouts(" in call and plain:
        steps.insert(1, "from softaxis.testing import arrays_for")
    return "; ".join(steps) + (f"  # {remark}" if remark else "")


class DType(str):
    """The name of a dtype, where the library's own object is to be passed."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name alone."""
        return str(self)


def _numpy(operand: Operand) -> str:
    values, dtype, layout = operand
    if layout:
        return f"dict(arrays_for('numpy').layouts({_values(values)}, {dtype!r}))[{layout!r}]"
    if values.dtype.name == dtype == "float64":
        return _values(values)
    return f"{_values(values)}.astype({dtype!r})"


def _other(operand: Operand) -> str:
    values, dtype, layout = operand
    if layout:
        return f"dict(a.layouts({_values(values)}, {dtype!r}))[{layout!r}]"
    return f"a.asarray({_values(values)}, {dtype!r})"


def _values(values: NDArray) -> str:
    if values.size <= LONG:
        with np.printoptions(floatmode="unique", threshold=LONG + 1, linewidth=10**6):
            return _list(values)
    return _rule(values)


def _list(values: NDArray) -> str:
    written = repr(values.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    return f"np.array({written})" if values.size else f"np.zeros({values.shape})"


def _rule(values: NDArray) -> str:
    """Write an array of long rows by the rule that made them."""
    from softaxis.testing._long_rows import long_row
    from softaxis.testing._rows import KINDS

    for axis in sorted(range(values.ndim), key=lambda i: -values.shape[i]):
        rows = np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis])
        made: list[Any] = [
            next((k for k in KINDS if np.array_equal(long_row(k, row.size), row)), None)
            for row in rows
        ]
        if all(made):
            n, count = values.shape[axis], len(made)
            period = next(k for k in range(1, count + 1) if made == (made[:k] * count)[:count])
            calls = ", ".join(f"long_row({kind!r}, {n})" for kind in made[:period])
            if count == 1:
                return f"{calls}.reshape({values.shape})" if values.ndim > 1 else calls
            stacked = f"np.stack([{calls}], {1 - axis})"
            if period == count:
                return stacked
            return f"{stacked}.take(np.arange({count}) % {period}, {1 - axis})"
    return _list(values)
