"""Which dtypes come in and go out, and what happens on the way."""

import numpy as np
import pytest
from cases import FLOATS, INTEGERS, spread

import softaxis
from softaxis.testing import references as ref

ALL = [
    softaxis.softmax,
    softaxis.log_softmax,
    softaxis.softmin,
    softaxis.hardmax,
    softaxis.sigmoid,
    softaxis.log_sigmoid,
    softaxis.logsumexp,
    softaxis.logmeanexp,
]


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_come_back_as_they_came(xp, dtype):
    x = xp.asarray(spread((2, 3)), dtype)
    for function in ALL:
        assert xp.dtype_name(xp.call(function)(x)) == dtype


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS])
def test_integers_become_the_default_float(xp, dtype):
    x = xp.asarray([[1, 0, 1], [0, 0, 1]], dtype)
    for function in ALL:
        assert xp.dtype_name(xp.call(function)(x)) == xp.default_float


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_converted_before_any_arithmetic(xp, dtype):
    limits = np.iinfo(dtype)
    for row in ([1, 2, 3], [1, 2, 100], [limits.min, limits.max], [limits.min + 1, limits.min]):
        x = xp.asarray(np.array(row, dtype=dtype), dtype)
        converted = np.array(row, dtype=dtype).astype(xp.default_float)
        for function, reference in [
            (softaxis.softmax, ref.softmax),
            (softaxis.log_softmax, ref.log_softmax),
            (softaxis.softmin, lambda x: ref.softmax(-x)),
            (softaxis.logsumexp, lambda x: ref.logsumexp(x)[0]),
        ]:
            ref.assert_accurate(
                xp.numpy(xp.call(function)(x)),
                reference(converted),
                xp.default_float,
                bound=110,  # the rows reach 100 below their maximum
                flushed=xp.flushes_subnormals,
            )


def test_the_row_that_wraps_around_in_uint8(xp):
    result = xp.numpy(xp.call(softaxis.softmax)(xp.asarray([1, 2, 200], "uint8")))
    assert result[2] == 1.0
    assert result[1] < 1e-80 or result[1] == 0.0


def test_booleans_count_as_0_and_1(xp):
    result = xp.numpy(xp.call(softaxis.softmax)(xp.asarray([True, False])))
    ref.assert_accurate(result, ref.softmax([1.0, 0.0]), xp.default_float, bound=5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_many_equal_terms_are_summed_in_float32_or_wider(xp, dtype):
    count = 70000  # more than float16 holds
    x = xp.asarray(np.zeros(count), dtype)
    expected = np.empty(1, dtype=object)
    expected[:] = ref.mp.mpf(1) / count
    result = xp.numpy(xp.call(softaxis.softmax)(x))
    assert (result == result[0]).all()
    ref.assert_accurate(result[:1], expected, dtype, bound=1)
    for function, sign in [(softaxis.log_softmax, -1), (softaxis.logsumexp, 1)]:
        expected[:] = sign * ref.mp.log(count)
        result = xp.numpy(xp.call(function)(x)).reshape(-1)
        ref.assert_accurate(result[:1], expected, dtype, bound=1)
    assert xp.numpy(xp.call(softaxis.logmeanexp)(x)) == 0.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_one_rounding_at_the_end(xp, dtype):
    x = xp.asarray(spread((8, 50)), dtype)
    for function, reference in [
        (softaxis.softmax, ref.softmax),
        (softaxis.log_softmax, ref.log_softmax),
    ]:
        result = xp.numpy(xp.call(function)(x))
        # half an eps of one rounding, and a little for the float32 arithmetic before it
        ref.assert_accurate(
            result, reference(xp.numpy(x)), dtype, bound=0.51, flushed=xp.flushes_subnormals
        )
    result = xp.numpy(xp.call(softaxis.logsumexp)(x, axis=1))
    ref.assert_accurate(result, ref.logsumexp(xp.numpy(x), 1)[0], dtype, bound=0.51)


@pytest.mark.needs("float32")
@pytest.mark.parametrize("dtype", ["float64", "longdouble"])
def test_a_wider_dtype_is_cast_to_first(xp, dtype):
    x = xp.asarray(spread((3, 4)), "float32")
    for function, reference in [
        (softaxis.softmax, ref.softmax),
        (softaxis.log_softmax, ref.log_softmax),
        (softaxis.logsumexp, lambda x: ref.logsumexp(x)[0]),
    ]:
        result = xp.call(function)(x, dtype=xp.dtype(dtype))
        assert xp.dtype_name(result) == dtype
        ref.assert_accurate(xp.numpy(result), reference(xp.numpy(x)), dtype, bound=24)


@pytest.mark.needs("float32")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_narrower_dtype_is_cast_to_last(xp, dtype):
    x = xp.asarray([70000.0, 69999.0, 1.0], "float32")
    for function, reference in [
        (softaxis.softmax, ref.softmax),
        (softaxis.log_softmax, ref.log_softmax),
    ]:
        result = xp.call(function)(x, dtype=xp.dtype(dtype))
        assert xp.dtype_name(result) == dtype
        expected = reference(xp.numpy(x))
        expected[expected < -ref.LARGEST[dtype] * (1 + ref.EPS[dtype] / 4)] = -ref.INF
        ref.assert_accurate(
            xp.numpy(result), expected, dtype, bound=1, flushed=xp.flushes_subnormals
        )


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_function_takes_dtype(xp, dtype):
    for given in ("float32", "int32"):
        x = xp.asarray([[1.0, 0.0, 2.0]], given)
        for function in ALL:
            result = xp.call(function)(x, dtype=xp.dtype(dtype))
            assert xp.dtype_name(result) == dtype
            assert np.isfinite(xp.numpy(result)).all()


@pytest.mark.needs("float64")
def test_integers_with_a_wider_dtype_lose_nothing(xp):
    x = xp.asarray([2**24 + 1, 2**24], "int32")
    result = xp.call(softaxis.softmax)(x, dtype=xp.dtype("float64"))
    ref.assert_accurate(xp.numpy(result), ref.softmax([1.0, 0.0]), "float64", bound=5)


@pytest.mark.parametrize("dtype", FLOATS)
def test_reductions_to_no_dimensions_return_what_sum_returns(xp, dtype):
    x = xp.asarray([1.0, 2.0], dtype)
    for function in (softaxis.logsumexp, softaxis.logmeanexp):
        result = xp.call(function)(x)
        assert type(result) is type(xp.xp.sum(x)) or xp.lazy
        assert xp.numpy(result).shape == ()
        assert xp.dtype_name(result) == dtype


def test_results_have_the_type_of_the_input(xp):
    x = xp.asarray(spread((2, 3)))
    for function in ALL:
        assert xp.holds(xp.call(function)(x))
        assert xp.holds(xp.call(function)(xp.asarray(spread((2, 3)) > 0)))


def test_lists_tuples_and_scalars_go_to_numpy():
    expected = np.asarray(ref.softmax([1.0, 2.0, 3.0]), dtype=float)
    for x in ([1.0, 2.0, 3.0], (1, 2, 3), [np.float64(1), 2, 3]):
        result = softaxis.softmax(x)
        assert type(result) is np.ndarray
        assert result.dtype == np.float64
        np.testing.assert_allclose(result, expected, rtol=1e-15)
    assert softaxis.softmax(3.0, axis=None) == 1.0
    assert softaxis.softmax([[1, 2], [3, 4]], axis=0).shape == (2, 2)
    assert softaxis.logsumexp(3) == 3.0
    assert softaxis.logsumexp([0, 0]) == np.log(2)
    assert softaxis.sigmoid(0.0) == 0.5
    assert softaxis.sigmoid(True) == 1 / (1 + np.exp(-1.0))
    assert softaxis.cross_entropy([[0.0, 0.0]], [1]).tolist() == [np.log(2)]
    assert softaxis.softmax(np.float32(1), axis=None).dtype == np.float32
