"""The JAX backend's own derivatives and programs: tails, rows of -inf, transforms, dtypes."""

import math

import numpy as np
import pytest

import softaxis

jax = pytest.importorskip("jax", exc_type=ImportError)
import jax.numpy as jnp  # noqa: E402
from jax.test_util import check_grads  # noqa: E402

inf, nan = float("inf"), float("nan")
TAIL = 4.248354255291589e-18  # exp(-40) / (1 + exp(-40))


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True, scope="module")
def _compile_quickly():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


LABELS = jnp.asarray([1, 3, 0])
MASK = jnp.asarray([[True, True, False, True], [False] * 4, [True] * 4])
OF_ROWS = {
    "softmax": softaxis.softmax,
    "softmax-first": lambda x: softaxis.softmax(x, axis=0),
    "softmax-all": lambda x: softaxis.softmax(x, axis=None),
    "softmax-masked": lambda x: softaxis.softmax(x, where=MASK),
    "log_softmax": softaxis.log_softmax,
    "logsumexp": lambda x: softaxis.logsumexp(x, axis=1),
    "cross_entropy": lambda x: softaxis.cross_entropy(x, LABELS),
    "cross_entropy-first": lambda x: softaxis.cross_entropy(x.T, LABELS, axis=0),
    "cross_entropy-ignored": lambda x: softaxis.cross_entropy(
        x, LABELS, ignore_index=3, z_loss=0.1, reduction="mean"
    ),
    "cross_entropy-masked": lambda x: softaxis.cross_entropy(x, LABELS, where=MASK),
}
every_function = pytest.mark.parametrize("name", OF_ROWS)


@pytest.mark.parametrize(
    "name", [n for n in OF_ROWS if not n.endswith(("-first", "-all")) and n != "log_softmax"]
)
def test_check_grads_to_second_order_in_both_modes(name):
    def finite(x):
        y = OF_ROWS[name](x)
        return jnp.where(jnp.isfinite(y), y, 0.0)

    check_grads(jax.jit(finite), (normal(3, 4),), order=2, modes=("fwd", "rev"), rtol=1e-6)


@every_function
def test_second_derivatives_where_maxima_are_equal(name):
    """The rule looks at which elements are largest: at a tie, too, it has to be right twice."""
    x = jnp.asarray([[1.0, 1.0, 0.5, -2.0], [0.0] * 4, [2.0, 2.0, 2.0, 1.0]])

    def finite(x):
        y = OF_ROWS[name](x)
        return jnp.sum(jnp.sin(jnp.where(jnp.isfinite(y), y, 0.0)))

    hessian = jax.jit(jax.hessian(finite))(x).reshape(12, 12)
    gradient = jax.jit(jax.grad(finite))
    step = 1e-5 * jnp.eye(12).reshape(12, 3, 4)
    numeric = [(gradient(x + s) - gradient(x - s)).ravel() / 2e-5 for s in step]
    np.testing.assert_allclose(hessian, np.array(numeric), atol=1e-8)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-15)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("ties", [1, 3])
def test_what_is_below_the_maxima_reaches_the_derivative(mode, ties):
    """softmax of 0, ..., 0, -40 in the direction of the maxima: only the tail is left."""
    x = jnp.asarray([0.0] * ties + [-40.0])
    t = jnp.asarray([1.0] * ties + [0.0])
    if mode == "forward":
        result = jax.jvp(softaxis.softmax, (x,), (t,))[1]
    else:
        result = jax.vjp(softaxis.softmax, x)[1](t)[0]
    tail = math.exp(-40)
    of_top = tail / (ties + tail) ** 2
    np.testing.assert_allclose(result, [of_top] * ties + [-ties * of_top], rtol=1e-14)


def test_near_certainty():
    x, first = jnp.asarray([40.0, 0.0]), jnp.asarray([1.0, 0.0])
    one_class = jnp.asarray(0)
    for gradient in (
        jax.vjp(softaxis.softmax, x)[1](first)[0],
        jax.vjp(softaxis.log_softmax, x)[1](first)[0],
        -jax.grad(softaxis.cross_entropy)(x, one_class),
        -softaxis.cross_entropy_and_grad(x, one_class)[1],
        -jax.hessian(softaxis.cross_entropy)(x, one_class)[1],
        jax.hessian(softaxis.logsumexp)(x)[0],
    ):
        np.testing.assert_allclose(gradient, [TAIL, -TAIL], rtol=1e-14)
    native = jax.grad(lambda x: jax.nn.log_softmax(x)[0])(x)
    assert native[0] == 0  # what this is about


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp"])
def test_a_row_of_minus_infinities_has_derivative_zero_of_both_orders(function):
    x = jnp.asarray([[-inf, -inf, -inf], [0.0, 1.0, -inf]])

    def scalar(x):
        y = getattr(softaxis, function)(x, axis=1)
        return jnp.sum(jnp.where(jnp.isfinite(y), y, 0.0) ** 2)

    gradient = jax.grad(scalar)(x)
    assert not jnp.any(gradient[0])
    assert jnp.all(jnp.isfinite(gradient))
    assert jnp.any(gradient[1])
    second = jax.jvp(jax.grad(scalar), (x,), (jnp.ones_like(x),))[1]
    assert not jnp.any(second[0])
    assert jnp.all(jnp.isfinite(second))


def test_cross_entropy_of_a_row_of_minus_infinities():
    """Its gradient is NaN, as softmax is; but 0 where the row is masked or does not count."""
    x = jnp.asarray([[-inf, -inf, -inf], [0.0, 1.0, 2.0]])
    labels = jnp.asarray([0, 1])
    masked = jnp.asarray([[False] * 3, [True] * 3])
    for options, wrong in (
        ({}, True),
        ({"where": jnp.asarray(True)}, True),
        ({"where": masked}, False),
        ({"ignore_index": 0}, False),
    ):

        def loss(x, options=options):
            return softaxis.cross_entropy(x, labels, **options)

        gradients = (
            jax.grad(lambda x, loss=loss: jnp.sum(loss(x)))(x),
            softaxis.cross_entropy_and_grad(x, labels, **options)[1],
        )
        for gradient in gradients:
            assert jnp.all(jnp.isfinite(gradient[1]))
            assert jnp.all(jnp.isnan(gradient[0])) if wrong else not jnp.any(gradient[0])
        _, tangent = jax.jvp(loss, (x,), (jnp.ones_like(x),))
        assert jnp.isnan(tangent[0]) if wrong else tangent[0] == 0


def test_cross_entropy_over_a_logit_of_minus_infinity_has_finite_gradients():
    x = jnp.asarray([1.0, 2.0, -inf])
    for options in ({}, {"label_smoothing": 0.1}):
        for label in (0, 2):
            gradient = jax.grad(softaxis.cross_entropy)(x, jnp.asarray(label), **options)
            assert jnp.all(jnp.isfinite(gradient))
            assert float(jnp.sum(gradient)) == pytest.approx(0, abs=1e-15)


def test_what_an_ignored_row_holds_reaches_no_derivative():
    x = jnp.asarray([[nan, inf, -inf], [0.0, 1.0, 2.0]])
    labels = jnp.asarray([-1, 2])

    def loss(x):
        return softaxis.cross_entropy(x, labels, ignore_index=-1, z_loss=0.1, reduction="sum")

    _, tangent = jax.jvp(loss, (x,), (jnp.full_like(x, nan).at[1].set(1.0),))
    assert jnp.isfinite(tangent)
    gradient = jax.grad(loss)(x)
    assert not jnp.any(gradient[0])
    assert jnp.all(jnp.isfinite(gradient[1]))
    assert jnp.any(gradient[1])


@pytest.mark.parametrize("hidden", [[nan, -inf], [nan, inf], [nan, 1.0]], ids=str)
def test_nan_is_found_in_large_arrays(hidden):
    """XLA's maximum over a large array on the CPU passes NaN over."""
    x = np.full((64, 128), hidden[1], dtype=np.float32)
    x[3, 5] = hidden[0]
    x[4] = 0.0
    for y in (
        softaxis.logsumexp(jnp.asarray(x), axis=1),
        softaxis.logmeanexp(jnp.asarray(x), axis=1),
        softaxis.log_softmax(jnp.asarray(x))[:, 0],
        softaxis.softmax(jnp.asarray(x))[:, 0],
        softaxis.hardmax(jnp.asarray(x))[:, 1],
        softaxis.cross_entropy(jnp.asarray(x), jnp.zeros(64, int)),
    ):
        assert jnp.isnan(y[3])
        assert not jnp.isnan(y[4])


@pytest.mark.parametrize("name", ["softmax-masked", "log_softmax", "cross_entropy-ignored"])
def test_inside_checkpoint_and_scan_without_leaks(name):
    function = OF_ROWS[name]
    x = normal(3, 4)

    def finite(x):
        y = function(x)
        return jnp.sum(jnp.where(jnp.isfinite(y), y, 0.0) ** 2)

    def chained(x):
        def step(x, _):
            return 0.9 * x, jax.checkpoint(finite)(x)

        return jnp.sum(jax.lax.scan(step, x, length=3)[1])

    with jax.checking_leaks():
        value, gradient = jax.jit(jax.value_and_grad(chained))(x)
    unrolled = jax.value_and_grad(lambda x: sum(finite(0.9**i * x) for i in range(3)))(x)
    np.testing.assert_allclose(value, unrolled[0], rtol=1e-14)
    np.testing.assert_allclose(gradient, unrolled[1], rtol=1e-12, atol=1e-14)


def test_a_donated_buffer():
    x = normal(8, 16)
    expected = np.asarray(softaxis.softmax(x))
    y = jax.jit(softaxis.softmax, donate_argnums=0)(x)
    np.testing.assert_allclose(y, expected, rtol=1e-15)
    assert x.is_deleted()


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "bfloat16", "float16"])
def test_narrow_dtypes_are_rounded_once_also_in_their_derivatives(dtype):
    wide = np.random.default_rng(3).normal(size=(4, 9)).astype(np.float32)
    x = jnp.asarray(wide).astype(dtype)
    exact = x.astype(jnp.float32)
    for function in (
        softaxis.softmax,
        softaxis.log_softmax,
        softaxis.logsumexp,
        lambda x: softaxis.cross_entropy(x, jnp.arange(4)),
    ):
        y, pull = jax.vjp(function, x)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, function(exact).astype(dtype))
        (gradient,) = pull(jnp.ones_like(y))
        assert gradient.dtype == x.dtype
        (reference,) = jax.vjp(function, exact)[1](jnp.ones(y.shape, jnp.float32))
        eps = float(jnp.finfo(dtype).eps)
        tiny = float(jnp.finfo(dtype).smallest_subnormal)
        np.testing.assert_allclose(
            gradient.astype(np.float32), reference, rtol=eps, atol=max(tiny, 1e-6)
        )


@pytest.mark.parametrize("x64", [True, False])
def test_dtypes_with_and_without_x64(x64):
    with jax.enable_x64(x64):
        x = jnp.asarray(np.array([1, 2, 200], dtype=np.uint8))
        y = softaxis.softmax(x)
        assert y.dtype == (jnp.float64 if x64 else jnp.float32)
        assert y[2] == 1
        value, gradient = jax.value_and_grad(softaxis.cross_entropy)(
            jnp.zeros(3, jnp.float32), jnp.asarray(1)
        )
        assert value.dtype == gradient.dtype == jnp.float32


def test_plain_calls_agree_with_those_that_go_the_long_way():
    x, labels = normal(5, 7), jnp.arange(5)
    everywhere = jnp.asarray(True)
    for function in (softaxis.softmax, softaxis.log_softmax, softaxis.logsumexp):
        for axis in (0, 1, -1, None):
            plain, longer = function(x, axis=axis), function(x, axis=axis, where=everywhere)
            np.testing.assert_allclose(plain, longer, rtol=1e-15)
        with pytest.raises(softaxis.AxisError):
            function(x, axis=2)
        with pytest.raises(TypeError, match="`axis`"):
            function(x, axis=True)
    for reduction in ("none", "sum", "mean"):
        for ignore_index in (None, 3):
            options = {"reduction": reduction, "ignore_index": ignore_index}
            plain = softaxis.cross_entropy(x, labels, **options)
            longer = softaxis.cross_entropy(x, labels, where=everywhere, **options)
            np.testing.assert_allclose(plain, longer, rtol=1e-15)
    with pytest.raises(ValueError, match="`reduction`"):
        softaxis.cross_entropy(x, labels, reduction="median")
    with pytest.raises(ValueError, match="`labels`"):
        softaxis.cross_entropy(x, labels[:3])


def test_softmax_of_a_plain_array_runs_one_program_and_no_validation(monkeypatch):
    from softaxis import _normalizers

    x = normal(3, 4)
    expected = softaxis.softmax(x)
    monkeypatch.setattr(_normalizers, "_normalize", None)
    np.testing.assert_array_equal(softaxis.softmax(x), expected)
