"""The vector-Jacobian and Jacobian-vector products, against their formulas and near certainty."""

import numpy as np
import pytest
from cases import AXES, FLOATS, ROWS, spread

import softaxis
from softaxis.testing import references as ref

inf, nan = float("inf"), float("nan")
SOFTMAX = [softaxis.softmax_vjp, softaxis.softmax_jvp]
LOG_SOFTMAX = [softaxis.log_softmax_vjp, softaxis.log_softmax_jvp]


def row_sum(terms, axis):
    """Sum an object array along axes and keep them."""
    terms = np.asarray(terms, dtype=object)  # arithmetic turns 0-d arrays into numbers
    if terms.ndim == 0:
        return terms
    return np.sum(terms, axis=ref.axes_of(axis, terms.ndim), keepdims=True)


def row_max(terms, axis):
    terms = np.asarray(terms, dtype=object)
    if terms.ndim == 0:
        return ref.magnitude(terms)
    axes = ref.axes_of(axis, terms.ndim)
    return np.max(ref.magnitude(terms), axis=axes, keepdims=True)


def softmax_product(p, g, axis):
    """p_i (g_i - sum_j p_j g_j), and the largest of these terms in every row."""
    dot = row_sum(p * g, axis)
    scale = np.maximum(row_max(p * g, axis), row_max(p * dot, axis))
    return p * (g - dot), scale


def product_cases(function, p, logp, g, axis):
    """List the argument, the expected product and the scale of one of the four functions."""
    if function in SOFTMAX:
        return (p, *softmax_product(p, g, axis))
    if function is softaxis.log_softmax_vjp:
        total = row_sum(g, axis)
        scale = np.maximum(row_max(g, axis), row_max(p * total, axis))
        return logp, g - p * total, scale
    dot = row_sum(p * g, axis)
    return logp, g - dot, np.maximum(row_max(g, axis), row_max(dot, axis))


@pytest.mark.parametrize("function", [*SOFTMAX, *LOG_SOFTMAX], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_products_of_rows(xp, function, row, dtype):
    x = xp.numpy(xp.asarray(row, dtype))
    p, logp = ref.softmax(x), ref.log_softmax(x)
    v = xp.asarray(spread(len(row), seed=2), dtype)
    argument, expected, scale = product_cases(function, p, logp, ref.objects(xp.numpy(v)), -1)
    given = xp.asarray(ref.rounded(argument, dtype), dtype)
    result = xp.call(function)(given, v)
    assert xp.dtype_name(result) == dtype
    ref.assert_accurate(
        xp.numpy(result), expected, dtype, bound=8, scale=scale, flushed=xp.flushes_subnormals
    )


@pytest.mark.parametrize("function", [*SOFTMAX, *LOG_SOFTMAX], ids=lambda f: f.__name__)
@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_products_along_axes(xp, function, shape, axis):
    x, v = xp.asarray(spread(shape)), xp.asarray(spread(shape, seed=2))
    dtype = xp.dtype_name(x)
    p, logp = ref.softmax(xp.numpy(x), axis), ref.log_softmax(xp.numpy(x), axis)
    argument, expected, scale = product_cases(function, p, logp, ref.objects(xp.numpy(v)), axis)
    given = xp.asarray(ref.rounded(argument, dtype), dtype)
    result = xp.numpy(xp.call(function)(given, v, axis=axis))
    ref.assert_accurate(result, expected, dtype, bound=8, scale=scale)


@pytest.mark.parametrize("function", [*SOFTMAX, *LOG_SOFTMAX], ids=lambda f: f.__name__)
def test_the_last_axis_is_the_default(xp, function):
    x, v = xp.asarray(spread((2, 3))), xp.asarray(spread((2, 3), seed=2))
    forward = softaxis.softmax if function in SOFTMAX else softaxis.log_softmax
    y = xp.call(forward)(x)
    np.testing.assert_array_equal(
        xp.numpy(xp.call(function)(y, v)), xp.numpy(xp.call(function)(y, v, axis=1))
    )


@pytest.mark.parametrize("row", [[0.0, -20.0, -21.0], [-30.0, 0.0], [-40.0, -38.0, 0.0, -45.0]])
@pytest.mark.parametrize("v", [[1.0, 2.0, 3.0, 4.0], [100.0, 100.5, 99.0, 98.0]], ids=str)
@pytest.mark.parametrize("function", SOFTMAX, ids=lambda f: f.__name__)
def test_near_certainty_the_products_sum_to_zero_relative_to_the_tail(xp, function, row, v):
    p = xp.call(softaxis.softmax)(xp.asarray(row))
    dtype = xp.dtype_name(p)
    result = ref.objects(xp.numpy(xp.call(function)(p, xp.asarray(v[: len(row)]))))
    top = int(np.argmax(row))
    tail = np.delete(result, top)
    size = ref.mp.fsum(abs(value) for value in tail)
    assert size > 0
    assert abs(result[top] + ref.mp.fsum(tail)) <= 16 * ref.EPS[dtype] * size


@pytest.mark.parametrize("row", [[0.0, -20.0, -21.0], [-30.0, 0.0], [-40.0, -38.0, 0.0, -45.0]])
def test_near_certainty_the_top_component_is_right_itself(xp, row):
    g = spread(len(row), seed=2)
    x = xp.asarray(row)
    dtype = xp.dtype_name(x)
    v = xp.asarray(g)
    exact_g = ref.objects(xp.numpy(v))
    p = ref.softmax(row)
    given = xp.asarray(ref.rounded(p, dtype), dtype)
    top = int(np.argmax(row))
    expected, _ = softmax_product(p, exact_g, -1)
    result = xp.numpy(xp.call(softaxis.softmax_vjp)(given, v))
    scale = max(abs(p[j] * (exact_g[top] - exact_g[j])) for j in range(len(row)))
    ref.assert_accurate(result[top], expected[top], dtype, bound=16, scale=scale)
    logp = ref.log_softmax(row)
    given = xp.asarray(ref.rounded(logp, dtype), dtype)
    one = xp.asarray(np.eye(len(row))[top])
    result = xp.numpy(xp.call(softaxis.log_softmax_vjp)(given, one))
    expected = 1 - p[top]  # the gradient of -log p_top, its sign turned
    # logp of the top is rounded once; nothing may cancel
    ref.assert_accurate(result[top], expected, dtype, bound=8)


def test_the_products_are_adjoint(xp):
    x = xp.asarray(spread((3, 5)))
    t, g = (xp.asarray(spread((3, 5), seed=seed)) for seed in (1, 2))
    eps = ref.EPS[xp.dtype_name(x)]
    for forward, vjp, jvp in [
        (softaxis.softmax, *SOFTMAX),
        (softaxis.log_softmax, *LOG_SOFTMAX),
    ]:
        y = xp.call(forward)(x)
        left = xp.numpy(g) * xp.numpy(xp.call(jvp)(y, t))
        right = xp.numpy(xp.call(vjp)(y, g)) * xp.numpy(t)
        assert abs(left.sum() - right.sum()) <= 64 * eps * np.abs(left).sum()


def test_the_jvp_is_the_slope_of_the_function(xp):
    row, t, step = np.array([0.5, -1.0, 2.0]), np.array([1.0, -2.0, 0.5]), ref.mp.mpf(2) ** -20
    for forward, jvp, reference in [
        (softaxis.softmax, softaxis.softmax_jvp, ref.softmax),
        (softaxis.log_softmax, softaxis.log_softmax_jvp, ref.log_softmax),
    ]:
        ends = [reference(row + sign * float(step) * t) for sign in (1, -1)]
        slope = np.asarray((ends[0] - ends[1]) / (2 * step), dtype=float)
        y = xp.call(forward)(xp.asarray(row))
        result = xp.numpy(xp.call(jvp)(y, xp.asarray(t)))
        np.testing.assert_allclose(result, slope, rtol=0, atol=1e-5)


@pytest.mark.parametrize("direction", [1.0, nan, inf])
def test_masked_elements_have_derivative_zero(xp, direction):
    where = np.array([[True, True, False], [False, False, False]])
    x = xp.asarray([[0.5, 1.0, nan], [inf, nan, 2.0]])
    v = xp.asarray(np.where(where, [[1.0, 2.0, 3.0]], direction))
    for forward, products in [
        (softaxis.softmax, SOFTMAX),
        (softaxis.log_softmax, LOG_SOFTMAX),
    ]:
        y = xp.call(forward)(x, where=xp.asarray(where))
        for product in products:
            result = xp.numpy(xp.call(product)(y, v))
            assert not result[~where].any()
            alone = xp.numpy(
                xp.call(product)(xp.call(forward)(xp.asarray([0.5, 1.0])), xp.asarray([1.0, 2.0]))
            )
            eps = ref.EPS[xp.dtype_name(x)]
            np.testing.assert_allclose(result[0, :2], alone, rtol=8 * eps, atol=8 * eps)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_products_of_nothing(xp, shape):
    x = xp.asarray(np.zeros(shape))
    for function in [*SOFTMAX, *LOG_SOFTMAX]:
        assert xp.numpy(xp.call(function)(x, x)).shape == shape


@pytest.mark.parametrize(("shape", "axis"), AXES)
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_products(xp, shape, axis, keepdims):
    x, t = xp.asarray(spread(shape)), xp.asarray(spread(shape, seed=2))
    options = {"axis": axis, "keepdims": keepdims}
    lse = xp.call(softaxis.logsumexp)(x, **options)
    dtype = xp.dtype_name(x)
    g = xp.asarray(spread(xp.numpy(lse).shape, seed=3))
    p = ref.softmax(xp.numpy(x), axis)
    along_x = np.broadcast_to(
        ref.objects(xp.numpy(g) if keepdims else _expanded(xp.numpy(g), axis, len(shape))), shape
    )
    expected = p * along_x
    result = xp.numpy(xp.call(softaxis.logsumexp_vjp)(x, lse, g, **options))
    # lse is given rounded: exp(x - lse) is off by abs(lse) eps, which is below 16 here
    ref.assert_accurate(result, expected, dtype, bound=32)
    result = xp.numpy(xp.call(softaxis.logsumexp_jvp)(x, lse, t, **options))
    terms = p * ref.objects(xp.numpy(t))
    expected = row_sum(terms, axis)
    scale = row_sum(ref.magnitude(terms), axis)
    if shape and not keepdims:
        axes = ref.axes_of(axis, len(shape))
        expected, scale = np.squeeze(expected, axes), np.squeeze(scale, axes)
    ref.assert_accurate(result, np.asarray(expected, dtype=object), dtype, bound=32, scale=scale)


def _expanded(array, axis, ndim):
    return np.expand_dims(array, ref.axes_of(axis, ndim)) if ndim else array


def test_logsumexp_products_take_all_axes_by_default(xp):
    x = xp.asarray(spread((2, 3)))
    lse, g = xp.call(softaxis.logsumexp)(x), xp.asarray(1.0)
    total = xp.numpy(xp.call(softaxis.logsumexp_vjp)(x, lse, g)).sum()
    assert abs(total - 1) <= 32 * ref.EPS[xp.dtype_name(x)]


def test_logsumexp_of_a_row_of_minus_infinity_has_derivative_zero(xp):
    x = xp.asarray([[-inf, -inf], [0.0, 0.0]])
    lse = xp.call(softaxis.logsumexp)(x, axis=1)
    result = xp.numpy(xp.call(softaxis.logsumexp_vjp)(x, lse, xp.asarray([1.0, 1.0]), axis=1))
    np.testing.assert_allclose(result, [[0.0, 0.0], [0.5, 0.5]], rtol=1e-6)
    result = xp.numpy(xp.call(softaxis.logsumexp_jvp)(x, lse, xp.asarray([[1.0, 3.0]] * 2), axis=1))
    np.testing.assert_allclose(result, [0.0, 2.0], rtol=1e-6)


def test_logsumexp_products_under_mask_and_weights(xp):
    where = np.array([[True, True, False], [False, False, False]])
    x, w = xp.asarray([[0.5, 1.0, nan], [inf, nan, 2.0]]), xp.asarray([3.0, 0.5, 1.0])
    options = {"axis": 1, "where": xp.asarray(where), "weights": w}
    lse = xp.call(softaxis.logsumexp)(x, **options)
    share = np.array([3 * np.exp(0.5), 0.5 * np.exp(1.0), 0.0])
    expected = [share / share.sum(), [0.0] * 3]
    result = xp.numpy(xp.call(softaxis.logsumexp_vjp)(x, lse, xp.asarray([1.0, 1.0]), **options))
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    t = xp.asarray([[1.0, 2.0, nan]] * 2)
    result = xp.numpy(xp.call(softaxis.logsumexp_jvp)(x, lse, t, **options))
    np.testing.assert_allclose(result, [(share[0] + 2 * share[1]) / share.sum(), 0.0], rtol=1e-5)


@pytest.mark.parametrize("dtype", FLOATS)
def test_two_that_are_equally_likely(xp, dtype):
    # rounded to bfloat16, and in the second row by hand, both exp(logp) are above 1/2
    for logp in ([0.0, 0.0], [-0.69140625, -0.69140625]):
        given = xp.call(softaxis.log_softmax)(xp.asarray(logp, dtype))
        given = given if logp[0] == 0 else xp.asarray(logp, dtype)
        result = xp.numpy(xp.call(softaxis.log_softmax_vjp)(given, xp.asarray([1.0, 0.0], dtype)))
        np.testing.assert_allclose(result, [0.5, -0.5], rtol=5e-3)


@pytest.mark.parametrize("dtype", FLOATS)
def test_dtypes(xp, dtype):
    x = xp.asarray(spread((2, 3)), dtype)
    for forward, products in [
        (softaxis.softmax, SOFTMAX),
        (softaxis.log_softmax, LOG_SOFTMAX),
    ]:
        for product in products:
            assert xp.dtype_name(xp.call(product)(xp.call(forward)(x), x)) == dtype
    lse = xp.call(softaxis.logsumexp)(x)
    for product, direction in [(softaxis.logsumexp_vjp, lse), (softaxis.logsumexp_jvp, x)]:
        assert xp.dtype_name(xp.call(product)(x, lse, direction)) == dtype
