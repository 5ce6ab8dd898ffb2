"""What cross_entropy and cross_entropy_and_grad should return.

Bounds: every term of a loss as log_softmax (SEMANTICS.md), 4 eps more for the products with
smoothed labels and weights; z_loss as the square of logsumexp; gradients 12 eps of the largest
(tests/test_cross_entropy.py).
"""

import numpy as np
from comparing import (
    INF,
    MOST,
    ZERO,
    as_floating,
    axis_of,
    compare,
    flags,
    has,
    mp,
    result_dtype,
    rows,
)
from reductions import allowed_in_sum

from softaxis.testing import references as ref

SMOOTHED = 12 * ref.EPS["float64"] / ref.EPS["longdouble"]
"""Eps of a longdouble: 1 - label_smoothing is a Python float."""


def loss(xp, call, outcome):
    """Check the losses, and their gradient if it was asked for."""
    logits = as_floating(xp, call, outcome.arrays[0])
    axis, given, dtype = axis_of(call), outcome.options, result_dtype(xp, call)
    both = call.function == "cross_entropy_and_grad"
    losses, grad = outcome.result if both else (outcome.result, None)
    mean = given.get("reduction", "none") == "mean"
    reduced = np.zeros(logits.shape).sum(axis=axis).shape
    shape = reduced if given.get("reduction", "none") == "none" else ()
    has(losses, shape, dtype, "loss")
    weights = given.get("class_weights")
    classes = 1 if weights is None else ref.objects(weights)
    counted, targets = goals(outcome.arrays[1], logits.shape, axis, given.get("ignore_index"))
    values = [
        RowLoss(*row, classes, given.get("label_smoothing", 0.0), given.get("z_loss", 0.0), dtype)
        for row in zip(
            rows(logits, logits.shape, axis),
            targets,
            flags(given.get("where"), logits.shape, axis),
            counted,
            strict=True,
        )
    ]
    divisor = mp.mpf(1)
    if mean:
        parts = [v.weight for v in values if v.counts]
        divisor = mp.fsum(parts)
        if divisor == 0:
            if any(v.loss != 0 for v in values):
                return
            divisor = mp.mpf(1)
    if shape == reduced and given.get("reduction", "none") == "none":
        got = ref.objects(losses).reshape(-1, 1)
        want, allowed = [[v.loss] for v in values], [v.allowed_loss() for v in values]
    else:
        got, open_ended = [[ref.objects(losses)[()]]], any(v.allowed is None for v in values)
        want = [[mp.fsum(v.loss for v in values) / divisor]] if not open_ended else [[ZERO]]
        limits = [v.allowed for v in values]
        allowed = [None] if open_ended else [[(mp.fsum(limits) + 8 * sum_of(values)) / divisor]]
    compare(xp, got, want, allowed, dtype, "loss")
    if both:
        has(grad, logits.shape, dtype, "gradient")
        want = [[a / divisor for a in v.slope] for v in values]
        allowed = [v.allowed_slope(divisor) for v in values]
        compare(xp, rows(grad, logits.shape, axis), want, allowed, dtype, "gradient")


def sum_of(values):
    return mp.fsum(abs(v.loss) for v in values if mp.isfinite(v.loss))


def goals(labels, shape, axis, ignored):
    """Return which rows count, and every row's labels as probabilities."""
    if labels.dtype.kind == "f":
        targets = rows(labels, shape, axis)
        return [True] * len(targets), targets
    classes = shape[axis]
    numbers = [int(a) for a in labels.reshape(-1)]
    targets = [tuple(mp.mpf(a == c) for c in range(classes)) for a in numbers]
    return [ignored is None or a != ignored for a in numbers], targets


class RowLoss:
    """One row's loss and slope, with the errors allowed; None for a row without a meaning."""

    def __init__(self, row, target, kept, counts, classes, smoothing, z_loss, dtype):
        n, self.counts = len(row), counts
        self.loss, self.slope, self.allowed, self.size = ZERO, [ZERO] * n, ZERO, ZERO
        factors = [classes] * n if isinstance(classes, int) else list(classes)
        self.weight = mp.mpf(1)
        if not isinstance(classes, int):
            self.weight = mp.fsum(y * w for y, w in zip(target, factors, strict=True))
        if not counts:
            return
        inside = [a for a, k in zip(row, kept, strict=True) if k]
        mass, unmasked = mp.fsum(target), max(len(inside), 1)
        keep, share = 1 - mp.mpf(smoothing), mp.mpf(smoothing) * mass / unmasked
        goal = [w * (keep * y + share * k) for w, y, k in zip(factors, target, kept, strict=True)]
        spoilt = any(mp.isnan(a) or a == INF for a in inside) or any(mp.isnan(y) for y in goal)
        if spoilt or (not inside and z_loss) or all(a == -INF for a in inside):
            self.allowed = None
            if not inside and not z_loss and not spoilt:
                self.loss = INF if any(goal) else ZERO
                self.allowed = ZERO
            return
        p, logs = ref.shares(tuple(row), tuple(kept))
        total, _ = ref.log_of_sum(tuple(row), tuple(kept))
        finite = sorted(a for a in inside if mp.isfinite(a))
        gap = finite[-1] - finite[-2] if len(finite) > 1 else ZERO
        terms = [-y * q for y, q in zip(goal, logs, strict=True) if y != 0]
        self.loss = (INF if INF in terms else mp.fsum(terms)) + z_loss * total**2
        error = allowed_in_sum(row, kept, None, total, False)
        near = mp.fsum(
            abs(y * q)
            for y, q, a, k in zip(goal, logs, row, kept, strict=True)
            if k and a == finite[-1]
        )
        factor = 12 if not smoothing or dtype != "longdouble" else SMOOTHED
        if any(MOST[dtype] < -2 * q < INF for q in logs):  # z, x - m, may overflow before y * z
            self.allowed = None
        elif mp.isfinite(self.loss):
            sizes = mp.fsum(abs(a) for a in terms)
            self.allowed = (
                factor * sizes + gap * near + z_loss * (4 * abs(total) * error + 4 * total**2)
            )
        mass = mp.fsum(goal)
        self.slope = [
            p_j * mass - y + 2 * z_loss * total * p_j if k else ZERO
            for p_j, y, k in zip(p, goal, kept, strict=True)
        ]
        self.size = max([abs(a) for a in goal] + [abs(mass) * max(p), abs(z_loss * total)])
        self.size *= factor / 12
        self.size += abs(z_loss) * max(1, abs(finite[-1]))

    def allowed_loss(self):
        return None if self.allowed is None else [self.allowed]

    def allowed_slope(self, divisor):
        if self.allowed is None:
            return None
        return [16 * self.size / abs(divisor)] * len(self.slope)


LOSSES = dict.fromkeys(("cross_entropy", "cross_entropy_and_grad"), loss)
