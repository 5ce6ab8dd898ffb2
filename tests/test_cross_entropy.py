"""cross_entropy and cross_entropy_and_grad: labels, weights, smoothing, reductions and corners."""

import numpy as np
import pytest
from cases import FLOATS, INTEGERS, spread

import softaxis
from softaxis.testing import references as ref

inf, nan = float("inf"), float("nan")
LOGITS = spread((5, 4))
LABELS = np.array([3, 0, 1, 1, 2])
CLASS_WEIGHTS = np.array([0.5, 2.0, 0.0, 1.25])
MASK = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0], [1, 1, 1, 0]], dtype=bool)


def probabilities(shape, seed=5, axis=-1):
    """Draw rows of probabilities, one of them with zeros in it."""
    p = np.exp(spread(shape, seed))
    p[(0,) * len(shape)] = 0.0
    return p / p.sum(axis=axis, keepdims=True)


def check(xp, x, labels, target, *, axis=-1, bound=12, **options):
    """Compare loss and gradient with the reference, for every reduction that `options` allow."""
    dtype = xp.dtype_name(x)
    reference_options = {name: options[name] for name in options if name != "ignore_index"}
    given = {
        name: xp.asarray(option) if isinstance(option, np.ndarray) else option
        for name, option in options.items()
    }
    losses, slopes = ref.cross_entropy(xp.numpy(x), target, axis, **reference_options)
    size = np.max(ref.magnitude(losses), initial=1)
    result = xp.call(softaxis.cross_entropy)(x, labels, axis=axis, **given)
    loss, grad = xp.call(softaxis.cross_entropy_and_grad)(x, labels, axis=axis, **given)
    assert [xp.dtype_name(a) for a in (result, loss, grad)] == [dtype] * 3
    ref.assert_accurate(xp.numpy(result), losses, dtype, bound=bound)
    np.testing.assert_array_equal(xp.numpy(loss), xp.numpy(result))
    largest = np.max(ref.magnitude(slopes), initial=1)
    ref.assert_accurate(xp.numpy(grad), slopes, dtype, bound=bound, scale=largest)
    sum_, grad = xp.call(softaxis.cross_entropy_and_grad)(
        x, labels, axis=axis, reduction="sum", **given
    )
    total = np.array(ref.mp.fsum(losses.reshape(-1)), dtype=object)
    ref.assert_accurate(xp.numpy(sum_), total, dtype, bound=bound, scale=size * losses.size)
    ref.assert_accurate(xp.numpy(grad), slopes, dtype, bound=bound, scale=largest)


@pytest.mark.parametrize("dtype", FLOATS)
def test_integer_labels(xp, dtype):
    x = xp.asarray(LOGITS, dtype)
    check(xp, x, xp.asarray(LABELS), ref.one_hot(LABELS, 4))


@pytest.mark.parametrize("dtype", FLOATS)
def test_probability_labels(xp, dtype):
    x, y = xp.asarray(LOGITS, dtype), xp.asarray(probabilities((5, 4)), dtype)
    check(xp, x, y, xp.numpy(y))


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((4,), 0), ((4,), -1), ((4, 5), 0), ((2, 4, 3), 1), ((2, 3, 4), -1), ((4, 1), 0), ((1, 4), 1)],
    ids=str,
)
def test_along_an_axis(xp, shape, axis):
    classes = shape[axis]
    labels_shape = tuple(np.delete(shape, axis))
    labels = np.random.default_rng(3).integers(0, classes, labels_shape)
    x = xp.asarray(spread(shape))
    check(xp, x, xp.asarray(labels), ref.one_hot(labels, classes, axis), axis=axis)
    y = xp.asarray(probabilities(shape, axis=axis))
    check(xp, x, y, xp.numpy(y), axis=axis)


def test_one_class_costs_nothing(xp):
    x, labels = xp.asarray([[3.0], [-7.0]]), xp.asarray([0, 0])
    loss, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(x, labels))
    assert loss.tolist() == [0.0, 0.0]
    assert grad.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_labels_of_every_integer_dtype(xp, dtype):
    if not xp.has_dtype("int64") and dtype == "uint32":
        dtype = "uint16"
    x = xp.asarray(LOGITS)
    expected = xp.numpy(xp.call(softaxis.cross_entropy)(x, xp.asarray(LABELS)))
    result = xp.numpy(xp.call(softaxis.cross_entropy)(x, xp.asarray(LABELS, dtype)))
    np.testing.assert_array_equal(result, expected)


def test_rows_that_do_not_sum_to_1_weigh_the_loss(xp):
    x, y = xp.asarray([[1.0, 2.0, 0.5]]), xp.asarray([[2.0, 0.0, 1.0]])
    check(xp, x, y, xp.numpy(y))
    x, y = xp.asarray([[1.0, 2.0, 0.5]]), xp.asarray([[0.0, 0.0, 0.0]])
    loss, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(x, y))
    assert loss.tolist() == [0.0]
    assert grad.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    "options",
    [
        {"where": MASK},
        {"class_weights": CLASS_WEIGHTS},
        {"label_smoothing": 0.1},
        {"label_smoothing": 1.0, "z_loss": 0.0},
        {"z_loss": 0.25},
        {"where": MASK, "label_smoothing": 0.3},
        {"where": MASK, "class_weights": CLASS_WEIGHTS},
        {"class_weights": CLASS_WEIGHTS, "label_smoothing": 0.2},
        {"where": MASK, "z_loss": 0.5},
        {"where": MASK, "class_weights": CLASS_WEIGHTS, "label_smoothing": 0.2, "z_loss": 0.1},
    ],
    ids="+".join,
)
@pytest.mark.parametrize("soft", [False, True])
def test_the_options(xp, options, soft):
    x = xp.asarray(LOGITS)
    if soft:
        target = probabilities((5, 4)) * options.get("where", True)
        y = xp.asarray(target / target.sum(axis=1, keepdims=True))
        check(xp, x, y, xp.numpy(y), **options)
    else:
        check(xp, x, xp.asarray(LABELS), ref.one_hot(LABELS, 4), **options)


def test_a_mask_of_fewer_dimensions(xp):
    x, labels = xp.asarray(LOGITS), xp.asarray(np.array([0, 0, 2, 2, 0]))
    mask = np.array([True, False, True, True])
    check(xp, x, labels, ref.one_hot([0, 0, 2, 2, 0], 4), where=mask)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_mean_divides_by_what_counts(xp, soft, weighted):
    x = xp.asarray(LOGITS)
    target = probabilities((5, 4)) if soft else ref.one_hot(LABELS, 4)
    labels = xp.asarray(target if soft else LABELS)
    options = {"class_weights": CLASS_WEIGHTS} if weighted else {}
    losses, slopes = ref.cross_entropy(xp.numpy(x), target, **options)
    divisor = ref.mp.mpf(5)
    given = {}
    if weighted:
        divisor = ref.mp.fsum((ref.objects(target) * ref.objects(CLASS_WEIGHTS)).reshape(-1))
        given = {"class_weights": xp.asarray(CLASS_WEIGHTS)}
    dtype = xp.dtype_name(x)
    loss, grad = xp.call(softaxis.cross_entropy_and_grad)(x, labels, reduction="mean", **given)
    expected = np.array(ref.mp.fsum(losses) / divisor, dtype=object)
    ref.assert_accurate(xp.numpy(loss), expected, dtype, bound=16)
    ref.assert_accurate(xp.numpy(grad), slopes / divisor, dtype, bound=16, scale=1)
    alone = xp.call(softaxis.cross_entropy)(x, labels, reduction="mean", **given)
    np.testing.assert_array_equal(xp.numpy(alone), xp.numpy(loss))
    assert xp.numpy(alone).shape == ()


def test_integer_labels_and_one_hot_rows_have_the_same_mean(xp):
    x, given = xp.asarray(LOGITS), {"class_weights": xp.asarray(CLASS_WEIGHTS)}
    for options in ({}, given, {"label_smoothing": 0.1, **given}):
        function = xp.call(softaxis.cross_entropy)
        hard = xp.numpy(function(x, xp.asarray(LABELS), reduction="mean", **options))
        one_hot = xp.asarray(ref.one_hot(LABELS, 4))
        soft = xp.numpy(function(x, one_hot, reduction="mean", **options))
        assert abs(hard - soft) <= 8 * ref.EPS[xp.dtype_name(x)] * abs(hard)


@pytest.mark.parametrize("ignored", [-100, -1, 7, 2])
def test_ignored_rows(xp, ignored):
    labels = np.array([3, ignored, 1, ignored, 0])
    values = LOGITS.copy()
    values[1], values[3] = nan, [inf, -inf, nan, 0]  # whatever they hold
    x, y = xp.asarray(values), xp.asarray(labels)
    function = xp.call(softaxis.cross_entropy_and_grad)
    loss, grad = xp.numpy(function(x, y, ignore_index=ignored))
    losses, slopes = ref.cross_entropy(xp.numpy(x)[[0, 2, 4]], ref.one_hot([3, 1, 0], 4))
    dtype = xp.dtype_name(x)
    assert loss[[1, 3]].tolist() == [0.0, 0.0]
    assert not grad[[1, 3]].any()
    ref.assert_accurate(loss[[0, 2, 4]], losses, dtype, bound=8)
    ref.assert_accurate(grad[[0, 2, 4]], slopes, dtype, bound=8, scale=1)
    mean, mean_grad = xp.numpy(function(x, y, ignore_index=ignored, reduction="mean"))
    expected = np.array(ref.mp.fsum(losses) / 3, dtype=object)
    ref.assert_accurate(mean, expected, dtype, bound=12)
    ref.assert_accurate(mean_grad[[0, 2, 4]], slopes / 3, dtype, bound=12, scale=1)
    assert not mean_grad[[1, 3]].any()


def test_ignored_rows_leave_the_sum_of_class_weights(xp):
    x, y = xp.asarray(LOGITS[:3]), xp.asarray([3, -1, 1])
    weights = xp.asarray(CLASS_WEIGHTS)
    losses, _ = ref.cross_entropy(
        xp.numpy(x)[[0, 2]], ref.one_hot([3, 1], 4), class_weights=CLASS_WEIGHTS
    )
    result = xp.call(softaxis.cross_entropy)(
        x, y, ignore_index=-1, class_weights=weights, reduction="mean"
    )
    expected = np.array(ref.mp.fsum(losses) / (1.25 + 2.0), dtype=object)
    ref.assert_accurate(xp.numpy(result), expected, xp.dtype_name(x), bound=12)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_no_row_that_counts(xp, reduction):
    x, y = xp.asarray(LOGITS[:2]), xp.asarray([-1, -1])
    function = xp.call(softaxis.cross_entropy_and_grad)
    loss, grad = xp.numpy(function(x, y, ignore_index=-1, reduction=reduction))
    assert loss == 0.0
    assert not grad.any()
    loss, grad = xp.numpy(
        function(x, y, ignore_index=-1, reduction=reduction, z_loss=0.5, label_smoothing=0.1)
    )
    assert loss == 0.0
    assert not grad.any()


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_no_rows_at_all(xp, reduction):
    x, y = xp.asarray(np.zeros((0, 4))), xp.asarray(np.zeros(0, dtype=int))
    loss, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(x, y, reduction=reduction))
    assert loss.tolist() == ([] if reduction == "none" else 0.0)
    assert grad.shape == (0, 4)


def test_an_ignored_label_that_the_dtype_cannot_hold(xp):
    x, y = xp.asarray(LOGITS), xp.asarray(LABELS, "uint8")
    plain = xp.numpy(xp.call(softaxis.cross_entropy)(x, y))
    result = xp.numpy(xp.call(softaxis.cross_entropy)(x, y, ignore_index=-100))
    np.testing.assert_array_equal(result, plain)


LARGEST = 2**64 - 1
"""As a signed integer of 64 bits it would be -1."""


def labels_with_the_largest(xp, dtype):
    labels = LABELS.astype(dtype)
    labels[1] = LARGEST
    return xp.asarray(labels, dtype)


@pytest.mark.parametrize("dtype", ["uint64"])
def test_the_largest_label_there_is_can_be_ignored(xp, dtype):
    x, signed = xp.asarray(LOGITS), LABELS.copy()
    unsigned = labels_with_the_largest(xp, dtype)
    signed[1] = -1
    function = xp.call(softaxis.cross_entropy_and_grad)
    for reduction in ("none", "mean"):
        expected = function(x, xp.asarray(signed), ignore_index=-1, reduction=reduction)
        found = function(x, unsigned, ignore_index=LARGEST, reduction=reduction)
        for got, want in zip(xp.numpy(found), xp.numpy(expected), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.needs("reading")
@pytest.mark.parametrize("dtype", ["uint64"])
@pytest.mark.parametrize("ignored", [None, -1, 2**63, 7])
def test_the_largest_label_there_is_names_no_class(xp, dtype, ignored):
    unsigned = labels_with_the_largest(xp, dtype)
    with pytest.raises(ValueError, match=rf"`labels`.*got {LARGEST}"):
        softaxis.cross_entropy(xp.asarray(LOGITS), unsigned, ignore_index=ignored)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("gap", [5.0, 20.0, 40.0, 80.0])
@pytest.mark.parametrize("dtype", FLOATS)
def test_near_certainty(xp, label, gap, dtype):
    x = xp.asarray([[0.0, -gap]], dtype)
    for labels in (xp.asarray([label]), xp.asarray(ref.one_hot([label], 2), dtype)):
        loss, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(x, labels))
        losses, slopes = ref.cross_entropy(xp.numpy(x), ref.one_hot([label], 2))
        # 8 eps, and for the most likely class 8 + its distance to the runner-up
        ref.assert_accurate(loss, losses, dtype, bound=8 + gap, flushed=xp.flushes_subnormals)
        ref.assert_accurate(grad, slopes, dtype, bound=8 + gap, flushed=xp.flushes_subnormals)


@pytest.mark.parametrize("offset", [1e8, -1e8, 1e30])
def test_a_common_offset_cancels_nothing(xp, offset):
    x, y = xp.asarray([[offset, offset]]), xp.asarray([1])
    dtype = xp.dtype_name(x)
    expected = np.array([ref.mp.log(2)], dtype=object)
    ref.assert_accurate(xp.numpy(xp.call(softaxis.cross_entropy)(x, y)), expected, dtype, bound=8)
    y = xp.asarray([[0.5, 0.5]])
    ref.assert_accurate(xp.numpy(xp.call(softaxis.cross_entropy)(x, y)), expected, dtype, bound=8)


def test_zero_times_log_zero_is_zero(xp):
    x = xp.asarray([[0.5, -inf, 1.0]])
    y = xp.asarray([[0.5, 0.0, 0.5]])
    loss, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(x, y))
    losses, slopes = ref.cross_entropy([[0.5, 1.0]], [[0.5, 0.5]])
    ref.assert_accurate(loss, losses, xp.dtype_name(x), bound=8)
    ref.assert_accurate(grad[:, [0, 2]], slopes, xp.dtype_name(x), bound=8, scale=1)
    assert grad[0, 1] == 0.0
    loss = xp.numpy(xp.call(softaxis.cross_entropy)(x, xp.asarray([2])))
    losses, _ = ref.cross_entropy([[0.5, 1.0]], [[0.0, 1.0]])
    ref.assert_accurate(loss, losses, xp.dtype_name(x), bound=8)


def test_a_label_on_a_masked_class_or_a_class_of_minus_infinity_costs_infinity(xp):
    where = xp.asarray([[True, False, True]])
    loss = xp.numpy(
        xp.call(softaxis.cross_entropy)(xp.asarray([[0.5, 9.0, 1.0]]), xp.asarray([1]), where=where)
    )
    assert loss.tolist() == [inf]
    x = xp.asarray([[0.5, -inf, 1.0]])
    for labels in (xp.asarray([1]), xp.asarray([[0.5, 0.5, 0.0]])):
        assert xp.numpy(xp.call(softaxis.cross_entropy)(x, labels)).tolist() == [inf]


@pytest.mark.parametrize("hidden", [nan, inf, -inf, 1e30])
def test_a_masked_class_does_not_leak(xp, hidden):
    where = np.array([[True, False, True]])
    options = {"where": xp.asarray(where), "label_smoothing": 0.1, "z_loss": 0.1}
    function = xp.call(softaxis.cross_entropy_and_grad)
    for labels in (xp.asarray([2]), xp.asarray([[0.25, 0.0, 0.75]])):
        clean = xp.numpy(function(xp.asarray([[0.5, 0.0, 1.0]]), labels, **options))
        result = xp.numpy(function(xp.asarray([[0.5, hidden, 1.0]]), labels, **options))
        np.testing.assert_array_equal(result[0], clean[0])
        np.testing.assert_array_equal(result[1], clean[1])
        assert result[1][0, 1] == 0.0


def test_a_row_without_a_class_has_gradient_zero(xp):
    x, where = xp.asarray([[1.0, 2.0], [1.0, 2.0]]), xp.asarray([[False, False], [True, True]])
    for labels in (xp.asarray([0, 0]), xp.asarray([[0.0, 0.0], [1.0, 0.0]])):
        _, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(x, labels, where=where))
        assert grad[0].tolist() == [0.0, 0.0]
        assert np.isfinite(grad[1]).all()


@pytest.mark.parametrize("row", [[1.0, nan], [1.0, inf], [-inf, -inf]], ids=str)
def test_a_spoilt_row_spoils_its_loss_only(xp, row):
    x, y = xp.asarray([row, [1.0, 2.0]]), xp.asarray([0, 0])
    loss, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(x, y))
    assert np.isnan(loss[0]) or (loss[0] == inf and row != [1.0, nan])
    losses, slopes = ref.cross_entropy([[1.0, 2.0]], [[1.0, 0.0]])
    ref.assert_accurate(loss[1:], losses, xp.dtype_name(x), bound=8)
    ref.assert_accurate(grad[1:], slopes, xp.dtype_name(x), bound=8, scale=1)


@pytest.mark.needs("reading")
@pytest.mark.parametrize("wrong", [-1, 4, 100, -4, -100])
@pytest.mark.parametrize("function", [softaxis.cross_entropy, softaxis.cross_entropy_and_grad])
def test_a_label_outside_is_refused_where_it_can_be_seen(xp, wrong, function):
    labels = LABELS.copy()
    labels[2] = wrong
    with pytest.raises(ValueError, match=rf"`labels`.*{wrong}"):
        function(xp.asarray(LOGITS), xp.asarray(labels))
    with pytest.raises(ValueError, match=rf"`labels`.*{wrong}"):
        function(xp.asarray(LOGITS), xp.asarray(labels), ignore_index=3)


@pytest.mark.only("values unseen")
@pytest.mark.parametrize("wrong", [-1, 4, 100, -4, -100])
def test_a_label_outside_is_nan_where_it_cannot_be_seen(xp, wrong):
    labels = LABELS.copy()
    labels[2] = wrong
    x, y = xp.asarray(LOGITS), xp.asarray(labels)
    loss, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(x, y))
    assert np.isnan(loss[2])
    assert np.isnan(grad[2]).all()
    others = [0, 1, 3, 4]
    losses, slopes = ref.cross_entropy(xp.numpy(x)[others], ref.one_hot(LABELS[others], 4))
    ref.assert_accurate(loss[others], losses, xp.dtype_name(x), bound=12)
    ref.assert_accurate(grad[others], slopes, xp.dtype_name(x), bound=12, scale=1)


@pytest.mark.parametrize("soft", [False, True])
def test_integer_logits_become_the_default_float(xp, soft):
    x = xp.asarray([[1, 2, 200]], "uint8")
    y = xp.asarray([[0.0, 1.0, 0.0]], xp.default_float) if soft else xp.asarray([1])
    loss, grad = xp.call(softaxis.cross_entropy_and_grad)(x, y)
    assert xp.dtype_name(loss) == xp.dtype_name(grad) == xp.default_float
    assert xp.numpy(loss).tolist() == [198.0]
    assert xp.numpy(grad).tolist()[0][1:] == [-1.0, 1.0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_long_rows_are_summed_in_float32_or_wider(xp, dtype):
    classes = 70000
    x, y = xp.asarray(np.zeros((1, classes)), dtype), xp.asarray([7])
    expected = np.array([ref.mp.log(classes)], dtype=object)
    result = xp.numpy(xp.call(softaxis.cross_entropy)(x, y))
    ref.assert_accurate(result, expected, dtype, bound=1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_long_batches_are_summed_in_float32_or_wider(xp, dtype):
    rows = 70000
    x, y = xp.asarray(np.zeros((rows, 2)), dtype), xp.asarray(np.zeros(rows, dtype=int))
    expected = np.array(ref.mp.log(2), dtype=object)
    result = xp.numpy(xp.call(softaxis.cross_entropy)(x, y, reduction="mean"))
    ref.assert_accurate(result, expected, dtype, bound=1)


def test_the_reference_gradient_is_the_derivative_of_the_reference_loss():
    options = {"class_weights": CLASS_WEIGHTS, "label_smoothing": 0.2, "z_loss": 0.1}
    target = ref.one_hot([1], 4)
    row = [0.5, -1.0, 2.0, 0.1]
    _, slopes = ref.cross_entropy([row], target, where=[True, True, False, True], **options)
    step = 2.0**-20
    for j in range(4):
        ends = []
        for sign in (1, -1):
            moved = np.array([row])
            moved[0, j] += sign * step
            loss, _ = ref.cross_entropy(moved, target, where=[True, True, False, True], **options)
            ends.append(loss[0])
        assert abs((ends[0] - ends[1]) / (2 * step) - slopes[0, j]) < 1e-10
