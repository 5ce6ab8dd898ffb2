"""From arrays to the tables of a job: which dimensions rows run along, and where rows begin."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

Strides = tuple[int, ...] | None
"""Those of an array; None where there is no such array."""
Dimension = tuple[int, ...]
"""The size, and the strides of the arrays."""


class Geometry(NamedTuple):
    """The tables, and what they amount to."""

    table: list[Dimension]
    """Of the dimensions of the rows' places, and then of those that rows run along."""
    outer: int
    """How many of the former there are."""
    rows: int
    length: int
    direct: bool
    """The numbers of a row lie side by side, in all of a, b and c."""
    tiled: bool
    """Neighbouring rows do."""


def geometry(
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    item: int,
    full: tuple[Strides, ...],
    by_row: tuple[Strides, ...],
) -> Geometry:
    """Return the tables for arrays `full`, of `shape`, and `by_row`, of that without `axes`.

    `full` are the strides of a, b, c and the mask; `by_row` those of p and q. What is None has
    strides of 0.
    """
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    strides = [(0,) * len(shape) if s is None else s for s in full]
    reduced = [(0,) * len(kept) if s is None else s for s in by_row]
    row = _merged([(shape[i], *(s[i] for s in strides), 0, 0) for i in axes])
    outer = _merged(
        [(shape[i], *(s[i] for s in strides), *(s[j] for s in reduced)) for j, i in enumerate(kept)]
    )
    present = [i + 1 for i, s in enumerate(full[:3]) if s is not None]
    direct = len(row) == 1 and (row[0][0] == 1 or all(row[0][i] == item for i in present))
    tiled = False
    if not direct:
        for d in outer:
            if all(d[i] == item for i in present):
                outer.remove(d)
                outer.append(d)
                tiled = True
                break
    return Geometry(
        outer + row,
        len(outer),
        prod(d[0] for d in outer),
        prod(d[0] for d in row),
        direct,
        tiled,
    )


def _merged(dimensions: list[Dimension]) -> list[Dimension]:
    """Join dimensions that are one in memory, of every array; those of size 1 say nothing."""
    found: list[Dimension] = []
    for d in dimensions:
        if d[0] == 1:
            continue
        if found and all(a == b * d[0] for a, b in zip(found[-1][1:], d[1:], strict=True)):
            d = (found[-1][0] * d[0], *d[1:])  # noqa: PLW2901 - one dimension in place of two
            found.pop()
        found.append(d)
    if found or not dimensions:
        return found or [(1,) + (0,) * 6]
    return [(1, *dimensions[-1][1:])]
