"""Calls: from arrays and options to the arguments that every kernel takes, in its order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softaxis._backends._cupy._configure import Configuration, Limits, configure
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


class Labels(NamedTuple):
    """What a loss is made of, beside the logits."""

    labels: Array
    """int64, in the order of the rows."""
    ignored: int | None
    divisor: float
    """What the gradient is divided by, unless `counted` holds it."""
    counted: Array | None
    losses: Array
    """What is written: a number for each row, in the dtype of computation."""


def plan(
    x: Array,
    mask: Array | None,
    result: Array | None,
    axes: Numbers,
    limits: Limits,
    arrays: int,
) -> tuple[Layout, Configuration] | None:
    """Return how to walk over arrays of one shape; None where the kernels cannot.

    Parameters
    ----------
    x, mask, result : array
        What has a shape, nowhere 0, an itemsize, and strides in bytes. The last two may be None.
    axes : tuple of int
        The axes of a row.
    limits : Limits
        What the device has.
    arrays : int
        How many arrays are read.

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
    configuration = configure(
        layout.rows,
        layout.length,
        x.itemsize,
        stride=stride,
        between=between,
        limits=limits,
        arrays=arrays,
    )
    return layout, configuration


def _steps(a: Array) -> Numbers | None:
    """Return the strides in elements; None for a field of a record that is not a multiple."""
    if any(step % a.itemsize for step in a.strides):
        return None
    return tuple(step // a.itemsize for step in a.strides)


def arguments(
    layout: Layout,
    configuration: Configuration,
    options: Options,
    labels: Labels | None,
    *arrays: Array | None,
) -> tuple[Any, ...]:
    """Return the arguments of the kernels; the arrays are input, mask, result and parts."""
    count = configuration.share if configuration.cluster else configuration.parts
    sizes = (layout.rows, layout.length, layout.inner, count)
    strides = (step for one in layout.strides for step in one)
    sink = 0.0 if options.sink is None else options.sink
    return (
        *map(_pointer, arrays),
        *map(np.int64, (*sizes, *strides)),
        np.float64(options.temperature),
        np.float64(sink),
        np.int32(options.sink is not None),
        np.int32(options.negated),
        *_of_labels(labels),
    )


def _of_labels(given: Labels | None) -> tuple[Any, ...]:
    if given is None:
        given = Labels(None, None, 1.0, None, None)
    return (
        _pointer(given.labels),
        np.int64(given.ignored or 0),
        np.int32(given.ignored is not None),
        np.float64(given.divisor),
        _pointer(given.counted),
        _pointer(given.losses),
    )


def _pointer(a: Array | None) -> np.uint64:
    return np.uint64(0 if a is None else a.data.ptr)
