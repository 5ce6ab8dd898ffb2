"""Rows by themselves, with masks, temperatures, sinks and weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from softaxis.testing import references as ref
from softaxis.testing._recording._derivatives import _share
from softaxis.testing._recording._numbers import (
    DTYPES,
    Record,
    dyadic,
    exactly,
    mp,
    nan,
    numbers,
    plain_numbers,
    record_of,
    roundings,
)
from softaxis.testing._rows import (
    COMPLEX_ROWS,
    COOLED_ALONG_ROWS,
    COOLED_ROWS,
    INTEGER_ROWS,
    LENGTHS,
    MASKED_ROWS,
    ROWS,
    SPECIAL_ROWS,
    SUBNORMAL_ROWS,
    SUNK_ROWS,
    WEIGHTED_ROWS,
    ends_of_the_range,
)


def plain() -> Iterator[Record]:
    """Rows by themselves."""
    for group, rows in (("finite", ROWS), ("special", SPECIAL_ROWS)):
        for name, row in rows.items():
            for rounded in roundings(row):
                yield _row(group, name, rounded)
    for n in LENGTHS:
        for seed in range(3):
            yield _row("pool", f"{n} numbers", dyadic(n, seed))
    for dtype in DTYPES:
        most = ref.LARGEST[dtype]
        for row in ends_of_the_range(most):
            yield _row("extreme", f"the ends of {dtype}", row, dtype=dtype)
        name = f"the ends of {dtype}, cooled"
        yield _row("temperature", name, [most, -most], temperature=4.0, dtype=dtype)
        yield _row("extreme", f"subnormal {dtype}", SUBNORMAL_ROWS[dtype], dtype=dtype)
    for dtype, integers in INTEGER_ROWS.items():
        small = [1, 0, 1, 1] if dtype == "bool" else [3, 1, 2, 2]
        for integer_row in (small, integers):
            yield _row("integers", dtype, list(map(float, integer_row)), dtype=dtype)
        row = list(map(float, small))
        where = [True, False, True, True]
        yield _row("integers with arguments", dtype, row, temperature=0.5, dtype=dtype)
        yield _row("integers with arguments", dtype, row, sink=0.5, dtype=dtype)
        yield _row("integers with arguments", dtype, row, where=where, dtype=dtype)
    for complex_row in COMPLEX_ROWS:
        yield _complex(complex_row)


def _complex(row: Sequence[complex]) -> Record:
    """Record real and imaginary parts; the argument of a sum is near the largest of its terms."""
    values = tuple(mp.mpc(z) for z in row)
    total = ref.log_of_complex_sum(values, (True,) * len(row))
    logs = [mp.log(mp.exp(z - total)) for z in values]  # imaginary parts in (-pi, pi]
    results = {}
    for function, expected, bound in [
        ("softmax", [mp.exp(z - total) for z in values], 32),
        ("log_softmax", logs, 32),
        ("logsumexp", [total], 16),
    ]:
        scale = [bound * max(1, abs(value)) for value in expected]
        results[function] = {
            "real": numbers([value.real for value in expected], scale),
            "imag": numbers([value.imag for value in expected], scale),
        }
    given = {"real": [z.real for z in row], "imag": [z.imag for z in row]}
    return record_of("complex", "complex", None, given, results)


def with_arguments() -> Iterator[Record]:
    for name, (row, where) in MASKED_ROWS.items():
        yield _row("where", name, row, where=where)
    for row, temperature in COOLED_ROWS:
        yield _row("temperature", f"temperature {temperature}", row, temperature=temperature)
    for row, temperatures in COOLED_ALONG_ROWS:
        quotients = [x / t for x, t in zip(row, temperatures, strict=True)]
        record = _row("temperature along", "a temperature each", quotients)
        results = {name: record["results"][name] for name in ("softmax", "log_softmax", "softmin")}
        yield record | {"given": {"x": row, "temperatures": temperatures}, "results": results}
    for row, sink in SUNK_ROWS:
        yield _row("sink", f"sink {sink}", row, sink=sink)
    row, where = [4.0, -2.0, 9.0, 0.5], [True, True, False, True]
    yield _row("together", "mask, temperature, sink", row, where=where, temperature=2.0, sink=1.0)
    for row, weights in WEIGHTED_ROWS:
        yield _row("weights", "weights", row, weights=weights)
    where, weights = [True, False, True], [2.0, 1.0, 0.5]
    yield _row("weights", "weights and mask", [1.0, nan, 2.0], where=where, weights=weights)
    for dtype in DTYPES:
        yield _share("masked", [nan, 1.0, 2.0], dtype, where=[False, True, True])
        yield _share("nothing left", [1.0, 2.0, nan], dtype, where=[False] * 3)
        yield _share("weighted", [0.5, nan, 2.0], dtype, weights=[1.0, 0.0, 0.5])
        where = [True, False, True]
        yield _share("both", [0.5, 3.0, 2.0], dtype, where=where, weights=[4.0, 1.0, 0.5])


def _row(
    group: str,
    name: str,
    row: Sequence[float],
    *,
    where: Sequence[bool] | None = None,
    temperature: float | None = None,
    sink: float | None = None,
    weights: Sequence[float] | None = None,
    dtype: str | None = None,
) -> Record:
    """Record one row and what the functions of `x` make of it."""
    kept = (True,) * len(row) if where is None else tuple(where)
    given = {"where": where, "temperature": temperature, "sink": sink, "weights": weights}
    results: dict[str, Any] = {}
    if weights is None:
        options: dict[str, Any] = {"temperature": temperature, "sink": sink}
        for function, sign in (("softmax", 1), ("log_softmax", 1), ("softmin", -1)):
            results[function] = _normalized(function, sign * np.array(row), kept, options)
    if temperature is None and sink is None:
        results["logsumexp"] = _log_sum(row, kept, weights)
        results["logmeanexp"] = _log_sum(row, kept, weights, mean=True)
        if weights is None:
            results["hardmax"] = exactly(_hardmax(row, kept))
    if where is None and len(results) == 6:
        for function, kind in (("sigmoid", "softmax"), ("log_sigmoid", "log_softmax")):
            results[function] = _pointwise(kind, row)
    return record_of(group, name, dtype, {"x": row} | given, results)


def _normalized(function: str, row: Any, kept: Any, options: Record) -> Any:
    x, where = np.array(row), np.array(kept)
    temperature = options["temperature"]
    if temperature in (0.0, np.inf):  # the limits, which references.py does not take
        x, options = _limit(x, where, temperature), {}
    else:
        options = {key: value for key, value in options.items() if value is not None}
    reference, bound = ref.softmax, ref.softmax_bound
    if function == "log_softmax":
        reference, bound = ref.log_softmax, ref.log_softmax_bound
    expected = reference(x, where=where, **options)
    # x / t is rounded before it is used
    factor = 1 if temperature is None else 2
    return numbers(expected, factor * bound(x, where=where, **options) * ref.magnitude(expected))


def _limit(x: Any, where: Any, temperature: float) -> Any:
    """Return the row whose softmax is the limit of softmax(x / t)."""
    if temperature == np.inf:
        return np.where(np.isfinite(x), 0.0, x)
    if np.isnan(x).any() or not np.isfinite(x[where]).any():
        return x
    return np.where(x == x[where].max(), 0.0, -np.inf)


def _log_sum(row: Any, kept: Any, weights: Any, mean: bool = False) -> Any:
    exact = [tuple(map(ref.exact, row)), kept, None if weights is None else tuple(weights)]
    value, sign = ref.log_of_sum(*exact, mean)
    finite = sorted(ref.exact(x) for x, k in zip(row, kept, strict=True) if k and np.isfinite(x))
    top = finite[-1] if finite else ref.ZERO
    if weights is None and not mean and top == 0 and len(finite) > 1 and finite[-2] < 0:
        scale = (8 - finite[-2]) * abs(value)  # relative, where one element dominates
    else:
        scale = 8 * max(1, abs(top), abs(value) if mp.isfinite(value) else 0)
    if mean:
        scale = max(scale, 8 * mp.log(max(len(row), 1)))
    if weights is not None:
        scale = 2 * scale  # a rounding more, of w exp(x), and terms that cancel in part
    if sign < 0 and weights is not None:
        return {"value": numbers([ref.NAN]), "log": numbers([value], [scale]), "sign": -1}
    both = numbers([value], [scale])
    return {"value": both, "log": both, "sign": plain_numbers(sign)}


def _hardmax(row: Any, kept: Any) -> list[float]:
    inside = [x for x, k in zip(row, kept, strict=True) if k]
    if any(np.isnan(inside)):
        return [nan if k else 0.0 for k in kept]
    result = [0.0] * len(row)
    if inside:
        first = next(
            i for i, (x, k) in enumerate(zip(row, kept, strict=True)) if k and x == max(inside)
        )
        result[first] = 1.0
    return result


def _pointwise(kind: str, row: Any) -> Any:
    """softmax or log_softmax of (x, 0), first component."""
    pairs = np.array([[x, 0.0] for x in row])
    if not np.isfinite(row).all():  # the limits
        p = [1.0 if x == np.inf else 0.0 if x == -np.inf else nan for x in row]
        logs = [0.0 if x == np.inf else x if x == -np.inf else nan for x in row]
        ends = exactly(p if kind == "softmax" else logs)
        inner = _pointwise(kind, [x if np.isfinite(x) else 0.0 for x in row])
        return [
            [b[i] if np.isfinite(x) else a[i] for i, x in enumerate(row)]
            for a, b in zip(ends, inner, strict=True)
        ]
    reference, bound = {
        "softmax": (ref.softmax, ref.softmax_bound),
        "log_softmax": (ref.log_softmax, ref.log_softmax_bound),
    }[kind]
    expected = reference(pairs)[:, 0]
    return numbers(expected, bound(pairs)[:, 0] * ref.magnitude(expected))
