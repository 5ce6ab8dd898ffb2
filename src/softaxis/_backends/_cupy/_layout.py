"""Layout: arrays of any shape as (outer, length, inner), which is what the kernels walk over."""

from __future__ import annotations

from typing import NamedTuple

Numbers = tuple[int, ...]
Group = tuple[int, Numbers]
"""The size of some axes taken together, and the stride there of each array."""


class Layout(NamedTuple):
    """The sizes, and per array its strides, counted in elements, of any sign or 0."""

    outer: int
    length: int
    inner: int
    strides: tuple[tuple[int, int, int], ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.outer * self.inner


def layout_of(shape: Numbers, axes: Numbers, *strides: Numbers) -> Layout | None:
    """Return the layout of arrays of one shape whose rows lie along `axes`.

    None where the rows do not keep one distance between elements in every array, or where their
    beginnings take more than two distances.
    """
    kept = _joined([i for i in range(len(shape)) if i not in axes], shape, strides)
    along = _joined(list(axes), shape, strides)
    if len(kept) > 2 or len(along) > 1:
        return None
    nothing = (1, (0,) * len(strides))
    (length, steps), *_ = [*along, nothing]
    (outer, outers), (inner, inners) = [nothing, nothing, *kept][-2:]
    return Layout(outer, length, inner, tuple(zip(outers, steps, inners, strict=True)))


def _joined(axes: list[int], shape: Numbers, strides: tuple[Numbers, ...]) -> list[Group]:
    """Join neighbours among some axes where every array can walk them with one stride."""
    groups: list[Group] = []
    for i in axes:
        if shape[i] == 1:
            continue
        steps = tuple(one[i] for one in strides)
        if groups and groups[-1][1] == tuple(step * shape[i] for step in steps):
            groups[-1] = (groups[-1][0] * shape[i], steps)
        else:
            groups.append((shape[i], steps))
    return groups
