"""Learn to write like Shakespeare: a small transformer in JAX, with softmax by softaxis.

    python examples/sonnets_jax.py             trains it
    python examples/sonnets_jax.py --native    beside itself with JAX's own functions

The lines are padded on the left, so that some rows of the attention are masked entirely. With -inf
for what is masked, `jax.nn.softmax` makes such a row NaN, and NaN times 0 is NaN in all the rest.
(Its argument `where` gives 0, as softaxis does.)
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
from sonnets_setup import CLASSES, IGNORED, LENGTH, PAD, SMOOTHING
from sonnets_show import main

import softaxis

WIDTH, HEADS, BLOCKS = 64, 4, 2


def first_parameters(seed, dtype):
    """Return random matrices by name; those of the blocks are stacked."""
    shapes = {
        "characters": (CLASSES, WIDTH),
        "positions": (LENGTH, WIDTH),
        "head": (WIDTH, CLASSES),
        "qkv": (BLOCKS, WIDTH, 3 * WIDTH),
        "out": (BLOCKS, WIDTH, WIDTH),
        "wide": (BLOCKS, WIDTH, 4 * WIDTH),
        "narrow": (BLOCKS, 4 * WIDTH, WIDTH),
    }
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return {
        name: jax.random.normal(key, shape, dtype) / shape[-2] ** 0.5
        for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def normed(x):
    """Layer normalisation, without parameters."""
    return jax.nn.standardize(x, axis=-1, epsilon=1e-5)


def logits_of(parameters, tokens, softmax):
    """Return logits of the next character, (batch, length, CLASSES)."""
    real = tokens != PAD
    past = jnp.tril(jnp.ones((LENGTH, LENGTH), dtype=bool))
    visible = past & real[:, None, None, :]  # (batch, 1, from, to)
    position = jnp.cumsum(real, axis=-1).clip(min=1) - 1  # 0 at the first character of the line

    def block(x, own):
        split = (normed(x) @ own["qkv"]).reshape(*x.shape[:-1], 3, HEADS, -1)
        q, k, v = split.transpose(2, 0, 3, 1, 4)  # each (batch, heads, length, WIDTH / HEADS)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        mixed = softmax(scores, where=visible) @ v
        x = x + mixed.swapaxes(1, 2).reshape(x.shape) @ own["out"]
        return x + jax.nn.gelu(normed(x) @ own["wide"]) @ own["narrow"], None

    x = parameters["characters"][tokens] + parameters["positions"][position]
    blocks = {name: parameters[name] for name in ("qkv", "out", "wide", "narrow")}
    x, _ = jax.lax.scan(block, x, blocks)
    return normed(x) @ parameters["head"]


def mean_loss(logits, labels):
    """Return the mean over the characters that are not padding."""
    return softaxis.cross_entropy(
        logits, labels, ignore_index=IGNORED, label_smoothing=SMOOTHING, reduction="mean"
    )


def native_softmax(scores, where):
    """What is written without softaxis."""
    return jax.nn.softmax(jnp.where(where, scores, -jnp.inf))


def native_loss(logits, labels):
    """The same by hand: `jax.nn` has no cross-entropy."""
    logp, counts = jax.nn.log_softmax(logits), labels != IGNORED
    right = jnp.take_along_axis(logp, jnp.where(counts, labels, 0)[..., None], -1)[..., 0]
    losses = -(1 - SMOOTHING) * right - SMOOTHING * jnp.mean(logp, -1)
    return jnp.sum(losses, where=counts) / jnp.sum(counts)


def adam(parameters, gradients, means, squares, count, rate=3e-3):
    """Take one step of the optimizer, by the formulas of Kingma and Ba (2015)."""
    means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
    squares = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, squares, gradients)

    def moved(p, m, s):
        return p - rate * m / (1 - 0.9**count) / (jnp.sqrt(s / (1 - 0.999**count)) + 1e-8)

    return jax.tree.map(moved, parameters, means, squares), means, squares


@partial(jax.jit, static_argnames="native", donate_argnums=0)
def update(state, tokens, labels, native):
    """Take one step of training; return the new state and the loss of the old one."""
    parameters, means, squares, count = state
    softmax, loss_of = (native_softmax, native_loss) if native else (softaxis.softmax, mean_loss)

    def loss(parameters):
        return loss_of(logits_of(parameters, tokens, softmax), labels)

    value, gradients = jax.value_and_grad(loss)(parameters)
    return (*adam(parameters, gradients, means, squares, count + 1), count + 1), value


def training(native, dtype, seed):
    """Return what takes a step of training on (tokens, labels) and returns the loss before it."""
    jax.config.update("jax_enable_x64", dtype == "float64")
    parameters = first_parameters(seed, dtype)
    means, squares = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    state = parameters, means, squares, jnp.zeros((), dtype)

    def step(tokens, labels):
        nonlocal state
        state, loss = update(state, tokens, labels, native)
        return loss.item()

    return step


if __name__ == "__main__":
    sys.exit(main("JAX", training))
