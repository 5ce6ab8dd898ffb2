"""Write `recorded.json`: what every function should return for every row, evaluated by mpmath.

Run as ``python -m softaxis.testing._recording``; a test compares the file with what this writes.
A number is recorded as two: the nearest float64, and the float64 nearest to the rest. Beside it
stands the error that is allowed, counted in eps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from softaxis.testing import references as ref
from softaxis.testing._long_rows import STEP, direction, long_row
from softaxis.testing._rows import (
    COMPLEX_ROWS,
    COOLED_ALONG_ROWS,
    COOLED_ROWS,
    INTEGER_ROWS,
    KINDS,
    LENGTHS,
    LONG_LENGTHS,
    LONGEST,
    MASKED_ROWS,
    ROWS,
    SPECIAL_ROWS,
    SUBNORMAL_ROWS,
    SUNK_ROWS,
    WEIGHTED_ROWS,
)

FILE = Path(__file__).with_name("recorded.json")
DTYPES = ("float16", "bfloat16", "float32", "float64")
mp = ref.mp
nan, inf = float("nan"), float("inf")
Record: TypeAlias = dict[str, Any]


def record() -> Record:
    """Return everything that is recorded."""
    return {
        "rows": [*_plain(), *_with_arguments(), *_losses(), *_derivatives()],
        "long": [_long(kind, n) for n in LONG_LENGTHS for kind in KINDS]
        + [_long(kind, LONGEST) for kind in KINDS],
        "exp": _numbers([mp.exp(mp.mpf(-k) / STEP) for k in range(64 * STEP)]),
    }


def _plain() -> Iterator[Record]:
    """Rows by themselves."""
    for group, rows in (("finite", ROWS), ("special", SPECIAL_ROWS)):
        for name, row in rows.items():
            for rounded in _roundings(row):
                yield _row(group, name, rounded)
    for n in LENGTHS:
        for seed in range(3):
            yield _row("pool", f"{n} numbers", _dyadic(n, seed))
    for dtype in DTYPES:
        most = ref.LARGEST[dtype]
        ends = [[-most, most], [most, most], [-most, -most, -most], [most, 0.0, -most], [most]]
        for row in ends:
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
    for numbers in COMPLEX_ROWS:
        yield _complex(numbers)


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
            "real": _numbers([value.real for value in expected], scale),
            "imag": _numbers([value.imag for value in expected], scale),
        }
    given = {"real": [z.real for z in row], "imag": [z.imag for z in row]}
    return _record("complex", "complex", None, given, results)


def _with_arguments() -> Iterator[Record]:
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
            results["hardmax"] = _exactly(_hardmax(row, kept))
    if where is None and len(results) == 6:
        for function, kind in (("sigmoid", "softmax"), ("log_sigmoid", "log_softmax")):
            results[function] = _pointwise(kind, row)
    return _record(group, name, dtype, {"x": row} | given, results)


def _record(group: str, name: str, dtype: str | None, given: Record, results: Record) -> Record:
    given = {key: _plain_numbers(value) for key, value in given.items() if value is not None}
    return {"group": group, "name": name, "dtype": dtype, "given": given, "results": results}


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
    return _numbers(expected, factor * bound(x, where=where, **options) * ref.magnitude(expected))


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
        return {"value": _numbers([ref.NAN]), "log": _numbers([value], [scale]), "sign": -1}
    both = _numbers([value], [scale])
    return {"value": both, "log": both, "sign": _plain_numbers(sign)}


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
        ends = _exactly(p if kind == "softmax" else logs)
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
    return _numbers(expected, bound(pairs)[:, 0] * ref.magnitude(expected))


# Labels.


def _losses() -> Iterator[Record]:
    weights, mask = [0.5, 2.0, 0.0, 1.25], [True, True, False, True]
    spread = [0.5, 0.25, 0.0, 0.25]
    for row in ([-1.0, 1.0, 2.0, 3.0], [0.0, -20.0, -21.0, -40.0], [1e4, 1e4, 9990.0, 9999.0]):
        for label in range(4):
            yield _loss("labels", row, label)
        yield _loss("probabilities", row, spread)
        yield _loss("probabilities", row, [2.0, 0.0, 1.0, 0.5])
        yield _loss("class weights", row, 1, class_weights=weights)
        yield _loss("class weights", row, spread, class_weights=weights)
        yield _loss("smoothing", row, 3, label_smoothing=0.125)
        yield _loss("z loss", row, 0, z_loss=0.25)
        yield _loss("masked labels", row, 3, where=mask)
        options: Record = {"where": mask, "label_smoothing": 0.25, "z_loss": 0.5}
        yield _loss("masked labels", row, 0, class_weights=weights, **options)
    for n in LENGTHS:
        for seed in range(3):
            yield _loss("pool", _dyadic(n, seed), (n + seed) // 2 % n)
    for dtype in INTEGER_ROWS:
        yield _loss("integers", [1.0, 0.0, 1.0, 1.0], 1, dtype)
    yield _loss("labels", [-inf, 0.0, 1.0, -inf], 1)
    yield _loss("labels", [-inf, 0.0, 1.0, -inf], 0)
    yield _loss("labels", [1.0, nan, 2.0, 0.0], 2)
    yield _loss("masked labels", [nan, 0.0, 1.0, 2.0], 2, where=[False, True, True, True])
    yield _loss("masked labels", [0.0, 0.0, 1.0, 2.0], 0, where=[False, True, True, True])


def _loss(
    group: str, row: list[float], labels: Any, dtype: str | None = None, **options: Any
) -> Record:
    n, whole = len(row), isinstance(labels, int)
    target = tuple(mp.mpf(k == labels) for k in range(n)) if whole else tuple(map(mp.mpf, labels))
    kept = tuple(options.get("where", [True] * n))
    factors = tuple(map(mp.mpf, options["class_weights"])) if "class_weights" in options else None
    smoothing, z_loss = options.get("label_smoothing", 0.0), options.get("z_loss", 0.0)
    exact = tuple(map(ref.exact, row))
    loss, slope = ref.loss_and_slope(exact, target, kept, factors, smoothing, z_loss)
    if any(k and np.isnan(x) for x, k in zip(row, kept, strict=True)):
        loss, slope = ref.NAN, [ref.NAN if k else ref.ZERO for k in kept]
    size = abs(loss) if mp.isfinite(loss) else 0
    if whole and not set(options) - {"where"}:
        gap = ref.log_softmax_bound(np.array(row), where=np.array(kept))[labels]
        scale = gap * size
    else:
        scale = 12 * size
    mass = sum(target) * (max(factors) if factors else 1)
    slopes = [12 * max(1, mass, 2 * z_loss * abs(mp.mpf(np.nanmax(row))))] * n
    if whole and not options and all(map(np.isfinite, row)):
        slopes = [12 * max(map(abs, slope))] * n  # p and 1 - p, neither of them a difference
    results = {
        "cross_entropy": _numbers([loss], [scale]),
        "cross_entropy_and_grad": _numbers(slope, slopes),
    }
    given = {"x": row, "labels": labels, **options}
    return _record(group, group, dtype, given, results)


# Derivatives: what they are given is a result itself, rounded to the dtype.


def _derivatives() -> Iterator[Record]:
    names = ("plain", "equal", "tie-at-the-top", "near-certainty", "certainty-among-many", "single")
    rows = [
        *((name, ROWS[name]) for name in names),
        *((f"{n} numbers", _dyadic(n, 7)) for n in LENGTHS),
    ]
    for name, row in rows:
        for dtype in DTYPES:
            x = ref.rounded(ref.objects(row), dtype).astype(np.float64)
            yield from _products(name, tuple(map(ref.exact, x)), dtype)
            if "certainty" in name:
                yield from _certain(name, tuple(map(ref.exact, x)), dtype)


def _products(name: str, row: Any, dtype: str) -> Iterator[Record]:
    n = len(row)
    kept = (True,) * n
    p, logp = ref.shares(row, kept)
    lse, _ = ref.log_of_sum(row, kept)
    g = [mp.mpf(v) for v in _dyadic(n, 11)]
    dot, total = mp.fsum(a * b for a, b in zip(p, g, strict=True)), mp.fsum(g)
    size = max(*(abs(a * b) for a, b in zip(p, g, strict=True)), abs(dot) * max(p))
    both = [a * (b - dot) for a, b in zip(p, g, strict=True)]
    results: Record = dict.fromkeys(("softmax_vjp", "softmax_jvp"), _numbers(both, [8 * size] * n))
    largest = max(map(abs, g))
    size = max(largest, abs(total) * max(p))
    vjp = [b - a * total for a, b in zip(p, g, strict=True)]
    results["log_softmax_vjp"] = _numbers(vjp, [8 * size] * n)
    jvp = [b - dot for b in g]
    results["log_softmax_jvp"] = _numbers(jvp, [8 * max(largest, abs(dot))] * n)
    top = g[0]
    around = 16 + abs(lse)
    results["logsumexp_vjp"] = _numbers(
        [a * top for a in p],
        [(around + abs(x - lse)) * a * abs(top) for x, a in zip(row, p, strict=True)],
    )
    terms = mp.fsum((around + abs(x - lse)) * abs(a * b) for x, a, b in zip(row, p, g, strict=True))
    results["logsumexp_jvp"] = _numbers([dot], [terms])
    if n <= 8:
        results["softmax_jacobian"] = _matrix(p)
    given = {"x": row, "p": _in(p, dtype), "logp": _in(logp, dtype), "lse": _in([lse], dtype)[0]}
    yield _record("derivatives", name, dtype, given | {"g": g}, results)


def _certain(name: str, row: Any, dtype: str) -> Iterator[Record]:
    """Record derivatives whose allowed error is relative to what stands beside the top."""
    n, top = len(row), row.index(max(row))
    p, logp = ref.shares(row, (True,) * n)
    for g in ([mp.mpf(i == top) for i in range(n)], [mp.mpf(3 - 2 * i) for i in range(n)]):
        h = [b - g[top] for b in g]
        dot, total = mp.fsum(a * b for a, b in zip(p, h, strict=True)), mp.fsum(g)
        both = [a * (b - dot) for a, b in zip(p, h, strict=True)]
        size = max(abs(dot), *(abs(a * b) for a, b in zip(p, h, strict=True)))
        results: Record = {
            "softmax_vjp": _numbers(both, [8 * size] * n),
            "softmax_jvp": _numbers(both, [8 * size] * n),
        }
        rest = [mp.fsum(q for j, q in enumerate(p) if j != i) for i in range(n)]
        terms = [(b * r, a * (total - b)) for a, b, r in zip(p, g, rest, strict=True)]
        size = max(abs(term) for pair in terms for term in pair)
        results["log_softmax_vjp"] = _numbers([a - b for a, b in terms], [8 * size] * n)
        given = {"x": row, "p": _in(p, dtype), "logp": _in(logp, dtype), "g": g}
        yield _record("certainty", name, dtype, given, results)


def _share(
    name: str,
    row: list[float],
    dtype: str,
    where: list[bool] | None = None,
    weights: list[float] | None = None,
) -> Record:
    """Record the derivatives of logsumexp: w exp(x - lse), times g and summed."""
    kept = [True] * len(row) if where is None else where
    factors = [1.0] * len(row) if weights is None else weights
    exact = tuple(map(ref.exact, row))
    lse, _ = ref.log_of_sum(exact, tuple(kept), tuple(factors))
    share = [
        mp.mpf(w) * mp.exp(x - lse) if k and w else ref.ZERO
        for x, k, w in zip(exact, kept, factors, strict=True)
    ]
    g = [2.0, -1.5, 0.25]
    around = 16 + (abs(lse) if mp.isfinite(lse) else 0)
    sizes = [2 * around * abs(p) for p in share]
    results = {
        "logsumexp_vjp": _numbers([p * g[0] for p in share], [s * g[0] for s in sizes]),
        "logsumexp_jvp": _numbers(
            [mp.fsum(p * t for p, t in zip(share, g, strict=True))],
            [mp.fsum(s * abs(t) for s, t in zip(sizes, g, strict=True))],
        ),
    }
    finite = _in([lse], dtype)[0] if mp.isfinite(lse) else float(lse)
    given = {"x": row, "lse": finite, "g": g, "where": where, "weights": weights}
    group = "where" if weights is None else "weights"
    return _record(group, name, dtype, given, results)


def _matrix(p: list[Any]) -> Any:
    n = len(p)
    matrix = [
        (mp.fsum(p[k] for k in range(n) if k != i) * p[i]) if i == j else -p[i] * p[j]
        for i in range(n)
        for j in range(n)
    ]
    return _numbers(matrix, [8 * abs(value) for value in matrix])


def _in(values: Any, dtype: str) -> list[float]:
    values = list(values)
    if dtype == "bfloat16":
        return _to_bfloat16(values)
    return [float(v) for v in ref.rounded(np.array(values, dtype=object), dtype)]


def _to_bfloat16(values: Iterable[Any]) -> list[float]:
    """Round to 8 bits, to nearest, ties to even."""
    result = []
    for value in values:
        if value == 0:
            result.append(0.0)
            continue
        mantissa, exponent = mp.frexp(value)
        result.append(float(mp.ldexp(mp.nint(mp.ldexp(mantissa, 8)), int(exponent) - 8)))
    return result


# Long rows.


def _long(kind: str, n: int) -> Record:
    """Record lse - m, 1 / sum(exp(x - m)) and the sum of g times softmax."""
    steps = long_row(kind, n) * STEP
    below = (steps - steps.max()).astype(np.int64)
    values, where, counts = np.unique(below, return_inverse=True, return_counts=True)
    weights = np.bincount(where, 8 * direction(n))  # integers
    table = {int(v): mp.exp(mp.mpf(int(v)) / STEP) for v in values}
    with mp.workprec(300):
        rest = mp.fsum(int(c) * table[int(v)] for v, c in zip(values, counts, strict=True) if v < 0)
        k = int(counts[-1])
        tail = mp.log(k) + mp.log1p(rest / k)
        share = 1 / (k + rest)
        terms = (mp.mpf(float(w)) * table[int(v)] for v, w in zip(values, weights, strict=True))
        dot = share * mp.fsum(terms) / 8
    return {
        "kind": kind,
        "length": n,
        "tail": _pair(tail),
        "mean_tail": _pair(tail - mp.log(n)),
        "share": _pair(share),
        "dot": _pair(dot),
    }


def _dyadic(n: int, seed: int) -> list[float]:
    """Draw multiples of 1/8 below 8, which every floating dtype holds exactly."""
    return [float(k) / 8 for k in np.random.default_rng([n, seed]).integers(-60, 61, n)]


def _roundings(row: list[float]) -> list[list[float]]:
    """Round to every dtype; what comes out the same is listed once."""
    found: dict[tuple[str, ...], list[float]] = {}
    for dtype in reversed(DTYPES):
        rounded = (
            _to_bfloat16(map(ref.exact, row))
            if dtype == "bfloat16" and np.isfinite(row).all()
            else np.array(row, "float64" if dtype == "bfloat16" else dtype)
        )
        values = [float(v) for v in rounded]
        found.setdefault(tuple(map(repr, values)), values)
    return list(found.values())


# Numbers.


def _pair(value: Any) -> list[Any]:
    high = float(value)
    low = float(value - mp.mpf(high)) if np.isfinite(high) else 0.0
    return [_plain_numbers(high), low]


def _numbers(values: Any, scale: Any = None) -> list[list[Any]]:
    """Return lists of the nearest float64, of the rest, and of the error allowed in eps."""
    pairs = [_pair(value) for value in values]
    allowed = (
        [0.0] * len(pairs)
        if scale is None
        else [float(s) if mp.isfinite(s) else 0.0 for s in scale]
    )
    return [
        [high for high, _ in pairs],
        [low for _, low in pairs],
        [float(f"{a:.3g}") for a in allowed],
    ]


def _exactly(values: Any) -> list[list[Any]]:
    return _numbers([mp.mpf(value) for value in values])


def _plain_numbers(value: Any) -> Any:
    """Return numbers as JSON has them; what is not finite by name."""
    if isinstance(value, bool | int | str | dict):
        return value
    if isinstance(value, list | tuple):
        return [_plain_numbers(one) for one in value]
    number = float(value)
    return number if np.isfinite(number) else str(number)


if __name__ == "__main__":
    FILE.write_text(json.dumps(record(), separators=(",", ":")) + "\n", encoding="utf-8")
