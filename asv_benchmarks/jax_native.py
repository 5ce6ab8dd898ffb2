"""Print how softaxis stands beside what JAX has of its own: time, and where that is wrong.

``python asv_benchmarks/jax_native.py`` takes a minute on a quiet machine; everything it prints
it has measured. Cross-entropy is Optax's formula, written out where Optax is missing.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import softaxis

SHAPES = ((8, 10), (4096, 1024), (65536, 64), (64, 65536))


def cross_entropy(logits: Any, labels: Any) -> Any:
    """optax.softmax_cross_entropy_with_integer_labels."""
    at = jnp.take_along_axis(logits, labels[:, None], axis=-1)[:, 0]
    return jax.nn.logsumexp(logits, axis=-1) - at


PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "softmax": (lambda x, _: jax.nn.softmax(x), lambda x, _: softaxis.softmax(x)),
    "log_softmax": (lambda x, _: jax.nn.log_softmax(x), lambda x, _: softaxis.log_softmax(x)),
    "logsumexp": (
        lambda x, _: jax.nn.logsumexp(x, axis=-1),
        lambda x, _: softaxis.logsumexp(x, axis=-1),
    ),
    "cross_entropy": (cross_entropy, softaxis.cross_entropy),
}


def with_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the value and the gradient in a direction that is given."""

    def both(x: Any, labels: Any, g: Any) -> Any:
        y, pull = jax.vjp(lambda z: function(z, labels), x)
        return y, pull(g if y.ndim == x.ndim else g[:, 0])[0]

    return both


def microseconds(calls: list[Callable[[], Any]], seconds: float) -> list[tuple[float, float]]:
    """Return the least wall and processor time of each call, taken in turns."""
    for call in calls:
        jax.block_until_ready(call())
    start = time.perf_counter()
    jax.block_until_ready(calls[0]())
    repeats = max(1, int(3e-4 / (time.perf_counter() - start)))
    best = [(inf, inf)] * len(calls)
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end:
        for i, call in enumerate(calls):
            used, start = _used(), time.perf_counter()
            for _ in range(repeats):
                result = call()
            jax.block_until_ready(result)
            wall = (time.perf_counter() - start) / repeats * 1e6
            best[i] = min(best[i][0], wall), min(best[i][1], (_used() - used) / repeats * 1e6)
    return best


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def times(seconds: float) -> None:
    print("float32, least time in us: native / softaxis, and the same of processor time if large")
    for rows, classes in SHAPES:
        rng = np.random.default_rng(0)
        x = jnp.asarray(rng.normal(size=(rows, classes)).astype(np.float32))
        labels = jnp.asarray(rng.integers(0, classes, rows))
        g = jnp.asarray(rng.normal(size=(rows, classes)).astype(np.float32))
        for name, pair in PAIRS.items():
            cells = []
            both = [with_gradient(f) for f in pair]
            for functions, given in ((pair, (x, labels)), (both, (x, labels, g))):
                calls = [partial(jax.jit(f), *given) for f in functions]
                measured = microseconds(calls, seconds)
                (native, native_used), (own, own_used) = measured
                cell = f"{native:9.1f} / {own:9.1f}"
                if rows * classes > 1000:
                    cell += f" (processor {native_used:9.1f} / {own_used:9.1f})"
                cells.append(cell)
            print(f"{rows:6d} x {classes:<6d} {name:14s} {'   with gradient '.join(cells)}")


def wrong() -> None:
    print("\nWhere native is wrong, float64: native, softaxis")
    jax.config.update("jax_enable_x64", True)
    x, none = jnp.asarray([40.0, 0.0]), jnp.asarray([-inf, -inf])
    large = jnp.zeros((64, 128)).at[0, 0].set(jnp.nan)
    label = jnp.zeros(1, int)
    cases: dict[str, Callable[[int], Any]] = {
        "d softmax([40, 0])[0]": lambda i: jax.grad(lambda z: PAIRS["softmax"][i](z, 0)[0])(x),
        "log_softmax([40, 0])[0]": lambda i: PAIRS["log_softmax"][i](x, 0)[0],
        "d cross_entropy([40, 0], 0)": lambda i: jax.grad(
            lambda z: PAIRS["cross_entropy"][i](z[None], label)[0]
        )(x),
        "d logsumexp([-inf, -inf])": lambda i: jax.grad(lambda z: PAIRS["logsumexp"][i](z, 0))(
            none
        ),
        "d softmax(masked row)": lambda i: jax.grad(
            lambda z: (jax.nn, softaxis)[i].softmax(z, where=z > 0)[0]
        )(-jnp.ones(2)),
        "softmax(uint8 [1, 2, 200])": lambda i: (jax.nn, softaxis)[i].softmax(
            jnp.asarray([1, 2, 200], jnp.uint8)
        ),
        "maximum of a row with NaN, 64 x 128": lambda i: (
            jnp.max(large, axis=1)[0] if i == 0 else softaxis.hardmax(large)[0, 0]
        ),
    }
    for name, case in cases.items():
        print(f"{name:36s} {np.asarray(case(0))!s:28s} {np.asarray(case(1))!s}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3, help="how long to measure each cell")
    arguments = parser.parse_args()
    times(arguments.seconds)
    wrong()
