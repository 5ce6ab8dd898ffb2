"""The checks: what SEMANTICS promises, as calls whose results were recorded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import cycle, islice
from typing import Any, TypeAlias

import numpy as np

from softaxis._dispatch._tables import tables
from softaxis.testing._arrays import ALL_DTYPES, COMPLEX, FLOATS, INTEGERS
from softaxis.testing._comparing import Expected
from softaxis.testing._hows import (
    Step,
    beyond_32_bits,
    compiled,
    differentiated,
    from_threads,
    must_decline,
    must_run,
    one_by_one,
    plainly,
    row_by_row,
    written,
    written_beside,
    written_over,
)
from softaxis.testing._long_trials import long_trials, many_rows
from softaxis.testing._pasting import DType
from softaxis.testing._recorded import Row, holds, recorded
from softaxis.testing._rows import AXES, EMPTY_AXES, LENGTHS
from softaxis.testing._subject import Subject
from softaxis.testing._trials import (
    LOSSES,
    NORMALIZERS,
    POINTWISE,
    PRODUCTS,
    REDUCTIONS,
    TAKE_COMPLEX,
    Operand,
    Trial,
    lengths,
    stack,
)

Check: TypeAlias = Callable[[Subject, str], Iterator[Step]]

KEYWORD_GROUPS = {
    "where": ("where", "masked labels"),
    "temperature": ("temperature",),
    "sink": ("sink",),
    "weights": ("weights",),
    "class_weights": ("class weights",),
    "label_smoothing": ("smoothing",),
    "z_loss": ("z loss",),
}
ARGUMENT_GROUPS = ("where", "temperature", "sink", "together", "weights")
LABEL_GROUPS = ("labels", "probabilities", "class weights", "smoothing", "z loss", "masked labels")


def rows_of(function: str, dtype: str, *groups: str) -> list[Row]:
    """Return the recorded rows of some groups that a dtype holds, the shortest first."""
    found = [
        row
        for row in recorded().rows
        if (not groups or row.group in groups) and function in row.results and holds(row, dtype)
    ]
    return sorted(found, key=lambda row: row.length)


def pool(function: str, dtype: str, length: int, count: int) -> list[Row]:
    """Return `count` plain rows of a length, some of them again and again."""
    groups = ("pool", "derivatives", "integers", "complex")
    rows = [row for row in rows_of(function, dtype, *groups) if row.length == length]
    return list(islice(cycle(rows), count)) if rows else []


def alone(subject: Subject, function: str, row: Row, dtype: str, **keywords: Any) -> Trial:
    """Return a call on one row."""
    result = subject.result_dtype(dtype)
    return stack(function, [row], (row.length,), 0, dtype=dtype, result=result, **keywords)


def some(subject: Subject, function: str, dtype: str) -> Trial | None:
    """Return a simple call."""
    for length in (4, 3, 2, 1):
        rows = pool(function, dtype, length, 1)
        if rows:
            return alone(subject, function, rows[0], dtype)
    return None


def claims(subject: Subject, function: str) -> Iterator[Step]:
    """Everything that is claimed runs: dtypes, and keyword arguments taken by name."""
    for dtype in subject.dtypes(function):
        trial = some(subject, function, dtype)
        if trial is not None:
            yield Step(trial, must_run(dtype, list(various(subject, function, dtype))))
    if subject.implementations[function].keywords is not None:
        for keyword in subject.keywords(function):
            trials = list(with_keyword(subject, function, keyword))
            if trials:
                yield Step(trials[0], must_run(f"`{keyword}`", trials[1:]))


def various(subject: Subject, function: str, dtype: str) -> Iterator[Trial]:
    """Yield simple calls of many sizes and shapes, for who takes some of them only."""
    result = subject.result_dtype(dtype)
    for n in LENGTHS:
        for count in (2, 500):
            rows = pool(function, dtype, n, count)
            if rows:
                yield alone(subject, function, rows[0], dtype)
                for shape, axis in (((count, n), 1), ((n, count), 0)):
                    yield stack(function, rows, shape, axis, dtype=dtype, result=result)


def with_keyword(subject: Subject, function: str, keyword: str) -> Iterator[Trial]:
    """Yield calls that differ from the default in one keyword."""
    for dtype in subject.floats(function):
        for group in KEYWORD_GROUPS.get(keyword, ()):
            for row in rows_of(function, dtype, group):
                trial = alone(subject, function, row, dtype)
                if keyword in {"temperature", "sink"}:
                    yield trial.with_keywords(**{keyword: row.given[keyword]})
                yield trial
        plain = some(subject, function, dtype)
        if plain is None:
            continue
        values: dict[str, list[Any]] = {
            "axis": [0],
            "keepdims": [True],
            "return_sign": [True],
            "ignore_index": [0],
            "reduction": ["sum", "mean"],
            "dtype": [DType(name) for name in FLOATS if subject.arrays.has_dtype(name)],
        }
        if keyword == "out" and not subject.arrays.immutable:
            shape = plain.expected[0].high.shape
            yield plain.with_keywords(out=Operand(np.zeros(shape), plain.dtype))
        for value in values.get(keyword, ()):
            yield plain.with_keywords(**{keyword: value})


def values(subject: Subject, function: str) -> Iterator[Step]:
    """Finite rows, one by one and together."""
    plain = ("finite", "pool", "derivatives", "certainty", "complex")
    groups = (*plain, "labels", "probabilities")
    for dtype in subject.dtypes(function):
        if dtype in INTEGERS or dtype == "bool":
            continue
        rows = rows_of(function, dtype, *groups)
        for row in rows:
            yield Step(alone(subject, function, row, dtype), plainly)
        yield from together(subject, function, rows, dtype)


def together(subject: Subject, function: str, rows: list[Row], dtype: str) -> Iterator[Step]:
    """Yield calls on all rows of a length that come with the same arguments."""
    kinds: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = row.length, *row.given, isinstance(row.given.get("labels"), list)
        shared = [row.given.get(name) for name in ("class_weights", "label_smoothing", "z_loss")]
        kinds.setdefault((*key, repr(shared)), []).append(row)
    result = subject.result_dtype(dtype)
    for same in kinds.values():
        count, n = len(same), same[0].length
        for shape, axis in (((count, n), 1), ((n, count), 0)):
            yield Step(stack(function, same, shape, axis, dtype=dtype, result=result), plainly)


def special_values(subject: Subject, function: str) -> Iterator[Step]:
    """NaN, infinities, and the ends of the range."""
    for dtype in subject.floats(function):
        rows = rows_of(function, dtype, "special", "extreme")
        for row in rows:
            yield Step(alone(subject, function, row, dtype), plainly)
        yield from together(subject, function, rows, dtype)


def arguments(subject: Subject, function: str) -> Iterator[Step]:
    """Masks, temperatures, sinks, weights, labels."""
    if function in TAKE_COMPLEX:
        yield from _complex_arguments(subject, function)
    for dtype in subject.floats(function):
        groups = LABEL_GROUPS if function in LOSSES else ARGUMENT_GROUPS
        rows = rows_of(function, dtype, *groups)
        for row in rows:
            trial = alone(subject, function, row, dtype)
            yield Step(trial, plainly)
            scalars = {
                key: row.given[key]
                for key in ("temperature", "sink")
                if row.given.get(key, math.nan) == row.given.get(key)
            }
            if scalars:
                yield Step(trial.with_keywords(**scalars), plainly)
            yield from _broadcast(function, row, dtype)
        yield from together(subject, function, rows, dtype)
        for row in rows_of(function, dtype, "temperature along"):
            each = Operand(np.array(row.given["temperatures"]), dtype)
            trial = alone(subject, function, row, dtype).with_keywords(temperature=each)
            yield Step(replace(trial, build=None), plainly)
        if function == "logsumexp":
            yield from _signs(subject, dtype)
        if function in LOSSES:
            yield from _reduced(function, dtype)
            yield from _ignored(function, dtype)
            yield from _weighted_mean(function, dtype)


def _complex_arguments(subject: Subject, function: str) -> Iterator[Step]:
    """Yield calls that cool twice the numbers, and calls that mask one more."""
    nothing = {"softmax": 0.0, "log_softmax": -np.inf}
    for dtype in set(COMPLEX).intersection(subject.dtypes(function)):
        for row in rows_of(function, dtype, "complex"):
            trial = replace(alone(subject, function, row, dtype), build=None)
            x, expected = trial.arrays[0].values, trial.expected[0]
            if function in nothing:
                cooled = replace(trial, arrays=(Operand(2 * x, dtype),))
                yield Step(cooled.with_keywords(temperature=2.0), plainly)
                expected = Expected(
                    np.append(expected.high, nothing[function]),
                    np.append(expected.low, 0.0),
                    np.append(expected.scale, 0.0),
                )
            longer = Operand(np.append(x, complex(math.nan, math.inf)), dtype)
            where = Operand(np.append(np.ones(x.size, bool), False), "bool")
            masked = replace(trial, arrays=(longer,), expected=(expected,))
            yield Step(masked.with_keywords(where=where), plainly)


def _broadcast(function: str, row: Row, dtype: str) -> Iterator[Step]:
    """Yield calls with masks and weights that have fewer dimensions, or a length of 1."""
    names = [name for name in ("where", "weights") if name in row.given]
    if not names:
        return
    n = row.length
    for shape, axis, one in (((3, n), 1, 0), ((3, n), 1, slice(1)), ((n, 3), 0, np.s_[:, :1])):
        trial = stack(function, [row] * 3, shape, axis, dtype=dtype, result=dtype)
        smaller = {
            name: trial.keywords[name]._replace(values=trial.keywords[name].values[one])
            for name in names
        }
        yield Step(replace(trial.with_keywords(**smaller), build=None), plainly, "broadcast")


def _signs(subject: Subject, dtype: str) -> Iterator[Step]:
    for row in rows_of("logsumexp", dtype, "weights"):
        logs = row._replace(results={"logsumexp": row.results["logsumexp"]["log"]})
        trial = alone(subject, "logsumexp", logs, dtype, return_sign=True)
        sign = np.array(float(row.results["logsumexp"]["sign"]))
        nothing = np.zeros(())
        expected = (*trial.expected, Expected(sign, nothing, nothing))
        yield Step(replace(trial, expected=expected, build=None), plainly)


def _reduced(function: str, dtype: str) -> Iterator[Step]:
    rows = pool(function, dtype, 4, 3)
    if not rows:
        return
    trial = stack(function, rows, (3, 4), 1, dtype=dtype, result=dtype)
    yield Step(_reduction(trial, "sum", Fraction(1)), plainly)
    yield Step(_reduction(trial, "mean", Fraction(3)), plainly)


def _weighted_mean(function: str, dtype: str) -> Iterator[Step]:
    """The mean divides by the summed weights of the labels."""
    rows = [r for r in rows_of(function, dtype, "class weights") if r.given["labels"] == 1]
    if rows:
        shape = len(rows), rows[0].length
        trial = stack(function, rows, shape, 1, dtype=dtype, result=dtype)
        weights = [Fraction(row.given["class_weights"][1]) for row in rows]
        yield Step(_reduction(trial, "mean", sum(weights, Fraction(0))), plainly)


def _reduction(trial: Trial, reduction: str, divisor: Fraction) -> Trial:
    """Return the same call with its losses summed and divided."""
    losses, *slopes = trial.expected
    exact = np.array([sum(map(Fraction, (*losses.high, *losses.low)), Fraction(0))])
    scale = np.array([12 * (1 + float(exact[0]))])
    reduced = _quotient(exact, divisor, scale).map(lambda a: a.reshape(()))
    divided = [_quotient(_fractions(s.high) + _fractions(s.low), divisor, s.scale) for s in slopes]
    trial = replace(trial, expected=(reduced, *divided), build=None)
    return trial.with_keywords(reduction=reduction)


_fractions = np.vectorize(Fraction, otypes=[object])
_floats = np.vectorize(float, otypes=[float])


def _quotient(exact: Any, divisor: Fraction, scale: Any) -> Expected:
    """Divide without rounding."""
    high = _floats(exact / divisor)
    return Expected(high, _floats(exact / divisor - _fractions(high)), scale)


def _ignored(function: str, dtype: str) -> Iterator[Step]:
    rows = pool(function, dtype, 4, 3)
    if not rows or "labels" not in rows[0].given:
        return
    trial = stack(function, rows, (3, 4), 1, dtype=dtype, result=dtype)
    x, labels = trial.arrays
    spoilt, out_of_range = x.values.copy(), labels.values.copy()
    spoilt[1], out_of_range[1] = np.nan, -100
    kept = np.array([1.0, 0.0, 1.0])
    expected = tuple(
        part.map(lambda a: a * (kept if a.ndim == 1 else kept[:, None])) for part in trial.expected
    )
    arrays = x._replace(values=spoilt), labels._replace(values=out_of_range)
    trial = replace(trial, arrays=arrays, expected=expected, build=None)
    trial = trial.with_keywords(ignore_index=-100)
    yield Step(trial, plainly)
    yield Step(_reduction(trial, "mean", Fraction(2)), plainly, "one of three rows ignored")


def shapes(subject: Subject, function: str) -> Iterator[Step]:
    """Axes of every kind, and lengths of 0."""
    for dtype in [name for name in subject.floats(function) if name != "longdouble"][-1:]:
        for shape, axis in AXES:
            count, n = lengths(shape, axis)
            if (function in LOSSES and not isinstance(axis, int)) or function in POINTWISE:
                continue
            rows = pool(function, dtype, n, count)
            if not rows:
                continue
            trial = stack(function, rows, shape, axis, dtype=dtype, result=dtype)
            yield Step(trial, plainly)
            if axis == ():
                yield from _by_itself(function, trial)
            if "keepdims" in subject.keywords(function) and function in REDUCTIONS:
                yield Step(
                    stack(function, rows, shape, axis, dtype=dtype, result=dtype, keepdims=True),
                    plainly,
                )
        yield from _default_axis(function, dtype)
        if function in (*NORMALIZERS, *REDUCTIONS, *PRODUCTS):
            for shape, axis in EMPTY_AXES:
                yield Step(_empty(function, shape, axis, dtype), plainly)
        if function in POINTWISE:
            for shape, _ in AXES:
                rows = pool(function, dtype, 1, int(np.prod(shape, dtype=int)))
                yield Step(stack(function, rows, shape, (), dtype=dtype, result=dtype), plainly)


def _by_itself(function: str, trial: Trial) -> Iterator[Step]:
    """Yield the call with arguments that change nothing where every element is a row."""
    ones = np.ones(trial.arrays[0].values.shape)
    takes: dict[str, tuple[str, ...]] = {
        **dict.fromkeys(("softmax", "log_softmax", "softmin"), ("where", "temperature")),
        **dict.fromkeys(REDUCTIONS, ("where", "weights")),
        "hardmax": ("where",),
    }
    for name in takes.get(function, ()):
        dtype = "bool" if name == "where" else trial.dtype
        changed = trial.with_keywords(**{name: Operand(ones, dtype)})
        yield Step(replace(changed, build=None), plainly)


def _default_axis(function: str, dtype: str) -> Iterator[Step]:
    whole = function in REDUCTIONS or function.startswith("logsumexp")
    shape, axis = ((2, 3), None) if whole else ((2, 3), -1)
    count, n = lengths(shape, axis)
    rows = pool(function, dtype, n, count)
    if rows and function not in POINTWISE:
        trial = stack(function, rows, shape, axis, dtype=dtype, result=dtype)
        keywords = {key: value for key, value in trial.keywords.items() if key != "axis"}
        yield Step(replace(trial, keywords=keywords, build=None), plainly)


def _empty(function: str, shape: tuple[int, ...], axis: Any, dtype: str) -> Trial:
    x = Operand(np.zeros(shape), dtype)
    result = np.zeros(shape)
    if function in REDUCTIONS:
        none = -np.inf if function == "logsumexp" else np.nan
        sums = np.sum(result, axis=axis)
        result = np.where(np.prod(shape) == 0, none, sums)  # an empty sum, or no sums at all
    nothing = np.zeros(result.shape)
    arrays = (x, x) if function in PRODUCTS else (x,)
    expected = (Expected(result, nothing, nothing),)
    return Trial(function, arrays, {"axis": axis}, expected, dtype, f"shape {shape}")


def dtypes(subject: Subject, function: str) -> Iterator[Step]:
    """Promotion of integers, and `dtype`."""
    for dtype in subject.dtypes(function):
        for row in rows_of(function, dtype, "integers", "integers with arguments"):
            trial = alone(subject, function, row, dtype)
            yield Step(trial, plainly)
            scalars = {k: v for k, v in row.given.items() if k in {"temperature", "sink"}}
            if scalars:
                yield Step(trial.with_keywords(**scalars), plainly)
    if function in LOSSES:
        yield from _labels_of_any_dtype(subject, function)
    if "dtype" not in subject.keywords(function):
        return
    targets = [name for name in FLOATS if subject.arrays.has_dtype(name)]
    for dtype in subject.floats(function):
        for target in targets:
            for row in pool(function, dtype, 4, 3):
                trial = stack(function, [row], (4,), 0, dtype=dtype, result=target)
                yield Step(trial.with_keywords(dtype=DType(target)), plainly)
            if FLOATS.index(target) < FLOATS.index(dtype) and dtype != "bfloat16":
                yield from _far_out(function, dtype, target)


def _labels_of_any_dtype(subject: Subject, function: str) -> Iterator[Step]:
    for dtype in subject.floats(function)[-1:]:
        rows = pool(function, dtype, 4, 3)
        for name in INTEGERS:
            if rows and subject.arrays.has_dtype(name):
                trial = stack(function, rows, (3, 4), 1, dtype=dtype, result=dtype)
                x, labels = trial.arrays
                yield Step(replace(trial, arrays=(x, labels._replace(dtype=name))), plainly)


def _far_out(function: str, dtype: str, target: str) -> Iterator[Step]:
    """Casting first would make an infinity of 70000 in float16, and NaN of its row."""
    if function not in {"softmax", "softmin"} or target != "float16":
        return
    sign = 1 if function == "softmax" else -1
    x = Operand(sign * np.array([70000.0, 70000.0, -70000.0]), dtype)
    expected = Expected(np.array([0.5, 0.5, 0.0]), np.zeros(3), np.zeros(3))
    keywords = {"axis": 0, "dtype": DType(target)}
    yield Step(Trial(function, (x,), keywords, (expected,), target, "70000"), plainly)


def layouts(subject: Subject, function: str) -> Iterator[Step]:
    """Strides of every kind, byte orders, and arrays that cannot be written."""
    for dtype in subject.floats(function):
        for shape, axis in (((3, 4), 1), ((4, 3), 0), ((2, 3), 1), ((3, 2), 0), ((4,), 0)):
            count, n = lengths(shape, axis)
            rows = pool(function, dtype, n, count)
            if not rows:
                continue
            trial = stack(function, rows, shape, axis, dtype=dtype, result=dtype)
            for layout, _ in subject.arrays.layouts(trial.arrays[0].values, dtype):
                if layout != "overlapping rows":
                    yield Step(replace(trial.laid_out(layout), build=None), plainly, layout)
                elif axis == 1:
                    same = stack(function, rows[:1] * count, shape, axis, dtype=dtype, result=dtype)
                    yield Step(replace(same.laid_out(layout), build=None), plainly, layout)


def out(subject: Subject, function: str) -> Iterator[Step]:
    """Results that are written where the user says, the input itself included."""
    if "out" not in subject.keywords(function) or subject.arrays.immutable:
        return
    for dtype in subject.floats(function):
        for row in (*pool(function, dtype, 4, 1), *pool(function, dtype, 24, 1)):
            trial = alone(subject, function, row, dtype)
            yield Step(trial, written, "with out=")
            if function in (*NORMALIZERS, *POINTWISE):
                yield Step(trial, written_over, "with out=x")
        rows = pool(function, dtype, 4, 3)
        trial = stack(function, rows, (4, 3), 0, dtype=dtype, result=dtype)
        yield Step(trial, written, "with out=")
        if function in NORMALIZERS:
            for trial in islice(many_rows(function, dtype), 2, 3):
                yield Step(trial, written_beside, "with out= in the memory of x")


def long_rows(subject: Subject, function: str) -> Iterator[Step]:
    """Every length of 1 to 66, around powers of 2, and up to a million; both axes."""
    for dtype in subject.floats(function):
        for trial in long_trials(function, dtype, few=subject.arrays.compiles):
            yield Step(trial, plainly)
        if dtype == "float32" or (dtype == "float16" and not subject.arrays.compiles):
            for trial in many_rows(function, dtype):
                yield Step(trial, plainly)


def batch(subject: Subject, function: str) -> Iterator[Step]:
    """The bits of a row are its own: no batch and no number of threads changes them."""
    for dtype in subject.floats(function):
        for n in (1, 3, 8, 24):
            rows = pool(function, dtype, n, 29)
            both = [((29, n), 1), ((n, 29), 0)][: 1 if function in POINTWISE else 2]
            for shape, axis in both if rows else ():
                trial = stack(function, rows, shape, axis, dtype=dtype, result=dtype)
                yield Step(trial, row_by_row, "row by row")
        if subject.arrays.compiles and dtype != "float32":
            continue
        for trial in long_trials(function, dtype, few=True):
            if trial.name in {"rows of 4097", "rows of 100003"} and trial.keywords["axis"] == 1:
                yield Step(trial, one_by_one, "one by one")


def threads(subject: Subject, function: str) -> Iterator[Step]:
    """Calls from several threads at once."""
    floats = subject.floats(function)
    for dtype in {*floats[:1], *floats[-2:]}:  # the narrowest may need a buffer of another dtype
        for n, count in ((4, 7), (24, 40)):
            rows = pool(function, dtype, n, count + 4)
            if rows:
                trials = [
                    stack(function, rows[i : i + count], (n, count), 0, dtype=dtype, result=dtype)
                    for i in range(4)
                ]
                yield Step(trials[0], from_threads(trials[1:]), "from four threads")
    for dtype in subject.floats(function)[-1:]:
        trials = [
            trial
            for trial in long_trials(function, dtype, few=True)
            if 4000 < trial.size / max(trial.arrays[0].values.ndim, 1) < 70_000
        ]
        if trials:
            yield Step(trials[0], from_threads(trials[1:4]), "from several threads")


def tracing(subject: Subject, function: str) -> Iterator[Step]:
    """Under `jax.jit` or `torch.compile`."""
    if not subject.implementations[function].capability.traceable:
        return
    groups = ("pool", "derivatives", "special", "where", "temperature", "sink", "masked labels")
    for dtype in [name for name in subject.floats(function) if name != "longdouble"][-1:]:
        for group in groups:
            for row in rows_of(function, dtype, group)[-1:]:
                yield Step(alone(subject, function, row, dtype), compiled, "compiled")


def gradients(subject: Subject, function: str) -> Iterator[Step]:
    """What the library's automatic differentiation makes of it."""
    if not subject.implementations[function].capability.differentiable:
        return
    products = {"softmax": "softmax_vjp", "log_softmax": "log_softmax_vjp"}
    for dtype in subject.floats(function):
        if function in products:
            for row in rows_of(products[function], dtype, "derivatives"):
                results = row.results | {function: row.results[products[function]]}
                trial = alone(subject, function, row._replace(results=results), dtype)
                weights = np.array(row.given["g"])
                scale = 4 * trial.expected[0].scale  # p is not given but computed
                slope = trial.expected[0]._replace(scale=scale)
                yield Step(trial, differentiated(weights, slope), "differentiated")
        yield from _masked_gradients(subject, function, dtype)
        if function == "cross_entropy":
            for row in rows_of("cross_entropy_and_grad", dtype, *LABEL_GROUPS, "pool"):
                trial = alone(subject, function, row, dtype)
                if np.isfinite(trial.expected[0].high):
                    both = alone(subject, "cross_entropy_and_grad", row, dtype)
                    how = differentiated(np.ones(()), both.expected[1])
                    yield Step(trial, how, "differentiated")


def _masked_gradients(subject: Subject, function: str, dtype: str) -> Iterator[Step]:
    """A masked element has derivative 0, whatever it holds; so has a row of nothing else."""
    if function not in {"softmax", "log_softmax", "softmin", "logsumexp", "logmeanexp"}:
        return
    zero = np.zeros(3)
    for row in rows_of(function, dtype, "where", "special"):
        nothing_left = row.name == "nothing-left"
        if nothing_left or (row.name == "all-minus-inf" and function == "logsumexp"):
            trial = alone(subject, function, row, dtype)
            ones = np.ones(trial.expected[0].high.shape)
            slope = Expected(zero, zero, zero)
            yield Step(trial, differentiated(ones, slope), "differentiated")
    for row in rows_of(function, dtype, "where"):
        if row.name == "nan-masked":  # both ends of sum(p) are constant: p_1 + p_2 = 1
            trial = alone(subject, function, row, dtype)
            if function in {"softmax", "softmin"}:
                slope = Expected(zero, zero, np.full(3, 8.0))
                yield Step(trial, differentiated(np.ones(3), slope), "differentiated")
            if function == "logsumexp":
                p = np.array([0.0, 1 / (1 + math.e), math.e / (1 + math.e)])
                slope = Expected(p, zero, np.array([0.0, 16.0, 16.0]))
                yield Step(trial, differentiated(np.ones(()), slope), "differentiated")


def declines(subject: Subject, function: str) -> Iterator[Step]:
    """What is not claimed is declined, so that another implementation takes it."""
    claimed = subject.dtypes(function)
    for dtype in ALL_DTYPES:
        if subject.arrays.has_dtype(dtype) and dtype not in claimed:
            trial = some(subject, function, dtype)
            if trial is not None and (dtype not in COMPLEX or function in TAKE_COMPLEX):
                yield Step(trial, must_decline(dtype))
    taken = subject.keywords(function)
    for keyword in tables[function].keywords:
        if keyword not in taken:
            for trial in with_keyword(subject, function, keyword):
                yield Step(trial, must_decline(f"`{keyword}`"))
                break


def large(subject: Subject, function: str) -> Iterator[Step]:
    """More elements than 32 bits can count, where there is memory for them."""
    for dtype in subject.floats(function)[:1]:
        if function in {"softmax", "log_softmax", "logsumexp"}:
            trial = next(t for t in long_trials(function, dtype, few=True) if "4097" in t.name)
            yield Step(trial, beyond_32_bits, "repeated to 2**31 elements")


CHECKS: dict[str, Check] = {
    "claims": claims,
    "values": values,
    "special values": special_values,
    "arguments": arguments,
    "shapes and axes": shapes,
    "dtypes": dtypes,
    "memory layouts": layouts,
    "out": out,
    "long rows": long_rows,
    "batch": batch,
    "threads": threads,
    "tracing": tracing,
    "gradients": gradients,
    "declines": declines,
    "64-bit sizes": large,
}
