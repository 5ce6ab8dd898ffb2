"""The numpy backend: what it holds in memory, and bits that depend on a row alone."""

import tracemalloc

import numpy as np
import pytest

import softaxis

MEBI = 1 << 20


@pytest.fixture(autouse=True)
def numpy_backend():
    with softaxis.backend_opts(prioritize="numpy"):
        yield


def numbers(shape, dtype="float64"):
    return (np.random.default_rng(0).standard_normal(shape) * 3).astype(dtype)


def peak(function, *arguments, **keywords):
    """Return the most memory that a call holds at once, in bytes."""
    tracemalloc.start()
    try:
        function(*arguments, **keywords)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


LARGE = {
    "a row": (lambda: numbers(10**7), -1),
    "a row of float16": (lambda: numbers(10**7, "float16"), -1),
    "a row of integers": (lambda: numbers(3 * 10**6).astype("int64"), -1),
    "rows": (lambda: numbers((1024, 8000)), -1),
    "columns": (lambda: numbers((2000, 4096)), 0),
    "columns of float16": (lambda: numbers((2000, 4096), "float16"), 0),
    "three columns": (lambda: numbers((10**6, 3)), 0),
    "a middle axis": (lambda: numbers((64, 300, 256)), 1),
    "every other": (lambda: numbers((1000, 6000))[:, ::2], -1),
    "axes swapped": (lambda: numbers((30, 400, 500)).transpose(0, 2, 1), -1),
}


@pytest.mark.parametrize("function", ["softmax", "log_softmax"])
@pytest.mark.parametrize("case", LARGE)
def test_no_more_than_8_mebibytes_beside_the_result(function, case):
    make, axis = LARGE[case]
    x = make()
    result = getattr(softaxis, function)(x[:1], axis=-1)  # import and decide beforehand
    assert peak(getattr(softaxis, function), x, axis=axis) < x.size * result.itemsize + 8 * MEBI


@pytest.mark.parametrize("case", LARGE)
def test_logsumexp_holds_no_more_than_8_mebibytes(case):
    make, axis = LARGE[case]
    x = make()
    softaxis.logsumexp(x[:1], axis=-1)
    assert peak(softaxis.logsumexp, x, axis=axis) < 8 * MEBI


@pytest.mark.parametrize("offset", [0.0, -5.0, 9.0, 200.0])
@pytest.mark.parametrize("n", [1, 7, 8, 20, 129, 300, 1000, 40_000, 140_000])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp"])
def test_the_bits_of_a_row_depend_on_the_row_alone(function, dtype, n, offset):
    f = getattr(softaxis, function)
    x = numbers((5, n)).astype(dtype) + np.dtype(dtype).type(offset)
    x[1] += 60
    x[2, 0] += 30  # one element dominates
    alone = np.stack([f(row, axis=0) for row in x])
    across = np.ascontiguousarray(x.T)
    np.testing.assert_array_equal(f(x, axis=1), alone)
    np.testing.assert_array_equal(f(across, axis=0).T, alone)
    np.testing.assert_array_equal(f(across[None], axis=1)[0].T, alone)
    np.testing.assert_array_equal(f(np.repeat(x, 2, axis=1)[:, ::2], axis=1), alone)
    np.testing.assert_array_equal(f(np.asfortranarray(x), axis=1), alone)
