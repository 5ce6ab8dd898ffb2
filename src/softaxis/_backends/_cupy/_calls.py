"""Calls: from arrays and options to what the kernels are given, packed as `Call` in call.cuh."""

from __future__ import annotations

from struct import Struct
from typing import Any, NamedTuple

import numpy as np

from softaxis._backends._cupy._configure import Configuration, Limits, configure
from softaxis._backends._cupy._layout import Layout, Numbers, layout_of

Array = Any

_POINTERS, _PLACES, _OPTIONS = Struct("10Q"), Struct("19q"), Struct("5d4q")
CALL = np.dtype((np.void, _POINTERS.size + _PLACES.size + _OPTIONS.size))
"""Its bytes: what CuPy passes on by value."""
_NOWHERE = (0,) * 7
_MOST_PLANS = 1024
_IN_PARTS = Limits(0, 1)

FLOATS = ("float16", "bfloat16", "float32", "float64")
"""The dtypes that are read and written."""
PLAIN, MORE, ALL = range(3)
"""How much is asked for beside the function: nothing; a mask, numbers, or -x; all."""


class Options(NamedTuple):
    """What the kernels compute."""

    function: int
    result: np.dtype[Any]
    """The dtype of what is written."""
    negated: bool = False
    """Of -x."""
    temperature: float = 1.0
    sink: float | None = None
    temperatures: Array | None = None
    """In place of one, in the dtype of computation and the shape of x; and so the next."""
    sinks: Array | None = None

    def asked(self, masked: bool, labels: Labels | None) -> int:
        """Return how much is asked for."""
        if self.temperatures is not None or self.sinks is not None:
            return ALL
        if labels is not None and labels.is_more():
            return ALL
        plain = not (masked or self.negated) and self.temperature == 1.0 and self.sink is None
        return PLAIN if plain else MORE


class Labels(NamedTuple):
    """What a loss is made of, beside the logits."""

    labels: Array
    """int64, in the order of the rows."""
    ignored: int | None
    divisor: float
    """What the gradient is divided by, unless `counted` holds it."""
    counted: Array | None
    weights: Array | None
    """One for each class, in the dtype of computation."""
    smoothing: float
    z_loss: float
    losses: Array
    """What is written: a number for each row, in the dtype of computation."""

    def is_more(self) -> bool:
        """Whether a class weighs more than its label says."""
        return self.weights is not None or self.smoothing != 0 or self.z_loss != 0


class Plan(NamedTuple):
    """How to walk over arrays of some shape and strides."""

    layout: Layout
    configuration: Configuration
    packed: bytes
    """Sizes and strides."""


_plans: dict[Any, Plan | None] = {}


def plan(arrays: tuple[Array, ...], axes: Numbers, limits: Limits, read: int = 1) -> Plan | None:
    """Return how to walk over arrays of one shape; None where the kernels cannot.

    Parameters
    ----------
    arrays : tuple of array
        Input, mask, result, temperatures and sinks: what has a shape, nowhere 0, an itemsize, and
        strides in bytes. All but the first may be None.
    axes : tuple of int
        The axes of a row.
    limits : Limits
        What the device has.
    read : int
        How many arrays are read, and kept: 2 for a vector-Jacobian product.

    Returns
    -------
    Plan or None
        Layout and configuration; made once for what looks alike.
    """
    x = arrays[0]
    seen = tuple([None if a is None else (a.strides, a.itemsize) for a in arrays])
    key = (x.shape, seen, axes, limits, read)
    try:
        return _plans[key]
    except KeyError:
        if len(_plans) >= _MOST_PLANS:
            _plans.clear()
        found = _plans[key] = _planned(arrays, axes, limits, read)
        return found


def _planned(arrays: tuple[Array, ...], axes: Numbers, limits: Limits, read: int) -> Plan | None:
    x = arrays[0]
    nowhere = (0,) * len(x.shape)
    strides = [nowhere if a is None else _steps(a) for a in arrays]
    known = [one for one in strides if one is not None]
    layout = layout_of(x.shape, axes, *known) if len(known) == len(strides) else None
    if layout is None:
        return None
    _, stride, between = layout.strides[0]
    is_heated = layout.strides[3][1] != 0  # kept would be what is not heated yet
    configuration = configure(
        layout.rows,
        layout.length,
        x.itemsize,
        stride=stride,
        between=between,
        limits=_IN_PARTS if is_heated else limits,
        arrays=read,
    )
    count = configuration.share if configuration.cluster else configuration.parts
    places = (step for one in layout.strides for step in one)
    packed = _PLACES.pack(layout.rows, layout.length, layout.inner, count, *places)
    return Plan(layout, configuration, packed)


def _steps(a: Array) -> Numbers | None:
    """Return the strides in elements; None for a field of a record that is not a multiple."""
    if any(step % a.itemsize for step in a.strides):
        return None
    return tuple([step // a.itemsize for step in a.strides])


def pack(
    places: bytes,
    options: Options,
    labels: Labels | None,
    x: Array,
    mask: Array | None,
    out: Array | None,
    parts: Array | None,
) -> Any:
    """Return the one argument of the kernels, an array of one element that holds it all."""
    pointers = [_pointer(a) for a in (x, mask, out, parts)]
    if labels is None:
        pointers += (0, 0, 0)
    else:
        pointers += [_pointer(a) for a in (labels.labels, labels.counted, labels.losses)]
    weights = None if labels is None else labels.weights
    pointers += [_pointer(a) for a in (options.temperatures, options.sinks, weights)]
    packed = _POINTERS.pack(*pointers) + places + options_of(options, labels)
    return np.frombuffer(packed, CALL)


def packed(x: int, out: int, rest: bytes) -> Any:
    """Return the same where nothing but input and result has an address."""
    return np.frombuffer(_POINTERS.pack(x, 0, out, *_NOWHERE) + rest, CALL)


def options_of(options: Options, labels: Labels | None) -> bytes:
    """Return the numbers among what is asked for."""
    has_sink = options.sink is not None or options.sinks is not None
    divisor, smoothing, z_loss, ignored = 1.0, 0.0, 0.0, None
    if labels is not None:
        divisor, smoothing, z_loss = labels.divisor, labels.smoothing, labels.z_loss
        ignored = labels.ignored
    return _OPTIONS.pack(
        options.temperature,
        options.sink or 0.0,
        divisor,
        smoothing,
        z_loss,
        ignored or 0,
        ignored is not None,
        has_sink,
        options.negated,
    )


def _pointer(a: Array | None) -> int:
    return 0 if a is None else int(a.data.ptr)
