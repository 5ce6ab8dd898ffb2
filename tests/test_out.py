"""`out`: written and returned, the input itself included; refused where arrays are immutable."""

import operator

import numpy as np
import pytest
from cases import FLOATS, spread

import softaxis
from softaxis.testing import references as ref

NORMALIZERS = [
    softaxis.softmax,
    softaxis.log_softmax,
    softaxis.softmin,
    softaxis.sigmoid,
    softaxis.log_sigmoid,
]
OUT_FUNCTIONS = [*NORMALIZERS, softaxis.logsumexp]
NAMED = operator.attrgetter("__name__")


def assert_same(result, expected, dtype):
    """Assert that two ways to the same result agree; the inputs reach 12, so to 32 eps."""
    np.testing.assert_allclose(
        result, expected, rtol=32 * ref.EPS[dtype], atol=float(ref.TINY[dtype])
    )


@pytest.mark.needs("writing")
@pytest.mark.parametrize("function", NORMALIZERS, ids=NAMED)
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_result_is_written_and_returned(xp, function, dtype):
    x, out = xp.asarray(spread((3, 4)), dtype), xp.empty((3, 4), dtype)
    result = function(x, out=out)
    assert result is out
    assert_same(xp.numpy(out), xp.numpy(function(x)), dtype)


@pytest.mark.needs("writing")
@pytest.mark.parametrize("axis", [0, 1, (0, 2), None, ()], ids=str)
@pytest.mark.parametrize("function", NORMALIZERS[:3], ids=NAMED)
def test_along_every_axis(xp, function, axis):
    x = xp.asarray(spread((2, 3, 4)))
    out = xp.empty((2, 3, 4), xp.dtype_name(x))
    assert function(x, axis=axis, out=out) is out
    assert_same(xp.numpy(out), xp.numpy(function(x, axis=axis)), xp.dtype_name(x))


@pytest.mark.needs("writing")
@pytest.mark.parametrize("function", NORMALIZERS, ids=NAMED)
def test_in_place(xp, function):
    values = spread((3, 4))
    x = xp.empty((3, 4), xp.default_float)
    x[...] = xp.asarray(values, xp.default_float)
    expected = xp.numpy(function(xp.asarray(values, xp.default_float)))
    assert function(x, out=x) is x
    assert_same(xp.numpy(x), expected, xp.default_float)


@pytest.mark.needs("writing")
@pytest.mark.parametrize("axis", [0, 1], ids=str)
def test_in_place_with_every_argument(xp, axis):
    values, options = spread((3, 4)), {"axis": axis, "temperature": 0.5, "sink": 1.0}
    options["where"] = xp.asarray(spread((3, 4), seed=1) > 0)
    x = xp.empty((3, 4), xp.default_float)
    x[...] = xp.asarray(values, xp.default_float)
    expected = xp.numpy(softaxis.softmax(xp.asarray(values, xp.default_float), **options))
    assert softaxis.softmax(x, out=x, **options) is x
    assert_same(xp.numpy(x), expected, xp.default_float)


@pytest.mark.needs("writing")
@pytest.mark.parametrize(
    ("axis", "keepdims", "shape"),
    [(0, False, (4,)), (1, False, (3,)), (1, True, (3, 1)), (None, False, ()), ((), False, (3, 4))],
    ids=str,
)
def test_logsumexp(xp, axis, keepdims, shape):
    x = xp.asarray(spread((3, 4)))
    out = xp.empty(shape, xp.dtype_name(x))
    assert softaxis.logsumexp(x, axis=axis, keepdims=keepdims, out=out) is out
    expected = xp.numpy(softaxis.logsumexp(x, axis=axis, keepdims=keepdims))
    assert_same(xp.numpy(out), expected, xp.dtype_name(out))


@pytest.mark.needs("writing", "float32")
def test_out_of_the_dtype_asked_for(xp):
    for given, asked in [("int32", "float32"), ("float32", xp.stored_as("float64"))]:
        x, out = xp.asarray([[1, 2, 3]], given), xp.empty((1, 3), asked)
        result = softaxis.softmax(x, dtype=xp.dtype(asked), out=out)
        assert result is out
        expected = xp.numpy(softaxis.softmax(x, dtype=xp.dtype(asked)))
        assert_same(xp.numpy(out), expected, xp.dtype_name(out))


@pytest.mark.needs("writing", "strides")
@pytest.mark.parametrize("axis", [0, 1, (0, 1)], ids=str)
def test_out_with_strides_of_its_own(xp, axis):
    x = xp.asarray(spread((3, 4)))
    expected = xp.numpy(softaxis.softmax(x, axis=axis))
    wide = xp.empty((6, 12), xp.dtype_name(x))
    wide[...] = -1
    out = wide[::2, 1::3]
    assert softaxis.softmax(x, axis=axis, out=out) is out
    assert_same(xp.numpy(wide)[::2, 1::3], expected, xp.dtype_name(x))
    assert (np.delete(xp.numpy(wide), [1, 4, 7, 10], axis=1) == -1).all()
    turned = xp.empty((4, 3), xp.dtype_name(x)).T
    softaxis.softmax(x, axis=axis, out=turned)
    assert_same(xp.numpy(turned), expected, xp.dtype_name(x))


@pytest.mark.needs("writing")
@pytest.mark.without_computing
@pytest.mark.parametrize("function", OUT_FUNCTIONS, ids=NAMED)
@pytest.mark.parametrize("shape", [(4, 3), (3,), (3, 4, 1), (1, 3, 4), (3, 5), (0,)], ids=str)
def test_a_wrong_shape(xp, function, shape):
    x, out = xp.asarray(spread((3, 4))), xp.empty(shape, xp.stored_as("float64"))
    with pytest.raises(ValueError, match="`out`"):
        function(x, out=out)


@pytest.mark.needs("writing", "float64")
@pytest.mark.without_computing
@pytest.mark.parametrize("function", OUT_FUNCTIONS, ids=NAMED)
@pytest.mark.parametrize("wrong", ["float32", "int32"])
def test_a_wrong_dtype(xp, function, wrong):
    x = xp.asarray(spread((3, 4)))
    shape = () if function is softaxis.logsumexp else (3, 4)
    with pytest.raises((TypeError, ValueError), match="`out`"):
        function(x, out=xp.empty(shape, wrong))


@pytest.mark.needs("writing")
@pytest.mark.without_computing
@pytest.mark.parametrize("function", OUT_FUNCTIONS, ids=NAMED)
@pytest.mark.parametrize("wrong", [[0.0, 0.0], True, "out"], ids=repr)
def test_something_that_is_no_array(xp, function, wrong):
    with pytest.raises(TypeError, match="`out`"):
        function(xp.asarray([1.0, 2.0]), out=wrong)


@pytest.mark.only("immutable")
def test_an_immutable_library_refuses(xp):
    x = xp.asarray([1.0, 2.0])
    for function in OUT_FUNCTIONS:
        with pytest.raises(TypeError, match=r"`out`.*immutable"):
            xp.call(function)(x, out=x)


def test_numpy_refuses_to_write_a_read_only_array():
    out = np.zeros(2)
    out.flags.writeable = False
    for function in NORMALIZERS:
        with pytest.raises(ValueError, match="read-only"):
            function(np.zeros(2), out=out)
    assert not out.any()
