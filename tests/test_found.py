"""Cases that the fuzzer found (`nox -s fuzz`), as small as they got; each was wrong once."""

import numpy as np
import pytest
from cases import FLOATS

import softaxis
from softaxis.testing import references as ref

inf = float("inf")


@pytest.mark.parametrize("sink", ["number", "array"])
@pytest.mark.parametrize("function", [softaxis.softmax, softaxis.log_softmax])
def test_a_sink_beside_temperatures_that_vary_along_the_row(xp, function, sink):
    """The maximum was divided by the temperature a second time."""
    x, t = xp.asarray([0.0, 1.0]), xp.asarray([0.5, 0.25])
    given = 1.0 if sink == "number" else xp.asarray(1.0)
    result = xp.call(function)(x, temperature=t, sink=given)
    reference = {"softmax": ref.softmax, "log_softmax": ref.log_softmax}[function.__name__]
    expected = reference([0.0, 4.0], sink=1.0)
    ref.assert_accurate(xp.numpy(result), expected, xp.dtype_name(x), bound=16)


@pytest.mark.parametrize(
    ("row", "temperature", "expected"),
    [
        ([0.0], 1e-300, [1.0]),
        ([1.0, 3.0, 3.0], 1e-300, [0.0, 0.5, 0.5]),
        ([1.0, 3.0, 3.0], 5e-324, [0.0, 0.5, 0.5]),
        ([-inf, 3.0], 1e300, [0.0, 1.0]),
        ([-inf, 3.0, 1.0], 1e300, [0.0, 0.5, 0.5]),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_temperature_beyond_the_range_of_the_dtype(xp, row, temperature, expected, dtype):
    """Rounded to float32, 1e-300 was 0 and 1e300 infinite, and 0 / 0 and -inf / inf were NaN."""
    x = xp.asarray(row, dtype)
    result = xp.call(softaxis.softmax)(x, temperature=temperature)
    ref.assert_accurate(xp.numpy(result), ref.objects(expected), dtype, bound=4)
    logs = xp.numpy(xp.call(softaxis.log_softmax)(x, temperature=temperature))
    np.testing.assert_array_equal(logs > -1, np.asarray(expected) > 0.4)


@pytest.mark.parametrize(
    ("shape", "axis", "result"),
    [((), None, (1, 1)), ((), (), (1, 1)), ((3,), (), (3, 1, 1)), ((2, 0), (), (2, 0, 1, 1))],
    ids=str,
)
def test_the_jacobian_of_every_element_by_itself(xp, shape, axis, result):
    """One of the two dimensions of the matrices was missing."""
    p = xp.asarray(np.ones(shape))
    matrices = xp.numpy(xp.call(softaxis.softmax_jacobian)(p, axis=axis))
    assert matrices.shape == result
    assert not matrices.any()


@pytest.mark.without_computing
@pytest.mark.parametrize("wrong", [True, False])
@pytest.mark.parametrize("function", [softaxis.logsumexp, softaxis.logmeanexp])
def test_a_bool_is_no_weight(xp, function, wrong):
    """NumPy took it for an array, as nobody else did."""
    with pytest.raises(
        TypeError, match=r"`weights` must be a number or an array, got (True|False)"
    ):
        function(xp.asarray([1.0, 2.0]), weights=wrong)


@pytest.mark.needs("float16")
@pytest.mark.parametrize(("temperature", "sink"), [(1e5, None), (1e-6, None), (None, 1e5)])
def test_a_number_beyond_the_range_of_float16(xp, temperature, sink):
    """JAX rounded both to the dtype of x before float16 became float32."""
    x = xp.asarray([65504.0, 0.0] if temperature == 1e5 or sink else [1e-6, 0.0], "float16")
    options = {"temperature": temperature, "sink": sink}
    for function, reference in [
        (softaxis.softmax, ref.softmax),
        (softaxis.log_softmax, ref.log_softmax),
    ]:
        expected = reference(xp.numpy(x), **options)
        expected[expected < -ref.LARGEST["float16"]] = -inf
        result = xp.numpy(xp.call(function)(x, **options))
        ref.assert_accurate(result, expected, "float16", bound=16)


@pytest.mark.needs("float64")
@pytest.mark.parametrize("options", [{"temperature": 0.1}, {"sink": 0.1}], ids=str)
def test_a_number_beside_a_wider_dtype(xp, options):
    """JAX rounded it to the dtype of x, not of the result: off by 3e8 eps."""
    x = xp.asarray([1.0, 0.0], "float32")
    result = xp.call(softaxis.softmax)(x, dtype=xp.dtype("float64"), **options)
    expected = ref.softmax(xp.numpy(x), **options)
    ref.assert_accurate(xp.numpy(result), expected, "float64", bound=32)


def test_the_gradient_of_z_loss_does_not_overflow_before_its_result(xp):
    """Twice the logsumexp was infinite, its product with a probability of 1/2 is not."""
    most = ref.LARGEST[xp.default_float]
    logits, labels = (xp.asarray(np.full(2, v), xp.default_float) for v in (0.75 * most, 0.0))
    _, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(logits, labels, z_loss=1.0))
    expected = ref.objects(np.full(2, 0.75 * most))
    ref.assert_accurate(grad, expected, xp.default_float, bound=8)


@pytest.mark.needs("float32")
@pytest.mark.parametrize(
    ("row", "weights"),
    [
        pytest.param([0.0, 100.0], [1.0, 1e-40], marks=pytest.mark.needs("subnormals")),
        ([0.0, -101.0], [1.0, 1e30]),
    ],
    ids=str,
)
def test_products_of_logsumexp_with_weights_beyond_its_exponentials(xp, row, weights):
    """exp(x - lse) overflowed beside a tiny weight, and lost its digits beside a huge one."""
    x, w = xp.asarray(row, "float32"), xp.asarray(weights, "float32")
    lse = xp.call(softaxis.logsumexp)(x, weights=w)
    one = xp.asarray(1.0, "float32")
    grad = xp.numpy(xp.call(softaxis.logsumexp_vjp)(x, lse, one, weights=w))
    exact = ref.objects(xp.numpy(lse))[()]
    terms = zip(ref.objects(xp.numpy(x)), ref.objects(xp.numpy(w)), strict=True)
    expected = np.array([b * ref.mp.exp(a - exact) for a, b in terms], dtype=object)
    ref.assert_accurate(grad, expected, "float32", bound=128)


def test_a_subnormal_number_of_no_dimensions_in_a_narrower_dtype(xp):
    """Dask's sample of such an array is its number, and casting it underflowed."""
    tiny = float(ref.TINY[xp.default_float]) * ref.EPS[xp.default_float]
    x = xp.asarray(tiny, xp.default_float)
    with np.errstate(all="raise"):
        result = xp.call(softaxis.softmin)(x, axis=(), dtype=xp.dtype("float32"))
    assert xp.numpy(result) == 1.0


@pytest.mark.parametrize("shape", [(0, 2), (2, 0), (0, 0), (3, 0, 2)], ids=str)
def test_the_jacobian_of_nothing_along_several_axes(xp, shape):
    """Dask refused to join axes of length 0."""
    p = xp.asarray(np.zeros(shape))
    assert xp.numpy(xp.call(softaxis.softmax_jacobian)(p, axis=None)).shape == (0, 0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_two_equal_probabilities_that_rounding_put_above_one_half(xp, dtype):
    """Each was taken for the only large one, and left the other out of its sum."""
    exact = ref.log_softmax([-8.0, 0.0, 0.0])
    logp = xp.asarray(ref.rounded(exact, dtype), dtype)
    result = xp.numpy(xp.call(softaxis.log_softmax_vjp)(logp, xp.asarray([1.0] * 3, dtype)))
    p = ref.softmax([-8.0, 0.0, 0.0])
    ref.assert_accurate(result, 1 - 3 * p, dtype, bound=8, scale=3 * p[1])


@pytest.mark.parametrize("sink", ["number", "array"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sink_of_minus_infinity_beside_logits_that_overflow(xp, sink, sign):
    """x / t was -inf as well, and -inf less -inf is NaN."""
    x = xp.asarray([sign * 0.75 * ref.LARGEST[xp.stored_as("float64")]])
    given = -inf if sink == "number" else xp.asarray(-inf)
    result = xp.call(softaxis.softmax)(x, temperature=0.5, sink=given)
    assert xp.numpy(result).tolist() == [1.0]
    assert xp.numpy(xp.call(softaxis.log_softmax)(x, temperature=0.5, sink=given)).tolist() == [0.0]
