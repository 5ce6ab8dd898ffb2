"""Derivatives from the results: they have the entries of the result, and are 0 elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sparse

from softaxis.backend import declined
from softaxis_example._rows import (
    Axis,
    Entries,
    NDArray,
    assembled,
    entries,
    layout,
    mask,
    values_at,
)


def softmax_vjp(p: sparse.COO, g: sparse.COO, /, *, axis: Axis) -> Any:
    """Compute p (h - sum(p h)) where p is not 0; h is g minus its value at the largest p."""
    if p.fill_value != 0 and p.nnz < p.size:
        return declined(f"takes `p` whose fill_value is 0, not {p.fill_value}")
    return _pulled_back(p, g, axis, 0.0, _through_softmax)


def log_softmax_vjp(logp: sparse.COO, g: sparse.COO, /, *, axis: Axis) -> Any:
    """Compute g - p sum(g) where p is not 0; what g holds elsewhere does not count."""
    if logp.fill_value != -np.inf and logp.nnz < logp.size:
        return declined(f"takes `logp` whose fill_value is -inf, not {logp.fill_value}")
    return _pulled_back(logp, g, axis, -np.inf, _through_log_softmax)


def _pulled_back(
    y: sparse.COO,
    g: sparse.COO,
    axis: Axis,
    nothing: float,
    through: Callable[[Entries, NDArray], NDArray],
) -> sparse.COO:
    rows = layout(y.shape, axis)
    found = entries(y, rows, mask(None, rows), nothing, y.dtype)
    direction = values_at(g, rows, found.keys).astype(y.dtype)
    with np.errstate(all="ignore"):
        dx = through(found, direction)
    return assembled(rows.coords(found.keys), dx, y.shape, 0.0)


def _through_softmax(found: Entries, g: NDArray) -> NDArray:
    p = found.values
    top = p == found.spread(found.reduce(np.maximum, p))
    h = g - found.spread(found.reduce(np.maximum, np.where(top, g, -np.inf)))
    dx: NDArray = p * (h - found.spread(found.reduce(np.add, p * h)))
    return dx


def _through_log_softmax(found: Entries, g: NDArray) -> NDArray:
    """g - p sum(g); for the one large p, in g (1 - p) - p sum(g of the others), nothing cancels."""
    p, large = np.exp(found.values), found.values > -0.5  # rounded or not, no two p are above 0.6
    others = found.spread(found.reduce(np.add, np.where(large, 0, g)))
    dx: NDArray = g - p * found.spread(found.reduce(np.add, g))
    np.copyto(dx, -g * np.expm1(found.values) - p * others, where=large)
    return dx
