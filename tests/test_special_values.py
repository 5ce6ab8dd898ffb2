"""The rows of the table of special values, line by line: NaN, infinities, masked and empty rows."""

import numpy as np
import pytest
from cases import EMPTY_AXES, FLOATS, SPECIAL_ROWS, extreme_rows, inf, nan

import softaxis
from softaxis.testing import references as ref

SPECIAL = pytest.mark.parametrize(
    ("row", "p", "logp", "total", "mean"), SPECIAL_ROWS.values(), ids=SPECIAL_ROWS
)
FINITE_ROW = [0.5, -1.0, 2.0]


def agrees(result, expected, dtype):
    """Assert non-finite numbers exactly, finite ones to 8 eps."""
    ref.assert_accurate(result, ref.objects(expected), dtype, bound=8)


@SPECIAL
@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax(xp, row, p, logp, total, mean, dtype):
    agrees(xp.numpy(xp.call(softaxis.softmax)(xp.asarray(row, dtype))), p, dtype)


@SPECIAL
@pytest.mark.parametrize("dtype", FLOATS)
def test_log_softmax(xp, row, p, logp, total, mean, dtype):
    agrees(xp.numpy(xp.call(softaxis.log_softmax)(xp.asarray(row, dtype))), logp, dtype)


@SPECIAL
@pytest.mark.parametrize("dtype", FLOATS)
def test_softmin(xp, row, p, logp, total, mean, dtype):
    x = xp.asarray(-np.asarray(row), dtype)
    agrees(xp.numpy(xp.call(softaxis.softmin)(x)), p, dtype)


@SPECIAL
@pytest.mark.parametrize("dtype", FLOATS)
def test_logsumexp(xp, row, p, logp, total, mean, dtype):
    agrees(xp.numpy(xp.call(softaxis.logsumexp)(xp.asarray(row, dtype))), total, dtype)


@SPECIAL
@pytest.mark.parametrize("dtype", FLOATS)
def test_logmeanexp(xp, row, p, logp, total, mean, dtype):
    agrees(xp.numpy(xp.call(softaxis.logmeanexp)(xp.asarray(row, dtype))), mean, dtype)


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_of_a_batch_do_not_touch_each_other(xp, axis):
    rows = [row for row, *_ in SPECIAL_ROWS.values() if len(row) == 3] + [FINITE_ROW]
    expected = [p for row, p, *_ in SPECIAL_ROWS.values() if len(row) == 3]
    expected = np.array([*expected, np.asarray(ref.softmax(FINITE_ROW), dtype=float)])
    x, expected = (np.array(rows), expected) if axis == 1 else (np.array(rows).T, expected.T)
    x = xp.asarray(x)
    result = xp.call(softaxis.softmax)(x, axis=axis)
    agrees(xp.numpy(result), expected, xp.dtype_name(x))


@SPECIAL
def test_a_mask_that_keeps_everything_changes_nothing(xp, row, p, logp, total, mean):
    x, where = xp.asarray(row), xp.asarray([True] * len(row))
    dtype = xp.dtype_name(x)
    agrees(xp.numpy(xp.call(softaxis.softmax)(x, where=where)), p, dtype)
    agrees(xp.numpy(xp.call(softaxis.log_softmax)(x, where=where)), logp, dtype)
    agrees(xp.numpy(xp.call(softaxis.logsumexp)(x, where=where)), total, dtype)
    agrees(xp.numpy(xp.call(softaxis.logmeanexp)(x, where=where)), mean, dtype)


@SPECIAL
def test_masked_elements_beside_a_special_row(xp, row, p, logp, total, mean):
    x, where = xp.asarray([*row, 7.0, nan]), xp.asarray([True] * len(row) + [False] * 2)
    dtype = xp.dtype_name(x)
    agrees(xp.numpy(xp.call(softaxis.softmax)(x, where=where)), [*p, 0.0, 0.0], dtype)
    agrees(xp.numpy(xp.call(softaxis.log_softmax)(x, where=where)), [*logp, -inf, -inf], dtype)
    agrees(xp.numpy(xp.call(softaxis.logsumexp)(x, where=where)), total, dtype)
    agrees(xp.numpy(xp.call(softaxis.logmeanexp)(x, where=where)), mean, dtype)


@SPECIAL
def test_special_elements_that_are_masked_take_no_part(xp, row, p, logp, total, mean):
    x, where = xp.asarray([*row, *FINITE_ROW]), xp.asarray([False] * len(row) + [True] * 3)
    dtype = xp.dtype_name(x)
    kept = np.asarray(FINITE_ROW)
    hidden = len(row)
    for function, reference, outside in [
        (softaxis.softmax, ref.softmax, 0.0),
        (softaxis.log_softmax, ref.log_softmax, -inf),
        (softaxis.softmin, lambda x: ref.softmax(-x), 0.0),
    ]:
        expected = [outside] * hidden + list(np.asarray(reference(kept), dtype=float))
        agrees(xp.numpy(xp.call(function)(x, where=where)), expected, dtype)
    expected = ref.logsumexp(kept)[0]
    agrees(xp.numpy(xp.call(softaxis.logsumexp)(x, where=where)), expected, dtype)
    expected = ref.logsumexp(kept, mean=True)[0]
    agrees(xp.numpy(xp.call(softaxis.logmeanexp)(x, where=where)), expected, dtype)


@pytest.mark.parametrize("row", [FINITE_ROW, [nan, inf, 1.0], [-inf] * 3], ids=str)
@pytest.mark.parametrize("dtype", FLOATS)
def test_everything_masked(xp, row, dtype):
    x, where = xp.asarray(row, dtype), xp.asarray([False] * 3)
    for function, expected in [
        (softaxis.softmax, [0.0] * 3),
        (softaxis.log_softmax, [-inf] * 3),
        (softaxis.softmin, [0.0] * 3),
        (softaxis.hardmax, [0.0] * 3),
        (softaxis.logsumexp, -inf),
        (softaxis.logmeanexp, nan),
    ]:
        result = xp.call(function)(x, where=where)
        assert xp.dtype_name(result) == dtype
        np.testing.assert_array_equal(xp.numpy(result), np.asarray(expected, xp.numpy(x).dtype))


@SPECIAL
@pytest.mark.parametrize("sink", [0.0, 5.0, -5.0])
def test_a_finite_sink_rescues_a_row_of_minus_inf_only(xp, row, p, logp, total, mean, sink):
    x = xp.asarray(row)
    with_sink = xp.numpy(xp.call(softaxis.softmax)(x, sink=sink))
    log_with_sink = xp.numpy(xp.call(softaxis.log_softmax)(x, sink=sink))
    if all(value == -inf for value in row):
        assert with_sink.tolist() == [0.0] * len(row)
        assert log_with_sink.tolist() == [-inf] * len(row)
    elif np.isnan(p).any():
        assert np.isnan(with_sink).all()
        assert np.isnan(log_with_sink).all()
    else:
        dtype = xp.dtype_name(x)
        agrees(with_sink, np.asarray(ref.softmax(row, sink=sink), dtype=float), dtype)
        agrees(log_with_sink, np.asarray(ref.log_softmax(row, sink=sink), dtype=float), dtype)


@SPECIAL
def test_a_sink_of_minus_inf_changes_nothing(xp, row, p, logp, total, mean):
    x = xp.asarray(row)
    dtype = xp.dtype_name(x)
    agrees(xp.numpy(xp.call(softaxis.softmax)(x, sink=-inf)), p, dtype)
    agrees(xp.numpy(xp.call(softaxis.log_softmax)(x, sink=-inf)), logp, dtype)


def test_everything_masked_with_a_sink(xp):
    x, where = xp.asarray(FINITE_ROW), xp.asarray([False] * 3)
    assert xp.numpy(xp.call(softaxis.softmax)(x, where=where, sink=0.0)).tolist() == [0.0] * 3
    result = xp.numpy(xp.call(softaxis.log_softmax)(x, where=where, sink=0.0))
    assert result.tolist() == [-inf] * 3


def test_a_sink_of_nan_spoils_its_row_only(xp):
    x, sink = xp.asarray([FINITE_ROW, FINITE_ROW]), xp.asarray([nan, -inf])
    result = xp.numpy(xp.call(softaxis.softmax)(x, sink=sink))
    assert np.isnan(result[0]).all()
    agrees(result[1], np.asarray(ref.softmax(FINITE_ROW), dtype=float), xp.dtype_name(x))


@pytest.mark.parametrize(
    ("row", "where", "expected"),
    [
        ([1.0, nan, 2.0], None, [nan, nan, nan]),
        ([1.0, inf, 2.0], None, [0.0, 1.0, 0.0]),
        ([inf, 1.0, inf], None, [1.0, 0.0, 0.0]),
        ([-inf, -inf], None, [1.0, 0.0]),
        ([-inf, -inf], [False, True], [0.0, 1.0]),
        ([-inf, 1.0], None, [0.0, 1.0]),
        ([9.0, 1.0, 2.0], [False, True, True], [0.0, 0.0, 1.0]),
        ([nan, 1.0, 2.0], [False, True, True], [0.0, 0.0, 1.0]),
        ([nan, 1.0, 2.0], [True, False, True], [nan, 0.0, nan]),
        ([inf, 1.0, 1.0], [False, True, True], [0.0, 1.0, 0.0]),
    ],
)
@pytest.mark.parametrize("dtype", FLOATS)
def test_hardmax(xp, row, where, expected, dtype):
    where = None if where is None else xp.asarray(where)
    result = xp.numpy(xp.call(softaxis.hardmax)(xp.asarray(row, dtype), where=where))
    np.testing.assert_array_equal(result, np.asarray(expected, result.dtype))


@pytest.mark.parametrize(("shape", "axis"), EMPTY_AXES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_length_zero(xp, shape, axis, dtype):
    x = xp.asarray(np.zeros(shape), dtype)
    for function in (
        softaxis.softmax,
        softaxis.log_softmax,
        softaxis.softmin,
        softaxis.hardmax,
    ):
        result = xp.call(function)(x, axis=axis)
        assert xp.dtype_name(result) == dtype
        assert xp.numpy(result).shape == shape
    for function, nothing in [(softaxis.logsumexp, -inf), (softaxis.logmeanexp, nan)]:
        result = xp.call(function)(x, axis=axis)
        assert xp.dtype_name(result) == dtype
        expected = np.sum(np.zeros(shape), axis=axis)
        expected = np.where(np.prod(shape) == 0, nothing, expected)
        np.testing.assert_array_equal(xp.numpy(result), expected.astype(xp.numpy(x).dtype))


@pytest.mark.parametrize(("shape", "axis"), EMPTY_AXES)
def test_length_zero_with_every_argument(xp, shape, axis):
    x, where = xp.asarray(np.zeros(shape)), xp.asarray(np.ones(shape, dtype=bool))
    for function in (softaxis.softmax, softaxis.log_softmax, softaxis.softmin):
        result = xp.call(function)(x, axis=axis, where=where, temperature=2.0, sink=0.0)
        assert xp.numpy(result).shape == shape
    result = xp.numpy(
        xp.call(softaxis.logsumexp)(x, axis=axis, where=where, weights=x, keepdims=True)
    )
    assert (result == -inf).all()


def test_log_sums_keep_the_shape_of_an_empty_reduction(xp):
    x = xp.asarray(np.zeros((2, 0, 3)))
    result = xp.numpy(xp.call(softaxis.logsumexp)(x, axis=1, keepdims=True))
    assert result.shape == (2, 1, 3)
    assert (result == -inf).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_log_sums_at_the_ends_of_the_range(xp, dtype):
    for row in extreme_rows(dtype):
        x = xp.asarray(row, dtype)
        for function, mean in [(softaxis.logsumexp, False), (softaxis.logmeanexp, True)]:
            expected, _ = ref.logsumexp(xp.numpy(x), mean=mean)
            result = xp.numpy(xp.call(function)(x))
            ref.assert_accurate(
                result, expected, dtype, bound=8, scale=max(1, abs(max(row)), abs(expected[()]))
            )
