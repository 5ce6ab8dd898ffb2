"""`where`: what is masked out takes no part, whatever it holds."""

import numpy as np
import pytest
from cases import FLOATS, spread

import softaxis
from softaxis.testing import references as ref

inf, nan = float("inf"), float("nan")
MASKS = {
    "full": np.array([[1, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0]], dtype=bool),
    "one-row": np.array([[1, 0, 0, 1]], dtype=bool),
    "one-dimension": np.array([0, 1, 1, 0], dtype=bool),
    "one-column": np.array([[1], [0], [1]], dtype=bool),
    "0-d-true": np.array(True),
    "0-d-false": np.array(False),
}
MASK = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
AXIS = pytest.mark.parametrize("axis", [0, 1, (0, 1), ()], ids=str)


@MASK
@AXIS
def test_normalizers(xp, mask, axis):
    x, where = xp.asarray(spread((3, 4))), xp.asarray(mask)
    dtype = xp.dtype_name(x)
    for function, reference in [
        (softaxis.softmax, ref.softmax),
        (softaxis.log_softmax, ref.log_softmax),
        (softaxis.softmin, lambda x, axis, where: ref.softmax(-x, axis, where)),
    ]:
        result = xp.numpy(xp.call(function)(x, axis=axis, where=where))
        expected = reference(xp.numpy(x), axis, where=mask)
        ref.assert_accurate(result, expected, dtype, bound=24)


@MASK
@AXIS
def test_reductions(xp, mask, axis):
    x, where = xp.asarray(spread((3, 4))), xp.asarray(mask)
    for function, mean in [(softaxis.logsumexp, False), (softaxis.logmeanexp, True)]:
        result = xp.numpy(xp.call(function)(x, axis=axis, where=where))
        expected, _ = ref.logsumexp(xp.numpy(x), axis, where=mask, mean=mean)
        ref.assert_accurate(result, expected, xp.dtype_name(x), bound=8, scale=10)


@MASK
@AXIS
def test_masked_values_do_not_leak(xp, mask, axis):
    clean, hidden = spread((3, 4)), np.resize([nan, inf, -inf, 1e30, -1e30], (3, 4))
    x, where = xp.asarray(np.where(mask, clean, hidden)), xp.asarray(mask)
    clean = xp.asarray(clean)
    for function in (
        softaxis.softmax,
        softaxis.log_softmax,
        softaxis.softmin,
        softaxis.hardmax,
        softaxis.logsumexp,
        softaxis.logmeanexp,
    ):
        result = xp.numpy(xp.call(function)(x, axis=axis, where=where))
        expected = xp.numpy(xp.call(function)(clean, axis=axis, where=where))
        np.testing.assert_array_equal(result, expected)


def test_a_masked_maximum_does_not_set_the_scale(xp):
    x, where = xp.asarray([1e30, -1.0, 1.0]), xp.asarray([False, True, True])
    result = xp.numpy(xp.call(softaxis.softmax)(x, where=where))
    expected = [0.0, *ref.softmax([-1.0, 1.0])]
    ref.assert_accurate(result, np.array(expected, dtype=object), xp.dtype_name(x), bound=6)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_kept_elements_are_a_row_of_their_own(xp, dtype):
    x = xp.asarray(spread(9), dtype)
    mask = np.array([1, 0, 1, 1, 0, 0, 1, 1, 0], dtype=bool)
    result = xp.numpy(xp.call(softaxis.softmax)(x, where=xp.asarray(mask)))
    kept = xp.numpy(x)[mask]
    assert (result[~mask] == 0).all()
    ref.assert_accurate(
        result[mask],
        ref.softmax(kept),
        dtype,
        bound=ref.softmax_bound(kept),
        flushed=xp.flushes_subnormals,
    )


def test_integers_can_be_masked(xp):
    x, where = xp.asarray([300, 1, 2], "int32"), xp.asarray([False, True, True])
    result = xp.call(softaxis.softmax)(x, where=where)
    assert xp.dtype_name(result) == xp.default_float
    expected = [0.0, *ref.softmax([1.0, 2.0])]
    ref.assert_accurate(
        xp.numpy(result), np.array(expected, dtype=object), xp.default_float, bound=5
    )


def test_keepdims(xp):
    x, where = xp.asarray(spread((3, 4))), xp.asarray(MASKS["full"])
    result = xp.numpy(xp.call(softaxis.logsumexp)(x, axis=1, where=where, keepdims=True))
    assert result.shape == (3, 1)
    assert result[2, 0] == -inf
