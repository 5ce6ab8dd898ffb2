"""softmax, log_softmax, softmin, hardmax, sigmoid and log_sigmoid on finite numbers."""

import numpy as np
import pytest
from cases import FLOATS, ROWS, extreme_rows, spread

import softaxis
from softaxis.testing import references as ref


@pytest.mark.parametrize(
    ("row", "quotients", "decimals"),
    [
        ([-1.0, 1.0, 2.0, 3.0], [0.01, 0.09, 0.24, 0.66], 2),
        ([0.0, 0.9, 0.1], [0.219, 0.539, 0.242], 3),
    ],
)
def test_softmax_of_the_textbook(xp, row, quotients, decimals):
    result = xp.numpy(xp.call(softaxis.softmax)(xp.asarray(row)))
    assert np.round(result, decimals).tolist() == pytest.approx(quotients, abs=1e-6)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_softmax(xp, row, dtype):
    x = xp.asarray(row, dtype)
    result = xp.numpy(xp.call(softaxis.softmax)(x))
    ref.assert_accurate(
        result,
        ref.softmax(xp.numpy(x)),
        dtype,
        bound=ref.softmax_bound(xp.numpy(x)),
        flushed=xp.flushes_subnormals,
    )
    assert abs(ref.mp.fsum(ref.objects(result)) - 1) <= 8 * ref.EPS[dtype]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_log_softmax(xp, row, dtype):
    x = xp.asarray(row, dtype)
    ref.assert_accurate(
        xp.numpy(xp.call(softaxis.log_softmax)(x)),
        ref.log_softmax(xp.numpy(x)),
        dtype,
        bound=ref.log_softmax_bound(xp.numpy(x)),
        flushed=xp.flushes_subnormals,
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_softmin_is_softmax_of_minus_x(xp, row, dtype):
    x = xp.asarray(row, dtype)
    ref.assert_accurate(
        xp.numpy(xp.call(softaxis.softmin)(x)),
        ref.softmax(-xp.numpy(x)),
        dtype,
        bound=ref.softmax_bound(-xp.numpy(x)),
        flushed=xp.flushes_subnormals,
    )


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_ends_of_the_range(xp, dtype):
    for row in extreme_rows(dtype):
        x = xp.asarray(row, dtype)
        for function, reference in [
            (softaxis.softmax, ref.softmax),
            (softaxis.log_softmax, ref.log_softmax),
            (softaxis.softmin, lambda x: ref.softmax(-x)),
        ]:
            expected = reference(xp.numpy(x))
            if dtype != "longdouble":  # which reaches further than the numbers of the row
                expected[expected < -ref.LARGEST[dtype]] = -ref.INF
            result = xp.numpy(xp.call(function)(x))
            ref.assert_accurate(result, expected, dtype, bound=8)


def test_softmax_is_one_hot_where_exp_underflows(xp):
    result = xp.numpy(xp.call(softaxis.softmax)(xp.asarray([5000.0, -5000.0, 0.0])))
    assert result.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.needs("subnormals", "float32")
def test_subnormal_results_are_kept(xp):
    x = xp.asarray([0.0, -95.0], "float32")
    result = xp.numpy(xp.call(softaxis.softmax)(x))
    assert 0 < result[1] < ref.TINY["float32"]
    ref.assert_accurate(result, ref.softmax(xp.numpy(x)), "float32", bound=8)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1.0, 3.0, 2.0], [0.0, 1.0, 0.0]),
        ([0.25, 1.23, -0.8], [0.0, 1.0, 0.0]),
        ([2.0, 3.0, 3.0], [0.0, 1.0, 0.0]),
        ([5.0, 5.0, 5.0], [1.0, 0.0, 0.0]),
        ([-7.0], [1.0]),
        ([-0.0, 0.0], [1.0, 0.0]),
    ],
)
def test_hardmax_marks_the_first_maximum(xp, row, expected):
    result = xp.call(softaxis.hardmax)(xp.asarray(row))
    assert xp.numpy(result).tolist() == expected
    assert xp.dtype_name(result) == xp.stored_as("float64")


@pytest.mark.parametrize("axis", [0, 1, (0, 1), None])
def test_hardmax_along_axes(xp, axis):
    x = np.array([[1.0, 7.0, 3.0], [4.0, 2.0, 7.0]])
    expected = {
        0: [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]],
        1: [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        (0, 1): [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]],  # first in row-major order
        None: [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]],
    }
    result = xp.call(softaxis.hardmax)(xp.asarray(x), axis=axis)
    assert xp.numpy(result).tolist() == expected[axis]


def test_hardmax_of_single_elements_is_one(xp):
    result = xp.call(softaxis.hardmax)(xp.asarray([[1.0, 2.0], [3.0, -4.0]]), axis=())
    assert xp.numpy(result).tolist() == [[1.0, 1.0], [1.0, 1.0]]


LOGITS = [0.0, -0.0, 1e-3, 0.5, -0.5, 2.0, -2.0, 9.0, -9.0, 20.0, -20.0, 80.0, -80.0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_sigmoid_is_softmax_of_x_and_0(xp, dtype):
    x = xp.asarray(LOGITS, dtype)
    pairs = np.stack([xp.numpy(x), 0 * xp.numpy(x)], axis=-1)
    result = xp.call(softaxis.sigmoid)(x)
    assert xp.dtype_name(result) == dtype
    ref.assert_accurate(
        xp.numpy(result),
        ref.softmax(pairs)[:, 0],
        dtype,
        bound=ref.softmax_bound(pairs)[:, 0],
        flushed=xp.flushes_subnormals,
    )


@pytest.mark.parametrize("dtype", FLOATS)
def test_log_sigmoid_is_log_softmax_of_x_and_0(xp, dtype):
    x = xp.asarray(LOGITS, dtype)
    pairs = np.stack([xp.numpy(x), 0 * xp.numpy(x)], axis=-1)
    result = xp.call(softaxis.log_sigmoid)(x)
    assert xp.dtype_name(result) == dtype
    ref.assert_accurate(
        xp.numpy(result),
        ref.log_softmax(pairs)[:, 0],
        dtype,
        bound=ref.log_softmax_bound(pairs)[:, 0],
        flushed=xp.flushes_subnormals,
    )


@pytest.mark.parametrize("dtype", FLOATS)
def test_sigmoid_at_the_ends_of_the_range(xp, dtype):
    most = ref.LARGEST[dtype]
    x = xp.asarray([most, -most, float("inf"), -float("inf"), float("nan")], dtype)
    p = xp.numpy(xp.call(softaxis.sigmoid)(x))
    logp = xp.numpy(xp.call(softaxis.log_sigmoid)(x))
    np.testing.assert_array_equal(p, np.array([1, 0, 1, 0, np.nan], p.dtype))
    np.testing.assert_array_equal(logp, np.array([0, -most, 0, -np.inf, np.nan], logp.dtype))


@pytest.mark.parametrize("shape", [(), (3,), (0,), (2, 0, 3), (2, 3, 4)])
def test_sigmoid_keeps_the_shape(xp, shape):
    x = xp.asarray(spread(shape))
    for function in (softaxis.sigmoid, softaxis.log_sigmoid):
        assert xp.numpy(xp.call(function)(x)).shape == shape


def test_log_softmax_near_certainty_is_not_zero(xp):
    result = xp.numpy(xp.call(softaxis.log_softmax)(xp.asarray([0.0, -20.0], "float32")))
    assert result[0] == pytest.approx(-2.0611537e-9, rel=1e-6)
