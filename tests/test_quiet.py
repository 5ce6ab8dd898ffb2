"""No warning, no write into the input, and bits that do not depend on the batch."""

import warnings

import numpy as np
import pytest
from cases import FLOATS, SPECIAL_ROWS, spread

import softaxis

inf, nan = float("inf"), float("nan")
ROWS = [
    *(row for row, *_ in SPECIAL_ROWS.values()),
    [],
    [0.0, -1e3, 1e3],
    [0.0, -95.0, -740.0],  # subnormal in float32 and float64
    [65504.0, -65504.0],
]
BATCHES = [[row for row in ROWS if len(row) == length] for length in range(4)]
NORMALIZERS = [softaxis.softmax, softaxis.log_softmax, softaxis.softmin]
REDUCTIONS = [softaxis.logsumexp, softaxis.logmeanexp]
POINTWISE = [softaxis.sigmoid, softaxis.log_sigmoid]


def call_everything(xp, rows, dtype):
    """Call every function on a batch of rows, with and without its arguments."""
    x, n = xp.asarray(rows, dtype), len(rows[0])
    where = xp.asarray(np.arange(n) % 2 == 0)
    w = xp.asarray(np.arange(n) - 1.0, dtype)
    results = []
    for function in NORMALIZERS:
        results += [
            xp.call(function)(x),
            xp.call(function)(x, where=where),
            xp.call(function)(x, temperature=0.5, sink=1.0),
            xp.call(function)(x, temperature=0.0),
            xp.call(function)(x, temperature=inf),
            xp.call(function)(x, where=where, temperature=xp.asarray(0.1, dtype)),
            xp.call(function)(x, axis=()),
            xp.call(function)(x, dtype=xp.dtype("float32")),
        ]
    results += [xp.call(softaxis.hardmax)(x), xp.call(softaxis.hardmax)(x, where=where)]
    results += [xp.call(function)(x) for function in POINTWISE]
    for function in REDUCTIONS:
        results += [
            xp.call(function)(x, axis=1),
            xp.call(function)(x, axis=1, where=where),
            xp.call(function)(x, axis=1, weights=w),
            xp.call(function)(x, axis=()),
        ]
    results += xp.call(softaxis.logsumexp)(x, axis=1, weights=w, return_sign=True)
    p, logp = (xp.call(f)(x) for f in (softaxis.softmax, softaxis.log_softmax))
    lse = xp.call(softaxis.logsumexp)(x, axis=1)
    results += [
        xp.call(softaxis.softmax_vjp)(p, x),
        xp.call(softaxis.softmax_jvp)(p, x),
        xp.call(softaxis.log_softmax_vjp)(logp, x),
        xp.call(softaxis.log_softmax_jvp)(logp, x),
        xp.call(softaxis.logsumexp_vjp)(x, lse, lse, axis=1),
        xp.call(softaxis.logsumexp_jvp)(x, lse, x, axis=1),
        xp.call(softaxis.softmax_jacobian)(p),
    ]
    if n:
        labels = xp.asarray(np.arange(len(rows)) % n)
        for options in (
            {},
            {"label_smoothing": 0.1, "z_loss": 0.1, "reduction": "mean"},
            {"where": where},
            {"class_weights": w},
            {"ignore_index": n - 1},
        ):
            results += xp.call(softaxis.cross_entropy_and_grad)(x, labels, **options)
        results.append(xp.call(softaxis.cross_entropy)(x, p))
    return results


@pytest.mark.parametrize("rows", BATCHES, ids=["length-0", "length-1", "length-2", "length-3"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_no_warning_and_no_floating_point_error(xp, rows, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(all="raise"):
            results = call_everything(xp, rows, dtype)
        for result in results:  # a graph is computed in the state of whoever computes it
            xp.numpy(result)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_casting_to_a_narrower_dtype_is_quiet(xp, dtype):
    x = xp.asarray([70000.0, -70000.0, 1e30], "float32")
    functions = [*NORMALIZERS, *POINTWISE, *REDUCTIONS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(all="raise"):
            results = [xp.call(f)(x, dtype=xp.dtype(dtype)) for f in functions]
        for result in results:
            xp.numpy(result)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "bool"])
def test_integers_are_quiet(xp, dtype):
    limits = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    x = xp.asarray(np.array([*limits, 1], dtype=dtype), dtype)
    functions = [*NORMALIZERS, softaxis.hardmax, *POINTWISE, *REDUCTIONS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(all="raise"):
            results = [xp.call(function)(x) for function in functions]
        for result in results:
            xp.numpy(result)


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_input_is_not_written(xp, dtype):
    values = spread((3, 4))
    values[0, 0], values[1, 1], values[2, 2] = nan, inf, -inf
    where, labels = spread((3, 4), seed=1) > 0, np.array([0, 1, 2])
    given = {
        "x": xp.asarray(values, dtype),
        "where": xp.asarray(where),
        "t": xp.asarray([[0.0], [1.0], [inf]], dtype),
        "sink": xp.asarray([0.0, -inf, 1.0], dtype),
        "w": xp.asarray([1.0, 0.0, -1.0, 2.0], dtype),
        "labels": xp.asarray(labels),
    }
    before = {name: xp.numpy(array).copy() for name, array in given.items()}
    x, where, w = given["x"], given["where"], given["w"]
    for function in NORMALIZERS:
        xp.numpy(xp.call(function)(x, where=where, temperature=given["t"], sink=given["sink"]))
        xp.numpy(xp.call(function)(x))
        xp.numpy(xp.call(function)(x, axis=0))
    for function in [*POINTWISE, softaxis.hardmax]:
        xp.numpy(xp.call(function)(x))
    for function in REDUCTIONS:
        xp.numpy(xp.call(function)(x, weights=w, where=where, axis=1))
        xp.numpy(xp.call(function)(x))
    for function in (softaxis.softmax_vjp, softaxis.log_softmax_vjp, softaxis.log_softmax_jvp):
        xp.numpy(xp.call(function)(x, x))
    xp.numpy(xp.call(softaxis.softmax_jacobian)(x))
    xp.numpy(
        xp.call(softaxis.cross_entropy_and_grad)(
            x, given["labels"], where=where, class_weights=w, label_smoothing=0.1, ignore_index=0
        )
    )
    xp.numpy(xp.call(softaxis.cross_entropy_and_grad)(x, x))
    for name, array in given.items():
        np.testing.assert_array_equal(xp.numpy(array), before[name], err_msg=name)


@pytest.mark.needs("steady bits")
@pytest.mark.parametrize("length", [1, 3, 8, 33, 129, 1000])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_bits_of_a_row_do_not_depend_on_its_batch(xp, length, axis, dtype):
    batch = 5 * spread((70, length), seed=9)

    def stored(rows):
        return xp.asarray(rows if axis == 1 else np.ascontiguousarray(rows.T), dtype)

    for function in [*NORMALIZERS, *REDUCTIONS]:
        together = xp.numpy(xp.call(function)(stored(batch), axis=axis))
        for first, last in [(0, 1), (3, 5), (69, 70), (1, 33)]:
            some = xp.numpy(xp.call(function)(stored(batch[first:last]), axis=axis))
            part = (
                together[first:last]
                if function in REDUCTIONS or axis == 1
                else (together[:, first:last])
            )
            np.testing.assert_array_equal(part, some)
        alone = xp.numpy(xp.call(function)(xp.asarray(batch[7], dtype), axis=0))
        row = together[7] if function in REDUCTIONS or axis == 1 else together[:, 7]
        np.testing.assert_array_equal(row, alone)


@pytest.mark.needs("steady bits")
def test_the_bits_of_a_loss_do_not_depend_on_its_batch(xp):
    batch, labels = 5 * spread((70, 33), seed=9), np.arange(70) % 33
    loss, grad = xp.numpy(
        xp.call(softaxis.cross_entropy_and_grad)(xp.asarray(batch), xp.asarray(labels))
    )
    for first, last in [(0, 1), (3, 5), (1, 33)]:
        some = xp.numpy(
            xp.call(softaxis.cross_entropy_and_grad)(
                xp.asarray(batch[first:last]), xp.asarray(labels[first:last])
            )
        )
        np.testing.assert_array_equal(loss[first:last], some[0])
        np.testing.assert_array_equal(grad[first:last], some[1])


def test_the_error_state_of_numpy_stays_as_it_was():
    before = np.geterr()
    softaxis.softmax(np.array([inf, nan, 0.0]))
    softaxis.logsumexp(np.array([-inf, -inf]))
    assert np.geterr() == before


def test_the_result_is_not_the_input(xp):
    x = xp.asarray([0.0])
    for function in NORMALIZERS:
        assert function(x) is not x
    y = xp.asarray([1.0, 2.0])
    assert softaxis.logsumexp(y, axis=()) is not y
