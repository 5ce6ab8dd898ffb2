"""Properties that hold for any shape, axes, dtype, strides and values, drawn by hypothesis."""

import math

import numpy as np
import pytest
from cases import INTEGERS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import ANY, FULL_SHAPES, MODERATE, floats_of, inf, inputs

import softaxis
from softaxis.testing import references as ref

pytestmark = pytest.mark.needs("many shapes")


def eps_in_float64(dtype):
    """Take the eps of a dtype whose values were brought to float64."""
    return max(ref.EPS[dtype], ref.EPS["float64"])


@given(data=st.data())
def test_softmax_and_log_softmax(xp, data):
    x, dtype, axis = data.draw(inputs(xp))
    values = xp.numpy(x)
    for function, reference, bound in [
        (softaxis.softmax, ref.softmax, ref.softmax_bound),
        (softaxis.log_softmax, ref.log_softmax, ref.log_softmax_bound),
    ]:
        result = xp.call(function)(x, axis=axis)
        assert xp.dtype_name(result) == dtype
        ref.assert_accurate(
            xp.numpy(result),
            reference(values, axis),
            dtype,
            bound=bound(values, axis),
            flushed=xp.flushes_subnormals,
        )


@given(data=st.data())
def test_logsumexp_lies_between_the_maximum_and_the_maximum_plus_log_n(xp, data):
    x, dtype, axis = data.draw(inputs(xp, shapes=FULL_SHAPES))
    values = xp.numpy(x).astype(np.float64)
    result = xp.numpy(xp.call(softaxis.logsumexp)(x, axis=axis)).astype(np.float64)
    top = values.max(axis=axis if axis != () else ())
    count = values.size // max(result.size, 1)
    slack = 8 * eps_in_float64(dtype) * np.maximum(1, np.maximum(np.abs(top), np.abs(result)))
    assert (result >= top - slack).all()
    assert (result <= top + math.log(count) + slack).all()
    mean = xp.numpy(xp.call(softaxis.logmeanexp)(x, axis=axis)).astype(np.float64)
    slack = slack + 8 * eps_in_float64(dtype) * (np.abs(mean) + math.log(count))
    assert (np.abs(result - math.log(count) - mean) <= 2 * slack).all()


@given(data=st.data())
def test_any_value_under_any_mask(xp, data):
    x, dtype, axis = data.draw(inputs(xp, elements=ANY))
    values = xp.numpy(x)
    mask = data.draw(hnp.arrays(bool, values.shape))
    sink = data.draw(st.sampled_from([None, 0.0, 1.5, -inf]))
    where = xp.asarray(mask)
    for function, reference in [
        (softaxis.softmax, ref.softmax),
        (softaxis.log_softmax, ref.log_softmax),
    ]:
        expected = reference(values, axis, where=mask, sink=sink)
        expected[expected < -ref.LARGEST[dtype] * (1 + ref.EPS[dtype] / 4)] = -ref.INF
        result = xp.numpy(xp.call(function)(x, axis=axis, where=where, sink=sink))
        bound = 200 + ref.log_softmax_bound(values, axis, mask, sink=sink)
        ref.assert_accurate(result, expected, dtype, bound=bound, flushed=xp.flushes_subnormals)
    for function, mean in [(softaxis.logsumexp, False), (softaxis.logmeanexp, True)]:
        expected, _ = ref.logsumexp(values, axis, where=mask, mean=mean)
        result = xp.numpy(xp.call(function)(x, axis=axis, where=where))
        largest = np.abs(values[mask & np.isfinite(values)]).max(initial=16)
        ref.assert_accurate(result, expected, dtype, bound=8, scale=float(largest) + 2)


@given(data=st.data())
def test_what_is_kept_sums_to_1(xp, data):
    x, dtype, axis = data.draw(inputs(xp, shapes=FULL_SHAPES))
    values = xp.numpy(x)
    mask = data.draw(hnp.arrays(bool, values.shape))
    p = xp.numpy(xp.call(softaxis.softmax)(x, axis=axis, where=xp.asarray(mask)))
    assert (p[~mask] == 0).all()
    sums = p.astype(np.float64).sum(axis=axis if axis != () else ())
    kept = mask.any(axis=axis if axis != () else ())
    # every one of up to 125 results may lose half a subnormal spacing
    rounding = float(125 * ref.TINY[dtype] * ref.EPS[dtype] / 2)
    assert (np.abs(sums - kept) <= 8 * eps_in_float64(dtype) + rounding).all()


@given(data=st.data())
def test_a_shift_of_the_row_changes_no_more_than_rounding(xp, data):
    dtype = data.draw(floats_of(xp))
    row = data.draw(hnp.arrays(np.int64, st.integers(1, 6), elements=st.integers(-20, 20)))
    shift = data.draw(st.integers(-100, 100))  # the sums are exact in every dtype
    x, shifted = xp.asarray(row, dtype), xp.asarray(row + shift, dtype)
    for function in (softaxis.softmax, softaxis.log_softmax):
        result, expected = (
            np.asarray(xp.numpy(xp.call(function)(a)), np.float64) for a in (shifted, x)
        )
        allowed = 2 * (8 + np.ptp(row)) * ref.EPS[dtype]  # each is within the documented bound
        np.testing.assert_allclose(result, expected, rtol=allowed, atol=0)


@given(data=st.data())
def test_a_permutation_permutes_the_result(xp, data):
    dtype = data.draw(floats_of(xp))
    row = data.draw(hnp.arrays(np.float64, st.integers(1, 8), elements=MODERATE))
    order = np.array(data.draw(st.permutations(range(len(row)))))
    x, permuted = xp.asarray(row, dtype), xp.asarray(row[order], dtype)
    first = xp.numpy(xp.call(softaxis.softmax)(x)).astype(np.float64)[order]
    second = xp.numpy(xp.call(softaxis.softmax)(permuted)).astype(np.float64)
    # the same terms are added in another order
    np.testing.assert_allclose(
        first,
        second,
        rtol=8 * eps_in_float64(dtype),
        atol=float(ref.TINY[dtype] * ref.EPS[dtype]),
    )


@given(data=st.data())
def test_softmin_mirrors_softmax(xp, data):
    x, dtype, axis = data.draw(inputs(xp))
    values = -xp.numpy(x)
    ref.assert_accurate(
        xp.numpy(xp.call(softaxis.softmin)(x, axis=axis)),
        ref.softmax(values, axis),
        dtype,
        bound=ref.softmax_bound(values, axis),
        flushed=xp.flushes_subnormals,
    )


@given(data=st.data())
def test_hardmax_marks_one_maximum_of_every_row(xp, data):
    x, dtype, axis = data.draw(inputs(xp, shapes=FULL_SHAPES))
    values = xp.numpy(x)
    result = xp.call(softaxis.hardmax)(x, axis=axis)
    assert xp.dtype_name(result) == dtype
    marks = xp.numpy(result)
    reduced = axis if axis != () else ()
    assert (marks.sum(axis=reduced) == 1).all()
    chosen = np.where(marks == 1, values, -inf).max(axis=reduced)
    assert (chosen == values.max(axis=reduced)).all()


@given(data=st.data())
def test_sigmoid_of_x_and_of_minus_x_sum_to_1(xp, data):
    x, dtype, _ = data.draw(inputs(xp))
    total = sum(xp.numpy(xp.call(softaxis.sigmoid)(a)).astype(np.float64) for a in (x, -x))
    assert (np.abs(total - 1) <= 4 * eps_in_float64(dtype)).all()


@given(data=st.data())
def test_integers_of_every_width(xp, data):
    dtype = data.draw(st.sampled_from([name for name in INTEGERS if xp.has_dtype(name)]))
    row = data.draw(hnp.arrays(dtype, st.integers(1, 5)))
    result = xp.numpy(xp.call(softaxis.softmax)(xp.asarray(row, dtype)))
    expected = ref.softmax(row.astype(xp.default_float))
    ref.assert_accurate(
        result, expected, xp.default_float, bound=800, flushed=xp.flushes_subnormals
    )


@given(data=st.data())
def test_cross_entropy_is_at_least_the_entropy(xp, data):
    logits, dtype, axis = data.draw(inputs(xp, shapes=FULL_SHAPES, single=True))
    values = xp.numpy(logits)
    y = softaxis.softmax(
        data.draw(hnp.arrays(np.float64, values.shape, elements=st.floats(-5, 5))), axis=axis
    )
    labels = xp.asarray(y, dtype)
    loss, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(logits, labels, axis=axis))
    given_y = xp.numpy(labels).astype(np.float64)
    entropy = -(given_y * np.log(np.where(given_y > 0, given_y, 1))).sum(axis=axis)
    assert (loss >= entropy - 64 * eps_in_float64(dtype) * (1 + np.abs(loss))).all()
    spread = np.abs(grad.astype(np.float64).sum(axis=axis))
    assert (spread <= 64 * eps_in_float64(dtype)).all()
