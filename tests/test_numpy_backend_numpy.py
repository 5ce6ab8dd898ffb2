"""The numpy backend: what it holds in memory, and bits that depend on a row alone."""

import gc
import tracemalloc

import numpy as np
import pytest

import softaxis
from softaxis.testing import references as ref

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
    x[3, -1] = x[3].max()  # two do, and they may be in different parts of the row
    x[4, n // 2 :] = x[4, 0]
    alone = np.stack([f(row, axis=0) for row in x])
    across = np.ascontiguousarray(x.T)
    np.testing.assert_array_equal(f(x, axis=1), alone)
    np.testing.assert_array_equal(f(across, axis=0).T, alone)
    np.testing.assert_array_equal(f(across[None], axis=1)[0].T, alone)
    np.testing.assert_array_equal(f(np.repeat(x, 2, axis=1)[:, ::2], axis=1), alone)
    np.testing.assert_array_equal(f(np.asfortranarray(x), axis=1), alone)


def classes(x, axis):
    """Draw a class for every row."""
    rows = np.delete(x.shape, axis)
    return np.random.default_rng(1).integers(0, x.shape[axis], rows)


LOSSES = {
    "plain": {},
    "mean": {"reduction": "mean"},
    "masked": {"where": ...},
    "everything": {"where": ..., "class_weights": ..., "ignore_index": 1, "z_loss": 0.5},
}


def given(options, x, axis):
    """Fill in arrays that fit the logits, for the options that are one."""
    rng = np.random.default_rng(2)
    arrays = {
        "where": lambda: rng.random(x.shape) < 0.8,
        "class_weights": lambda: rng.random(x.shape[axis]),
    }
    return {name: arrays[name]() if v is ... else v for name, v in options.items()}


@pytest.mark.parametrize("options", LOSSES)
@pytest.mark.parametrize("case", LARGE)
def test_cross_entropy_holds_no_more_than_8_mebibytes(case, options):
    make, axis = LARGE[case]
    x = make()
    labels, keywords = classes(x, axis), given(LOSSES[options], x, axis)
    with softaxis.backend_opts(disable=("default", "numba")):  # nobody else takes it over
        softaxis.cross_entropy_and_grad(np.zeros((1, 2)), [0])  # import and decide beforehand
        assert peak(softaxis.cross_entropy, x, labels, axis=axis, **keywords) < 8 * MEBI
        bytes_of_grad = x.size * softaxis.softmax(x[:1], axis=-1).itemsize
        both = peak(softaxis.cross_entropy_and_grad, x, labels, axis=axis, **keywords)
        assert both < bytes_of_grad + 8 * MEBI


def test_nothing_is_left_for_the_garbage_collector():
    x = numbers((40, 3000, 5))
    functions = (softaxis.softmax, softaxis.log_softmax, softaxis.logsumexp)
    for f in functions:
        f(x, axis=1)
    gc.collect()
    for f in functions:
        f(x, axis=1)
    softaxis.cross_entropy_and_grad(x, classes(x, 1), axis=1)
    assert gc.collect() == 0


ROWS = {
    "ordinary": lambda x: x,
    "an offset": lambda x: x + 500,
    "far below": lambda x: x - 300,
    "both in a block": lambda x: x + np.resize([0, 0, 700, -90, 3], (len(x), 1)),
    "the label is nearly certain": lambda x: x + 30 * (np.arange(x.shape[1]) == 2),
    "the label is far from likely": lambda x: x - 200 * (np.arange(x.shape[1]) == 2),
    "two share the mass": lambda x: x + 60 * (np.arange(x.shape[1]) < 2),
}
LAYOUTS = {
    "rows": lambda x: (x, -1),
    "columns": lambda x: (np.ascontiguousarray(x.T), 0),
    "one row": lambda x: (x[3], -1),
    "a transpose": lambda x: (np.asfortranarray(x), -1),
    "every other": lambda x: (np.repeat(x, 2, axis=1)[:, ::2], -1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy_beside_mpmath(dtype, rows, layout):
    logits = ROWS[rows](numbers((7, 9))).astype(dtype)
    x, axis = LAYOUTS[layout](logits)
    labels = np.full(np.delete(x.shape, axis), 2)
    losses, slopes = ref.cross_entropy(x, ref.one_hot(labels, 9, axis), axis)
    for loss, grad in (
        (softaxis.cross_entropy(x, labels, axis=axis), None),
        softaxis.cross_entropy_and_grad(x, labels, axis=axis),
    ):
        ref.assert_accurate(np.asarray(loss), losses, dtype, bound=8)
        if grad is not None:
            ref.assert_accurate(grad, slopes, dtype, bound=8, scale=1)


@pytest.mark.parametrize("options", [name for name in LOSSES if name != "mean"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("n", [1, 8, 129, 1000, 140_000])
def test_the_bits_of_a_loss_depend_on_the_row_alone(n, dtype, options):
    x = numbers((5, n)).astype(dtype)
    x[1] += 60
    x[2, 0] += 30  # one element dominates
    x[3, -1] = x[3].max()  # two do, and they may be in different parts of the row
    x[4, n // 2 :] = x[4, 0]
    labels, keywords = classes(x, 1), given(LOSSES[options], x, 1)
    mask = keywords.pop("where", np.ones(x.shape, bool))
    f = softaxis.cross_entropy_and_grad
    loss, grad = f(x, labels, where=mask, **keywords)
    for i in range(5):
        one, slope = f(x[i], labels[i], where=mask[i], **keywords)
        np.testing.assert_array_equal(one, loss[i])
        np.testing.assert_array_equal(slope, grad[i])
    across, slopes = f(x.T, labels, axis=0, where=mask.T, **keywords)
    np.testing.assert_array_equal(across, loss)
    np.testing.assert_array_equal(slopes.T, grad)
    across, slopes = f(np.ascontiguousarray(x.T), labels, axis=0, where=mask.T, **keywords)
    np.testing.assert_array_equal(across, loss)
    np.testing.assert_array_equal(slopes.T, grad)


@pytest.mark.parametrize("n", [8, 1000, 140_000])
@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp"])
def test_rows_out_of_bounds_among_others(function, n):
    f = getattr(softaxis, function)
    x = numbers((40, n))
    x[::3] += 800  # exp overflows
    x[1::3] -= 60  # and is next to nothing
    x[5, 1] = np.nan
    x[6] = -np.inf
    x[7, -1] = np.inf
    x[8, :2] = np.inf
    alone = np.stack([f(row, axis=0) for row in x])
    np.testing.assert_array_equal(f(x, axis=1), alone)
    np.testing.assert_array_equal(f(np.ascontiguousarray(x.T), axis=0).T, alone)
    if function != "logsumexp":
        y = x.copy()
        assert f(y, axis=1, out=y) is y
        np.testing.assert_array_equal(y, alone)
