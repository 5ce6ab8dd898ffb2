"""Calls: from arrays and options to the arguments that every kernel takes, in its order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softaxis._backends._cupy._configure import Configuration, configure
from softaxis._backends._cupy._layout import Layout, Numbers, layout_of

Array = Any


class Options(NamedTuple):
    """What the kernels compute."""

    function: int
    negated: bool = False
    """Of -x."""
    temperature: float = 1.0
    sink: float | None = None

    def is_plain(self, masked: bool) -> bool:
        """Whether nothing but the function is asked for."""
        return not (masked or self.negated) and self.temperature == 1.0 and self.sink is None


def plan(
    x: Array, mask: Array | None, result: Array, axes: Numbers
) -> tuple[Layout, Configuration] | None:
    """Return how to walk over arrays of one shape; None where the kernels cannot.

    Parameters
    ----------
    x, mask, result : array
        What has a shape, nowhere 0, an itemsize, and strides in bytes. The mask may be None.
    axes : tuple of int
        The axes of a row.

    Returns
    -------
    tuple or None
        The layout and the configuration.
    """
    nowhere = (0,) * len(x.shape)
    strides = [nowhere if a is None else _steps(a) for a in (x, mask, result)]
    known = [one for one in strides if one is not None]
    layout = layout_of(x.shape, axes, *known) if len(known) == len(strides) else None
    if layout is None:
        return None
    _, stride, between = layout.strides[0]
    rows, length = layout.rows, layout.length
    return layout, configure(rows, length, x.itemsize, stride=stride, between=between)


def _steps(a: Array) -> Numbers | None:
    """Return the strides in elements; None for a field of a record that is not a multiple."""
    if any(step % a.itemsize for step in a.strides):
        return None
    return tuple(step // a.itemsize for step in a.strides)


def arguments(
    layout: Layout, configuration: Configuration, options: Options, *pointers: int
) -> tuple[Any, ...]:
    """Return the arguments of the kernels; the pointers are input, mask (or 0), result, parts."""
    sizes = (layout.rows, layout.length, layout.inner, configuration.parts)
    strides = (step for one in layout.strides for step in one)
    sink = 0.0 if options.sink is None else options.sink
    return (
        *map(np.uint64, pointers),
        *map(np.int64, (*sizes, *strides)),
        np.float64(options.temperature),
        np.float64(sink),
        np.int32(options.sink is not None),
        np.int32(options.negated),
    )
