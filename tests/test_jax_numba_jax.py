"""The backend `jax_numba`: kernels inside XLA's programs, their derivatives, and where they run."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import softaxis

jax = pytest.importorskip("jax", exc_type=ImportError)
import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

pytestmark = pytest.mark.needs_package("numba")
inf, nan = float("inf"), float("nan")
EPS = 2.0**-23
LARGE = (64, 4096)  # as many numbers as it takes by itself, and more


@pytest.fixture(autouse=True, scope="module")
def _compile_quickly():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def calls(backend):
    """The functions of a backend, of an array alone."""
    f = softaxis.get_backend(backend)

    def labelled(x, function, **options):
        labels = jnp.arange(np.prod(x.shape[:-1], dtype=int)).reshape(x.shape[:-1])
        return function(x, labels % x.shape[-1], **options)

    def masked(x, function, **options):
        """Without every third element, and without the first row."""
        where = (jnp.arange(x.size) % 3 > 0).reshape(x.shape)
        return function(x, where=where.at[..., 0, :].set(False), **options)

    return {
        "softmax": f.softmax,
        "softmax-all": partial(f.softmax, axis=None),
        "log_softmax-two": partial(f.log_softmax, axis=(-2, -1)),
        "logsumexp-two": partial(f.logsumexp, axis=(-2, -1), keepdims=True),
        "log_softmax": f.log_softmax,
        "logsumexp": partial(f.logsumexp, axis=-1),
        "logsumexp-kept": partial(f.logsumexp, axis=-1, keepdims=True),
        "softmax-masked": partial(masked, function=f.softmax),
        "log_softmax-masked": partial(masked, function=f.log_softmax),
        "logsumexp-masked": partial(masked, function=f.logsumexp, axis=-1),
        "cross_entropy": partial(labelled, function=f.cross_entropy),
        "cross_entropy-mean": partial(
            labelled, function=f.cross_entropy, ignore_index=1, reduction="mean"
        ),
    }


KERNELS, STEPS = calls("jax_numba"), calls("jax")
every_function = pytest.mark.parametrize("name", KERNELS)
every_primitive = pytest.mark.parametrize(
    "name", ["softmax", "log_softmax", "logsumexp", "cross_entropy"]
)


def is_kernel(f, *arguments):
    return "softaxis." in jax.jit(f).lower(*arguments).as_text()


def close(result, expected, bound):
    """Compare by how far apart they are in eps, of what is largest in a row or 1."""
    result, expected = np.asarray(result, np.float64), np.asarray(expected, np.float64)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(expected))
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(result[~finite], expected[~finite])
    size = max(1.0, np.abs(expected[finite]).max(initial=0.0))
    assert np.abs(result[finite] - expected[finite]).max(initial=0.0) <= bound * EPS * size


@every_function
@pytest.mark.parametrize("shape", [(2, 3, 40), (3, 5000)])
def test_values_and_derivatives_are_those_of_the_steps(name, shape):
    x, t = normal(*shape) * 3, normal(*shape, seed=1)
    f, steps = KERNELS[name], STEPS[name]
    assert is_kernel(f, x)
    with jax.enable_x64(True):
        wide = jnp.asarray(x, jnp.float64), jnp.asarray(t, jnp.float64)
        expected, of_t = jax.jvp(steps, wide[:1], wide[1:])
        g = jnp.sin(expected)
        expected_g = jax.vjp(steps, wide[0])[1](g)[0]
    g = jnp.asarray(np.asarray(g), jnp.float32)
    close(f(x), expected, 8)
    close(jax.jit(lambda x: jax.jvp(f, (x,), (t,)))(x)[1], of_t, 64)
    value, pull = jax.vjp(f, x)
    np.testing.assert_array_equal(value, f(x))
    close(pull(g)[0], expected_g, 64)


@every_primitive
def test_check_grads_to_second_order_in_both_modes(name):
    check_grads(jax.jit(KERNELS[name]), (normal(3, 4),), 2, ("fwd", "rev"), rtol=2e-2, atol=2e-2)


@every_primitive
def test_second_derivatives_are_those_of_the_steps(name):
    x = jnp.asarray([[1.0, 1.0, 0.5, -2.0], [0.0, 3.0, 3.0, 1.0]], jnp.float32)
    hessians = [
        jax.jit(jax.hessian(lambda x, f=f: jnp.sum(jnp.sin(f(x)))))(x)
        for f in (KERNELS[name], STEPS[name])
    ]
    np.testing.assert_allclose(*hessians, atol=64 * EPS)


def test_near_certainty():
    """What is left of exp(-15) beside 1."""
    x, first = jnp.asarray([15.0, 0.0], jnp.float32), jnp.asarray([1.0, 0.0], jnp.float32)
    f, label = softaxis.get_backend("jax_numba"), jnp.asarray(0)
    tail = np.exp(-15.0) / (1 + np.exp(-15.0))
    np.testing.assert_allclose(f.cross_entropy(x, label), np.log1p(np.exp(-15.0)), rtol=8 * EPS)
    np.testing.assert_allclose(f.log_softmax(x)[0], -np.log1p(np.exp(-15.0)), rtol=8 * EPS)
    for gradient in (
        jax.vjp(f.log_softmax, x)[1](first)[0],
        -jax.grad(f.cross_entropy)(x, label),
        -f.cross_entropy_and_grad(x, label)[1],
        -jax.hessian(f.cross_entropy)(x, label)[1],
        jax.hessian(partial(f.logsumexp, axis=0))(x)[0],
    ):
        np.testing.assert_allclose(gradient, [tail, -tail], rtol=16 * EPS)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_what_is_masked_reaches_neither_values_nor_gradients(name):
    x = normal(3, 50)
    where = jnp.arange(50) % 2 == jnp.asarray([[0], [1], [2]])  # the last row: nothing

    def scalar(x):
        y = getattr(softaxis.get_backend("jax_numba"), name)(x, axis=-1, where=where)
        return jnp.sum(jnp.where(jnp.isfinite(y), y, 0.0) ** 2)

    expected = jax.value_and_grad(scalar)(jnp.where(where, x, 0.0))
    assert not jnp.any(expected[1][~where])
    for hidden in (nan, inf, -inf):
        value, gradient = jax.value_and_grad(scalar)(jnp.where(where, x, hidden))
        np.testing.assert_array_equal(value, expected[0])
        np.testing.assert_array_equal(gradient, expected[1])


ROWS = [[-inf] * 3, [inf, 0, 1], [nan, 0, 1], [nan, inf, 0], [0, -inf, 2], [inf, inf, -inf]]


@pytest.mark.parametrize("length", [3, 5000])
def test_infinities_and_nan(length):
    x = np.pad(np.asarray(ROWS, np.float32), ((0, 0), (0, length - 3)), constant_values=-inf)
    labels = jnp.asarray([0, 1, 2, 0, 1, length])
    for name in ("softmax", "log_softmax", "logsumexp"):
        close(KERNELS[name](jnp.asarray(x)), STEPS[name](jnp.asarray(x)), 8)
    f, steps = softaxis.get_backend("jax_numba"), softaxis.get_backend("jax")
    for ignored in (None, 1, length):
        ours, theirs = (
            one.cross_entropy_and_grad(jnp.asarray(x), labels, ignore_index=ignored)
            for one in (f, steps)
        )
        close(ours[0], theirs[0], 8)
        close(ours[1], theirs[1], 8)
    for name in ("logsumexp", "cross_entropy"):
        ours, theirs = (
            jax.grad(lambda x, f=g[name]: jnp.sum(f(x)))(jnp.asarray(x)) for g in (KERNELS, STEPS)
        )
        close(ours, theirs, 8)


@pytest.mark.parametrize("length", [3, 5000])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_who_throws_a_row_of_nan_away_gets_none_back(name, length):
    x = normal(2, length).at[0].set(-inf)

    def scalar(x):
        y = KERNELS[name](x)
        return jnp.sum(jnp.where(jnp.isnan(y), 0.0, y) ** 2)

    gradient = jax.jit(jax.grad(scalar))(x)
    assert not jnp.any(gradient[0])
    assert jnp.all(jnp.isfinite(gradient[1]))
    kept = jax.grad(lambda x: jnp.sum(KERNELS[name](x)))(x)
    assert jnp.all(jnp.isnan(kept[0]))


@pytest.mark.parametrize("g", [1e-25, 1e30])
@pytest.mark.parametrize("name", ["logsumexp", "cross_entropy"])
def test_tiny_and_huge_factors_of_a_gradient(name, g):
    x = normal(4, 50)
    pulls = [jax.vjp(f[name], x)[1](jnp.full(4, g, jnp.float32))[0] for f in (KERNELS, STEPS)]
    np.testing.assert_allclose(pulls[0] / g, pulls[1] / g, rtol=64 * EPS, atol=4 * EPS)


@every_primitive
def test_vmap(name):
    x = normal(3, 4, 10)
    f = KERNELS[name]
    expected = jnp.stack([f(x[i]) for i in range(3)])
    close(jax.vmap(f)(x), expected, 2)
    close(jax.vmap(f, in_axes=2)(jnp.moveaxis(x, 0, 2)), expected, 2)
    gradient = jax.grad(lambda x: jnp.sum(jnp.sin(f(x))))
    close(jax.vmap(gradient)(x), jnp.stack([gradient(x[i]) for i in range(3)]), 4)


@pytest.mark.parametrize("shape", [(512, 512), (3, 100_000)])
def test_bits_depend_on_no_batch_and_no_thread(shape):
    x = normal(*shape)
    for name in ("softmax", "log_softmax", "logsumexp", "cross_entropy"):
        f = jax.jit(lambda x, f=KERNELS[name]: jax.vjp(f, x)[1](jnp.ones_like(f(x)))[0])
        whole = np.asarray(f(x))
        if name != "cross_entropy":  # whose labels are by row
            np.testing.assert_array_equal(f(x[1:2])[0], whole[1])
        with ThreadPoolExecutor(4) as pool:
            for result in pool.map(f, [x] * 12):
                np.testing.assert_array_equal(result, whole)


def test_arrays_from_131072_elements_on_go_there_by_themselves():
    large, small = normal(*LARGE), normal(3, 4)
    labels = jnp.zeros(64, int)
    ran = {}

    def look(x):
        ran[x.shape] = softaxis.explain_dispatch(softaxis.softmax, x).backend
        return softaxis.softmax(x)

    for x in (large, small):
        jax.jit(look)(x)
        assert ran[x.shape] == softaxis.explain_dispatch(softaxis.softmax, x).backend
    assert ran == {LARGE: "jax_numba", (3, 4): "jax"}
    assert softaxis.explain_dispatch(softaxis.softmax, large.T, axis=0).backend == "jax"
    assert (
        softaxis.explain_dispatch(softaxis.softmax, large, where=large > 0).backend == "jax_numba"
    )
    with softaxis.backend_opts(disable="jax_numba"):
        steps = softaxis.softmax(large), softaxis.cross_entropy(large, labels, reduction="sum")
    close(softaxis.softmax(large), steps[0], 4)  # twice: the second call takes a shorter way
    close(softaxis.softmax(large), steps[0], 4)
    for _ in range(2):
        close(softaxis.cross_entropy(large, labels, reduction="sum"), steps[1], 4)
    np.testing.assert_array_equal(softaxis.softmax(small), STEPS["softmax"](small))


def test_programs_that_leave_the_process_hold_steps():
    x = normal(*LARGE)
    assert is_kernel(softaxis.softmax, x)
    exported = jax.export.export(jax.jit(softaxis.softmax))(x)
    assert "softaxis." not in exported.mlir_module()
    close(exported.call(x), softaxis.softmax(x), 4)


def test_an_xla_that_knows_another_interface_runs_its_steps(monkeypatch, caplog):
    from softaxis._backends import _jax_primitives

    def refuse(*_, **__):
        raise jax.errors.JaxRuntimeError("INVALID_ARGUMENT: the API version is incompatible")

    monkeypatch.setattr(_jax_primitives, "_targets", {})
    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    x = normal(2, *LARGE)
    assert not is_kernel(softaxis.softmax, x)
    np.testing.assert_array_equal(softaxis.softmax(x), STEPS["softmax"](x))
    (line,) = caplog.messages
    assert "its own steps run instead" in line


def expected_rows(x):
    e = np.exp(np.asarray(x, np.float64))
    return e / e.sum(-1, keepdims=True)


def test_donated_buffers_and_programs_without_jit():
    x = normal(*LARGE)
    expected = np.asarray(softaxis.softmax(x))
    y = jax.jit(softaxis.softmax, donate_argnums=0)(x)
    np.testing.assert_array_equal(y, expected)
    assert x.is_deleted()
    with jax.disable_jit():
        close(KERNELS["log_softmax"](normal(3, 4)), np.log(expected_rows(normal(3, 4))), 8)


@pytest.mark.parametrize("kind", ["Auto", "Explicit"])
def test_a_mesh_of_one_device(kind):
    """Types that name its axis are left to the steps, whose rules JAX knows."""
    from jax.sharding import AxisType, NamedSharding, PartitionSpec

    mesh = jax.make_mesh((1,), ("d",), axis_types=(getattr(AxisType, kind),))
    spec, labels = PartitionSpec("d", None), jnp.arange(64)
    x = jax.device_put(normal(*LARGE), NamedSharding(mesh, spec))
    expected = jax.grad(lambda x: jnp.sum(softaxis.softmax(x) ** 2))(normal(*LARGE))
    of_loss = jax.jit(jax.grad(lambda x: softaxis.cross_entropy(x, labels, reduction="sum")))
    expected_of_loss = of_loss(normal(*LARGE))
    mapped = jax.shard_map(softaxis.softmax, mesh=mesh, in_specs=spec, out_specs=spec)
    with jax.set_mesh(mesh):
        close(of_loss(x), expected_of_loss, 8)
        for f in (mapped, softaxis.softmax):
            close(jax.jit(jax.grad(lambda x, f=f: jnp.sum(f(x) ** 2)))(x), expected, 8)


def test_inside_scan_cond_and_checkpoint_and_no_tracer_leaks():
    x, labels = normal(*LARGE), jnp.arange(64)

    def chained(x):
        def step(z, _):
            y = jax.lax.cond(z[0, 0] < 0, softaxis.softmax, lambda z: softaxis.softmax(-z), z)
            return y + z, softaxis.cross_entropy(z, labels, reduction="mean")

        return jnp.sum(jax.lax.scan(jax.checkpoint(step), x, length=3)[1])

    with jax.checking_leaks():
        value, gradient = jax.jit(jax.value_and_grad(chained))(x)
    with softaxis.backend_opts(disable="jax_numba"):
        steps = jax.jit(jax.value_and_grad(chained))(x)
    np.testing.assert_allclose(value, steps[0], rtol=8 * EPS)
    np.testing.assert_allclose(gradient, steps[1], atol=8 * EPS * float(jnp.abs(gradient).max()))


SEVERAL = """
import json
from concurrent.futures import ThreadPoolExecutor
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
import softaxis

x = np.random.default_rng(0).normal(size=(64, 4096)).astype(np.float32)
labels = np.arange(64, dtype=np.int32)
f = jax.jit(jax.value_and_grad(lambda x, y: jnp.sum(softaxis.cross_entropy(x, y))))
alone = f(x, labels)
seen = {}
for kind in ("Auto", "Explicit"):
    mesh = jax.make_mesh((8,), ("d",), axis_types=(getattr(AxisType, kind),))
    for spec in (P("d", None), P(None, "d")):
        there = jax.device_put(x, NamedSharding(mesh, spec))
        with_it = jax.device_put(labels, NamedSharding(mesh, P(spec[0])))
        value, slope = f(there, with_it)
        np.testing.assert_allclose(value, alone[0], rtol=1e-5)
        np.testing.assert_allclose(slope, alone[1], atol=1e-6)
        text = f.lower(there, with_it).as_text()
        seen[f"{kind} {spec}"] = [str(slope.sharding.spec == spec), str("softaxis." in text)]


def on(device):
    return np.asarray(f(jax.device_put(x, device), jax.device_put(labels, device))[1])


with ThreadPoolExecutor(8) as pool:  # more handlers at a time than XLA has threads
    for result in pool.map(on, jax.devices() * 4):
        np.testing.assert_array_equal(result, alone[1])
print(json.dumps(seen))
"""


def test_eight_devices():
    """What is cut over them runs in steps; each by itself runs kernels, all at once."""
    flags = "--xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert len(seen) == 4
    assert all(one == ["True", "False"] for one in seen.values()), seen


def test_warmup_knows_what_xla_calls():
    from softaxis._backends._numba._layout import CALLED_BY_XLA
    from softaxis._backends._numba._xla_entries import KERNELS

    assert set(KERNELS) == CALLED_BY_XLA
