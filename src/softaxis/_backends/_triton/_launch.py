"""Launching: tensors laid out for a kernel, the parts of long rows joined before it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._backends._torch_rows import working
from softaxis._backends._triton import _rows
from softaxis._backends._triton._layout import Layout, Tile, layout_of, tile_of

INTERPRETED = not isinstance(_rows.join, triton.JITFunction)
"""Whether kernels are interpreted on the CPU, as TRITON_INTERPRET=1 asked when they were made."""
NUMBERS = 6
"""What is known of a row."""
_JOINED = 256
"""Parts of a row that are joined at a time."""
_REAL = {torch.float32: tl.float32, torch.float64: tl.float64}
_interpreter = threading.RLock()

Make: TypeAlias = Callable[[Tensor, tuple[int, ...]], Tensor]
"""What makes an empty result for x and the axes of its rows."""


class Call(NamedTuple):
    """A tensor, others that broadcast to it or are None, a result; and how kernels take them."""

    x: Tensor
    others: tuple[Tensor | None, ...]
    y: Tensor
    layout: Layout
    tile: Tile
    moved: tuple[int, ...] | None
    """The axes of the rows as the caller knows them, where they were moved to the end."""

    def places(self) -> list[Any]:
        """Return each tensor, the result last, followed by its strides."""
        strides = iter(self.layout.strides)
        pairs = ((t, None if t is None else next(strides)) for t in (self.x, *self.others, self.y))
        return [one for pair in pairs for one in pair]

    @property
    def groups(self) -> int:
        """How many programs it takes to have one for each row."""
        return -(-self.layout.rows // self.tile.rows)

    @property
    def programs(self) -> int:
        """How many it takes to have one for each element."""
        return self.groups * self.tile.parts

    def result(self) -> Tensor:
        """Return the result as the caller knows the axes."""
        return self.y if self.moved is None else self.y.movedim(_last(self.moved), self.moved)


def like(x: Tensor, _: tuple[int, ...]) -> Tensor:
    """Make an empty result of the shape of x."""
    return torch.empty_like(x)


def reduced(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Make an empty result with a number for each row."""
    return x.new_empty(reduced_shape(tuple(x.shape), axes, keepdims=True))


def reduced_to_working(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Make the same in the dtype of computation."""
    shape = reduced_shape(tuple(x.shape), axes, keepdims=True)
    return x.new_empty(shape, dtype=working(x))


def arranged(x: Tensor, *others: Tensor | None, axis: Axis, out: Make) -> Call:
    """Lay tensors out, without a copy where that is possible."""
    axes, moved = as_tuple(axis), None
    y = out(x, axes)
    layout = _layout(axes, x, *others, y)
    if layout is None:  # rows in one piece, one after the other, can be laid out
        moved = axes
        x, *others = [_in_one_piece(one, x, axes) for one in (x, *others)]  # type: ignore[assignment]
        axes = tuple(range(x.ndim - len(axes), x.ndim))
        y = out(x, axes)
        layout = _layout(axes, x, *others, y)
        assert layout is not None
    return Call(x, tuple(others), y, layout, tile_of(layout, working(x).itemsize), moved)


def _layout(axes: tuple[int, ...], *tensors: Tensor | None) -> Layout | None:
    (shape, *_) = (one.shape for one in tensors if one is not None)
    strides = [one.expand(shape).stride() for one in tensors if one is not None]
    return layout_of(tuple(shape), axes, *strides)


def _in_one_piece(one: Tensor | None, x: Tensor, axes: tuple[int, ...]) -> Tensor | None:
    return None if one is None else one.expand(x.shape).movedim(axes, _last(axes)).contiguous()


def _last(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(range(-len(axes), 0))


def run(kernel: Any, call: Call, programs: int, *arguments: Any, **constants: Any) -> None:
    """Launch a kernel with the tile of a call."""
    tile = call.tile
    constants |= {"REAL": _REAL[working(call.x)], "ROWS": tile.rows, "BLOCK": tile.block}
    start(kernel, programs, *arguments, **constants, num_warps=tile.warps)


def start(kernel: Any, programs: int, x: Tensor, *arguments: Any, **constants: Any) -> None:
    """Launch a kernel on the device of x, on its current stream; the interpreter takes turns."""
    if INTERPRETED:
        with _interpreter, np.errstate(all="ignore"):
            kernel[(programs,)](x, *arguments, **constants)
    else:
        with torch.cuda.device(x.device):
            kernel[(programs,)](x, *arguments, **constants, enable_fp_fusion=False)


def known(call: Call, weights: Tensor | None = None, *, spread: bool = False) -> Tensor | None:
    """Return what is known of rows that lie in several tiles; None where they lie in one.

    A mask, or None, is the first of the other tensors.
    """
    parts, rows = call.tile.parts, call.layout.rows
    if parts == 1:
        return None
    found = call.x.new_empty(NUMBERS * rows * parts, dtype=working(call.x))
    joined = call.x.new_empty(NUMBERS * rows, dtype=working(call.x))
    arguments = (*call.places()[:4], weights, found, call.layout.sizes, parts)
    run(_rows.parts, call, call.programs, *arguments, SPREAD=spread)
    start(_rows.join, rows, found, joined, rows, parts, BLOCK=_JOINED)
    return joined
