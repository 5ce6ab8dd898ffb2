"""What `compare` knows of each function: its reference, the documented bound and its scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from softaxis.testing import references as ref
from softaxis.testing._arrays import NDArray


class Truth(NamedTuple):
    """Results by mpmath, the bound in eps of each, and what its error is relative to."""

    expected: ref.Objects
    bound: ref.Objects
    scale: ref.Objects


class Compared(NamedTuple):
    """One function: what rows should give, and (bound, scale) of what they give."""

    expected: Callable[..., ref.Objects]
    allowed: Callable[..., tuple[ref.Objects, ref.Objects]]  # (expected, rows, *operands)
    reduces: bool = False


def _relative(bound: Callable[..., ref.Objects]) -> Callable[..., Any]:
    """Let the bound be one on the relative error."""

    def allowed(expected: ref.Objects, *rows: NDArray) -> tuple[ref.Objects, ref.Objects]:
        return bound(*rows), ref.magnitude(expected)

    return allowed


def _of_minus(function: Callable[..., ref.Objects]) -> Callable[[NDArray], ref.Objects]:
    """Softmin is softmax at temperature -1."""
    return lambda rows: function(rows, temperature=np.float64(-1))


def _of_pair(function: Callable[[NDArray], ref.Objects]) -> Callable[[NDArray], ref.Objects]:
    """Sigmoid of x is the first component of softmax of (x, 0)."""

    def first(rows: NDArray) -> ref.Objects:
        result: ref.Objects = function(np.stack([rows, np.zeros_like(rows)], axis=-1))[..., 0]
        return result

    return first


def _picked(function: Callable[[NDArray], ref.Objects]) -> Callable[..., ref.Objects]:
    """Take the element of the label: cross_entropy is the negative log_softmax there."""

    def picked(rows: NDArray, labels: NDArray) -> ref.Objects:
        result: ref.Objects = np.take_along_axis(function(rows), labels[..., None], -1)[..., 0]
        return result

    return picked


def _cross_entropy(rows: NDArray, labels: NDArray) -> ref.Objects:
    loss: ref.Objects = -_picked(ref.log_softmax)(rows, labels)
    return loss


def _logsumexp(rows: NDArray) -> ref.Objects:
    return ref.logsumexp(rows, -1)[0]


def _logmeanexp(rows: NDArray) -> ref.Objects:
    return ref.logsumexp(rows, -1, mean=True)[0]


def _of_sum(expected: ref.Objects, rows: NDArray) -> tuple[ref.Objects, ref.Objects]:
    """8 eps * max(1, |m|, |result|)."""
    top = ref.magnitude(ref.objects(rows.max(axis=-1)))
    scale = np.empty(expected.shape, dtype=object)
    for i, pair in enumerate(zip(ref.magnitude(expected), top, strict=True)):
        scale[i] = max([ref.exact(1), *(value for value in pair if ref.mp.isfinite(value))])
    return np.full(expected.shape, ref.exact(8), dtype=object), scale


def _of_mean(expected: ref.Objects, rows: NDArray) -> tuple[ref.Objects, ref.Objects]:
    """The same, and the log of the length, which is subtracted, counts too."""
    bound, scale = _of_sum(expected, rows)
    return bound, np.maximum(scale, ref.exact(math.log(rows.shape[-1])))


COMPARED: dict[str, Compared] = {
    "softmax": Compared(ref.softmax, _relative(ref.softmax_bound)),
    "log_softmax": Compared(ref.log_softmax, _relative(ref.log_softmax_bound)),
    "logsumexp": Compared(_logsumexp, _of_sum, reduces=True),
    "cross_entropy": Compared(
        _cross_entropy, _relative(_picked(ref.log_softmax_bound)), reduces=True
    ),
    "softmin": Compared(_of_minus(ref.softmax), _relative(_of_minus(ref.softmax_bound))),
    "sigmoid": Compared(_of_pair(ref.softmax), _relative(_of_pair(ref.softmax_bound))),
    "log_sigmoid": Compared(_of_pair(ref.log_softmax), _relative(_of_pair(ref.log_softmax_bound))),
    "logmeanexp": Compared(_logmeanexp, _of_mean, reduces=True),
}


def truth_of(function: str, *rows: Any) -> Truth:
    """Evaluate the definition on rows along the last axis, and what is allowed."""
    expected = COMPARED[function].expected(*rows)
    return Truth(expected, *COMPARED[function].allowed(expected, *rows))
