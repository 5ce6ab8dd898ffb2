"""The walk through softmax as numbers: every step of it, and nothing about how it looks."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import softaxis
from softaxis._cli._input import BadInput


@dataclass(frozen=True)
class PlainSum:
    """x / sum(x), the second thing people try; `quotients` is None where it is undefined."""

    total: float  # inf where it overflows
    quotients: tuple[float, ...] | None


@dataclass(frozen=True)
class Loss:
    """Cross-entropy of a label and its gradient in the logits."""

    label: int
    value: float
    gradient: tuple[float, ...]


@dataclass(frozen=True)
class Walk:
    """All numbers of one walk. A sink comes last in `logits` and in what follows from them."""

    x: tuple[float, ...]
    temperature: float | None
    sink: float | None
    logits: tuple[float, ...]  # x / temperature
    largest: float
    shifted: tuple[float, ...]
    exps: tuple[float, ...]
    total: float
    probabilities: tuple[float, ...]
    unshifted_total: float  # inf where it overflows, 0 where it underflows
    one_hot: tuple[float, ...]
    plain: PlainSum
    sigmoid: float | None  # of two numbers only
    loss: Loss | None

    @property
    def inputs(self) -> tuple[float, ...]:
        """The numbers as they came."""
        return self.x if self.sink is None else (*self.x, self.sink)

    @property
    def classes(self) -> tuple[str, ...]:
        """What the numbers stand for."""
        names = tuple(str(k) for k in range(len(self.x)))
        return names if self.sink is None else (*names, "none")


def walk(
    x: Sequence[float],
    temperature: float | None = None,
    sink: float | None = None,
    label: int | None = None,
) -> Walk:
    """Compute each step by hand, and the results by calling softaxis."""
    x = [float(value) for value in x]
    logits = _scale(x, temperature)
    if temperature == 0 and not (sink is None and label is None):
        raise BadInput("`--temperature` 0 takes no `--sink` and no `--label`: use a small one")
    probabilities = _floats(softaxis.softmax(x, temperature=temperature, sink=sink))
    if sink is not None:  # softmax keeps the sink's share to itself: as one more class it shows it
        logits.append(sink)
        probabilities.append(_floats(softaxis.softmax(logits))[-1])
    largest = max(logits)
    shifted = [value - largest for value in logits]
    exps = [math.exp(value) for value in shifted]
    return Walk(
        x=tuple(x),
        temperature=temperature,
        sink=sink,
        logits=tuple(logits),
        largest=largest,
        shifted=tuple(shifted),
        exps=tuple(exps),
        total=math.fsum(exps),
        probabilities=tuple(probabilities),
        unshifted_total=_unshifted_total(logits),
        one_hot=tuple(_floats(softaxis.hardmax(x))),
        plain=_plain_sum(x),
        sigmoid=float(softaxis.sigmoid(logits[0] - logits[1])) if len(x) == 2 else None,
        loss=None if label is None else _loss(logits, label),
    )


def _scale(x: Sequence[float], temperature: float | None) -> list[float]:
    """x / t; at t = 0 the limit of (x - max x) / t, which is 0 or -inf."""
    if temperature is None:
        return list(x)
    if temperature == 0:
        return [0.0 if value == max(x) else -math.inf for value in x]
    scaled = [value / temperature for value in x]
    if not all(map(math.isfinite, scaled)):
        raise BadInput(f"`--temperature` {temperature:g} is too small: x / temperature overflows")
    return scaled


def _unshifted_total(logits: Sequence[float]) -> float:
    """Sum of exp(z): the sum that the shift is there to avoid."""
    try:
        return math.fsum(map(math.exp, logits))
    except OverflowError:
        return math.inf


def _plain_sum(x: Sequence[float]) -> PlainSum:
    """Divide by the sum, unless nothing but rounding error may be left of that sum."""
    try:
        total, size = math.fsum(x), math.fsum(map(abs, x))
    except OverflowError:
        return PlainSum(math.inf, None)
    # Reading a decimal errs by up to eps / 2 of it, so the sum errs by up to size * eps / 2.
    if abs(total) <= size * sys.float_info.epsilon / 2:
        return PlainSum(total, None)
    return PlainSum(total, tuple(value / total for value in x))


def _loss(logits: Sequence[float], label: int) -> Loss:
    """A sink counts as one more class here, which is never the label."""
    value, gradient = softaxis.cross_entropy_and_grad(list(logits), label)
    return Loss(label, float(value), tuple(_floats(gradient)))


def _floats(array: Sequence[float]) -> list[float]:
    return [float(value) for value in array]
