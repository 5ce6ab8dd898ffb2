"""Layout: tensors of any shape as (a, b, c, length), and how much of it a program takes."""

from __future__ import annotations

from typing import NamedTuple

from softaxis._backends._cupy._layout import Numbers, _joined

HELD = 32 * 1024
"""Bytes of a tile at most: 16 warps hold them, 64 bytes a thread."""
_SHORT = 4 * 1024
"""Bytes of a tile at least, where rows are short."""
_ACROSS = 32
"""Rows that lie side by side, so many of which fill a line of the cache."""
_A_WARP = 32 * 32
"""Bytes that a warp holds, up to 16 warps."""


class Layout(NamedTuple):
    """The four sizes; and the strides of each tensor, counted in elements."""

    sizes: tuple[int, int, int, int]
    strides: tuple[tuple[int, int, int, int], ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.sizes[0] * self.sizes[1] * self.sizes[2]


def layout_of(shape: Numbers, axes: Numbers, *strides: Numbers) -> Layout | None:
    """Return the layout of tensors of one shape whose rows lie along `axes`.

    None where the rows do not keep one distance between elements in every tensor, or where their
    beginnings take more than three distances.
    """
    kept = _joined([i for i in range(len(shape)) if i not in axes], shape, strides)
    along = _joined(list(axes), shape, strides)
    if len(kept) > 3 or len(along) > 1:
        return None
    nothing = (1, (0,) * len(strides))
    groups = [*kept, nothing, nothing, nothing][:3] + [*along, nothing][:1]
    sizes, steps = zip(*groups, strict=True)
    return Layout(sizes, tuple(zip(*steps, strict=True)))


class Tile(NamedTuple):
    """What one program takes, and how many of them take a row."""

    rows: int
    block: int
    parts: int
    warps: int


def tile_of(layout: Layout, itemsize: int) -> Tile:
    """Return the tile for the first tensor, `itemsize` bytes being a number that is computed with.

    How long it is, and thereby the order of a sum, depends on the length of a row alone.
    """
    *_, length = layout.sizes
    block = min(1 << (length - 1).bit_length(), HELD // itemsize)
    a, b, c, along = layout.strides[0]
    is_across = along != 1 and 1 in (a, b, c)
    least = min(HELD, _ACROSS * block * itemsize) if is_across else _SHORT
    rows = max(1, least // (block * itemsize))
    warps = rows * block * itemsize // _A_WARP
    return Tile(rows, block, -(-length // block), min(max(1, warps), 16))
