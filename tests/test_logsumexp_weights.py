"""`weights` of logsumexp and logmeanexp: log(sum(w * exp(x))), its sign, and weights of 0."""

import numpy as np
import pytest
from cases import FLOATS, spread

import softaxis
from softaxis.testing import references as ref

inf, nan = float("inf"), float("nan")


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (1, 4), (3, 4)], ids=str)
@pytest.mark.parametrize("axis", [0, 1, (0, 1), ()], ids=str)
def test_positive_weights(xp, shape, axis):
    x, w = xp.asarray(spread((3, 4))), xp.asarray(np.exp(spread(shape, seed=1)))
    for function, mean in [(softaxis.logsumexp, False), (softaxis.logmeanexp, True)]:
        result = xp.call(function)(x, axis=axis, weights=w)
        assert xp.dtype_name(result) == xp.dtype_name(x)
        expected, _ = ref.logsumexp(
            xp.numpy(x), axis, weights=np.broadcast_to(xp.numpy(w), (3, 4)), mean=mean
        )
        ref.assert_accurate(xp.numpy(result), expected, xp.dtype_name(x), bound=8, scale=20)


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_dtype(xp, dtype):
    x, w = xp.asarray(spread((5, 6)), dtype), xp.asarray(np.exp(spread(6, seed=1)), dtype)
    result = xp.call(softaxis.logsumexp)(x, axis=1, weights=w)
    assert xp.dtype_name(result) == dtype
    expected, _ = ref.logsumexp(xp.numpy(x), 1, weights=np.broadcast_to(xp.numpy(w), (5, 6)))
    ref.assert_accurate(xp.numpy(result), expected, dtype, bound=8, scale=10)


@pytest.mark.parametrize("hidden", [nan, inf, -inf, 1e30, 800.0])
def test_an_element_of_weight_zero_is_ignored(xp, hidden):
    x, w = xp.asarray([hidden, 1.0, 2.0]), xp.asarray([0.0, 2.0, 3.0])
    for function, mean in [(softaxis.logsumexp, False), (softaxis.logmeanexp, True)]:
        result = xp.numpy(xp.call(function)(x, weights=w))
        expected, _ = ref.logsumexp([1.0, 2.0], weights=np.array([2.0, 3.0]), mean=mean)
        ref.assert_accurate(result, expected, xp.dtype_name(x), bound=16)


def test_all_weights_zero(xp):
    x, w = xp.asarray([1.0, nan, inf]), xp.asarray([0.0, 0.0, 0.0])
    assert xp.numpy(xp.call(softaxis.logsumexp)(x, weights=w)) == -inf
    assert np.isnan(xp.numpy(xp.call(softaxis.logmeanexp)(x, weights=w)))
    value, sign = xp.numpy(xp.call(softaxis.logsumexp)(x, weights=w, return_sign=True))
    assert (value, sign) == (-inf, 0.0)


@pytest.mark.parametrize(
    ("row", "weights"),
    [
        ([1.0, 2.0], [1.0, -3.0]),
        ([1.0, 2.0], [3.0, -1.0]),
        ([1.0, 2.0], [3.0, -1.5]),
        ([500.0, 499.0, 3.0], [-1.0, 1.0, 1.0]),
        ([-500.0, -499.0], [-1.0, -1.0]),
        ([0.0], [-2.0]),
    ],
)
def test_the_sign_of_the_sum(xp, row, weights):
    x, w = xp.asarray(row), xp.asarray(weights)
    dtype = xp.dtype_name(x)
    expected, sign = ref.logsumexp(xp.numpy(x), weights=xp.numpy(w))
    result = xp.call(softaxis.logsumexp)(x, weights=w, return_sign=True)
    value, got = xp.numpy(result)
    assert got == sign[()]
    scale = max(1, abs(max(row)), abs(expected[()]))
    # terms of both signs cancel: 5 times smaller than the largest, 5 times the relative error
    ref.assert_accurate(value, expected, dtype, bound=40, scale=scale)
    assert [xp.dtype_name(part) for part in result] == [dtype, dtype]
    unsigned = xp.numpy(xp.call(softaxis.logsumexp)(x, weights=w))
    assert np.isnan(unsigned) if sign[()] < 0 else unsigned == value


def test_terms_that_cancel_exactly(xp):
    x, w = xp.asarray([3.0, 3.0]), xp.asarray([1.0, -1.0])
    value, sign = xp.numpy(xp.call(softaxis.logsumexp)(x, weights=w, return_sign=True))
    assert (value, sign) == (-inf, 0.0)
    assert xp.numpy(xp.call(softaxis.logsumexp)(x, weights=w)) == -inf


@pytest.mark.parametrize("axis", [0, 1, None], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_the_shape_of_the_sign(xp, axis, keepdims):
    x, options = xp.asarray(spread((3, 4))), {"axis": axis, "keepdims": keepdims}
    value, sign = xp.numpy(xp.call(softaxis.logsumexp)(x, return_sign=True, **options))
    expected = np.sum(np.zeros((3, 4)), **options).shape
    assert value.shape == sign.shape == expected
    assert (sign == 1).all()
    plain = xp.numpy(xp.call(softaxis.logsumexp)(x, **options))
    np.testing.assert_allclose(value, plain, rtol=8 * np.finfo(plain.dtype).eps)


@pytest.mark.parametrize(
    ("row", "weights", "value", "sign"),
    [
        ([1.0, nan], [1.0, 1.0], nan, nan),
        ([1.0, 2.0], [1.0, nan], nan, nan),
        ([1.0, inf], [1.0, 1.0], inf, 1.0),
        ([1.0, inf], [1.0, -1.0], inf, -1.0),
        ([inf, inf], [1.0, -1.0], nan, nan),
        ([-inf, -inf], [1.0, 1.0], -inf, 0.0),
        ([-inf, -inf], [-1.0, 1.0], -inf, 0.0),
        ([-inf, 0.0], [-1.0, -1.0], 0.0, -1.0),
    ],
    ids=str,
)
def test_special_rows(xp, row, weights, value, sign):
    x, w = xp.asarray(row), xp.asarray(weights)
    got = xp.numpy(xp.call(softaxis.logsumexp)(x, weights=w, return_sign=True))
    np.testing.assert_array_equal(got, (value, sign))
    plain = xp.numpy(xp.call(softaxis.logsumexp)(x, weights=w))
    np.testing.assert_array_equal(plain, nan if sign < 0 else value)


def test_a_row_of_length_zero(xp):
    x = xp.asarray(np.zeros((2, 0)))
    value, sign = xp.numpy(xp.call(softaxis.logsumexp)(x, axis=1, weights=x, return_sign=True))
    assert value.tolist() == [-inf, -inf]
    assert sign.tolist() == [0.0, 0.0]


def test_weights_and_mask(xp):
    x = xp.asarray([[nan, 1.0, 2.0], [0.5, 1.0, inf]])
    w = xp.asarray([1.0, 2.0, 3.0])
    mask = np.array([[False, True, True], [True, True, False]])
    for function, mean in [(softaxis.logsumexp, False), (softaxis.logmeanexp, True)]:
        result = xp.numpy(xp.call(function)(x, axis=1, weights=w, where=xp.asarray(mask)))
        expected, _ = ref.logsumexp(
            xp.numpy(x), 1, np.broadcast_to(xp.numpy(w), (2, 3)), mask, mean=mean
        )
        ref.assert_accurate(result, expected, xp.dtype_name(x), bound=16)


def test_masked_weights_take_no_part_either(xp):
    x, w = xp.asarray([0.0, 1.0]), xp.asarray([nan, 1.0])
    where = xp.asarray([False, True])
    assert xp.numpy(xp.call(softaxis.logsumexp)(x, weights=w, where=where)) == 1.0
    assert xp.numpy(xp.call(softaxis.logmeanexp)(x, weights=w, where=where)) == 1.0


def test_integer_weights_and_a_scalar(xp):
    x = xp.asarray([0.0, 1.0, 2.0])
    w = xp.asarray([1, 0, 3], "int32")
    expected, _ = ref.logsumexp(xp.numpy(x), weights=np.array([1.0, 0.0, 3.0]))
    result = xp.numpy(xp.call(softaxis.logsumexp)(x, weights=w))
    ref.assert_accurate(result, expected, xp.dtype_name(x), bound=8)
    expected, _ = ref.logsumexp(xp.numpy(x), weights=np.array([2.0] * 3))
    result = xp.numpy(xp.call(softaxis.logsumexp)(x, weights=2.0))
    ref.assert_accurate(result, expected, xp.dtype_name(x), bound=8)


def test_integer_x_with_weights(xp):
    x, w = xp.asarray([200, 199], "uint8"), xp.asarray([0.5, 0.5], xp.default_float)
    expected, _ = ref.logsumexp([200.0, 199.0], weights=np.array([0.5, 0.5]))
    result = xp.call(softaxis.logsumexp)(x, weights=w)
    assert xp.dtype_name(result) == xp.default_float
    ref.assert_accurate(xp.numpy(result), expected, xp.default_float, bound=8)


def test_the_mean_of_weights_that_are_all_equal_is_the_mean(xp):
    x = xp.asarray(spread(6))
    plain = xp.numpy(xp.call(softaxis.logmeanexp)(x))
    weighted = xp.numpy(xp.call(softaxis.logmeanexp)(x, weights=xp.asarray([2.5] * 6)))
    eps = ref.EPS[xp.dtype_name(x)]
    assert abs(plain - weighted) <= 16 * eps * max(1.0, abs(float(plain)))


@pytest.mark.needs("complex")
def test_complex_weights(xp):
    x, w = xp.asarray([0.5, -1.0]), xp.asarray([1.0 + 2.0j, -3.0j])
    result = xp.call(softaxis.logsumexp)(x, weights=w)
    assert xp.dtype_name(result) == xp.dtype_name(w)
    total = (1 + 2j) * np.exp(0.5) - 3j * np.exp(-1.0)
    eps = ref.EPS[xp.dtype_name(x)]
    assert abs(xp.numpy(result) - np.log(total)) <= 16 * eps
