"""`temperature` divides the logits, down to 0 and up to infinity; `sink` joins the denominator."""

import numpy as np
import pytest
from cases import FLOATS, spread

import softaxis
from softaxis.testing import references as ref

inf, nan = float("inf"), float("nan")
NORMALIZERS = [
    (softaxis.softmax, ref.softmax, ref.softmax_bound),
    (softaxis.log_softmax, ref.log_softmax, ref.log_softmax_bound),
]


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1, 1.0, 3, 100.0])
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_scalar_temperature(xp, temperature, dtype):
    x = xp.asarray(spread((3, 5)), dtype)
    for function, reference, bound in NORMALIZERS:
        result = xp.call(function)(x, temperature=temperature)
        assert xp.dtype_name(result) == dtype
        options = {"temperature": temperature}
        ref.assert_accurate(
            xp.numpy(result),
            reference(xp.numpy(x), **options),
            dtype,
            # 4 eps more: the temperature itself is rounded to the dtype that x/t is computed in
            bound=bound(xp.numpy(x), **options) + 4 + ref.softmax_bound(xp.numpy(x), **options),
            flushed=xp.flushes_subnormals,
        )


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (1, 4), (3, 4)], ids=str)
@pytest.mark.parametrize("axis", [0, 1, (0, 1)], ids=str)
def test_an_array_of_temperatures(xp, shape, axis):
    x, t = xp.asarray(spread((3, 4))), xp.asarray(np.exp(spread(shape, seed=1, scale=0.5)))
    for function, reference, _ in NORMALIZERS:
        result = xp.call(function)(x, axis=axis, temperature=t)
        expected = reference(xp.numpy(x), axis, temperature=xp.numpy(t))
        assert xp.dtype_name(result) == xp.dtype_name(x)
        # z = x / t is up to 20 here, and its rounding counts: abs(z) eps
        ref.assert_accurate(xp.numpy(result), expected, xp.dtype_name(x), bound=64)


def test_softmin_of_a_temperature(xp):
    x = xp.asarray(spread(5))
    result = xp.numpy(xp.call(softaxis.softmin)(x, temperature=2.0, sink=1.0))
    expected = ref.softmax(-xp.numpy(x), temperature=2.0, sink=1.0)
    ref.assert_accurate(result, expected, xp.dtype_name(x), bound=20)


def test_a_common_offset_does_not_spoil_a_temperature(xp):
    x = xp.asarray([10000.0, 10001.0, 9999.5], "float32")
    result = xp.numpy(xp.call(softaxis.softmax)(x, temperature=0.3))
    expected = ref.softmax(xp.numpy(x), temperature=0.3)
    # x - m is exact; the rounding of 0.3 to float32 and of the quotient cost abs(z_i - z_m) eps
    bound = 2 * ref.softmax_bound(xp.numpy(x), temperature=0.3)
    ref.assert_accurate(result, expected, "float32", bound=bound)


LIMITS = [
    ([1.0, 3.0, 2.0], 0.0, [0.0, 1.0, 0.0]),
    ([3.0, 3.0, 2.0], 0.0, [0.5, 0.5, 0.0]),
    ([-3.0, -3.0, -4.0, -3.0], 0.0, [1 / 3, 1 / 3, 0.0, 1 / 3]),
    ([0.0, 0.0], 0.0, [0.5, 0.5]),
    ([0.0, -1.0], 0.0, [1.0, 0.0]),
    ([-inf, 2.0], 0.0, [0.0, 1.0]),
    ([-inf, -inf], 0.0, [nan, nan]),
    ([1.0, nan], 0.0, [nan, nan]),
    ([1.0, inf], 0.0, [nan, nan]),
    ([1.0, 3.0, 2.0, -7.0], inf, [0.25] * 4),
    ([1e30, 0.0, -1e30, 1.0], inf, [0.25] * 4),
    ([1.0, nan], inf, [nan, nan]),
    ([-inf, 1.0, 2.0], inf, [0.0, 0.5, 0.5]),
    ([-inf, -inf], inf, [nan, nan]),
]
LIMIT = pytest.mark.parametrize(("row", "temperature", "expected"), LIMITS, ids=str)


@LIMIT
@pytest.mark.parametrize("kind", ["scalar", "0-d", "per-row"])
def test_the_limits_of_temperature(xp, row, temperature, expected, kind):
    x = xp.asarray(row)
    t = temperature if kind == "scalar" else xp.asarray(temperature)
    if kind == "per-row":
        t = xp.asarray([temperature])
    expected = ref.objects(expected)
    dtype = xp.dtype_name(x)
    result = xp.numpy(xp.call(softaxis.softmax)(x, temperature=t))
    ref.assert_accurate(result, expected, dtype, bound=4)
    logs = expected.copy()
    logs[:] = [ref.mp.log(p) if p != 0 else -ref.INF for p in expected]
    result = xp.numpy(xp.call(softaxis.log_softmax)(x, temperature=t))
    ref.assert_accurate(result, logs, dtype, bound=8)


def test_temperature_zero_under_a_mask(xp):
    x, where = xp.asarray([9.0, 1.0, 1.0, nan]), xp.asarray([False, True, True, False])
    result = xp.numpy(xp.call(softaxis.softmax)(x, temperature=0.0, where=where))
    assert result.tolist() == [0.0, 0.5, 0.5, 0.0]
    result = xp.numpy(xp.call(softaxis.softmax)(x, temperature=inf, where=where))
    assert result.tolist() == [0.0, 0.5, 0.5, 0.0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_temperature_zero_is_even_among_many_maxima(xp, dtype):
    x = xp.asarray([2.0] * 7 + [1.0], dtype)
    result = xp.numpy(xp.call(softaxis.softmax)(x, temperature=0))
    expected = np.array([ref.mp.mpf(1) / 7] * 7 + [ref.ZERO], dtype=object)
    ref.assert_accurate(result, expected, dtype, bound=4)


def test_limits_and_numbers_mix_in_an_array_of_temperatures(xp):
    row = [1.0, 3.0, 3.0, -2.0]
    x = xp.asarray([row] * 3)
    t = xp.asarray([[0.0], [inf], [2.0]])
    result = xp.numpy(xp.call(softaxis.softmax)(x, temperature=t))
    last = np.asarray(ref.softmax(row, temperature=2.0), dtype=float)
    expected = ref.objects([[0.0, 0.5, 0.5, 0.0], [0.25] * 4, last])
    ref.assert_accurate(result, expected, xp.dtype_name(x), bound=10)


def test_negative_or_nan_in_an_array_of_temperatures_makes_its_row_nan(xp):
    row = [1.0, 3.0]
    x, t = xp.asarray([row] * 4), xp.asarray([[-1.0], [1.0], [nan], [-inf]])
    for function, reference, _ in NORMALIZERS:
        result = xp.numpy(xp.call(function)(x, temperature=t))
        assert np.isnan(result[[0, 2, 3]]).all()
        ref.assert_accurate(result[1], reference(row), xp.dtype_name(x), bound=10)


@pytest.mark.without_computing
@pytest.mark.parametrize("temperature", [-1.0, -1, -0.5, -inf, nan], ids=str)
def test_a_negative_or_nan_scalar_temperature(xp, temperature):
    x = xp.asarray([1.0, 2.0])
    for function in (softaxis.softmax, softaxis.log_softmax, softaxis.softmin):
        with pytest.raises(ValueError, match="`temperature`"):
            function(x, temperature=temperature)


@pytest.mark.parametrize("sink", [0, 0.0, 1.5, -2.0, 30.0, -30.0])
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_scalar_sink(xp, sink, dtype):
    x = xp.asarray(spread((3, 5)), dtype)
    for function, reference, bound in NORMALIZERS:
        result = xp.call(function)(x, sink=sink)
        assert xp.dtype_name(result) == dtype
        ref.assert_accurate(
            xp.numpy(result),
            reference(xp.numpy(x), sink=sink),
            dtype,
            bound=bound(xp.numpy(x), sink=sink),
            flushed=xp.flushes_subnormals,
        )


def test_sink_zero_is_softmax_off_by_one(xp):
    x = xp.asarray([0.5, -1.0, 2.0])
    e = np.exp([0.5, -1.0, 2.0])
    result = xp.numpy(xp.call(softaxis.softmax)(x, sink=0))
    assert result.tolist() == pytest.approx((e / (1 + e.sum())).tolist(), rel=1e-6)


@pytest.mark.parametrize(
    ("axis", "shape"),
    [
        (0, ()),
        (0, (4,)),
        (0, (1,)),
        (1, (3,)),
        (1, (1,)),
        ((0, 1), ()),
        ((), (3, 4)),
        ((), (3, 1)),
        ((), (4,)),
    ],
    ids=str,
)
def test_a_sink_has_the_reduced_shape(xp, axis, shape):
    x, sink = xp.asarray(spread((3, 4))), xp.asarray(spread(shape, seed=1))
    for function, reference, _ in NORMALIZERS:
        result = xp.numpy(xp.call(function)(x, axis=axis, sink=sink))
        expected = reference(xp.numpy(x), axis, sink=xp.numpy(sink))
        ref.assert_accurate(result, expected, xp.dtype_name(x), bound=24)


def test_a_sink_of_two_dimensions(xp):
    x, sink = xp.asarray(spread((2, 3, 4))), xp.asarray(spread((2, 4), seed=1))
    result = xp.numpy(xp.call(softaxis.softmax)(x, axis=1, sink=sink))
    expected = ref.softmax(xp.numpy(x), 1, sink=xp.numpy(sink))
    ref.assert_accurate(result, expected, xp.dtype_name(x), bound=24)


@pytest.mark.parametrize("offset", [1000.0, -1000.0, 1e30])
def test_the_sink_is_shifted_with_the_maximum(xp, offset):
    x = xp.asarray([offset, offset])
    result = xp.numpy(xp.call(softaxis.softmax)(x, sink=offset))
    ref.assert_accurate(result, ref.softmax([0.0, 0.0], sink=0.0), xp.dtype_name(x), bound=4)


def test_a_sink_above_everything_takes_it_all(xp):
    x = xp.asarray([1.0, 2.0])
    assert xp.numpy(xp.call(softaxis.softmax)(x, sink=5000.0)).tolist() == [0.0, 0.0]
    result = xp.numpy(xp.call(softaxis.log_softmax)(x, sink=5000.0))
    assert result.tolist() == [-4999.0, -4998.0]


def test_the_sink_is_not_divided_by_the_temperature(xp):
    x = xp.asarray([2.0, 4.0])
    result = xp.numpy(xp.call(softaxis.softmax)(x, temperature=2.0, sink=3.0))
    expected = ref.softmax([1.0, 2.0], sink=3.0)
    ref.assert_accurate(result, expected, xp.dtype_name(x), bound=8)


def test_sink_and_mask(xp):
    x, where = xp.asarray([nan, 1.0, 2.0]), xp.asarray([False, True, True])
    result = xp.numpy(xp.call(softaxis.softmax)(x, where=where, sink=1.0))
    expected = np.array([ref.ZERO, *ref.softmax([1.0, 2.0], sink=1.0)], dtype=object)
    ref.assert_accurate(result, expected, xp.dtype_name(x), bound=8)


def test_integer_arrays_serve_as_temperature_and_sink(xp):
    x = xp.asarray(spread((2, 3)))
    t, sink = xp.asarray([[1], [2]], "int32"), xp.asarray([0, 3], "int32")
    result = xp.numpy(xp.call(softaxis.softmax)(x, temperature=t, sink=sink))
    expected = ref.softmax(xp.numpy(x), temperature=[[1], [2]], sink=[0, 3])
    ref.assert_accurate(result, expected, xp.dtype_name(x), bound=24)
