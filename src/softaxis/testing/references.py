"""What every function should return, from its definition, evaluated by mpmath.

Inputs are NumPy arrays; results are object arrays of mpmath numbers. Rows are shifted by their
maximum only to spare digits: the sums carry enough of them (`_digits`) that 1 + exp(-700) differs
from 1. `assert_accurate` compares and counts the error in eps of the result's dtype.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from mpmath import MPContext

from softaxis.testing import _limits

Row: TypeAlias = tuple[Any, ...]
Shape: TypeAlias = tuple[int, ...]
Axis: TypeAlias = int | tuple[int, ...] | None
Objects: TypeAlias = npt.NDArray[Any]
"""An array of mpmath numbers."""

mp = MPContext()
mp.prec = 200
NAN, INF, ZERO = mp.mpf("nan"), mp.mpf("inf"), mp.mpf(0)
EPS, LARGEST = _limits.EPS, _limits.LARGEST

FAR = 1600  # exp(-1600) is below the smallest longdouble that the tests look at


def exact(value: Any) -> Any:
    """Convert a number without rounding it; a longdouble in two parts."""
    if isinstance(value, mp.mpf):
        return value
    if isinstance(value, np.longdouble) and np.isfinite(value):
        mantissa, exponent = np.frexp(value)
        high = float(mantissa)
        return mp.ldexp(mp.mpf(high) + mp.mpf(float(mantissa - high)), int(exponent))
    return mp.mpf(float(value))


def _digits(shifted: Iterable[Any]) -> int:
    """Choose the precision at which exp(-range) still changes 1."""
    return 160 + int(1.45 * float(max((-d for d in shifted if d > -FAR), default=0)))


def _exp(difference: Any) -> Any:
    return mp.exp(difference) if difference > -FAR else ZERO


TINY = {**_limits.TINY, "longdouble": exact(np.finfo(np.longdouble).tiny)}

# One row at a time, as a tuple; many tests and variants come with the same one. `kept` says which
# elements `where` leaves in.
remembered = functools.lru_cache(maxsize=5000)


@remembered
def shares(row: Row, kept: Row, sink: Any = None) -> tuple[list[Any], list[Any]]:
    """Compute softmax and log_softmax of one row, following the table of special rows."""
    inside = [z for z, k in zip(row, kept, strict=True) if k]
    joined = inside if sink is None else [*inside, sink]
    outcome = None
    spoilt = any(mp.isnan(z) for z in joined) or any(z == INF for z in inside)
    if spoilt or all(z == -INF for z in joined):
        outcome = (NAN, NAN)
    elif all(z == -INF for z in inside):
        outcome = (ZERO, -INF)
    if outcome is not None:
        pairs = [outcome if k else (ZERO, -INF) for k in kept]
        return [p for p, _ in pairs], [q for _, q in pairs]
    top = max(joined)
    with mp.workprec(_digits([z - top for z in joined])):
        total = mp.fsum(_exp(z - top) for z in joined)
        log_total = mp.log(total)
        probabilities = [
            mp.exp(z - top) / total if k and z > -INF else ZERO
            for z, k in zip(row, kept, strict=True)
        ]
        logs = [(z - top) - log_total if k else -INF for z, k in zip(row, kept, strict=True)]
    return probabilities, logs


@remembered
def log_of_sum(
    row: Row, kept: Row, weights: Row | None = None, mean: bool = False
) -> tuple[Any, Any]:
    """Compute (log|s|, sign s) of s = sum(w * exp(x)), or of the weighted mean."""
    weights = (mp.mpf(1),) * len(row) if weights is None else weights
    terms = [(x, w) for x, w, k in zip(row, weights, kept, strict=True) if k and w != 0]
    if any(mp.isnan(x) or mp.isnan(w) for x, w in terms) or (mean and not terms):
        return NAN, NAN
    whole = mp.sign(mp.fsum(w for _, w in terms)) if mean else 1
    infinite = {whole * mp.sign(w) for x, w in terms if x == INF}
    if infinite:
        return (INF, infinite.pop()) if len(infinite) == 1 and whole != 0 else (NAN, NAN)
    top = max((x for x, _ in terms), default=-INF)
    if top == -INF:
        return -INF, ZERO
    with mp.workprec(_digits([x - top for x, _ in terms])):
        total = mp.fsum(w * _exp(x - top) for x, w in terms)
        if mean:
            total = total / mp.fsum(w for _, w in terms)
        if total == 0:
            return -INF, ZERO
        return top + mp.log(abs(total)), mp.sign(total)


def log_of_complex_sum(row: Row, kept: Row) -> Any:
    """Compute log(sum(exp(x))) of complex x, imaginary part in (-pi, pi]."""
    return mp.log(mp.fsum(mp.exp(x) for x, k in zip(row, kept, strict=True) if k))


@remembered
def loss_and_slope(
    row: Row,
    target: Row,
    kept: Row,
    class_weights: Row | None = None,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> tuple[Any, list[Any]]:
    """Compute the cross-entropy of one row and its derivative in every logit."""
    if not any(kept):
        return ZERO if all(y == 0 for y in target) else INF, [ZERO] * len(row)
    weights = [mp.mpf(1)] * len(row) if class_weights is None else class_weights
    share = mp.mpf(smoothing) * mp.fsum(target) / sum(kept)
    goal = [(1 - mp.mpf(smoothing)) * y + share * k for y, k in zip(target, kept, strict=True)]
    goal = [w * y for w, y in zip(weights, goal, strict=True)]
    p, logs = shares(row, kept)
    total, _ = log_of_sum(row, kept)
    loss = -mp.fsum(y * q for y, q in zip(goal, logs, strict=True) if y != 0)
    mass = mp.fsum(goal)
    slope = [
        p_j * mass - y_j + 2 * z_loss * total * p_j if k else ZERO
        for p_j, y_j, k in zip(p, goal, kept, strict=True)
    ]
    return loss + z_loss * total**2, slope


# Whole arrays.


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """List the axes as non-negative numbers."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(sorted(a % ndim for a in axes))


def objects(array: Any) -> Objects:
    """Convert an array to one of exact mpmath numbers."""
    array = np.asarray(array)
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        value = array[index]
        result[index] = mp.mpc(complex(value)) if array.dtype.kind == "c" else exact(value)
    return result


def as_rows(array: Any, shape: Shape, axis: Axis) -> list[Row]:
    """Broadcast to `shape` and lay the reduced axes out as the last one."""
    axes = axes_of(axis, len(shape))
    kept = [i for i in range(len(shape)) if i not in axes]
    moved = np.broadcast_to(array, shape).transpose(*kept, *axes)
    count = int(np.prod([shape[i] for i in kept], dtype=int))
    rows = moved.reshape(count, int(np.prod([shape[i] for i in axes], dtype=int)))
    return [tuple(row.tolist()) for row in rows]


def _from_rows(rows: list[Any], shape: Shape, axis: Axis) -> Objects:
    axes = axes_of(axis, len(shape))
    kept = [i for i in range(len(shape)) if i not in axes]
    result = np.empty((len(rows), int(np.prod([shape[i] for i in axes], dtype=int))), dtype=object)
    for i, row in enumerate(rows):
        result[i, :] = row
    moved = result.reshape([shape[i] for i in (*kept, *axes)])
    return moved.transpose(np.argsort((*kept, *axes)))


def _from_scalars(scalars: list[Any], shape: Shape, axis: Axis, keepdims: bool) -> Objects:
    axes = axes_of(axis, len(shape))
    result = np.empty(len(scalars), dtype=object)
    result[:] = scalars
    if keepdims:
        return result.reshape([1 if i in axes else n for i, n in enumerate(shape)])
    return result.reshape([n for i, n in enumerate(shape) if i not in axes])


def _cooled_rows(
    x: Any, axis: Axis, where: Any, temperature: Any, sink: Any
) -> Iterator[tuple[Row, Row, Any]]:
    """Yield each row of x / t, what of it takes part, and its sink."""
    x = np.asarray(x)
    scaled = objects(x)
    if temperature is not None:
        scaled = scaled / np.broadcast_to(objects(temperature), x.shape)
    rows = as_rows(scaled, x.shape, axis)
    kept = as_rows(np.asarray(True if where is None else where), x.shape, axis)
    sinks: Any = [None] * len(rows)
    if sink is not None:
        reduced = [n for i, n in enumerate(x.shape) if i not in axes_of(axis, x.ndim)]
        sinks = np.broadcast_to(objects(sink), reduced).reshape(-1)
    yield from zip(rows, kept, sinks, strict=True)


def _normalised(
    x: Any, axis: Axis, where: Any, temperature: Any, sink: Any
) -> list[tuple[list[Any], list[Any]]]:
    return [shares(*row) for row in _cooled_rows(x, axis, where, temperature, sink)]


def softmax(
    x: Any, axis: Axis = -1, where: Any = None, temperature: Any = None, sink: Any = None
) -> Objects:
    """Compute exp(x / t) over its sum along the axis, the sink in the sum only."""
    both = _normalised(x, axis, where, temperature, sink)
    return _from_rows([p for p, _ in both], np.shape(x), axis)


def log_softmax(
    x: Any, axis: Axis = -1, where: Any = None, temperature: Any = None, sink: Any = None
) -> Objects:
    """Compute the logarithm of softmax."""
    both = _normalised(x, axis, where, temperature, sink)
    return _from_rows([q for _, q in both], np.shape(x), axis)


def logsumexp(
    x: Any,
    axis: Axis = None,
    weights: Any = None,
    where: Any = None,
    keepdims: bool = False,
    mean: bool = False,
) -> tuple[Objects, Objects]:
    """Compute (log|s|, sign of s), s the weighted sum of exp(x), or with `mean` their mean."""
    x = np.asarray(x)
    rows = as_rows(objects(x), x.shape, axis)
    kept = as_rows(np.asarray(True if where is None else where), x.shape, axis)
    factors: list[Any] = [None] * len(rows)
    if weights is not None:
        factors = as_rows(objects(weights), x.shape, axis)
    both = [log_of_sum(*row, mean) for row in zip(rows, kept, factors, strict=True)]
    logs, signs = [log for log, _ in both], [sign for _, sign in both]
    shape = x.shape
    return _from_scalars(logs, shape, axis, keepdims), _from_scalars(signs, shape, axis, keepdims)


def one_hot(labels: Any, classes: int, axis: int = -1) -> Any:
    """Write integer labels as rows of zeros with a one; a label outside leaves zeros."""
    return np.moveaxis(np.asarray(labels)[..., None] == np.arange(classes), -1, axis) * 1.0


def cross_entropy(
    logits: Any,
    target: Any,
    axis: Axis = -1,
    where: Any = None,
    class_weights: Any = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
) -> tuple[Objects, Objects]:
    """Compute every row's loss and its derivative, from labels given as probabilities."""
    logits = np.asarray(logits)
    rows = as_rows(objects(logits), logits.shape, axis)
    kept = as_rows(np.asarray(True if where is None else where), logits.shape, axis)
    targets = as_rows(objects(target), logits.shape, axis)
    factors = None if class_weights is None else tuple(objects(class_weights))
    options = (factors, label_smoothing, z_loss)
    both = [loss_and_slope(*row, *options) for row in zip(rows, targets, kept, strict=True)]
    losses = _from_scalars([loss for loss, _ in both], logits.shape, axis, False)
    return losses, _from_rows([slope for _, slope in both], logits.shape, axis)


def rounded(expected: Any, dtype: str) -> Any:
    """Round mpmath numbers to the nearest numbers of a NumPy dtype."""
    if dtype == "longdouble":
        high = np.asarray(expected, dtype=np.float64).astype(np.longdouble)
        return high + np.asarray(expected - objects(high), dtype=np.float64)
    result = np.asarray(expected, dtype=np.float64)
    return result.astype("float32" if dtype == "bfloat16" else dtype)


# Comparison.


def magnitude(expected: Any) -> Objects:
    """Take absolute values of an object array."""
    expected = np.asarray(expected, dtype=object)
    result = np.empty(np.shape(expected), dtype=object)
    for index in np.ndindex(result.shape):
        result[index] = abs(expected[index])
    return result


def assert_accurate(
    actual: Any,
    expected: Any,
    dtype: str,
    *,
    bound: Any,
    scale: Any = None,
    flushed: bool = False,
) -> None:
    """Assert abs(actual - expected) <= bound * eps * scale, element by element.

    `bound` counts eps of `dtype`; `scale` is the magnitude of what is expected unless given.
    Non-finite numbers have to agree exactly. Below the smallest normal number the spacing of the
    subnormal ones takes the place of the relative error or, where the library flushes them to
    zero, that smallest normal number itself.
    """
    actual, expected = np.asarray(actual), np.asarray(expected, dtype=object)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    scale = magnitude(expected) if scale is None else scale
    scale = np.broadcast_to(np.asarray(scale, dtype=object), actual.shape)
    bound = np.broadcast_to(np.asarray(bound, dtype=object), actual.shape)
    eps, tiny = EPS[dtype], TINY[dtype]
    for index in np.ndindex(actual.shape):
        want, got = expected[index], actual[index]
        where = f"at {index}: got {got!r}, expected {mp.nstr(want, 20)}"
        if not mp.isfinite(want):
            assert np.isnan(got) if mp.isnan(want) else exact(got) == want, where
            continue
        assert np.isfinite(got), where
        error = abs(exact(got) - want)
        allowed = bound[index] * eps * scale[index]
        if abs(want) < 2 * tiny:
            allowed = allowed + (tiny if flushed else bound[index] * eps * tiny)
        if error > allowed:
            counted = mp.nstr(error / (eps * scale[index]), 4) if scale[index] else "inf"
            raise AssertionError(
                f"{where}: off by {counted} eps, {float(bound[index]):.3g} allowed"
            )


def softmax_bound(
    x: Any, axis: Axis = -1, where: Any = None, temperature: Any = None, sink: Any = None
) -> Objects:
    """List 4 + abs(x_i - m) for every element, m being the largest of the row and the sink."""
    return 4 + _distances(x, axis, where, temperature, sink)[0]


def log_softmax_bound(
    x: Any, axis: Axis = -1, where: Any = None, temperature: Any = None, sink: Any = None
) -> Objects:
    """List 8 for every element, and 8 + its distance to the runner-up for the row's maximum."""
    return 8 + _distances(x, axis, where, temperature, sink)[1]


def _distances(
    x: Any, axis: Axis, where: Any, temperature: Any, sink: Any
) -> tuple[Objects, Objects]:
    """Measure, in z = x / t, how far each element is below m, and the maximum above the rest."""
    x = np.asarray(x)
    below, gaps = [], []
    for row, inside, extra in _cooled_rows(x, axis, where, temperature, sink):
        others = [] if extra is None or extra == -INF else [extra]
        finite = sorted(
            [z for z, k in zip(row, inside, strict=True) if k and mp.isfinite(z)] + others
        )
        top = finite[-1] if finite else ZERO
        gap = finite[-1] - finite[-2] if len(finite) > 1 else ZERO
        below.append(
            [top - z if k and mp.isfinite(z) else ZERO for z, k in zip(row, inside, strict=True)]
        )
        gaps.append([gap if k and z == top else ZERO for z, k in zip(row, inside, strict=True)])
    return _from_rows(below, x.shape, axis), _from_rows(gaps, x.shape, axis)
