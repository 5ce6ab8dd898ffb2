"""The bounds of the table of accuracy, in eps of the result, against mpmath.

Rows are long, offset, wide or nearly certain; float16 rows have 70000 terms.
"""

import math

import numpy as np
import pytest
from cases import FLOATS, spread

import softaxis
from softaxis.testing import references as ref

PAIRS = [
    (function, reference, bound)
    for function, reference, bound in [
        (softaxis.softmax, ref.softmax, ref.softmax_bound),
        (softaxis.log_softmax, ref.log_softmax, ref.log_softmax_bound),
    ]
]
PAIR = pytest.mark.parametrize(
    ("function", "reference", "bound"), PAIRS, ids=["softmax", "log_softmax"]
)


def hard_batches():
    """Draw rows of 3 to 600 elements: normal, offset, wide, skewed, nearly certain, tied."""
    rng = np.random.default_rng(12)
    return {
        "normal": rng.standard_normal((4, 300)),
        "offset": 1000 + rng.standard_normal((4, 300)),
        "large-offset": -30000 + 8 * rng.standard_normal((2, 100)),
        "wide": rng.uniform(-300, 300, (3, 200)),
        "wider": rng.uniform(-1e4, 1e4, (3, 100)),
        "skewed": -rng.exponential(10, (3, 300)),
        "nearly-certain": np.concatenate([np.full((3, 1), 5.0), rng.uniform(-60, -10, (3, 99))], 1),
        "tied": rng.integers(0, 4, (3, 300)) * 1.0,
        "all-but-one": np.where(np.arange(600) == 7, 30.0, 0.0)[None],
        "short": rng.standard_normal((30, 3)) * 5,
        "powers-of-two": np.log(2.0) * rng.integers(-40, 0, (3, 50)),
    }


BATCHES = hard_batches()
BATCH = pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)


@PAIR
@BATCH
@pytest.mark.parametrize("dtype", FLOATS)
def test_normalizers(xp, function, reference, bound, batch, dtype):
    x = xp.asarray(batch, dtype)
    ref.assert_accurate(
        xp.numpy(xp.call(function)(x)),
        reference(xp.numpy(x)),
        dtype,
        bound=bound(xp.numpy(x)),
        flushed=xp.flushes_subnormals,
    )


@BATCH
@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax_sums_to_1(xp, batch, dtype):
    result = ref.objects(xp.numpy(xp.call(softaxis.softmax)(xp.asarray(batch, dtype))))
    # 8 eps; rounding every one of n elements of a narrow dtype adds n/2 subnormal spacings
    rounding = result.shape[1] * ref.EPS[dtype] * ref.TINY[dtype] / 2
    allowed = 8 * ref.EPS[dtype] + rounding
    if xp.flushes_subnormals:
        allowed += result.shape[1] * ref.TINY[dtype]
    for row in result:
        assert abs(ref.mp.fsum(row) - 1) <= allowed


@BATCH
@pytest.mark.parametrize("dtype", FLOATS)
def test_logsumexp(xp, batch, dtype):
    x = xp.asarray(batch, dtype)
    expected, _ = ref.logsumexp(xp.numpy(x), 1)
    top = np.max(np.abs(np.max(xp.numpy(x).astype(np.longdouble), axis=1, keepdims=True)), axis=1)
    scale = np.maximum(np.maximum(ref.magnitude(expected), ref.objects(top)), 1)
    result = xp.numpy(xp.call(softaxis.logsumexp)(x, axis=1))
    ref.assert_accurate(result, expected, dtype, bound=8, scale=scale)
    mean, _ = ref.logsumexp(xp.numpy(x), 1, mean=True)
    scale = np.maximum(np.maximum(ref.magnitude(mean), ref.objects(top)), math.log(x.shape[1]))
    result = xp.numpy(xp.call(softaxis.logmeanexp)(x, axis=1))
    ref.assert_accurate(result, mean, dtype, bound=8, scale=np.maximum(scale, 1))


@PAIR
@pytest.mark.parametrize("axis", [0, 1, (0, 2)], ids=str)
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_axis_does_not_cost_accuracy(xp, function, reference, bound, axis, dtype):
    x = xp.asarray(spread((40, 9, 3), scale=4.0), dtype)
    ref.assert_accurate(
        xp.numpy(xp.call(function)(x, axis=axis)),
        reference(xp.numpy(x), axis),
        dtype,
        bound=bound(xp.numpy(x), axis),
        flushed=xp.flushes_subnormals,
    )


@pytest.mark.parametrize("gap", [0.5, 5.0, 20.0, 40.0, 80.0, 200.0, 700.0])
@pytest.mark.parametrize("dtype", FLOATS)
def test_relative_accuracy_where_one_element_dominates(xp, gap, dtype):
    for row in ([0.0, -gap], [-gap, 0.0], [-gap, 0.0, -gap, -gap - 1]):
        x = xp.asarray(row, dtype)
        expected, _ = ref.logsumexp(xp.numpy(x))
        result = xp.numpy(xp.call(softaxis.logsumexp)(x))
        # exp(-gap) itself is known to gap eps in the arithmetic of the dtype
        ref.assert_accurate(result, expected, dtype, bound=8 + gap, flushed=xp.flushes_subnormals)
        result = xp.numpy(xp.call(softaxis.log_softmax)(x))
        ref.assert_accurate(
            result,
            ref.log_softmax(xp.numpy(x)),
            dtype,
            bound=ref.log_softmax_bound(xp.numpy(x)),
            flushed=xp.flushes_subnormals,
        )


@pytest.mark.needs("float64")
def test_the_example_of_the_table_in_float64(xp):
    result = float(xp.numpy(xp.call(softaxis.logsumexp)(xp.asarray([0.0, -40.0], "float64"))))
    assert result == pytest.approx(4.248354255291589e-18, rel=1e-14)


def test_the_example_of_the_table_in_float32(xp):
    result = xp.numpy(xp.call(softaxis.log_softmax)(xp.asarray([0.0, -20.0], "float32")))
    assert float(result[0]) == pytest.approx(-2.061153620314381e-09, rel=1e-6)


@pytest.mark.needs("float64")
@pytest.mark.parametrize("axis", [0, 1])
def test_a_row_of_some_thousand_elements_in_float64(xp, axis):
    values = spread((4000, 1), seed=8, scale=2.0)
    x = xp.asarray(values if axis == 0 else values.T, "float64")
    for function, reference, bound in PAIRS:
        result = xp.numpy(xp.call(function)(x, axis=axis)).reshape(-1)
        ref.assert_accurate(result, reference(values[:, 0]), "float64", bound=bound(values[:, 0]))
    expected, _ = ref.logsumexp(values)
    result = xp.numpy(xp.call(softaxis.logsumexp)(x))
    ref.assert_accurate(result, expected, "float64", bound=8, scale=max(1, np.max(values)))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kind", ["normal", "equal", "rising"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_long_rows_in_narrow_dtypes(xp, axis, kind, dtype):
    """Rows of 200000, compared with float64 sums by math.fsum: exact at these precisions."""
    length = 200_000
    values = {
        "normal": spread(length, seed=4),
        "equal": np.full(length, 0.1),
        "rising": np.linspace(-20.0, 0.0, length),
    }[kind]
    x = xp.asarray(np.stack([values, -values], axis=1 - axis), dtype)
    rows = np.moveaxis(xp.numpy(x), axis, -1).astype(np.float64)
    p = np.moveaxis(xp.numpy(xp.call(softaxis.softmax)(x, axis=axis)), axis, -1)
    logp = np.moveaxis(xp.numpy(xp.call(softaxis.log_softmax)(x, axis=axis)), axis, -1)
    lse = xp.numpy(xp.call(softaxis.logsumexp)(x, axis=axis))
    eps, tiny = ref.EPS[dtype], ref.TINY[dtype]
    for i, row in enumerate(rows):
        top = row.max()
        log_total = math.log(math.fsum(np.exp(row - top)))
        expected = np.exp(row - top - log_total)
        spacing = tiny if xp.flushes_subnormals else tiny * eps
        allowed = (4 + top - row) * eps * expected + np.where(expected < 2 * tiny, spacing, 0)
        assert (np.abs(p[i] - expected) <= allowed).all()
        assert abs(math.fsum(p[i]) - 1) <= 8 * eps + length * tiny * eps / 2
        expected = row - top - log_total
        assert (np.abs(logp[i] - expected) <= 8 * eps * np.abs(expected)).all()
        expected = top + log_total
        assert abs(lse[i] - expected) <= 8 * eps * max(1, abs(top), abs(expected))


@pytest.mark.parametrize("count", [2049, 65537, 70000])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_equal_terms_beyond_the_range_of_float16(xp, count, axis, dtype):
    x = xp.asarray(np.full((count, 1) if axis == 0 else (1, count), 1.5), dtype)
    result = xp.numpy(xp.call(softaxis.softmax)(x, axis=axis)).reshape(-1)
    expected = np.array([ref.mp.mpf(1) / count], dtype=object)
    assert (result == result[0]).all()
    ref.assert_accurate(result[:1], expected, dtype, bound=1)
    result = xp.numpy(xp.call(softaxis.logsumexp)(x))
    expected = np.array(ref.mp.log(count) + 1.5, dtype=object)
    ref.assert_accurate(result, expected, dtype, bound=1)


@pytest.mark.parametrize("dtype", FLOATS)
def test_cross_entropy(xp, dtype):
    rng = np.random.default_rng(3)
    for name, batch in BATCHES.items():
        if name in {"wider", "all-but-one"}:
            continue  # losses beyond float16, and a row of 600
        x = xp.asarray(batch, dtype)
        labels = rng.integers(0, batch.shape[1], batch.shape[0])
        target = ref.one_hot(labels, batch.shape[1])
        losses, slopes = ref.cross_entropy(xp.numpy(x), target)
        gaps = ref.log_softmax_bound(xp.numpy(x))[target == 1]
        loss, grad = xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(x, xp.asarray(labels)))
        ref.assert_accurate(loss, losses, dtype, bound=gaps, flushed=xp.flushes_subnormals)
        ref.assert_accurate(grad, slopes, dtype, bound=8, scale=1)


@pytest.mark.parametrize("dtype", FLOATS)
def test_derivatives(xp, dtype):
    for name in ("normal", "offset", "short", "nearly-certain", "tied"):
        x = xp.numpy(xp.asarray(BATCHES[name], dtype))
        exact = ref.softmax(x)
        p = xp.asarray(ref.rounded(exact, dtype), dtype)
        g = xp.asarray(spread(x.shape, seed=6), dtype)
        terms = exact * ref.objects(xp.numpy(g))
        dot = np.sum(terms, axis=1, keepdims=True)
        scale = np.maximum(
            np.max(ref.magnitude(terms), axis=1, keepdims=True),
            np.max(exact, axis=1, keepdims=True) * ref.magnitude(dot),
        )
        expected = terms - exact * dot
        for function in (softaxis.softmax_vjp, softaxis.softmax_jvp):
            result = xp.numpy(xp.call(function)(p, g))
            ref.assert_accurate(
                result, expected, dtype, bound=8, scale=scale, flushed=xp.flushes_subnormals
            )
