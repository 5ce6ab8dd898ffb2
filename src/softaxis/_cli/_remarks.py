"""What a teacher says beside the walk: the first ideas, the shift, the sigmoid, the loss."""

import math
from collections.abc import Iterator

from softaxis._cli._explain import Walk
from softaxis._cli._layout import Block, Heading, Table, Text
from softaxis._cli._numbers import added, computed, given, minus, unbroken

EXP_OVERFLOWS = 709.78  # log of the largest float64
EXP_UNDERFLOWS = -745.13  # log of half of the smallest


def remarks(walk: Walk) -> Iterator[Block]:
    """Say what belongs to this walk."""
    yield Heading("First idea: argmax, as a one-hot vector")
    yield Text(f"argmax: {' '.join(given(value) for value in walk.one_hot)}", "value")
    yield Text(_why_not_argmax(walk))
    yield Heading("Second idea: divide by the plain sum")
    quotients = walk.plain.quotients
    shares = "undefined" if quotients is None else " ".join(map(computed, quotients))
    yield Text(f"x / sum: {shares}", "warn" if quotients is None else "value")
    yield Text(_why_not_plain_sum(walk))
    yield Heading("Why subtract the largest first?")
    yield Text(_why_shift(walk))
    if walk.sigmoid is not None:
        yield Heading("Two numbers: the sigmoid of their difference")
        yield Text(_two_numbers(walk, walk.sigmoid))
    if walk.loss is not None:
        yield Heading(f"Cross-entropy for label {walk.loss.label}")
        yield from _cross_entropy(walk, walk.loss.label, walk.loss.value, walk.loss.gradient)


def _why_not_argmax(walk: Walk) -> str:
    top = walk.one_hot.index(1.0)
    text = "It says which, not how sure: these are no probabilities. "
    ties = [str(k) for k, value in enumerate(walk.x) if value == walk.x[top]]
    if len(ties) > 1:
        text += f"Classes {', '.join(ties)} tie, yet only the first of them is named. "
    text += (
        "Move the numbers a little and nothing moves here, so the gradient is zero everywhere "
        "(at a tie there is none) and nothing can be learned from it. "
    )
    if walk.temperature == 0:
        return text + "softmax at temperature 0 inherits that."
    p = walk.probabilities[top]
    slope = p * (1 - p) / (walk.temperature or 1.0)
    return text + (
        f"softmax answers: raise x[{top}] and p[{top}] rises at the rate "
        f"p (1 - p){'' if walk.temperature is None else ' / temperature'} = {computed(slope)}."
    )


def _why_not_plain_sum(walk: Walk) -> str:
    total, quotients = walk.plain.total, walk.plain.quotients
    if math.isinf(total):
        return "The sum overflows, so the division is undefined."
    if quotients is None:
        if total == 0:
            return "The sum is 0, so the division is undefined."
        return (
            f"The sum is 0 to within rounding (floats leave {total:.2g}, which is nothing but "
            "rounding error), so the division is undefined."
        )
    text = f"The sum is {given(total)}. "
    if total < 0:
        return text + (
            "A negative sum turns the order around: the smallest number gets the largest share."
        )
    if min(quotients) < 0:
        above = " and others above 1" if max(quotients) > 1 else ""
        return text + (
            f'A negative number gets a negative "probability"{above}. With other numbers the sum '
            "itself is 0, and the division undefined."
        )
    return text + (
        "Nothing is negative here, so these could pass for probabilities. But the first negative "
        "number gets a negative one, and a sum of 0 leaves the division undefined."
    )


def _why_shift(walk: Walk) -> str:
    name = "x" if walk.temperature is None else "z"
    total = walk.unshifted_total
    if walk.temperature == 0:
        return (
            "Without the shift x / t leaves every bound as t falls to 0. With it the largest stays "
            "at 0, and its exponential is exp(0) = 1."
        )
    terms = [f"exp({given(value)})" for value in walk.logits]
    text = f"Without the shift the sum is {added(terms)} = "
    safe = f"With it the largest exponential is {unbroken('exp(0) = 1')}"
    if math.isinf(total):
        return text + (
            f"inf: exp overflows above {EXP_OVERFLOWS}, and inf / inf is nan. {safe}, whatever "
            f"the numbers are."
        )
    if total == 0:
        return text + (
            f"0: exp is 0 below {EXP_UNDERFLOWS}, and 0 / 0 is nan. {safe}, and the sum no less."
        )
    divisor = f"exp({given(walk.largest)})"
    equation = unbroken(f"exp({minus(name, walk.largest)}) = exp({name}) / {divisor}")
    return text + (
        f"{total:.4g}, and the quotients are the same, for {equation} and {divisor} cancels. "
        f"But exp overflows above {EXP_OVERFLOWS}: one 1000 among the numbers, and the sum is inf "
        f"and inf / inf is nan. {safe}, whatever the numbers are."
    )


def _two_numbers(walk: Walk, sigmoid: float) -> str:
    name = "x" if walk.temperature is None else "z"
    share = "p[0]" if walk.sink is None else "p[0] / (p[0] + p[1])"
    first, second = (given(value) for value in walk.logits[:2])
    second = f"({second})" if second.startswith("-") else second
    steps = [
        share,
        f"= exp({name}[0]) / (exp({name}[0]) + exp({name}[1]))",
        f"= 1 / (1 + exp(-({name}[0] - {name}[1])))",
        f"= sigmoid({first} - {second})",
        f"= {computed(sigmoid)}.",
    ]
    return " ".join(map(unbroken, steps)) + " Only the difference counts."


def _cross_entropy(
    walk: Walk, label: int, value: float, gradient: tuple[float, ...]
) -> Iterator[Block]:
    name = "x" if walk.temperature is None else "z"
    yield Text(f"loss = -log(p[{label}]) = logsumexp({name}) - {name}[{label}] = {computed(value)}")
    p = [computed(share) for share in walk.probabilities]
    y = ["1" if k == label else "0" for k in range(len(p))]
    slopes = [f"{computed(slope)}" for slope in gradient]
    yield Table(("class", "p", "y", "p - y"), tuple(zip(walk.classes, p, y, slopes, strict=True)))
    text = (
        f"p - y is the gradient of the loss in {name}: a step against it raises class {label} and "
        "lowers the others, each by its share of the error, and the slopes add up to 0."
    )
    if walk.sink is not None:
        text += ' The sink stands among the classes here: "none of these", never the label.'
    if walk.temperature is not None:
        text += f" In x itself the gradient is (p - y) / {given(walk.temperature)}."
    yield Text(text)
