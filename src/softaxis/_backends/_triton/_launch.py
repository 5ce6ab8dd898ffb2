"""Launching: tensors laid out for a kernel, the parts of long rows joined before it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from softaxis._axes import Axis, as_tuple, reduced_shape
from softaxis._backends._torch_rows import working
from softaxis._backends._triton import _rows
from softaxis._backends._triton._layout import Layout, Tile, layout_of, tile_of

INTERPRETED = bool(triton.knobs.runtime.interpret)
"""Whether kernels are interpreted on the CPU, as TRITON_INTERPRET=1 asked when they were made."""
_NUMBERS = 6
"""What is known of a row."""
_REAL = {torch.float32: tl.float32, torch.float64: tl.float64}
_JOINED = 256
_interpreter = threading.RLock()


Tensors = tuple[Tensor | None, ...]


class Call(NamedTuple):
    """Tensors that broadcast to the first; the last is the result. And how a kernel takes them."""

    tensors: Tensors
    layout: Layout
    tile: Tile
    real: Any
    axes: tuple[int, ...] | None
    """Where the axes of the rows came from, if they were moved to the end."""

    def places(self) -> list[Any]:
        """Return the strides of the first tensor, and each other one followed by its strides."""
        strides = iter(self.layout.strides)
        nowhere = (0, 0, 0, 0)
        pairs = ((x, nowhere if x is None else next(strides)) for x in self.tensors)
        return [one for pair in pairs for one in pair][1:]

    def result(self) -> Tensor:
        """Return the result as the caller knows the axes."""
        y = self.tensors[-1]
        assert y is not None
        return y if self.axes is None else y.movedim(_last(self.axes), self.axes)


def like(x: Tensor, _: Any) -> Tensor:
    """Make an empty result of the shape of x."""
    return torch.empty_like(x)


def reduced(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Make an empty result with a number for each row."""
    return x.new_empty(reduced_shape(tuple(x.shape), axes, keepdims=True))


def reduced_to_working(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Make the same in the dtype of computation."""
    return reduced(x, axes).to(working(x))


def arranged(
    x: Tensor, *others: Tensor | None, axis: Axis, out: Callable[[Tensor, tuple[int, ...]], Tensor]
) -> Call:
    """Lay tensors out that broadcast to x, without a copy where that is possible."""
    axes = as_tuple(axis)
    moved = None
    tensors, layout = _laid_out((x, *others), axes, out)
    if layout is None:  # rows that lie in one piece, one after the other, can be laid out
        moved, last = axes, _last(axes)
        given = [None if one is None else one.expand(x.shape) for one in (x, *others)]
        copies = [None if one is None else one.movedim(axes, last).contiguous() for one in given]
        axes = tuple(range(x.ndim - len(axes), x.ndim))
        tensors, layout = _laid_out(tuple(copies), axes, out)
        assert layout is not None
    tile = tile_of(layout, working(x).itemsize)
    return Call(tensors, layout, tile, _REAL[working(x)], moved)


def _laid_out(
    tensors: Tensors, axes: tuple[int, ...], out: Callable[[Tensor, tuple[int, ...]], Tensor]
) -> tuple[Tensors, Layout | None]:
    """Return tensors and a result of the same shape, and their layout if there is one."""
    x = tensors[0]
    assert x is not None
    together = (*tensors, out(x, axes))
    strides = [one.expand(x.shape).stride() for one in together if one is not None]
    return together, layout_of(tuple(x.shape), axes, *strides)


def _last(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(range(-len(axes), 0))


def run(kernel: Any, call: Call, programs: int, *arguments: Any, **constants: Any) -> None:
    """Launch a kernel of the first tensor and of these arguments."""
    tile = call.tile
    constants |= {"REAL": call.real, "ROWS": tile.rows, "BLOCK": tile.block}
    x = call.tensors[0]
    assert x is not None
    start(kernel, programs, x, *arguments, **constants, num_warps=tile.warps)


def start(kernel: Any, programs: int, x: Tensor, *arguments: Any, **constants: Any) -> None:
    """Launch a kernel on the device of x, on its current stream; the interpreter takes turns."""
    if INTERPRETED:
        with _interpreter, np.errstate(all="ignore"):
            kernel[(programs,)](x, *arguments, **constants)
    else:
        with torch.cuda.device(x.device):
            kernel[(programs,)](x, *arguments, **constants, enable_fp_fusion=False)


def groups(call: Call) -> int:
    """Return how many programs it takes to have one for each row."""
    return -(-call.layout.rows // call.tile.rows)


def known(call: Call, where: Any, weights: Tensor | None = None, *, spread: bool = False) -> Any:
    """Return what is known of rows that lie in several tiles; None where they lie in one.

    `where` are a tensor or None, and its strides.
    """
    count, rows = call.tile.parts, call.layout.rows
    if count == 1:
        return None
    x = call.tensors[0]
    assert x is not None
    found = torch.empty(_NUMBERS * rows * count, dtype=working(x), device=x.device)
    joined = torch.empty(_NUMBERS * rows, dtype=working(x), device=x.device)
    at = call.layout.strides[0]
    arguments = (at, *where, weights, found, call.layout.sizes, count)
    run(_rows.parts, call, groups(call) * count, *arguments, SPREAD=spread)
    start(_rows.join, rows, found, joined, rows, count, BLOCK=_JOINED)
    return joined
