"""Every public function as a pure function of a dict of arrays, to be transformed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import softaxis


class Case(NamedTuple):
    """One way of calling a function; it takes arrays by name and returns an array or a tuple."""

    call: Callable[[dict[str, Any]], Any]
    smooth_in: tuple[str, ...]
    """The arrays with respect to which it is differentiable everywhere near the values below."""


def values(seed: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays: logits `x` of four rows and what belongs to them."""
    rng = np.random.default_rng(seed)
    mask = rng.random((4, 5)) > 0.3
    mask[0] = False
    mask[1:, 0] = True
    return {
        "x": rng.normal(size=(4, 5)),
        "g": rng.normal(size=(4, 5)),
        "r": rng.normal(size=4),
        "mask": mask,
        "labels": np.array([0, 1, 4, 1]),
        "probabilities": rng.dirichlet(np.ones(5), 4),
        "t": rng.uniform(0.5, 2, (4, 1)),
        "sink": rng.normal(size=4),
        "w": np.array([1.0, -0.3, 0.5, 2.0, 0.7]),
        "class_weights": rng.uniform(0.5, 2, 5),
    }


def _softmax(a: dict[str, Any], **options: Any) -> Any:
    return softaxis.softmax(a["x"], **options)


CASES = {
    "softmax": Case(_softmax, ("x",)),
    "softmax-axis-0": Case(lambda a: _softmax(a, axis=0), ("x",)),
    "softmax-all-axes": Case(lambda a: _softmax(a, axis=None), ("x",)),
    "softmax-no-axes": Case(lambda a: _softmax(a, axis=()), ("x",)),
    "softmax-masked": Case(lambda a: _softmax(a, where=a["mask"]), ("x",)),
    "softmax-temperature": Case(lambda a: _softmax(a, temperature=a["t"]), ("x", "t")),
    "softmax-sink": Case(lambda a: _softmax(a, sink=a["sink"]), ("x", "sink")),
    "softmax-everything": Case(
        lambda a: _softmax(a, axis=(0, 1), where=a["mask"], temperature=2.0, sink=0.5), ("x",)
    ),
    "log_softmax": Case(lambda a: softaxis.log_softmax(a["x"]), ("x",)),
    "log_softmax-temperature-sink": Case(
        lambda a: softaxis.log_softmax(a["x"], temperature=a["t"], sink=a["sink"]),
        ("x", "t", "sink"),
    ),
    "softmin": Case(lambda a: softaxis.softmin(a["x"], where=a["mask"]), ("x",)),
    "hardmax": Case(lambda a: softaxis.hardmax(a["x"], where=a["mask"]), ("x",)),
    "sigmoid": Case(lambda a: softaxis.sigmoid(a["x"]), ("x",)),
    "log_sigmoid": Case(lambda a: softaxis.log_sigmoid(a["x"]), ("x",)),
    "logsumexp": Case(lambda a: softaxis.logsumexp(a["x"]), ("x",)),
    "logsumexp-masked": Case(
        lambda a: softaxis.logsumexp(a["x"], axis=0, where=a["mask"], keepdims=True), ("x",)
    ),
    "logsumexp-weights": Case(
        lambda a: softaxis.logsumexp(a["x"], axis=-1, weights=a["w"], return_sign=True)[0],
        ("x", "w"),
    ),
    "logmeanexp": Case(lambda a: softaxis.logmeanexp(a["x"], axis=-1), ("x",)),
    "logmeanexp-masked": Case(
        lambda a: softaxis.logmeanexp(a["x"], axis=0, where=a["mask"]), ("x",)
    ),
    "cross_entropy": Case(lambda a: softaxis.cross_entropy(a["x"], a["labels"]), ("x",)),
    "cross_entropy-probabilities": Case(
        lambda a: softaxis.cross_entropy(a["x"], a["probabilities"], reduction="sum"),
        ("x", "probabilities"),
    ),
    "cross_entropy-everything": Case(
        lambda a: softaxis.cross_entropy(
            a["x"],
            a["labels"],
            class_weights=a["class_weights"],
            ignore_index=1,
            label_smoothing=0.1,
            z_loss=0.01,
            reduction="mean",
        ),
        ("x", "class_weights"),
    ),
    "cross_entropy_and_grad": Case(
        lambda a: softaxis.cross_entropy_and_grad(a["x"], a["labels"], label_smoothing=0.2), ("x",)
    ),
    "softmax_vjp": Case(lambda a: softaxis.softmax_vjp(_softmax(a), a["g"]), ("x", "g")),
    "softmax_jvp": Case(lambda a: softaxis.softmax_jvp(_softmax(a), a["g"]), ("x", "g")),
    "log_softmax_vjp": Case(
        lambda a: softaxis.log_softmax_vjp(softaxis.log_softmax(a["x"]), a["g"]), ("x", "g")
    ),
    "log_softmax_jvp": Case(
        lambda a: softaxis.log_softmax_jvp(softaxis.log_softmax(a["x"]), a["g"]), ("x", "g")
    ),
    "logsumexp_vjp": Case(
        lambda a: softaxis.logsumexp_vjp(
            a["x"], softaxis.logsumexp(a["x"], axis=1), a["r"], axis=1
        ),
        ("x", "r"),
    ),
    "logsumexp_jvp": Case(
        lambda a: softaxis.logsumexp_jvp(
            a["x"], softaxis.logsumexp(a["x"], axis=1), a["g"], axis=1
        ),
        ("x", "g"),
    ),
    "softmax_jacobian": Case(lambda a: softaxis.softmax_jacobian(_softmax(a)), ("x",)),
}
