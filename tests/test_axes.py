"""Every way to name the axes, on every shape, and the axes that are refused."""

import operator

import numpy as np
import pytest
from cases import AXES, spread

import softaxis
from softaxis.testing import references as ref

NORMALIZERS = [
    (softaxis.softmax, ref.softmax),
    (softaxis.log_softmax, ref.log_softmax),
    (softaxis.softmin, lambda x, axis: ref.softmax(-x, axis)),
]
AXIS_FUNCTIONS = [
    softaxis.softmax,
    softaxis.log_softmax,
    softaxis.softmin,
    softaxis.hardmax,
    softaxis.logsumexp,
    softaxis.logmeanexp,
]


@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_normalizers(xp, shape, axis):
    x = xp.asarray(spread(shape))
    for function, reference in NORMALIZERS:
        result = xp.numpy(xp.call(function)(x, axis=axis))
        expected = reference(xp.numpy(x), axis)
        ref.assert_accurate(result, expected, xp.dtype_name(x), bound=24)


@pytest.mark.parametrize(("shape", "axis"), AXES)
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(xp, shape, axis, keepdims):
    x = xp.asarray(spread(shape))
    options = {"axis": axis, "keepdims": keepdims}
    for function, mean in [(softaxis.logsumexp, False), (softaxis.logmeanexp, True)]:
        result = xp.numpy(xp.call(function)(x, **options))
        expected, _ = ref.logsumexp(xp.numpy(x), **options, mean=mean)
        assert result.shape == np.sum(np.zeros(shape), **options).shape
        scale = np.maximum(ref.magnitude(expected), 1 + np.max(np.abs(xp.numpy(x))))
        ref.assert_accurate(result, expected, xp.dtype_name(x), bound=8, scale=scale)


@pytest.mark.parametrize(("shape", "axis"), AXES)
def test_hardmax_marks_one_element_a_row(xp, shape, axis):
    x = spread(shape)
    result = xp.numpy(xp.call(softaxis.hardmax)(xp.asarray(x), axis=axis))
    largest = np.max(x, axis=axis if axis != () else (), keepdims=True)
    np.testing.assert_array_equal(result, (x == largest).astype(result.dtype))


def test_normalizers_take_the_last_axis_by_default(xp):
    x = xp.asarray(spread((2, 3, 4)))
    for function in (softaxis.softmax, softaxis.log_softmax, softaxis.softmin, softaxis.hardmax):
        default, last = xp.call(function)(x), xp.call(function)(x, axis=2)
        np.testing.assert_array_equal(xp.numpy(default), xp.numpy(last))


def test_reductions_take_all_axes_by_default(xp):
    x = xp.asarray(spread((2, 3, 4)))
    for function in (softaxis.logsumexp, softaxis.logmeanexp):
        default, named = xp.call(function)(x), xp.call(function)(x, axis=(0, 1, 2))
        assert xp.numpy(default).shape == ()
        assert xp.numpy(default) == xp.numpy(named)


def test_no_axis_at_all_makes_every_element_a_row(xp):
    x = xp.asarray([[0.5, float("inf"), -float("inf"), float("nan")]])
    nan = float("nan")
    expected = {
        softaxis.softmax: [[1.0, nan, nan, nan]],
        softaxis.log_softmax: [[0.0, nan, nan, nan]],
        softaxis.logsumexp: [[0.5, float("inf"), -float("inf"), nan]],
        softaxis.logmeanexp: [[0.5, float("inf"), -float("inf"), nan]],
    }
    for function, values in expected.items():
        np.testing.assert_array_equal(xp.numpy(xp.call(function)(x, axis=())), values)


def test_integers_of_numpy_name_axes_too(xp):
    x = xp.asarray(spread((3, 4)))
    for axis in (np.int64(0), np.uint8(0), (np.int32(0),)):
        result = xp.call(softaxis.softmax)(x, axis=axis)
        np.testing.assert_array_equal(
            xp.numpy(result), xp.numpy(xp.call(softaxis.softmax)(x, axis=0))
        )


@pytest.mark.without_computing
@pytest.mark.parametrize("function", AXIS_FUNCTIONS, ids=operator.attrgetter("__name__"))
@pytest.mark.parametrize(
    ("shape", "axis", "named", "dimensions"),
    [
        ((3,), 1, "1", "1"),
        ((3,), -2, "-2", "1"),
        ((2, 3), 2, "2", "2"),
        ((2, 3), (0, 2), "2", "2"),
        ((2, 3), (-3, 0), "-3", "2"),
        ((), 0, "0", "0"),
        ((), -1, "-1", "0"),
        ((), (0,), "0", "0"),
        ((2, 3), 10**30, str(10**30), "2"),
    ],
    ids=str,
)
def test_an_axis_out_of_range(xp, function, shape, axis, named, dimensions):
    x = xp.asarray(np.zeros(shape))
    with pytest.raises(softaxis.AxisError, match=rf"`axis` {named} .*\b{dimensions}\b") as caught:
        function(x, axis=axis)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, IndexError)


@pytest.mark.without_computing
@pytest.mark.parametrize("function", AXIS_FUNCTIONS, ids=operator.attrgetter("__name__"))
@pytest.mark.parametrize(
    "axis", [True, False, 0.0, 1.5, "0", (0, True), (0, 1.0), [0, 1]], ids=repr
)
def test_an_axis_that_is_no_integer(xp, function, axis):
    x = xp.asarray(np.zeros((2, 3)))
    with pytest.raises(TypeError, match="`axis`"):
        function(x, axis=axis)


@pytest.mark.without_computing
@pytest.mark.parametrize("function", AXIS_FUNCTIONS, ids=operator.attrgetter("__name__"))
@pytest.mark.parametrize("axis", [(0, 0), (1, -1), (0, 1, -2), (-1, -1)], ids=str)
def test_a_repeated_axis(xp, function, axis):
    x = xp.asarray(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="`axis`"):
        function(x, axis=axis)


@pytest.mark.without_computing
def test_the_normalizers_refuse_a_0d_array_without_axis(xp):
    x = xp.asarray(1.0)
    for function in (softaxis.softmax, softaxis.log_softmax, softaxis.softmin, softaxis.hardmax):
        with pytest.raises(softaxis.AxisError, match="0-d"):
            function(x)
