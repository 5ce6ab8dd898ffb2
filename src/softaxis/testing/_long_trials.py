"""Calls on long rows, whose results follow from a few recorded numbers a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from softaxis.testing._arrays import NDArray
from softaxis.testing._comparing import Expected
from softaxis.testing._limits import LARGEST
from softaxis.testing._long_rows import STEP, direction, long_row
from softaxis.testing._recorded import LongRow, expected, recorded
from softaxis.testing._trials import LOSSES, POINTWISE, PRODUCTS, Operand, Trial

FEW = (1, 2, 3, 7, 8, 9, 16, 17, 33, 65, 129, 1000, 4097, 8191, 70_000, 100_003)
FUNCTIONS = (
    *("softmax", "log_softmax", "softmin", "logsumexp", "logmeanexp"),
    *(*LOSSES, *PRODUCTS),
)
BOTH_AXES = 20_000
"""Longer rows are tried along the last axis, and along the first only in single precision."""
MANY = ((2, 65_539), (33, 1009), (1025, 141))
"""Lengths, and numbers of rows: more than a grid of 16 bits counts, than a block of 2**15 elements
holds and than one of 2**17 does; every one leaves a part of a block."""


def long_trials(function: str, dtype: str, *, few: bool) -> Iterator[Trial]:
    """Yield calls on rows of more and more elements, the kinds of rows beside each other."""
    if function in POINTWISE:
        yield from _pointwise(function, dtype)
    if function not in FUNCTIONS or (function in PRODUCTS and dtype == "longdouble"):
        return
    by_length: dict[int, list[LongRow]] = {}
    for row in recorded().long:
        by_length.setdefault(row.length, []).append(row)
    for n, rows in by_length.items():
        if few and n not in FEW:
            continue
        if n > BOTH_AXES and dtype == "longdouble":
            continue
        kept = [row for row in rows if n < LARGEST[dtype] * 2 or row.kind == "equal"]
        axes = (1, 0) if n <= BOTH_AXES or dtype == "float32" else (1,)
        for axis in axes:
            yield _trial(function, dtype, kept, axis)


def many_rows(function: str, dtype: str) -> Iterator[Trial]:
    """Yield calls on so many rows that implementations take them block by block."""
    if function not in FUNCTIONS:
        return
    for n, count in MANY:
        rows = [row for row in recorded().long if row.length == n]
        for axis in (1, 0):
            yield _repeated(_trial(function, dtype, rows, axis), count)


def _repeated(trial: Trial, count: int) -> Trial:
    """Take the rows again and again."""
    across = 1 - trial.keywords["axis"]

    def again(values: NDArray) -> NDArray:
        where = across if values.ndim > 1 else 0
        taken: NDArray = values.take(np.arange(count) % values.shape[where], axis=where)
        return taken

    return replace(
        trial,
        arrays=tuple(one._replace(values=again(one.values)) for one in trial.arrays),
        expected=tuple(one.map(again) for one in trial.expected),
        name=f"{count} {trial.name}",
    )


def _pointwise(function: str, dtype: str) -> Iterator[Trial]:
    """Yield calls on many elements, of which a recorded row says what each should be."""
    row = next(row for row in recorded().rows if row.group == "pool" and row.length == 24)
    each = expected(row.results[function])
    for n in (63, 64, 65, 1023, 4097, 100_003):
        x = Operand(np.resize(np.array(row.given["x"]), n), dtype)
        results = each.map(lambda a, n=n: np.resize(a, n))
        yield Trial(function, (x,), {}, (results,), dtype, f"{n} elements")


def _trial(function: str, dtype: str, rows: list[LongRow], axis: int) -> Trial:
    sign = -1 if function == "softmin" else 1
    numbers = np.stack([sign * long_row(row.kind, row.length) for row in rows], 1 - axis)
    x = Operand(numbers, dtype)
    name = f"rows of {rows[0].length}"
    if function in {"logsumexp", "logmeanexp"}:
        results = [_log_sum(row, function) for row in rows]
        sums = Expected(*(np.array(part) for part in zip(*results, strict=True)))
        return Trial(function, (x,), {"axis": axis}, (sums,), dtype, name)
    if function in PRODUCTS:
        return _products(function, dtype, rows, axis)
    kind = "softmax" if function in {"softmax", "softmin"} else "log_softmax"
    each = [_normalized(row, kind) for row in rows]
    if function in LOSSES:
        labels = np.array([row.length // 3 for row in rows])
        losses = _losses(each, labels)
        arrays = (x, Operand(labels, "int64"))
        if function == "cross_entropy":
            return Trial(function, arrays, {"axis": axis}, (losses,), dtype, name)
        slopes = [_slope(row, at) for row, at in zip(rows, labels, strict=True)]
        both = (losses, _stacked(slopes, axis))
        return Trial(function, arrays, {"axis": axis}, both, dtype, name)
    return Trial(function, (x,), {"axis": axis}, (_stacked(each, axis),), dtype, name)


def _products(function: str, dtype: str, rows: list[LongRow], axis: int) -> Trial:
    """Return a call of a vjp or jvp, on what softmax or log_softmax should have returned."""
    kind = "log_softmax" if function.startswith("log") else "softmax"
    given = _stacked([_normalized(row, kind) for row in rows], axis).high
    g = np.stack([direction(row.length) for row in rows], 1 - axis)
    each = _stacked([_product_of(function, row) for row in rows], axis)
    arrays = (Operand(given, dtype), Operand(g, dtype))
    return Trial(function, arrays, {"axis": axis}, (each,), dtype, f"rows of {rows[0].length}")


def _product_of(function: str, row: LongRow) -> Expected:
    p, g = _normalized(row, "softmax"), direction(row.length)
    logs = 8 + np.log(row.length)  # logp is given rounded
    if function == "log_softmax_vjp":  # g - p sum(g)
        total = float(g.sum())  # exact: multiples of 1/8
        high, low = _product(p.high, p.low, -total, 0.0)
        size = max(np.abs(g).max(), abs(total) * p.high.max())
        return Expected(*_sum(g, 0.0, high, low), np.full(row.length, logs * size))
    centred = _sum(g, 0.0, -row.dot[0], -row.dot[1])  # g - sum(p g)
    size = max(np.abs(g).max(), abs(row.dot[0]))
    if function == "log_softmax_jvp":
        return Expected(*centred, np.full(row.length, logs * size))
    size = max(np.abs(p.high * g).max(), abs(row.dot[0]) * p.high.max())
    return Expected(*_product(p.high, p.low, *centred), np.full(row.length, 8 * size))


def _sum(a: Any, a_low: Any, b: Any, b_low: Any) -> tuple[Any, Any]:
    """Add two pairs of numbers (Knuth)."""
    high = a + b
    back = high - a
    low = (a - (high - back)) + (b - back) + a_low + b_low
    return high, low


def _stacked(each: list[Expected], axis: int) -> Expected:
    return Expected(*(np.stack(parts, 1 - axis) for parts in zip(*each, strict=True)))


def _losses(each: list[Expected], labels: NDArray) -> Expected:
    """Return what each row's log_softmax is at its label, with the sign turned."""
    at = [(logs, int(label)) for logs, label in zip(each, labels, strict=True)]
    high, low = (np.array([-getattr(logs, part)[i] for logs, i in at]) for part in ("high", "low"))
    return Expected(high, low, np.array([logs.scale[i] for logs, i in at]))


def _log_sum(row: LongRow, function: str) -> tuple[float, float, float]:
    """m + tail, the rounding error of the sum kept."""
    top = float(long_row(row.kind, row.length).max())
    high, low = row.tail if function == "logsumexp" else row.mean_tail
    total, rest = _sum(top, 0.0, high, low)
    scale = 8 * max(1.0, abs(top), abs(total))
    if function == "logmeanexp":
        scale = max(scale, 8 * np.log(row.length))
    return total, rest, scale


def _normalized(row: LongRow, function: str) -> Expected:
    x = long_row(row.kind, row.length)
    below = x - x.max()
    if function == "log_softmax":
        high, low = _sum(below, 0.0, -row.tail[0], -row.tail[1])
        gap = _gap(below)
        bound = np.where(below == 0, 8 + gap, 8)
        return Expected(high, low, bound * np.abs(high))
    exp = recorded().exp
    steps = (-below * STEP).astype(np.int64)
    high, low = _product(exp.high[steps], exp.low[steps], *row.share)
    return Expected(high, low, (4 - below) * high)


def _slope(row: LongRow, label: int) -> Expected:
    """softmax less one at the label."""
    p = _normalized(row, "softmax")
    hot = np.zeros(row.length)
    hot[label] = 1
    return Expected(*_sum(p.high, p.low, -hot, 0.0), np.full(row.length, 8.0))


def _gap(below: NDArray) -> float:
    """Return how far the runner-up is below the maximum."""
    at_top = below == 0
    return 0.0 if at_top.sum() != 1 or below.size == 1 else float(-below[~at_top].max())


def _product(a: NDArray, a_low: NDArray, b: Any, b_low: Any) -> tuple[NDArray, NDArray]:
    """Multiply two pairs of numbers (Dekker)."""
    high = a * b
    a1, b1 = _upper(a), _upper(np.array(b))
    a2, b2 = a - a1, b - b1
    low = ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2
    return high, low + a * b_low + a_low * b


def _upper(a: NDArray) -> NDArray:
    """Return the upper half of the bits."""
    split = a * (2.0**27 + 1)
    result: NDArray = split - (split - a)
    return result
