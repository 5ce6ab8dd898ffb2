"""softmax, log_softmax and logsumexp of sparse arrays with fill value -inf.

With m the maximum of a row, k the number of elements equal to it and rest the sum of exp(x - m)
over the others, logsumexp = m + log(k) + log1p(rest / k), which keeps its relative accuracy where
one element dominates. What is not stored is -inf and adds nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import sparse

from softaxis.backend import declined
from softaxis_example._rows import Axis, Entries, NDArray, assembled, entries, layout, mask
from softaxis_example._spoilt import spoilt


class Sums(NamedTuple):
    """The parts of the rows that have something stored."""

    m: NDArray
    z: NDArray
    """x - m, element by element, over the temperature; NaN where m is infinite or NaN."""
    e: NDArray
    """exp(z)."""
    k: NDArray
    rest: NDArray

    def log(self) -> NDArray:
        """log(k + rest) = log(k) + log1p(rest / k)."""
        return np.log(self.k) + np.log1p(self.rest / self.k)


def softmax(
    x: sparse.COO,
    /,
    *,
    axis: Axis,
    where: sparse.COO | None = None,
    temperature: Any = None,
    dtype: Any = None,
) -> Any:
    """Compute e / (k + rest) of what is stored; what is not is 0."""
    return _normalized(x, axis, where, temperature, dtype, log=False)


def log_softmax(
    x: sparse.COO,
    /,
    *,
    axis: Axis,
    where: sparse.COO | None = None,
    temperature: Any = None,
    dtype: Any = None,
) -> Any:
    """Compute z - log(k + rest) of what is stored; what is not is -inf."""
    return _normalized(x, axis, where, temperature, dtype, log=True)


def logsumexp(
    x: sparse.COO,
    /,
    *,
    axis: Axis,
    where: sparse.COO | None = None,
    keepdims: bool = False,
    dtype: Any = None,
) -> Any:
    """Compute m + log(k + rest) of rows with something stored; of the others it is -inf."""
    why = _unsuited(x)
    if why:
        return declined(why)
    working, final = _dtypes(x, dtype)
    rows = layout(x.shape, axis)
    found = entries(x, rows, mask(where, rows), -np.inf, working)
    with np.errstate(all="ignore"):
        sums = _sums(found)
        y = np.where(np.isfinite(sums.m), sums.m + sums.log(), sums.m).astype(final)
    coords = layout(tuple(x.shape[d] for d in rows.kept), ()).coords(found.rows)
    shape = [x.shape[d] for d in rows.kept]
    if keepdims:
        for d in rows.axes:
            coords = np.insert(coords, d, 0, axis=0)
            shape.insert(d, 1)
    return assembled(coords, y, tuple(shape), -np.inf)


def _unsuited(x: sparse.COO, temperature: Any = None) -> str:
    if x.fill_value != -np.inf:
        return f"takes arrays whose fill_value is -inf, not {x.fill_value}"
    if temperature is not None and not isinstance(temperature, float):
        return "takes one number as `temperature`"
    return ""


def _dtypes(x: sparse.COO, dtype: Any) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Return the dtype to compute in and that of the result."""
    final = x.dtype if dtype is None else np.dtype(dtype)
    return np.result_type(x.dtype, final), final


def _normalized(
    x: sparse.COO, axis: Axis, where: Any, temperature: Any, dtype: Any, *, log: bool
) -> Any:
    why = _unsuited(x, temperature)
    if why:
        return declined(why)
    working, final = _dtypes(x, dtype)
    rows = layout(x.shape, axis)
    takes_part = mask(where, rows)
    found = entries(x, rows, takes_part, -np.inf, working)
    with np.errstate(all="ignore"):
        sums = _sums(found, temperature)
        y = sums.z - found.spread(sums.log()) if log else sums.e / found.spread(sums.k + sums.rest)
        y = y.astype(final)
    nan = spoilt(rows, found, takes_part, sums.m)
    sound = found.spread(np.isfinite(sums.m))
    keys = np.concatenate([found.keys[sound], nan])
    y = np.concatenate([y[sound], np.full(len(nan), np.nan, final)])
    return assembled(rows.coords(keys), y, x.shape, -np.inf if log else 0.0)


def _sums(found: Entries, temperature: float | None = None) -> Sums:
    m = found.reduce(np.maximum, found.values)
    x, shift = found.values, found.spread(np.where(np.isfinite(m), m, np.nan))
    z = x - shift if temperature is None else _cooled(x, shift, x.dtype.type(temperature))
    e = np.exp(z)
    top = z == 0
    k = found.reduce(np.add, top.astype(z.dtype))
    return Sums(m, z, e, k, found.reduce(np.add, np.where(top, 0, e)))


def _cooled(x: NDArray, shift: NDArray, temperature: np.floating[Any]) -> NDArray:
    """(x - shift) / temperature, and its limits: the maxima only at 0, all alike at infinity."""
    if temperature == 0:
        return np.where(x < shift, -np.inf, x - shift)
    if temperature == np.inf:
        return np.where(x < shift, 0, x - shift)
    return (x / 2 - shift / 2) / temperature * 2  # of 1e308 and -1e308 the halves are not too far
