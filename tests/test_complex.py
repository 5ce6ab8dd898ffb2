"""Complex input: logsumexp, softmax and log_softmax take it, everything else refuses."""

import operator

import numpy as np
import pytest

import softaxis
from softaxis.testing import references as ref

REAL_OF = {"complex64": "float32", "complex128": "float64"}
ROWS = {
    "plain": [1 + 2j, -0.5 + 0.3j, 0.25 - 1j],
    "single": [0.5 + 4j],
    "imaginary": [1j, 2j, 3j],
    "offset": [1000 + 1j, 1000.5 - 2j, 999 + 0.5j],
    "real": [1 + 0j, 2 + 0j],
}
pytestmark = pytest.mark.needs("complex")


def error_in_eps(result, expected, dtype):
    """Measure abs(result - expected) in eps of the real dtype, relative to what is expected."""
    gaps = [abs(g - e) / max(1, abs(e)) for g, e in zip(result, expected, strict=True)]
    return max(gaps) / ref.EPS[REAL_OF[dtype]]


@pytest.mark.parametrize("dtype", REAL_OF)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_logsumexp(xp, row, dtype):
    x = xp.asarray(row, dtype)
    result = xp.call(softaxis.logsumexp)(x)
    assert xp.dtype_name(result) == dtype
    values = ref.objects(xp.numpy(x))
    expected = ref.log_of_complex_sum(list(values), [True] * len(row))
    assert error_in_eps([ref.mp.mpc(complex(xp.numpy(result)))], [expected], dtype) <= 16


@pytest.mark.parametrize("dtype", REAL_OF)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_softmax_and_log_softmax(xp, row, dtype):
    x = xp.asarray(row, dtype)
    values = list(ref.objects(xp.numpy(x)))
    total = ref.log_of_complex_sum(values, [True] * len(row))
    p = xp.call(softaxis.softmax)(x)
    assert xp.dtype_name(p) == dtype
    result = [ref.mp.mpc(complex(v)) for v in xp.numpy(p)]
    # the arguments reach 4: rounding them costs as many eps
    assert error_in_eps(result, [ref.mp.exp(v - total) for v in values], dtype) <= 32
    logp = xp.call(softaxis.log_softmax)(x)
    assert xp.dtype_name(logp) == dtype
    again = [ref.mp.exp(ref.mp.mpc(complex(v))) for v in xp.numpy(logp)]
    assert error_in_eps(again, [ref.mp.exp(v - total) for v in values], dtype) <= 64
    reals = [ref.mp.mpc(complex(v)).real for v in xp.numpy(logp)]
    assert error_in_eps(reals, [(v - total).real for v in values], dtype) <= 32


def test_the_imaginary_part_is_the_principal_one(xp):
    for angle, principal in [
        (0.0, 0.0),
        (3.0, 3.0),
        (4.0, 4.0 - 2 * np.pi),
        (-4.0, 2 * np.pi - 4.0),
        (100.0, 100.0 - 32 * np.pi),
    ]:
        x = xp.asarray([0.5 + angle * 1j])
        result = complex(xp.numpy(xp.call(softaxis.logsumexp)(x)))
        assert result.imag == pytest.approx(principal, abs=1e-4)
        assert -np.pi < result.imag <= np.pi + 1e-6


def test_a_negative_sum_has_argument_pi(xp):
    result = complex(xp.numpy(xp.call(softaxis.logsumexp)(xp.asarray([np.pi * 1j, np.pi * 1j]))))
    assert result.real == pytest.approx(np.log(2), rel=1e-6)
    assert abs(result.imag) == pytest.approx(np.pi, rel=1e-6)


def test_along_an_axis(xp):
    row = [1 + 2j, -0.5 + 0.3j]
    x = xp.asarray([row, row])
    first = xp.numpy(xp.call(softaxis.logsumexp)(x, axis=1, keepdims=True))
    assert first.shape == (2, 1)
    assert first[0] == first[1]
    p = xp.numpy(xp.call(softaxis.softmax)(x, axis=1))
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    log_along_0 = xp.numpy(xp.call(softaxis.log_softmax)(x, axis=0))
    np.testing.assert_allclose(log_along_0, -np.log(2), atol=1e-6)


def test_under_a_mask(xp):
    x, where = xp.asarray([1 + 1j, complex("nan+infj"), 2j]), xp.asarray([True, False, True])
    total = np.log(np.exp(1 + 1j) + np.exp(2j))
    result = complex(xp.numpy(xp.call(softaxis.logsumexp)(x, where=where)))
    assert result == pytest.approx(total, rel=1e-6)
    p = xp.numpy(xp.call(softaxis.softmax)(x, where=where))
    assert p[1] == 0
    np.testing.assert_allclose(p[[0, 2]], np.exp([1 + 1j - total, 2j - total]), rtol=1e-5)


def test_nan_and_minus_infinity(xp):
    result = complex(xp.numpy(xp.call(softaxis.logsumexp)(xp.asarray([complex("nan"), 1j]))))
    assert np.isnan(result.real)
    x = xp.asarray([-np.inf + 0j, 1 + 1j])
    result = complex(xp.numpy(xp.call(softaxis.logsumexp)(x)))
    assert result == pytest.approx(1 + 1j, rel=1e-6)
    assert xp.numpy(xp.call(softaxis.softmax)(x))[0] == 0
    result = complex(xp.numpy(xp.call(softaxis.logsumexp)(xp.asarray([-np.inf + 0j] * 2))))
    assert result.real == -np.inf


def test_the_mathematics_agree_with_the_real_functions(xp):
    row = [0.5, -1.0, 2.0]
    x, z = xp.asarray(row), xp.asarray(np.array(row) + 0j)
    for function in (softaxis.softmax, softaxis.log_softmax, softaxis.logsumexp):
        real, result = xp.numpy(xp.call(function)(x)), xp.numpy(xp.call(function)(z))
        np.testing.assert_allclose(result, real, rtol=1e-5)


@pytest.mark.without_computing
@pytest.mark.parametrize(
    "function",
    [
        softaxis.softmin,
        softaxis.hardmax,
        softaxis.sigmoid,
        softaxis.log_sigmoid,
        softaxis.logmeanexp,
    ],
    ids=operator.attrgetter("__name__"),
)
def test_the_rest_refuses(xp, function):
    with pytest.raises(TypeError, match=r"`x`.*complex"):
        function(xp.asarray([1 + 2j, 1j]))


@pytest.mark.without_computing
def test_the_losses_refuse(xp):
    logits, labels = xp.asarray([[1 + 2j, 1j]]), xp.asarray([0])
    for function in (softaxis.cross_entropy, softaxis.cross_entropy_and_grad):
        with pytest.raises(TypeError, match=r"`logits`.*complex"):
            function(logits, labels)
