"""The numba backend: every layout, length and argument, bits, memory, and what it declines."""

import tracemalloc

import numpy as np
import pytest

import softaxis
from softaxis._backends.numba import backend as numba_record
from softaxis.backend import Declined

pytest.importorskip("numba", reason="numba is not installed: NO test of its kernels ran")

DTYPES = ["float16", "float32", "float64"]
WIDER = {"float16": np.float64, "float32": np.float64, "float64": np.longdouble}
SLACK = {name: 1 if np.finfo(wide).eps < np.finfo(name).eps else 2 for name, wide in WIDER.items()}
"""Where nothing is wider than float64, the reference has the same error once more."""
NORMALIZERS = ["softmax", "log_softmax"]
REDUCTIONS = ["logsumexp", "logmeanexp"]
DERIVATIVES = ["softmax_vjp", "log_softmax_vjp"]
FUNCTIONS = [*NORMALIZERS, *REDUCTIONS, *DERIVATIVES]
LENGTHS = [*range(1, 201), 4095, 4096, 4097, 8192, 10_000, 100_003]
numba_backend = softaxis.get_backend("numba")


@pytest.fixture(autouse=True)
def threads():
    before = softaxis.get_num_threads()
    yield
    softaxis.set_num_threads(before)


def numbers(shape, dtype="float32", seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * 3).astype(dtype)


def call(name, *arrays, **keywords):
    return getattr(numba_backend, name)(*arrays, **keywords)


def default(name, *arrays, **keywords):
    with softaxis.backend_opts(prioritize="default"):
        return getattr(softaxis, name)(*arrays, **keywords)


def assert_close(name, x, got, axis, **keywords):
    """Compare with the array-API implementation in a wider dtype, within the documented bound."""
    wide = x.astype(WIDER[x.dtype.name])
    want = np.asarray(default(name, wide, axis=axis, **keywords))
    where = np.broadcast_to(keywords.get("where", True), x.shape)
    z = np.where(where, wide / keywords.get("temperature", 1), -np.inf)
    top = np.nan_to_num(z.max(axis, keepdims=True), neginf=0)
    assert got.shape == want.shape
    assert got.dtype == x.dtype
    if name == "softmax":
        bound = (4 + np.where(where, top - z, 0)) * np.abs(want)
    elif name == "log_softmax":
        below = np.where(z == top, -np.inf, z).max(axis, keepdims=True)
        gap = np.where(z == top, np.where(np.isfinite(below), top - below, 0), 0)
        bound = (8 + gap) * np.abs(want, where=where, out=np.zeros_like(want))
    else:
        largest = np.reshape(top, want.shape)
        bound = 8 * np.maximum(1, np.maximum(np.abs(largest), np.abs(want)))
    info = np.finfo(x.dtype)
    with np.errstate(invalid="ignore"):  # -inf - -inf
        error = np.abs(got - want)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    tolerance = SLACK[x.dtype.name] * bound * info.eps + info.smallest_subnormal
    assert (same | (error <= tolerance)).all()


def assert_derivative(name, p, g, got, axis):
    """Compare with the array-API implementation, relative to the largest term."""
    wide = WIDER[p.dtype.name]
    p, g = p.astype(wide), g.astype(wide)
    want = default(name, p, g, axis=axis)
    size = np.abs(g).max(axis, keepdims=True)
    if name == "softmax_vjp":
        terms = 2 * p * size
    else:
        terms = np.maximum(np.abs(g), np.exp(p) * np.abs(g).sum(axis, keepdims=True))
    info = np.finfo(got.dtype)
    bound = 8 * SLACK[got.dtype.name] * info.eps * terms + info.smallest_subnormal
    assert got.dtype.name in DTYPES
    assert (np.abs(got - want) <= bound).all()


def check(name, x, axis, arrange=lambda a: a):
    """Call a function on an array that lies in memory as `arrange` makes it."""
    if name in DERIVATIVES:
        wide = x.astype(WIDER[x.dtype.name])
        p = arrange(default(name.removesuffix("_vjp"), wide, axis=axis).astype(x.dtype))
        g = arrange(numbers(x.shape, x.dtype, seed=1))
        assert_derivative(name, p, g, call(name, p, g, axis=axis), axis)
        return
    x = arrange(x)
    before = x.copy()
    assert_close(name, x, call(name, x, axis=axis), axis)
    np.testing.assert_array_equal(x, before)


def strided(*steps):
    """Return a function that keeps the values, in memory where only every so many belong to it."""

    def arrange(a):
        each = [steps[i % len(steps)] for i in range(a.ndim)]
        wide = np.zeros([n * abs(s) for n, s in zip(a.shape, each, strict=True)], a.dtype)
        view = wide[tuple(slice(None, None, s) for s in each)]
        view[...] = a
        return view

    return arrange


def unaligned(a):
    found = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    found[...] = a
    return found


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "last axis first": lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, -1, 0)), 0, -1),
    "backwards": strided(-1),
    "every other": strided(2),
    "every third backwards": strided(-3, 2),
    "rows apart": strided(2, 1),
    "unaligned": unaligned,
    "read-only": read_only,
}
SHAPES = [
    *[((19, 37), axis) for axis in (0, 1, (0, 1), None)],
    *[((5, 6, 33), axis) for axis in (0, 1, 2, (0, 1), (0, 2), (1, 2))],
    *[
        ((3, 5, 4, 6), axis)
        for axis in (1, (0, 1), (1, 2), (0, 2), (1, 3), (0, 3), (0, 1, 3), None)
    ],
    *[((2, 70, 65), axis) for axis in (0, 1, (0, 2), None)],
    ((1, 1), 0),
    ((1, 9), 1),
    ((9, 1), 1),
    ((7,), 0),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_layouts(name, layout, dtype):
    for shape, axis in SHAPES:
        check(name, numbers(shape, dtype), axis, LAYOUTS[layout])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_strides_of_0(name, dtype):
    x = numbers((6, 35), dtype)
    for a, axis in [(x[:1], 1), (x[:1], 0), (x[:, :1], 1), (x[:, :1], 0), (x[:1, :1], None)]:
        spread = np.broadcast_to(a, x.shape)
        if name in DERIVATIVES:
            even = default(name.removesuffix("_vjp"), np.zeros(x.shape, dtype), axis=axis)
            p = np.broadcast_to(even[:1, :1], x.shape)
            assert_derivative(name, p, spread, call(name, p, spread, axis=axis), axis)
        else:
            assert_close(name, x=spread, got=call(name, spread, axis=axis), axis=axis)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_of_every_length(name, dtype):
    for n in LENGTHS:
        check(name, numbers((2, n), dtype), 1)
        check(name, numbers((n, 3), dtype), 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_tiles_of_every_width(name, dtype):
    """Neighbouring columns are computed together; the last ones of a tile may be missing."""
    for columns in range(1, 41):
        for rows in (3, 40):
            check(name, numbers((rows, columns), dtype), 0)
            check(name, numbers((2, rows, columns), dtype), 1)


def masks(shape):
    """Yield masks of every kind of stride, which broadcast to a shape of two dimensions."""
    kept = np.random.default_rng(3).random(shape) < 0.6
    yield np.array(True)
    yield np.array(False)
    yield kept
    yield kept[0]
    yield kept[:1]
    yield kept[:, :1]
    yield np.broadcast_to(kept[:1], shape)
    yield np.asfortranarray(kept)
    yield strided(2, -3)(kept)
    yield strided(1, 2)(kept)[:1]


@pytest.mark.parametrize("shape", [(37, 21), (5000, 3), (3, 5000), (130, 70)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*NORMALIZERS, "logsumexp"])
def test_where(name, dtype, shape):
    for where in masks(shape):
        for axis in (0, 1, None):
            x = numbers(shape, dtype)
            x[~np.broadcast_to(where, shape)] = np.nan  # it takes no part
            got = call(name, x, axis=axis, where=where)
            assert_close(name, np.nan_to_num(x), got, axis, where=where)


@pytest.mark.parametrize("shape", [(37, 21), (5000, 3), (3, 5000)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NORMALIZERS)
def test_temperature(name, dtype, shape):
    x = numbers(shape, dtype)
    per_row = (numbers((shape[0], 1), dtype) ** 2 + 1).astype(dtype)
    for heat in (0.5, 3.0):
        for axis in (0, 1, None):
            got = call(name, x, axis=axis, temperature=heat)
            assert_close(name, x, got, axis, temperature=heat)
    for heat in (per_row, strided(-2)(per_row), np.broadcast_to(per_row[:1], per_row.shape)):
        got = call(name, x, axis=1, temperature=heat)
        assert_close(name, x, got, 1, temperature=heat.astype(WIDER[dtype]))
    columns = per_row[: shape[1], 0]
    if len(columns) == shape[1]:
        got = call(name, x, axis=0, temperature=columns)
        assert_close(name, x, got, 0, temperature=columns.astype(WIDER[dtype]))
    where = np.random.default_rng(3).random(shape) < 0.6
    got = call(name, x, axis=1, temperature=per_row, where=where)
    assert_close(name, x, got, 1, temperature=per_row.astype(WIDER[dtype]), where=where)


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("shape", [(60, 33), (3, 9000), (600, 300)], ids=str)
@pytest.mark.parametrize("name", NORMALIZERS)
def test_out(name, shape, axis):
    x = numbers(shape)
    expected = call(name, x, axis=axis)
    for arrange in LAYOUTS.values():
        out = arrange(np.full(shape, 7, x.dtype))
        if out.flags.writeable:
            assert call(name, x, axis=axis, out=out) is out
            np.testing.assert_array_equal(out, expected)
    for arrange in (np.ascontiguousarray, np.asfortranarray, strided(-2, 3)):
        same = arrange(x.copy())
        assert call(name, same, axis=axis, out=same) is same
        np.testing.assert_array_equal(same, expected)
    for apart in (-40, -1, 1, 5, shape[1]):
        memory = np.zeros(x.size + 2 * shape[1] + 80, x.dtype)
        source = memory[40 : 40 + x.size].reshape(shape)
        source[...] = x
        out = memory[40 + apart : 40 + apart + x.size].reshape(shape)
        assert call(name, source, axis=axis, out=out) is out
        np.testing.assert_array_equal(out, expected)
    backwards = x.copy()
    assert call(name, backwards, axis=axis, out=backwards[::-1]).base is not None
    np.testing.assert_array_equal(backwards[::-1], expected)


def test_out_of_a_reduction():
    x = numbers((40, 300))
    expected = call("logsumexp", x, axis=0)
    memory = x.copy()
    for source, out in [(x, np.zeros(600, x.dtype)[::-2]), (memory, memory[3])]:
        assert call("logsumexp", source, axis=0, out=out) is out
        np.testing.assert_array_equal(out, expected)


def special_rows(dtype):
    info = np.finfo(dtype)
    tiny, huge = info.smallest_subnormal, info.max
    inf, nan = np.inf, np.nan
    rows = [
        [nan, 1, 2, 0],
        [nan] * 4,
        [inf, 1, 2, 0],
        [inf, inf, -inf, 0],
        [nan, inf, -inf, 0],
        [-inf, 1, -inf, 0],
        [-inf] * 4,
        [-inf, -inf, -inf, 3],
        [tiny, -tiny, 0, 2 * tiny],
        [tiny] * 4,
        [huge, huge, 0, -huge],
        [-huge, -huge, -huge, -huge],
        [huge, -huge, -inf, 0],
        [0.0, -0.0, 0.0, -0.0],
        [0, -20, -30, -40],
        [0, np.log(info.tiny), np.log(tiny), -1e4],
    ]
    return np.array(rows, dtype)


@pytest.mark.parametrize("n", [4, 37, 4100, 20_000])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*NORMALIZERS, *REDUCTIONS])
def test_special_rows_are_those_of_the_numpy_backend(name, dtype, n):
    """What fills up a row is its last element again, or -inf."""
    rows = special_rows(dtype)
    last = np.repeat(rows[:, -1:], n - 4, axis=1)
    info = np.finfo(dtype)
    for filling in (last, np.full_like(last, -np.inf)):
        x = np.concatenate([rows, filling], axis=1)
        x = x[:, np.random.default_rng(0).permutation(n)]
        with softaxis.backend_opts(prioritize=["numpy", "default"]):
            want = getattr(softaxis, name)(x, axis=1)
        near_0 = 8 * info.eps if name in REDUCTIONS else 2 * info.smallest_subnormal
        for got in (call(name, x, axis=1), call(name, np.asfortranarray(x), axis=1)):
            np.testing.assert_allclose(got, want, rtol=16 * info.eps, atol=near_0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*NORMALIZERS, *REDUCTIONS])
@pytest.mark.parametrize("n", [3, 50, 200, 5000])
def test_nan_of_any_sign_and_payload_spoils_its_row(name, dtype, n):
    # an exponent is put together from low bits, which such a NaN has
    bits, shape = ("u4", (22, 31)) if dtype == "float32" else ("u8", (51, 63))
    payload, sign = np.array([(1 << shape[0]) - 1, 1 << shape[1]], bits)
    kinds = [
        np.array(np.inf, dtype).view(bits) | payload,
        np.array(np.nan, dtype).view(bits) | sign,
    ]
    for kind in kinds:
        x = numbers((3, n), dtype)
        x.view(bits)[1, n // 2] = kind
        for given in (x, np.asfortranarray(x)):
            y = call(name, given, axis=1)
            assert np.isnan(y[1]).all()
            assert np.isfinite(y[[0, 2]]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, 50, 200, 5000])
def test_zeros_of_both_signs_are_equal_maxima(dtype, n):
    x = np.full((4, n), -60, dtype)
    x[0, :2] = 0.0, -0.0
    x[1, :2] = -0.0, 0.0
    x[2, :2] = -0.0
    x[3, -1] = -0.0
    for given in (x, np.asfortranarray(x)):
        y = call("log_softmax", given, axis=1)
        assert (y[:3, :2] == -np.log(np.array(2, dtype))).all()
        assert abs(y[3, -1] / ((1 - n) * np.exp(-60.0)) - 1) < (8 + 60) * np.finfo(dtype).eps


@pytest.mark.parametrize("n", [3, 40, 5000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_are_masked_altogether(dtype, n):
    x, where = numbers((5, n), dtype), np.ones((5, n), bool)
    where[2] = False
    x[2] = np.nan
    assert not call("softmax", x, where=where)[2].any()
    assert (call("log_softmax", x, where=where)[2] == -np.inf).all()
    assert call("logsumexp", x, axis=1, where=where)[2] == -np.inf
    assert np.isfinite(call("log_softmax", x, where=where)[[0, 1, 3, 4]]).all()


SIZES = [(3, 5), (64, 70), (5, 9000), (300, 900), (1, 200_000), (70_000, 4)]


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_bits_of_a_row_depend_on_the_row_alone(name, dtype, shape):
    arrays = [numbers(shape, dtype)]
    if name in DERIVATIVES:
        arrays = [default(name.removesuffix("_vjp"), arrays[0]), numbers(shape, dtype, seed=1)]
    softaxis.set_num_threads(1)
    expected = call(name, *arrays, axis=1)
    for n in (1, 2, 3, 7):
        softaxis.set_num_threads(n)
        for arrange in LAYOUTS.values():
            got = call(name, *map(arrange, arrays), axis=1)
            np.testing.assert_array_equal(got, expected)
    across = call(name, *(np.ascontiguousarray(a.T) for a in arrays), axis=0)
    np.testing.assert_array_equal(across.T, expected)
    half = (shape[0] + 1) // 2
    np.testing.assert_array_equal(call(name, *(a[:half] for a in arrays), axis=1), expected[:half])
    for i in {0, half - 1, shape[0] - 1}:
        np.testing.assert_array_equal(call(name, *(a[i] for a in arrays), axis=0), expected[i])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*NORMALIZERS, "logsumexp"])
def test_columns_of_every_length_have_the_bits_of_rows(name, dtype):
    for n in [*range(1, 70), 127, 128, 129, 300, 4096]:
        for columns in (1, 15, 16, 64, 70):
            x = numbers((columns, n), dtype, seed=n)
            x.flat[::7] = -np.inf
            x.flat[5::113] = np.inf
            x.flat[3::101] = np.nan
            got = call(name, np.ascontiguousarray(x.T), axis=0)
            np.testing.assert_array_equal(got.T, call(name, x, axis=1))


def test_the_logarithm_of_a_sum():
    import mpmath
    import numba

    from softaxis._backends._numba._log import log_sum

    compiled = numba.njit(log_sum.py_func)
    random = np.random.default_rng(0)
    ones = [(1.0, rest) for rest in 10.0 ** random.uniform(-307, 0, 300)]
    near = [(1.0, rest) for rest in random.uniform(0, 4, 300)]
    many = [(float(k), k * rest) for k, rest in enumerate(random.uniform(0, 1e6, 300), start=1)]
    with mpmath.workdps(700):
        for k, rest in ones + near + many:
            want = mpmath.log(mpmath.mpf(k) + mpmath.mpf(rest))
            unit = mpmath.mpf(float(np.spacing(float(want))))
            assert abs(mpmath.mpf(compiled(k, rest)) - want) < unit, (k, rest)
    assert compiled(1.0, 0.0) == 0.0
    assert compiled(0.0, 0.0) == -np.inf
    assert np.isnan(compiled(1.0, np.nan))


LOSSES = ["cross_entropy", "cross_entropy_and_grad"]
LOSS_ARGUMENTS = [
    {},
    {"reduction": "sum"},
    {"reduction": "mean", "ignore_index": 1},
    {"ignore_index": -100, "z_loss": 0.01},
    {"label_smoothing": 0.2},
    {"label_smoothing": 1},
    {"class_weights": 1},
    {"class_weights": 1, "reduction": "mean", "ignore_index": 2},
    {"where": 1},
    {"where": 1, "class_weights": 1, "z_loss": 0.1},
]


def parts(result):
    return result if isinstance(result, tuple) else (result,)


def loss_arguments(given, shape, axis, dtype):
    """Put arrays where the table has a 1."""
    classes = shape[axis]
    made = dict(given)
    if "class_weights" in made:
        made["class_weights"] = (numbers(2 * classes, dtype, seed=5) ** 2)[::2]
    if "where" in made:
        made["where"] = np.random.default_rng(6).random(shape) < 0.8
    return made


@pytest.mark.parametrize("given", LOSS_ARGUMENTS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, dtype, given):
    for shape, axis in [((40, 7), 1), ((7, 40), 0), ((5, 13, 18), 1), ((3, 9000), 1), ((9,), 0)]:
        x = numbers(shape, dtype)
        rows = x.shape[:axis] + x.shape[axis + 1 :]
        labels = np.random.default_rng(1).integers(0, shape[axis], rows)
        labels.reshape(-1)[:1] = given.get("ignore_index", 0)
        arguments = loss_arguments(given, shape, axis, dtype)
        wide = {
            k: v.astype(WIDER[dtype]) if k == "class_weights" else v for k, v in arguments.items()
        }
        exact = default(name, x.astype(WIDER[dtype]), labels, axis=axis, **wide)
        for arrange in (np.ascontiguousarray, np.asfortranarray, strided(-2, 3)):
            got = call(name, arrange(x), labels, axis=axis, **arguments)
            heaviest = max(1.0, float(np.max(arguments.get("class_weights", 1))))
            for g, w in zip(parts(got), parts(exact), strict=True):
                largest = np.max(np.abs(w), where=np.isfinite(w), initial=1.0)
                tolerance = 16 * np.finfo(dtype).eps * heaviest * largest
                assert g.dtype == dtype
                assert g.shape == w.shape
                np.testing.assert_allclose(g, w, rtol=16 * np.finfo(dtype).eps, atol=tolerance)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">u8"])
def test_labels_of_every_integer_dtype(kind):
    x = numbers((300, 100))
    labels = np.random.default_rng(0).integers(0, 100, 300)
    expected = call("cross_entropy", x, labels, ignore_index=7)
    got = call("cross_entropy", x, labels.astype(kind), ignore_index=7)
    np.testing.assert_array_equal(got, expected)
    every_other = np.repeat(labels, 2).astype(kind)[::-2][::-1]
    got = call("cross_entropy", x, every_other, ignore_index=7)
    np.testing.assert_array_equal(got, expected)


def test_losses_near_certainty_do_not_cancel():
    x = np.array([[0, -20], [1e8, 1e8], [0, -200]], "float32")
    loss, slope = call("cross_entropy_and_grad", x, np.array([0, 0, 0]))
    np.testing.assert_allclose(loss, [2.0611536e-09, np.log(2), 0], rtol=1e-6)
    np.testing.assert_allclose(slope[0], [-2.0611536e-09, 2.0611536e-09], rtol=1e-6)


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_the_bits_of_a_loss_depend_on_the_row_alone(name, dtype, shape):
    x = numbers(shape, dtype)
    labels = np.random.default_rng(1).integers(0, shape[1], shape[0])
    softaxis.set_num_threads(1)
    expected = call(name, x, labels, z_loss=0.1)
    for n in (2, 3, 7):
        softaxis.set_num_threads(n)
        for arrange in LAYOUTS.values():
            got = call(name, arrange(x), labels, z_loss=0.1)
            for g, w in zip(parts(got), parts(expected), strict=True):
                np.testing.assert_array_equal(g, w)
    alone = call("cross_entropy", x[:1], labels[:1], z_loss=0.1)[0]
    assert alone == parts(expected)[0][0]


x = numbers((4, 6))
labels = np.arange(4)
RUNS = {
    "plain": ("softmax", (x,), {}),
    "every argument": (
        "softmax",
        (x,),
        {"axis": None, "where": x > 0, "temperature": 2, "dtype": np.float32},
    ),
    "a temperature for each row": (
        "softmax",
        (x,),
        {"temperature": np.ones((4, 1), np.float32), "out": np.empty_like(x)},
    ),
    "one row": ("log_softmax", (x[0],), {}),
    "several axes": ("log_softmax", (x,), {"axis": (0, 1), "where": x[0] > 0}),
    "out of a reduction": (
        "logsumexp",
        (x,),
        {"keepdims": True, "out": np.empty((1, 1), np.float32)},
    ),
    "a masked reduction": ("logsumexp", (x,), {"axis": 0, "where": x > 0}),
    "the mean": ("logmeanexp", (x,), {"axis": 1}),
    "masked and weighted losses": (
        "cross_entropy",
        (x, labels),
        {"where": x > -1, "class_weights": np.ones(6, np.float32)},
    ),
    "smoothed losses": (
        "cross_entropy",
        (x, labels),
        {"ignore_index": 3, "label_smoothing": 0.1, "z_loss": 0.1},
    ),
    "the mean of losses": ("cross_entropy_and_grad", (x, labels), {"reduction": "mean"}),
    "a sink": ("softmax", (x,), {"sink": 0}),
    "a sink for each row": ("log_softmax", (x,), {"sink": np.ones(4)}),
    "a derivative": ("softmax_vjp", (x, x), {"axis": 0}),
    "a derivative along all axes": ("log_softmax_vjp", (x, x), {"axis": (0, 1)}),
}
DECLINED = {
    "empty": ("softmax", (x[:0],), {"axis": 0}),
    "no axis": ("softmax", (x,), {"axis": ()}),
    "sink and temperature": ("softmax", (x,), {"sink": 0, "temperature": 2}),
    "an infinite sink": ("log_softmax", (x,), {"sink": np.inf}),
    "another dtype": ("softmax", (x,), {"dtype": np.float64}),
    "temperature 0": ("softmax", (x,), {"temperature": 0}),
    "temperature inf": ("softmax", (x,), {"temperature": np.inf}),
    "a temperature along the axis": ("softmax", (x,), {"temperature": np.ones(6, np.float32)}),
    "complex": ("log_softmax", (x.astype(complex),), {}),
    "longdouble": ("log_softmax", (x.astype(np.longdouble),), {}),
    "integers": ("log_softmax", (x.astype(int),), {}),
    "booleans": ("log_softmax", (x > 0,), {}),
    "another byte order": ("log_softmax", (x.astype(x.dtype.newbyteorder()),), {}),
    "empty rows": ("logsumexp", (x[:, :0],), {"axis": 1}),
    "weights": ("logsumexp", (x,), {"weights": x}),
    "the sign": ("logsumexp", (x,), {"return_sign": True}),
    "a wider result": ("logsumexp", (x,), {"dtype": np.float64}),
    "weights of a mean": ("logmeanexp", (x,), {"weights": x}),
    "probabilities": ("cross_entropy", (x, np.full(x.shape, 0.5, np.float32)), {}),
    "two dtypes": ("softmax_vjp", (x, x.astype(float)), {}),
}


@pytest.mark.parametrize("case", RUNS)
def test_what_runs(case):
    name, arrays, keywords = RUNS[case]
    with softaxis.backend_opts(prioritize="numba", trace=True) as trace:
        getattr(softaxis, name)(*arrays, **keywords)
    assert trace == [(f"softaxis:{name}", "numba", "ran", "")]


@pytest.mark.parametrize("case", DECLINED)
def test_what_is_declined(case):
    name, arrays, keywords = DECLINED[case]
    with pytest.raises(Declined, match="takes"):
        call(name, *arrays, **keywords)
    with softaxis.backend_opts(prioritize="numba"):  # and another one takes it
        getattr(softaxis, name)(*arrays, **keywords)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("n", [3, 64, 200, 5000, 40000])
def test_a_sink_at_below_and_above_the_maximum(name, n):
    logits = numbers((3, n)).astype(np.float64)
    own = np.array([0.0, -9.0, 9.0]) + logits.max(-1)
    longer = np.concatenate([logits, own[:, None]], axis=-1)
    expected = getattr(softaxis.get_backend("default"), name)(longer)[:, :-1]
    found = call(name, logits, sink=own)
    np.testing.assert_allclose(found, expected, rtol=64 * np.finfo(float).eps)
    columns = call(name, np.asfortranarray(logits), sink=own)
    np.testing.assert_array_equal(found, columns)


def test_by_default_it_takes_large_arrays():
    for n, ran in [(131_071, "numpy"), (131_072, "numba")]:
        assert softaxis.explain_dispatch(softaxis.softmax, numbers(n)).backend == ran


def test_numbers_of_other_types_mean_the_same():
    """Kernels get 64 bits of a job, which another type would fill with something else."""
    same = np.testing.assert_array_equal
    cooled = call("softmax", x, temperature=2.0)
    same(call("softmax", x, temperature=np.float32(2)), cooled)
    same(call("softmax", x, temperature=np.full((4, 1), 2)), cooled)
    smoothed = call("cross_entropy", x, labels, label_smoothing=1.0, z_loss=1.0, ignore_index=2)
    same(
        call("cross_entropy", x, labels, label_smoothing=1, z_loss=1, ignore_index=np.int8(2)),
        smoothed,
    )
    plain = call("cross_entropy", x, labels)
    for ones in (np.ones(6, int), np.ones(6, np.float16)):
        small = labels.astype("u1")
        same(call("cross_entropy", x, small, class_weights=ones, ignore_index=2**70), plain)


def shortcut(name, *arguments):
    return numba_record.functions[name].shortcuts[np.ndarray](*arguments)


@pytest.mark.parametrize("shape", [(1, 10), (8, 10), (10,), (3, 5, 7), (90, 130), (2, 4096)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_shortcuts_give_the_same_bits(name, dtype, shape):
    a = numbers(shape, dtype)
    expected = call(name, np.asfortranarray(np.stack([a, a]))[0], axis=a.ndim - 1)
    for axis in (-1, a.ndim - 1):
        for array in (a, read_only(a)):
            got = shortcut(name, array, axis)
            np.testing.assert_array_equal(got, expected)
            assert type(got) is type(expected)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("ignore_index", [None, 2, -1, 1000])
@pytest.mark.parametrize("shape", [(1, 10), (40, 10), (10,), (3, 5, 7)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shortcuts_of_losses(dtype, shape, ignore_index, reduction):
    a = numbers(shape, dtype)
    y = np.random.default_rng(1).integers(0, shape[-1], shape[:-1])
    if ignore_index is not None and y.ndim:
        y[..., -1] = ignore_index
    given = {"ignore_index": ignore_index, "reduction": reduction}
    fortran = np.asfortranarray(np.stack([a, a]))[0]
    expected, slope = call("cross_entropy_and_grad", fortran, y, **given)
    for kind in ("i8", "i4", ">i8"):
        arguments = (a, y.astype(kind), -1, ignore_index, reduction)
        for loss in (
            shortcut("cross_entropy", *arguments),
            shortcut("cross_entropy_and_grad", *arguments)[0],
        ):
            np.testing.assert_allclose(loss, expected, rtol=4 * np.finfo(dtype).eps)
            assert type(loss) is type(expected)
            assert loss.dtype == dtype
        got = shortcut("cross_entropy_and_grad", *arguments)[1]
        np.testing.assert_array_equal(got, slope)


def test_reduced_losses_that_are_infinite_or_nan():
    a = np.array([[0, -np.inf], [0, 0], [0, -np.inf]], np.float32)
    for reduction in ("sum", "mean"):
        assert shortcut("cross_entropy", a, np.array([1, 0, 1]), -1, None, reduction) == np.inf
        a[1] = np.nan
        assert np.isnan(shortcut("cross_entropy", a, np.array([1, 0, 1]), -1, None, reduction))
        a[1] = 0


LEFT_ALONE = {
    "another axis": (x, 0),
    "an axis that is not there": (x, 2),
    "an axis that is no int": (x, 1.0),
    "a bool as axis": (x, True),
    "no axis at all": (np.float32(1)[...], -1),
    "columns": (np.asfortranarray(x), 1),
    "every other one": (x[:, ::2], 1),
    "rows apart": (x[::2], 1),
    "nothing": (x[:0], 1),
    "empty rows": (x[:, :0], 1),
    "float16": (x.astype(np.float16), 1),
    "integers": (x.astype(int), 1),
    "another byte order": (x.astype(">f4"), 1),
    "rows of two chunks": (numbers((1, 4097)), 1),
    "a large array": (numbers((2, 2**18)), 1),
}


@pytest.mark.parametrize("case", LEFT_ALONE)
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", *LOSSES])
def test_what_shortcuts_leave_to_others(name, case):
    array, axis = LEFT_ALONE[case]
    more = (np.zeros(array.shape[:-1], int), axis, None, "none") if name in LOSSES else (axis,)
    assert shortcut(name, array, *more) is NotImplemented


LOSSES_LEFT_ALONE = {
    "a label that is too large": (np.array([0, 1, 6, 0]), None, "none"),
    "a negative one": (np.array([0, 1, -1, 0]), None, "none"),
    "the least one": (np.array([0, 1, -(2**63), 0]), None, "none"),
    "unsigned ones": (labels.astype("u8"), None, "none"),
    "probabilities": (np.full(x.shape, 0.5, np.float32), None, "none"),
    "booleans": (labels > 0, None, "none"),
    "a list": ([0, 1, 2, 3], None, "none"),
    "too few": (labels[:3], None, "none"),
    "a bool to ignore": (labels, True, "none"),
    "more than 64 bits to ignore": (labels, 2**63, "none"),
    "another reduction": (labels, None, "max"),
    "no name": (labels, None, ["sum"]),
}


@pytest.mark.parametrize("case", LOSSES_LEFT_ALONE)
@pytest.mark.parametrize("name", LOSSES)
def test_what_shortcuts_of_losses_leave_to_others(name, case):
    y, ignore_index, reduction = LOSSES_LEFT_ALONE[case]
    assert shortcut(name, x, y, 1, ignore_index, reduction) is NotImplemented


GRID = {
    "1x10": ((1, 10), 1),
    "8x10": ((8, 10), 1),
    "128x128": ((128, 128), 1),
    "65536x64": ((65536, 64), 1),
    "4096x1024": ((4096, 1024), 1),
    "1024x32000": ((1024, 32000), 1),
    "64x65536": ((64, 65536), 1),
    "1x1000000": ((1, 10**6), 1),
    "columns": ((1024, 4096), 0),
    "a middle axis": ((64, 300, 128), 1),
    "all": ((1000, 3000), None),
}


def peak(function, *arguments, **keywords):
    """Return the most memory that a call holds at once, in bytes."""
    tracemalloc.start()
    try:
        function(*arguments, **keywords)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("case", GRID)
@pytest.mark.parametrize("name", [*FUNCTIONS, *LOSSES])
def test_no_more_than_1_mebibyte_a_thread_beside_the_result(name, case):
    shape, axis = GRID[case]
    x = np.resize(numbers(8191), shape)
    arrays, results = (x,), x.nbytes
    if name in DERIVATIVES:
        arrays = (x, x)
    if name in LOSSES:
        if axis is None:
            axis = 0
        rows = shape[:axis] + shape[axis + 1 :]
        arrays = (x, np.resize(np.arange(shape[axis]), rows))
        loss = x.nbytes // shape[axis]
        results = loss + (x.nbytes if name == "cross_entropy_and_grad" else 0)
    if name in REDUCTIONS:
        results = x.nbytes // (shape[axis] if axis is not None else x.size)
    softaxis.set_num_threads(2)
    call(name, *arrays, axis=axis)
    assert peak(call, name, *arrays, axis=axis) <= results + 2 * 2**20


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NORMALIZERS)
def test_nothing_is_written_beyond_the_result(name, dtype):
    """Rows of every length up to five vectors, in the midst of an array that must not change."""
    for n in range(1, 81):
        around = np.full((3 * n + 200,), 7, dtype)
        out = around[100 : 100 + 3 * n].reshape(3, n)
        x = numbers((3, n), dtype)
        call(name, x, axis=-1, out=out)
        np.testing.assert_array_equal(out, call(name, x, axis=-1))
        assert (around[:100] == 7).all(), n
        assert (around[100 + 3 * n :] == 7).all(), n
