"""Every function through jax.jit, jax.vmap and JAX's derivatives of both orders and modes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformed import CASES, values

import softaxis

jax = pytest.importorskip("jax", exc_type=ImportError)
import jax.numpy as jnp  # noqa: E402

inf, nan = float("inf"), float("nan")
every_case = pytest.mark.parametrize("case", CASES)
CASES_IN_SHORT = ("softmax", "softmax-masked", "logsumexp", "cross_entropy")


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True, scope="module")
def _compile_quickly():
    """Leave out what XLA does for speed only: here every program runs once or twice."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def arrays_of(seed=0):
    return {name: jnp.asarray(value) for name, value in values(seed).items()}


def assert_same(result, expected, rtol=1e-14, atol=1e-15):
    assert jax.tree.structure(result) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


@every_case
def test_jit(case):
    call, arrays = CASES[case].call, arrays_of()
    program = jax.jit(call)
    assert_same(program(arrays), call(arrays))
    again = arrays_of(seed=1)
    assert_same(program(again), call(again))


COLD = """
import json, sys, warnings
warnings.simplefilter("error")
import jax, numpy as np
from transformed import CASES
jax.config.update("jax_enable_x64", True)
folder, cases = sys.argv[1], json.loads(sys.argv[2])
arrays = {name: jax.numpy.asarray(value) for name, value in np.load(folder + "/values.npz").items()}
results = {}
for case in cases:
    leaves = jax.tree.leaves(jax.jit(CASES[case].call)(arrays))
    results[case] = [np.asarray(leaf).tolist() for leaf in leaves]
print(json.dumps(results))
"""


def test_jit_as_the_first_call_ever(tmp_path):
    """The first call of each function is a traced one, and one of them the first of the process."""
    first_cases = list({name.partition("-")[0]: name for name in reversed(CASES)}.values())
    np.savez(tmp_path / "values.npz", **values())
    path = [str(Path(__file__).parent), str(Path(softaxis.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", COLD, str(tmp_path), json.dumps(first_cases)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for case, leaves in json.loads(done.stdout).items():
        expected = jax.tree.leaves(CASES[case].call(arrays_of()))
        for one, other in zip(leaves, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-14, atol=1e-15)


@every_case
def test_vmap(case):
    call = CASES[case].call
    items = [arrays_of(seed) for seed in range(3)]
    batch = jax.tree.map(lambda *parts: jnp.stack(parts), *items)
    expected = jax.tree.map(lambda *parts: jnp.stack(parts), *map(call, items))
    program = jax.vmap(call) if case in CASES_IN_SHORT else jax.jit(jax.vmap(call))
    assert_same(program(batch), expected, rtol=1e-13, atol=1e-14)


def dot(first, second):
    parts = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return sum(jnp.vdot(one, other) for one, other in parts)


@pytest.mark.parametrize("case", [name for name in CASES if name != "hardmax"])
def test_derivatives_of_both_orders_and_modes(case):
    """Along one direction: value, slope and curvature, the latter by every pair of modes."""
    call, names = CASES[case]
    arrays = arrays_of()
    given = {name: arrays[name] for name in names}
    rng = np.random.default_rng(7)
    direction = {name: jnp.asarray(rng.normal(size=a.shape)) for name, a in given.items()}

    def value(given):
        leaves = jax.tree.leaves(call(arrays | given))
        return sum(jnp.sum(jnp.sin(leaf + i)) for i, leaf in enumerate(leaves))

    def forward(given):
        return jax.jvp(value, (given,), (direction,))[1]

    def reverse(given):
        return dot(jax.grad(value)(given), direction)

    @jax.jit
    def everything(step):
        at = jax.tree.map(lambda a, d: a + step * d, given, direction)
        first = [forward(at), reverse(at)]
        second = [jax.jvp(slope, (at,), (direction,))[1] for slope in (forward, reverse)]
        second += [dot(jax.grad(slope)(at), direction) for slope in (forward, reverse)]
        return value(at), jnp.stack(first), jnp.stack(second)

    step = 1e-5
    (low, slopes_low, _), (high, slopes_high, _) = everything(-step), everything(step)
    _, slopes, curvatures = everything(0.0)
    np.testing.assert_allclose(slopes, (high - low) / (2 * step), rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(
        curvatures, np.mean(slopes_high - slopes_low) / (2 * step), rtol=1e-7, atol=1e-8
    )


@pytest.mark.parametrize("case", CASES_IN_SHORT)
def test_grad_of_an_uncompiled_call(case):
    call, arrays = CASES[case].call, arrays_of()

    def scalar(x):
        return jnp.sum(call(arrays | {"x": x}) ** 2)

    plain = jax.grad(scalar)(arrays["x"])
    assert_same(plain, jax.jit(jax.grad(scalar))(arrays["x"]), rtol=1e-12)
    step = 1e-6 * arrays["g"]
    change = scalar(arrays["x"] + step) - scalar(arrays["x"] - step)
    assert float(jnp.sum(plain * 2 * step)) == pytest.approx(float(change), rel=1e-6)


def test_the_derivative_of_hardmax_is_zero():
    gradient = jax.grad(lambda x: jnp.sum(softaxis.hardmax(x)))(arrays_of()["x"])
    assert not jnp.any(gradient)


MASKED = {
    "softmax": lambda x, mask: softaxis.softmax(x, where=mask),
    "softmax-temperature": lambda x, mask: softaxis.softmax(x, where=mask, temperature=2.0),
    "softmax-sink": lambda x, mask: softaxis.softmax(x, where=mask, sink=0.0),
    "softmin": lambda x, mask: softaxis.softmin(x, where=mask),
    "log_softmax": lambda x, mask: softaxis.log_softmax(x, where=mask),
    "logsumexp": lambda x, mask: softaxis.logsumexp(x, axis=-1, where=mask),
    "logsumexp-weights": lambda x, mask: softaxis.logsumexp(
        x, axis=-1, where=mask, weights=1.0 + mask
    ),
    "logmeanexp": lambda x, mask: softaxis.logmeanexp(x, axis=-1, where=mask),
    "cross_entropy": lambda x, mask: softaxis.cross_entropy(x, mask / 3.0, where=mask),
}


@pytest.mark.parametrize("function", MASKED)
def test_masked_elements_have_gradient_zero_whatever_they_hold(function):
    """The gradients of the others are those with anything else behind the mask."""
    arrays = arrays_of()
    mask = arrays["mask"]

    def scalar(x):
        y = MASKED[function](x, mask)
        return jnp.sum(jnp.where(jnp.isfinite(y), y, 0.0) ** 2)

    def norm_of_gradient(x):
        return jnp.sum(jax.grad(scalar)(x) ** 2)

    @jax.jit
    def gradients(behind):
        x = jnp.where(mask, arrays["x"], behind)
        return jax.grad(scalar)(x), jax.grad(norm_of_gradient)(x)

    without = gradients(0.0)
    assert jnp.any(without[0])
    for hidden in (nan, inf, -inf, 1e308):
        with_it = gradients(hidden)
        for gradient in with_it:
            assert not jnp.any(jnp.where(mask, 0.0, gradient))
        assert_same(with_it, without)


@pytest.mark.parametrize("function", MASKED)
def test_masked_elements_have_no_influence_in_forward_mode(function):
    arrays = arrays_of()
    mask = arrays["mask"]
    x = jnp.where(mask, arrays["x"], nan)

    @jax.jit
    def tangent(behind):
        direction = jnp.where(mask, arrays["g"], behind)
        return jax.jvp(lambda z: MASKED[function](z, mask), (x,), (direction,))[1]

    tangents = [tangent(behind) for behind in (0.0, 5.0)]
    assert_same(*tangents)
    assert jnp.all(jnp.isfinite(tangents[0]))


@pytest.mark.parametrize(
    "options", [{}, {"where": [True, False]}, {"weights": [1.0, 2.0]}], ids=str
)
def test_logsumexp_of_a_row_of_minus_infinities_has_gradient_zero(options):
    options = {name: jnp.asarray(value) for name, value in options.items()}
    x = jnp.asarray([[-inf, -inf], [0.0, 1.0]])

    def scalar(z):
        return jnp.sum(softaxis.logsumexp(z, axis=1, **options))

    gradient = jax.grad(scalar)(x)
    assert not jnp.any(gradient[0])
    assert jnp.all(jnp.isfinite(gradient))
    _, tangent = jax.jvp(scalar, (x,), (jnp.ones_like(x),))
    assert tangent == pytest.approx(float(jnp.sum(gradient)))


def test_a_new_number_compiles_no_new_program():
    x = arrays_of()["x"]
    softaxis.softmax(x, temperature=0.5, sink=1.0)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if "backend_compile" in event else None
    )
    try:
        for number in (0.25, 3.0, 7.5):
            softaxis.softmax(x, temperature=number, sink=-number)
        assert compiled == []
        softaxis.softmax(x[:3], temperature=0.5, sink=1.0)
        assert compiled  # the listener hears of a new shape
    finally:
        jax.monitoring.clear_event_listeners()
