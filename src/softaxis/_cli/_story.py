"""The walk in words: from its numbers to the blocks of a page."""

import math
from collections.abc import Iterator, Sequence

from softaxis._cli._explain import Walk
from softaxis._cli._layout import Block, Heading, Row, Step, Table, Text
from softaxis._cli._numbers import added, computed, given, minus
from softaxis._cli._remarks import remarks

NAMED = 8  # a title holds no more numbers than this


def story(walk: Walk) -> Iterator[Block]:
    """Tell the whole walk."""
    yield Heading(title(walk))
    for number, (text, *rows) in enumerate(_steps(walk), start=1):
        yield Step(number, text)
        yield from rows
    yield Heading("The result, and beside it the two first ideas")
    yield _result(walk)
    yield from remarks(walk)


def title(walk: Walk) -> str:
    """Name the call: softmax(1, 2), temperature 3, sink 4."""
    numbers = ", ".join(given(value) for value in walk.x)
    name = f"softmax({numbers})" if len(walk.x) <= NAMED else f"softmax of {len(walk.x)} numbers"
    if walk.temperature is not None:
        name += f", temperature {given(walk.temperature)}"
    if walk.sink is not None:
        name += f", sink {given(walk.sink)}"
    return name


def _steps(walk: Walk) -> Iterator[tuple[str, *tuple[Block, ...]]]:
    yield _numbers(walk)
    if walk.temperature == 0:
        largest = max(walk.x)
        text = f"Subtract the largest, {given(largest)}, and divide by a temperature that falls to "
        text += "0: whatever is not the largest goes to -inf."
        yield text, _row(f"({minus('x', largest)}) / t", walk.shifted)
    else:
        name = "x"
        if walk.temperature is not None:
            name, t = "z", given(walk.temperature)
            text = f"Divide by the temperature, {t}: above 1 it evens out, below 1 it sharpens."
            yield text, _row(f"z = x / {t}", walk.logits)
        text = f"Subtract the largest, {given(walk.largest)}, so that nothing is above 0."
        yield text, _row(minus(name, walk.largest), walk.shifted)
    exps, total = [computed(value) for value in walk.exps], computed(walk.total)
    text = "Take the exponential: all positive, in the same order, the largest now 1."
    yield text, Row("exp", tuple(exps))
    yield (f"Add them up: {added(exps)} = {total}",)
    yield (
        f"Divide each of them by that sum, {total}: quotients from 0 to 1, together 1.",
        Row("p", tuple(computed(p) for p in walk.probabilities), "strong"),
        Text("to two places: " + " ".join(f"{p:.2f}" for p in walk.probabilities), "strong"),
    )


def _numbers(walk: Walk) -> tuple[str, *tuple[Block, ...]]:
    x = Row("x", tuple(given(value) for value in walk.inputs))
    if walk.sink is None:
        return "Take the numbers, one a class.", x
    text = 'Take the numbers, one a class, and the sink, one more for "none of these".'
    return text, Row("class", walk.classes, "label"), x


def _row(label: str, values: Sequence[float]) -> Row:
    return Row(label, tuple(given(value) for value in values))


def _result(walk: Walk) -> Table:
    if walk.plain.quotients is None:
        quotients, total = ["undefined"] * len(walk.x), ""
    else:
        quotients = [computed(value) for value in walk.plain.quotients]
        total = computed(math.fsum(walk.plain.quotients))
    one_hot = [given(value) for value in walk.one_hot]
    if walk.sink is not None:
        one_hot.append("")
        quotients.append("")
    x = [given(value) for value in walk.inputs]
    p = [computed(value) for value in walk.probabilities]
    return Table(
        header=("class", "x", "softmax", "argmax", "x / sum"),
        rows=tuple(zip(walk.classes, x, p, one_hot, quotients, strict=True)),
        footer=("sum", "", computed(math.fsum(walk.probabilities)), "1", total),
        bars=walk.probabilities,
        bars_after=2,
        strong=walk.probabilities.index(max(walk.probabilities)),
    )
