"""The backend, found as a user finds it: by calling softaxis on a sparse array."""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
import pytest
import sparse

import softaxis
from softaxis.testing import references
from softaxis.testing.references import assert_accurate

INF = np.inf
SHAPES = [(), (0,), (1,), (5,), (0, 3), (3, 0), (3, 4), (2, 3, 4)]
DTYPES = ["float32", "float64"]


def coo(values, dtype="float64"):
    return sparse.COO.from_numpy(np.asarray(values, dtype), fill_value=np.dtype(dtype).type(-INF))


def numbers(shape, dtype, stored=0.5):
    """Some numbers, most rows with a few and some with none."""
    rng = np.random.default_rng(len(shape) + sum(shape))
    x = rng.normal(scale=8, size=shape)
    return np.where(rng.random(shape) < stored, x, -INF).astype(dtype)


def axes_of(shape):
    every = range(len(shape))
    return [axes for k in range(len(shape) + 1) for axes in combinations(every, k)]


def masks(shape):
    """No mask, and one in each way to store it."""
    where = np.random.default_rng(3).random(shape) < 0.6
    yield None, None
    for fill in (False, True):
        yield where, sparse.COO.from_numpy(where, fill_value=np.bool_(fill))


def test_it_is_used_once_it_is_installed():
    explained = softaxis.explain_dispatch(softaxis.softmax, coo([1.0, 2.0]))
    assert explained.backend == "example"
    (status,) = (one for one in softaxis.list_backends(load=True) if one.name == "example")
    assert (status.package, status.state) == ("sparse", "ready")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_along_all_axes(shape, dtype):
    x = numbers(shape, dtype)
    for axis in axes_of(shape):
        for where, sparse_where in masks(shape):
            p = softaxis.softmax(coo(x, dtype), axis=axis, where=sparse_where)
            expected = references.softmax(x, axis, where)
            bound = references.softmax_bound(x, axis, where)
            assert_accurate(p.todense(), expected, dtype, bound=bound)
            q = softaxis.log_softmax(coo(x, dtype), axis=axis, where=sparse_where)
            expected = references.log_softmax(x, axis, where)
            bound = references.log_softmax_bound(x, axis, where)
            assert_accurate(q.todense(), expected, dtype, bound=bound)
            for keepdims in (False, True):
                options = {"axis": axis, "keepdims": keepdims}
                y = softaxis.logsumexp(coo(x, dtype), where=sparse_where, **options)
                expected, _ = references.logsumexp(x, where=where, **options)
                scale = 1 + abs(np.where(np.isfinite(x), x, 0)).max(initial=0)
                assert_accurate(y.todense(), expected, dtype, bound=8, scale=scale)
            assert p.dtype == q.dtype == y.dtype == dtype
            assert (p.fill_value, q.fill_value, y.fill_value) == (0, -INF, -INF)


@pytest.mark.parametrize("temperature", [0, 1e-50, 0.3, 5, INF])
@pytest.mark.parametrize("dtype", DTYPES)
def test_temperature(dtype, temperature):
    x = np.array([[1.0, 2.0, 2.0, -INF], [3.0, -INF, -INF, 3.5]], dtype)
    p = softaxis.softmax(coo(x, dtype), temperature=temperature).todense()
    if temperature in (0, 1e-50):
        assert p.tolist() == [[0, 0.5, 0.5, 0], [0, 0, 0, 1]]
    elif temperature == INF:
        assert_accurate(p, references.softmax(np.where(x > -INF, 0, x)), dtype, bound=4)
    else:
        exact = np.dtype(dtype).type(temperature)
        bound = references.softmax_bound(x, temperature=exact)
        assert_accurate(p, references.softmax(x, temperature=exact), dtype, bound=bound)


def test_a_temperature_brings_the_ends_of_the_range_together():
    p = softaxis.softmax(coo([1e308, -1e308]), temperature=1e308).todense()
    np.testing.assert_allclose(p, softaxis.softmax([1.0, -1.0]), rtol=1e-15)


def test_the_tails_are_kept():
    assert softaxis.log_softmax(coo([0, -20], "float32")).todense()[0] == np.float32(-2.0611537e-9)
    assert softaxis.logsumexp(coo([0.0, -40.0])).todense() == 4.248354255291589e-18


@pytest.mark.parametrize("special", [np.nan, INF])
@pytest.mark.parametrize("function", [softaxis.softmax, softaxis.log_softmax])
def test_spoilt_rows_are_nan_in_full(function, special):
    x = np.array([[special, 1.0, -INF], [-INF, 0.0, -INF], [-INF, -INF, -INF]])
    y = function(coo(x))
    assert np.isnan(y.todense()).tolist() == [[True] * 3, [False] * 3, [True] * 3]
    assert y.nnz == 3 + 1 + 3
    np.testing.assert_array_equal(softaxis.logsumexp(coo(x), axis=1).todense(), [special, 0, -INF])


def test_dtype_is_cast_to_last_when_it_is_narrower():
    x = coo([1e300, 1e300])
    p = softaxis.softmax(x, dtype=np.float32)
    assert p.dtype == np.float32
    assert p.todense().tolist() == [0.5, 0.5]
    assert softaxis.logsumexp(coo([1, 2], "float32"), dtype=np.float64).dtype == np.float64


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [10**5, 10**6])
def test_long_rows(count, dtype):
    row = np.full(count, 0.1, dtype)
    p = softaxis.softmax(coo(row, dtype)).todense()
    assert abs(p * count - 1).max() <= 4 * np.finfo(dtype).eps
    low = np.concatenate([[0], np.full(count, -14)]).astype(dtype)
    expected = float(np.log1p(count * np.exp(np.longdouble(-14))))
    error = softaxis.logsumexp(coo(low, dtype)).todense() / expected - 1
    assert abs(error) <= 8 * np.finfo(dtype).eps


@pytest.mark.parametrize("axis", [0, 1])
def test_the_bits_of_a_row_are_its_own(axis):
    x = numbers((40, 3000), "float32", stored=0.8)
    x = x if axis else x.T
    together = softaxis.softmax(coo(x, "float32"), axis=axis).todense()
    totals = softaxis.logsumexp(coo(x, "float32"), axis=axis).todense()
    for i in range(40):
        row = coo(x.take(i, 1 - axis), "float32")
        assert (softaxis.softmax(row).todense() == together.take(i, 1 - axis)).all()
        assert softaxis.logsumexp(row).todense() == totals[i]


def test_minus_infinity_is_the_same_stored_and_not():
    stored = sparse.COO([[0, 1, 2]], [1.0, -INF, 2.0], shape=(4,), fill_value=-INF)
    p = softaxis.softmax(stored)
    assert p.nnz == 2
    assert (p.todense() == softaxis.softmax(coo(stored.todense())).todense()).all()


def test_the_input_is_left_alone():
    x = coo(numbers((6, 7), "float64"))
    where = x > 0
    before = [a.copy() for a in (x.coords, x.data, where.coords, where.data)]
    for a in (x.coords, x.data, where.coords, where.data):
        a.flags.writeable = False
    for function in (softaxis.softmax, softaxis.log_softmax, softaxis.logsumexp):
        function(x, axis=0, where=where)
    for old, new in zip(before, (x.coords, x.data, where.coords, where.data), strict=True):
        assert (old == new).all()


def test_nothing_is_reported_to_the_error_state():
    x = coo([[-1e308, 1e308, 0], [np.nan, INF, 1], [-INF, -INF, -INF], [-800, 0, -750]])
    with np.errstate(all="raise"):
        for function in (softaxis.softmax, softaxis.log_softmax, softaxis.logsumexp):
            function(x)
            function(x, axis=0, dtype=np.float32)


def test_threads_get_the_same():
    x = coo(numbers((300, 200), "float64"))
    expected = softaxis.softmax(x).todense()
    with ThreadPoolExecutor(4) as pool:
        for p in pool.map(lambda _: softaxis.softmax(x).todense(), range(20)):
            np.testing.assert_array_equal(p, expected)


@pytest.mark.parametrize(
    ("x", "options", "reason"),
    [
        (sparse.COO.from_numpy(np.eye(2)), {}, "takes arrays whose fill_value is -inf, not 0.0"),
        (coo([1.0, 2.0]), {"sink": 0.0}, "takes no `sink`"),
        (coo([1.0]), {"temperature": coo([1.0])}, "takes one number as `temperature`"),
    ],
)
def test_what_is_declined_is_refused_with_a_reason_and_a_way_out(x, options, reason):
    with (
        softaxis.backend_opts(trace=True) as trace,
        pytest.raises(TypeError, match=r"sparse.*COO.*`x.todense\(\)`"),
    ):
        softaxis.softmax(x, **options)
    assert ("softaxis:softmax", "example", "declined", reason) in trace
