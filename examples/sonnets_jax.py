"""Learn to write like Shakespeare: a small transformer in JAX, with softmax by softaxis.

    python examples/sonnets_jax.py             trains it
    python examples/sonnets_jax.py --native    beside itself with JAX's own functions

The lines are padded on the left, so that some rows of the attention are masked entirely. With -inf
for what is masked, `jax.nn.softmax` makes such a row NaN, and NaN times 0 is NaN in all the rest.
(Its own argument `where` gives 0, as softaxis does.)
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
from sonnets_setup import CLASSES, IGNORED, LENGTH, PAD, SMOOTHING
from sonnets_show import main

import softaxis

WIDTH, HEADS, BLOCKS = 64, 4, 2


def first_parameters(key, dtype):
    """Return the parameters, random, as a dictionary of arrays."""
    shapes = {
        "characters": (CLASSES, WIDTH),
        "positions": (LENGTH, WIDTH),
        "head": (WIDTH, CLASSES),
    }
    for b in range(BLOCKS):
        shapes |= {f"qkv{b}": (WIDTH, 3 * WIDTH), f"out{b}": (WIDTH, WIDTH)}
        shapes |= {f"wide{b}": (WIDTH, 4 * WIDTH), f"narrow{b}": (4 * WIDTH, WIDTH)}
    keys = jax.random.split(key, len(shapes))
    return {
        name: jax.random.normal(k, shape, dtype) / jnp.sqrt(shape[0])
        for k, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def normed(x):
    """Layer normalisation, without parameters."""
    return jax.nn.standardize(x, axis=-1, epsilon=1e-5)


def attention(x, visible, qkv, out, softmax):
    """Mix what each position sees."""
    split = (x @ qkv).reshape(*x.shape[:-1], 3, HEADS, -1)
    q, k, v = jnp.moveaxis(split, (-3, -2), (0, -3))  # each (batch, heads, length, WIDTH / HEADS)
    scores = q @ k.mT / jnp.sqrt(q.shape[-1]).astype(x.dtype)
    mixed = softmax(scores, where=visible) @ v
    return jnp.moveaxis(mixed, -3, -2).reshape(x.shape) @ out


def logits_of(parameters, tokens, softmax):
    """Return logits of the next character, (batch, length, CLASSES)."""
    real = tokens != PAD
    past = jnp.tril(jnp.ones((LENGTH, LENGTH), dtype=bool))
    visible = past & real[:, None, None, :]  # (batch, 1, from, to)
    position = jnp.cumsum(real, axis=-1).clip(min=1) - 1  # 0 at the first character of the line
    x = parameters["characters"][tokens] + parameters["positions"][position]
    for b in range(BLOCKS):
        qkv, out, wide, narrow = (parameters[f"{n}{b}"] for n in ("qkv", "out", "wide", "narrow"))
        x = x + attention(normed(x), visible, qkv, out, softmax)
        x = x + jax.nn.gelu(normed(x) @ wide) @ narrow
    return normed(x) @ parameters["head"]


def loss_of(logits, labels):
    """Return the mean loss of the characters that are not padding."""
    return softaxis.cross_entropy(
        logits, labels, ignore_index=IGNORED, label_smoothing=SMOOTHING, reduction="mean"
    )


def native_softmax(scores, where):
    """What is written without softaxis."""
    return jax.nn.softmax(jnp.where(where, scores, -jnp.inf))


def native_loss(logits, labels):
    """The same loss by hand: JAX has no cross-entropy of its own."""
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


def training(native, dtype, seed):
    """Return what takes a step of training on (tokens, labels) and returns the loss before it."""
    jax.config.update("jax_enable_x64", dtype == "float64")
    softmax, mean_loss = (native_softmax, native_loss) if native else (softaxis.softmax, loss_of)
    parameters = first_parameters(jax.random.key(seed), dtype)
    zeros = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
    state = parameters, *zeros, jnp.zeros((), dtype)

    @partial(jax.jit, donate_argnums=0)
    def update(state, tokens, labels):
        parameters, means, squares, count = state

        def loss(parameters):
            return mean_loss(logits_of(parameters, tokens, softmax), labels)

        value, gradients = jax.value_and_grad(loss)(parameters)
        new = adam(parameters, gradients, means, squares, count + 1)
        return (*new, count + 1), value

    def step(tokens, labels):
        nonlocal state
        state, loss = update(state, tokens, labels)
        return loss.item()

    return step


if __name__ == "__main__":
    sys.exit(main("JAX", training))
