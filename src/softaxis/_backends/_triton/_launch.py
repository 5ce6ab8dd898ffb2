"""Launching: tensors laid out for a kernel, the parts of long rows joined before it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
NUMBERS = 6
"""What is known of a row."""
_REAL = {torch.float32: tl.float32, torch.float64: tl.float64}
_JOINED = 1024
_interpreter = threading.RLock()


class Call(NamedTuple):
    """Tensors of one shape, or None, the last one being the result; and how a kernel takes them."""

    tensors: tuple[Tensor | None, ...]
    layout: Layout
    tile: Tile
    real: Any
    axes: tuple[int, ...] | None
    """Where the axes of the rows came from, if they were moved to the end."""

    def places(self) -> list[Any]:
        """Return each tensor followed by its strides."""
        strides = iter(self.layout.strides)
        nowhere = (0, 0, 0, 0)
        pairs = ((x, nowhere if x is None else next(strides)) for x in self.tensors)
        return [one for pair in pairs for one in pair]

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
    for moved in (None, axes):
        if moved is not None:  # side by side in memory they can be laid out
            last = _last(axes)
            everything = [None if one is None else one.expand(x.shape) for one in (x, *others)]
            x, *others = [
                None if one is None else one.movedim(axes, last).contiguous() for one in everything
            ]
            axes = tuple(i + x.ndim for i in last)
        y = out(x, axes)
        expanded = [None if one is None else one.expand(x.shape) for one in (x, *others, y)]
        strides = [one.stride() for one in expanded if one is not None]
        layout = layout_of(tuple(x.shape), axes, *strides)
        if layout is not None:
            break
    assert layout is not None
    tile = tile_of(layout, working(x).itemsize)
    return Call((x, *others, y), layout, tile, _REAL[working(x)], moved)


def _last(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(range(-len(axes), 0))


def run(kernel: Any, call: Call, programs: int, *arguments: Any, **constants: Any) -> None:
    """Launch a kernel on the device of the tensors, on its current stream."""
    tile = call.tile
    constants |= {"REAL": call.real, "ROWS": tile.rows, "BLOCK": tile.block}
    x = call.tensors[0]
    assert x is not None
    with _ready(x):
        kernel[(programs,)](*arguments, **constants, num_warps=tile.warps, enable_fp_fusion=False)


def groups(call: Call) -> int:
    """Return how many programs it takes to have one for each row."""
    return -(-call.layout.rows // call.tile.rows)


def known(call: Call, where: Any, weights: Tensor | None = None, *, spread: bool = False) -> Any:
    """Return what is known of rows that lie in several tiles; None where they lie in one.

    `where` are a tensor or None, and its strides.
    """
    count, rows = call.tile.count, call.layout.rows
    if count == 1:
        return None
    x = call.tensors[0]
    assert x is not None
    found = torch.empty(NUMBERS * rows * count, dtype=working(x), device=x.device)
    joined = torch.empty(NUMBERS * rows, dtype=working(x), device=x.device)
    at = call.layout.strides[0]
    arguments = (x, at, *where, weights, found, call.layout.sizes, count)
    run(_rows.parts, call, groups(call) * count, *arguments, SPREAD=spread)
    with _ready(x):
        _rows.join[(rows,)](found, joined, rows, count, BLOCK=_JOINED, enable_fp_fusion=False)
    return joined


@contextmanager
def _ready(x: Tensor) -> Iterator[None]:
    """Make the device of a tensor the current one; or let the interpreter have one call at a time."""
    if not INTERPRETED:
        with torch.cuda.device(x.device):
            yield
        return
    with _interpreter, np.errstate(all="ignore"):
        yield
