"""The cupy backend's values, its kernels executed on a CPU: the same source, compiled by g++."""

import ctypes
import functools
import itertools

import cupy
import ml_dtypes
import numpy as np
import pytest
from cuda_on_cpu import HOPPER, Device, HostArrays, backend_of_host_arrays, host
from libraries import CuPyWithoutDevice

import softaxis
from softaxis._backends import cupy as backend
from softaxis._backends._cupy import _shortcuts
from softaxis._backends._cupy._configure import Limits
from softaxis.testing import check
from softaxis.testing import references as ref

pytestmark = pytest.mark.needs_program("g++", "no C++ compiler (g++)")

DTYPES = ("float16", "float32", "float64")
LENGTHS = (*range(1, 18), 31, 32, 33, 63, 64, 65, 128, 129, 257, 513, 1025, 2049)
LONG = (8_193, 100_003)
PARTS = Limits(0, 1)
CLUSTERS = Limits(48 * 1024, 8)  # one to eight blocks for rows of 9,000 to 20,000
LIMITS = (PARTS, CLUSTERS, HOPPER)
LONG_SHAPES = [((2, 9_000), PARTS), ((2, 9_000), CLUSTERS)]
LONG_LABELLED = [((4, 9_000), PARTS), ((4, 9_000), CLUSTERS)]
NORMALIZERS = ("softmax", "log_softmax", "softmin")
REDUCTIONS = ("logsumexp", "logmeanexp")


@pytest.fixture
def device(monkeypatch, pytestconfig):
    return Device(pytestconfig.cache.mkdir("cuda-on-cpu")).installed(monkeypatch)


def call(name, x, axis=-1, **options):
    """Call the backend's function as dispatch does, with NumPy arrays."""
    axis = axis + x.ndim if isinstance(axis, int) and axis < 0 else axis
    for key in ("where", "out"):
        if key in options:
            options[key] = host(options[key])
    return np.asarray(getattr(backend, name)(host(x), axis=axis, **options))


def numbers(shape, dtype, scale=3.0):
    return (np.random.default_rng(list(shape)).standard_normal(shape) * scale).astype(dtype)


def assert_right(name, actual, x, axis=-1, **options):
    """Compare with mpmath, within the documented bound."""
    dtype = x.dtype.name
    if name in REDUCTIONS:
        expected, _ = ref.logsumexp(x, axis, mean=name == "logmeanexp", **options)
        m = np.max(np.abs(np.where(np.isfinite(x), x, 0)).astype(float), initial=1.0)
        ref.assert_accurate(actual, ref.objects(expected), dtype, bound=8, scale=ref.exact(m))
        return
    signed = -x if name == "softmin" else x
    of = "log_softmax" if name == "log_softmax" else "softmax"
    expected = getattr(ref, of)(signed, axis=axis, **options)
    bound = getattr(ref, f"{of}_bound")(signed, axis=axis, **options)
    ref.assert_accurate(actual, expected, dtype, bound=bound, scale=ref.magnitude(expected))


@pytest.mark.parametrize("function", sorted(backend.backend.functions))
def test_the_promises_are_kept(device, function, monkeypatch, pytestconfig):
    """The conformance kit, as for every other backend."""
    if pytestconfig.getoption("--all-cases"):
        monkeypatch.setattr(HostArrays, "share", 1)
    report = check(backend_of_host_arrays(), functions=[function])
    assert report.passed, "\n".join(f"{one.reason}\n{one.code}" for one in report.failures)
    assert sum(one.cases for one in report.outcomes) > 5
    assert len(device.ran) > 100
    assert all(0 <= worst <= 1 for *_, worst in report.measured)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*NORMALIZERS, *REDUCTIONS])
def test_rows_of_any_length(device, name, dtype):
    for n in LENGTHS:
        x = numbers((3, n) if n < 100 else (1, n), dtype)
        assert_right(name, call(name, x), x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", LONG)
@pytest.mark.parametrize("limits", LIMITS, ids=lambda limits: f"{limits.shared}x{limits.cluster}")
def test_long_rows(device, limits, n, dtype):
    """Against the array-API implementation in a wider dtype, which mpmath checks elsewhere."""
    device.limits = limits
    x = numbers((2, n), dtype)
    wide = x.astype(np.longdouble)
    low = wide.max(-1, keepdims=True) - wide
    assert_close(call("softmax", x), softaxis.softmax(wide), 4 + low)
    assert_close(call("log_softmax", x), softaxis.log_softmax(wide), 8)
    assert_close(call("softmin", x), softaxis.softmin(wide), 4 + wide - wide.min(-1, keepdims=True))
    for name in REDUCTIONS:
        y = getattr(softaxis, name)(wide, axis=-1)
        assert_close(call(name, x), y, 8 * np.maximum(wide.max() / np.abs(y), 1))
    assert {c.cluster if c.parts == 1 else 0 for c in device.ran} == {clusters(n, dtype, limits)}


def clusters(n, dtype, limits):
    """Return how many blocks keep a row; 0 where it is cut into parts."""
    needed = n * np.dtype(dtype).itemsize
    fits = [b for b in (1, 2, 4, 8) if b <= limits.cluster and needed / b < limits.shared - 2048]
    roomy = [b for b in fits if needed / b < limits.shared // 2 - 2048]
    return min(roomy, default=max(fits, default=0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_in_parts(device, dtype):
    x = numbers((1_500, 9), dtype)
    wide = x.astype(np.longdouble)
    assert_close(call("softmax", x, 0), softaxis.softmax(wide, axis=0), 4 + wide.max(0) - wide)
    y = softaxis.logsumexp(wide, axis=0)
    assert_close(call("logsumexp", x, 0), y, 8)
    assert {(c.parts > 1, c.beside) for c in device.ran} == {(True, True)}
    assert np.array_equal(call("softmax", x[:, 3:4], 0), call("softmax", x, 0)[:, 3:4])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("name", ["log_softmax", "logsumexp"])
def test_any_axes(device, name, axis, dtype):
    x = numbers((5, 7, 9), dtype)
    assert_right(name, call(name, x, axis), x, axis)


@pytest.mark.parametrize("dtype", DTYPES)
def test_hardmax_and_products_of_long_rows(device, dtype):
    device.limits = CLUSTERS
    n = 9_001
    x, g = numbers((2, n), dtype), numbers((n, 2), dtype).T.copy()
    x[1, [n - 1, n // 2]] = x.max() + 1
    assert list(call("hardmax", x).nonzero()[1]) == [x[0].argmax(), n // 2]
    for name in ("softmax", "log_softmax"):
        y = call(name, x)
        product = getattr(backend, f"{name}_vjp")(host(y), host(g), axis=1)
        wide = y.astype(np.longdouble), g.astype(np.longdouble)
        expected = getattr(softaxis, f"{name}_vjp")(*wide)
        scale = np.abs(expected).max(-1, keepdims=True)
        assert_close(np.asarray(product), expected, 8, scale=scale)
    assert min(c.cluster for c in device.ran) > 0


def views():
    x = numbers((6, 8, 10), "float32")
    yield "reversed", x[::-1, :, ::-1]
    yield "every other", x[::2, 1::3, ::2]
    yield "transposed", x.transpose(2, 0, 1)
    yield "Fortran order", np.asfortranarray(x)
    yield "one row for all", np.broadcast_to(x[:1], x.shape)
    yield "a field of a record", np.ones((4, 5), [("a", "i1"), ("b", "f4")])["b"]


@pytest.mark.parametrize("x", [pytest.param(x, id=name) for name, x in views()])
@pytest.mark.parametrize("axis", range(2))
def test_strides_of_any_kind(device, x, axis):
    before = x.copy()
    for name in ("softmax", "logmeanexp"):
        assert_right(name, call(name, x, axis), x, axis)
    assert np.array_equal(x, before)


SPECIAL = np.array(
    [
        [np.nan, 1, 2, 3],
        [np.inf, 1, 2, 3],
        [np.inf, -np.inf, np.nan, np.inf],
        [-np.inf, 1, 2, 1],
        [-np.inf] * 4,
        [0, -20, -np.inf, -40],
        [65504, -65504, 0, -0.0],
        [7, 7, 7, 7],
    ]
)


def special(dtype, length):
    """Rows that hold NaN or infinities, repeated to a length that takes another regime."""
    x = np.tile(SPECIAL, (1, length // 4)).astype(dtype)
    if dtype == "float64" and length == 4:  # mpmath takes long over such a row
        x[6, :2] = 1e308, -1e308
    return x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [4, 64, 520])
@pytest.mark.parametrize("name", [*NORMALIZERS, *REDUCTIONS])
def test_special_rows(device, name, length, dtype):
    x = special(dtype, length)
    if name == "log_softmax":  # of the full range it overflows: it is -131008 in float16
        x[6] /= 2
    assert_right(name, call(name, x), x)
    where = np.arange(length) % 4 != 0
    assert_right(name, call(name, x, where=where), x, where=np.broadcast_to(where, x.shape))
    nothing = np.zeros(x.shape, bool)
    assert_right(name, call(name, x, where=nothing), x, where=nothing)


@pytest.mark.parametrize("limits", [PARTS, CLUSTERS], ids=["parts", "clusters"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_long_rows(device, dtype, limits):
    """Parts without a finite element, or masked, join what the others hold."""
    device.limits = limits
    x = np.full((6, 20_000), -np.inf, dtype)
    x[1:, 17], x[2, 19_999], x[3, 10_000], x[4, 15_000] = 1, 1, np.nan, np.inf
    where = np.ones(x.shape, bool)
    where[5, :17_000] = False
    assert_same = np.testing.assert_array_equal
    p = call("softmax", x, where=where)
    assert np.isnan(p[[0, 3, 4]]).all()
    assert_same(p[1, [16, 17]], [0, 1])
    assert_same(p[2, [17, 19_999]], [0.5, 0.5])
    assert_same(p[5, :17_000], 0)
    y = call("logsumexp", x, where=where)
    assert_same(y[[0, 3, 4, 5]], [-np.inf, np.nan, np.inf, -np.inf])
    assert_same(y[1], 1)
    nothing = np.zeros_like(where)
    assert_same(call("log_softmax", x, where=nothing), -np.inf)
    assert np.isnan(call("logmeanexp", x, where=nothing)).all()
    assert_same(call("softmax", x, where=where, sink=-3.0)[0], 0)


def test_the_maxima_are_out_of_the_sum(device):
    top = call("log_softmax", np.array([0, -20], "float32"))[0]
    assert top == np.float32(-2.0611537e-09)
    assert abs(call("logsumexp", np.array([0.0, -40.0])) / 4.248354255291589e-18 - 1) < 1e-15
    assert call("logsumexp", np.full(70_000, 1, "float16")) == np.float16(1 + np.log(70_000))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [7, 700])
@pytest.mark.parametrize("temperature", [0.5, 3.0, 1e-3, 0.0, np.inf])
@pytest.mark.parametrize("name", NORMALIZERS)
def test_a_temperature(device, name, temperature, length, dtype):
    x = numbers((3, length), dtype)
    x[1, 2], x[2, 3:5] = -np.inf, x[2].max()
    actual = call(name, x, temperature=temperature)
    wide = getattr(softaxis, name)(x.astype(np.longdouble), temperature=temperature)
    signed = (-x if name == "softmin" else x).astype(np.longdouble)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        low = np.abs(signed - signed.max(-1, keepdims=True)) / temperature
    gap = np.where(low == 0, np.partition(low, 1)[:, 1:2], 0)  # from the maximum to the next
    bound = 8 + gap if name == "log_softmax" else 4 + low
    bound = np.where(np.isfinite(bound), bound, 4)
    assert_close(actual, wide, bound)


def assert_close(actual, wide, bound, scale=None):
    """Compare with what is known in a wider dtype; infinities and NaN have to agree."""
    info = ml_dtypes.finfo(actual.dtype)
    finite = np.isfinite(wide)
    np.testing.assert_array_equal(np.isfinite(actual), finite)
    np.testing.assert_array_equal(actual[~finite], wide[~finite].astype(actual.dtype))
    actual, wide = actual[finite], wide[finite]
    allowed = np.broadcast_to(bound, finite.shape)[finite] * float(info.eps)
    scale = np.abs(wide) if scale is None else np.broadcast_to(scale, finite.shape)[finite]
    allowed = allowed * np.maximum(scale, float(info.smallest_normal))
    off = np.abs(actual - wide) / allowed
    assert off.size == 0 or off.max() <= 1, off.max()


ROWS = [((3, 7), PARTS), ((3, 700), PARTS), ((3, 9_000), PARTS), ((3, 9_000), CLUSTERS)]
"""In registers, in parts, kept."""
STEP_BY_STEP = pytest.mark.parametrize(("shape", "limits"), ROWS)


def temperatures(shape):
    """Make one a row, its limits among them, and one an element."""
    t = np.abs(numbers(shape, "float32")) + np.float32(0.1)
    t[0, :3] = 0, np.inf, np.nan
    yield np.array([[0.5], [0], [np.inf]], "float32")
    yield np.array([[-1], [1], [2]], "int64")
    yield t[1:2]
    yield t


@STEP_BY_STEP
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NORMALIZERS)
def test_an_array_as_temperature(device, name, dtype, shape, limits):
    device.limits = limits
    x = numbers(shape, dtype)
    x[1, 2], x[2, 3:5] = -np.inf, x[2].max()
    wide = x.astype(np.longdouble)
    for t in temperatures(shape):
        expected = getattr(softaxis, name)(wide, temperature=t)
        with np.errstate(invalid="ignore", divide="ignore"):
            signed = -wide if name == "softmin" else wide
            low = np.nan_to_num(np.abs(softaxis.log_softmax(signed, temperature=t)), posinf=0)
            far = 2 * np.nan_to_num(np.abs(wide / t), posinf=0).max() if t.shape[1] > 1 else 0
        bound = 8 + 2 * low + far  # x / t is rounded before the maximum is taken off
        assert_close(call(name, x, temperature=host(t)), expected, bound)
        where = np.arange(shape[1]) % 3 != 0
        expected = getattr(softaxis, name)(wide, temperature=t, where=where)
        assert_close(call(name, x, temperature=host(t), where=where), expected, bound + 99)


@STEP_BY_STEP
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_an_array_as_sink(device, name, dtype, shape, limits):
    device.limits = limits
    x = numbers(shape, dtype)
    x[0] = -np.inf
    wide = x.astype(np.longdouble)
    for sink in (np.array([0, 9, -np.inf]), np.array([3]), np.array([np.nan, 0, np.inf])):
        expected = getattr(softaxis, name)(wide, sink=sink)
        low = np.nan_to_num(np.abs(softaxis.log_softmax(wide, sink=sink)), posinf=0)
        bound = 8 if name == "log_softmax" else 4 + low
        assert_close(call(name, x, sink=host(sink)), expected, bound)


@STEP_BY_STEP
@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        ("float16", "float32"),
        ("float16", "float64"),
        ("bfloat16", "bfloat16"),
        ("bfloat16", "float32"),
        ("float32", "float16"),
        ("float32", "float64"),
        ("float64", "bfloat16"),
    ],
)
def test_results_of_any_dtype(device, dtype, result, shape, limits):
    """bfloat16 among them, in and out: computed in float32, rounded once."""
    device.limits = limits
    result = np.dtype(result)
    x = numbers(shape, np.float32).astype(dtype)
    wide = x.astype(np.float32).astype(np.longdouble)
    where = np.arange(shape[1]) % 3 != 0
    low = wide.max(-1, keepdims=True) - wide
    options = {"where": where, "dtype": result}
    for name, bound in (("softmax", 4 + low), ("log_softmax", 8), ("hardmax", 1)):
        if name == "hardmax" and (shape[1], limits) == (9_000, PARTS):
            continue
        found = call(name, x, **options)
        assert found.dtype == result
        assert_close(found, getattr(softaxis, name)(wide, where=where), bound)
    for name in REDUCTIONS:
        y = getattr(softaxis, name)(wide, axis=-1, where=where)
        assert_close(call(name, x, **options), y, 8 * np.maximum(wide.max() / np.abs(y), 1))
    out = host(np.empty(shape, result))
    assert backend.softmin(host(x), axis=1, dtype=result, out=out) is out
    bound = 4 + wide - wide.min(-1, keepdims=True)
    assert_close(np.asarray(out), softaxis.softmin(wide), bound)


@STEP_BY_STEP
def test_bfloat16(device, shape, limits):
    device.limits = limits
    x = numbers(shape, "float32").astype("bfloat16")
    labels = np.array([1, 2, 3])
    p, g = call("softmax", x), x[::-1].copy()
    wide = [a.astype(np.float32).astype(np.longdouble) for a in (x, p, g)]
    if limits is not PARTS or shape[1] < 9_000:
        product = np.asarray(backend.softmax_vjp(host(p), host(g), axis=1))
        expected = softaxis.softmax_vjp(wide[1], wide[2])
        assert_close(product, expected, 8, scale=np.abs(expected).max(-1, keepdims=True))
    loss, grad = backend.cross_entropy_and_grad(host(x), host(labels), axis=1, reduction="mean")
    expected = softaxis.cross_entropy_and_grad(wide[0], labels, reduction="mean")
    assert loss.dtype == grad.dtype == x.dtype
    assert_close(np.asarray(loss), np.asarray(expected[0]), 8)
    largest = np.abs(expected[1]).max(-1, keepdims=True)
    assert_close(np.asarray(grad), expected[1], 8, scale=largest)


def test_bfloat16_is_rounded_to_the_nearest(device):
    """As float32 to bfloat16 by ml_dtypes: ties to even, overflow to infinity, NaN stays."""
    tie = np.float32(1 + 2**-8)
    x = np.array([tie, tie + 2**-7, 1 + 2**-9, 3e38, 3.4e38, -1e-40, np.inf, np.nan], "float32")
    rows = host(np.repeat(x[:, None], 1, 1))
    found = np.asarray(backend.logsumexp(rows, axis=1, dtype=np.dtype("bfloat16")))
    np.testing.assert_array_equal(found.view("u2")[:-1], x.astype("bfloat16").view("u2")[:-1])
    assert np.isnan(found[-1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sink", [0.0, -5.0, 50.0, -np.inf, np.nan])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_a_sink(device, name, sink, dtype):
    x = np.concatenate([special(dtype, 4), numbers((3, 4), dtype)])
    x[6] /= 2
    assert_right(name, call(name, x, sink=sink), x, sink=sink)


@pytest.mark.parametrize("limits", [PARTS, CLUSTERS], ids=["parts", "clusters"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_a_sink_of_long_rows(device, name, dtype, limits):
    device.limits = limits
    x = numbers((2, 9_000), dtype)
    for sink, temperature in itertools.product((0.0, 50.0, np.inf, -np.inf), (1.0, 0.5)):
        wide = x.astype(np.longdouble)
        expected = getattr(softaxis, name)(wide, sink=sink, temperature=temperature)
        top = np.maximum(wide.max(-1, keepdims=True) / temperature, sink)
        low = np.where(np.isfinite(top), np.abs(wide / temperature - top), 0)
        bound = 8 if name == "log_softmax" else 4 + low
        assert_close(call(name, x, sink=sink, temperature=temperature), expected, bound)


@pytest.mark.parametrize(
    ("shape", "limits"),
    [((37, 10), PARTS), ((5, 300), PARTS), ((3, 2000), PARTS), *LONG_SHAPES],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_depend_on_the_row_alone(device, shape, dtype, limits):
    """Not on the batch, on the size of the grid or on the order of its threads."""
    device.limits = limits
    x = numbers(shape, dtype)
    y = call("softmax", x)
    assert np.array_equal(call("softmax", x[1:2]), y[1:2])
    columns = np.asfortranarray(x)
    z = call("softmax", columns)
    assert np.array_equal(call("softmax", columns[1:2]), z[1:2])
    shifted = np.empty(x.size + 1, dtype)[1:].reshape(shape)  # not aligned to 16 bytes
    shifted[...] = x
    assert np.array_equal(call("softmax", shifted), y)
    device.most_blocks, device.backwards = 2, True
    assert np.array_equal(call("softmax", x), y)
    assert np.array_equal(call("softmax", shifted), y)
    assert np.array_equal(call("softmax", columns), z)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "limits"), [((4, 10), PARTS), ((4, 700), PARTS), *LONG_LABELLED])
@pytest.mark.parametrize("axis", [0, 1], ids=["columns", "rows"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_a_loss_and_its_gradient(device, dtype, shape, limits, axis, reduction):
    """Of a right class, of one to ignore, of none, and of one that is masked."""
    device.limits = limits
    x = numbers(shape, dtype)
    labels = np.array([5, -1, 3, 2])
    kept = np.ones(x.shape, bool)
    kept[3, 2], kept[2, 4] = False, False
    x[2, 4] = np.nan
    options = {"ignore_index": -1, "reduction": reduction}
    if axis == 0:
        x, kept = x.T.copy(), kept.T.copy()
    for where in (None, kept):
        wide = softaxis.cross_entropy_and_grad(
            x.astype(np.longdouble), labels, axis=axis, where=where, **options
        )
        given = (host(x), host(labels))
        loss, grad = backend.cross_entropy_and_grad(*given, axis=axis, where=host(where), **options)
        assert_close(np.asarray(loss), np.asarray(wide[0]), 8)
        largest = np.max(np.nan_to_num(np.abs(wide[1])), axis=axis, keepdims=True)
        assert_close(np.asarray(grad), wide[1], 8, scale=largest)
        alone = backend.cross_entropy(*given, axis=axis, where=host(where), **options)
        assert np.array_equal(alone, loss, equal_nan=True)
    loss = backend.cross_entropy(host(x), host(np.array([0, 10**6, -2, 1])), axis=axis)
    assert list(np.isnan(loss)) == [False, True, True, False]


@STEP_BY_STEP
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_loss_of_weights_smoothing_and_z(device, dtype, reduction, shape, limits):
    device.limits = limits
    classes = shape[1]
    x, labels = numbers((5, classes), dtype), np.array([0, 4, -1, 3, 5])
    x[1, 4], x[3] = 60, -np.inf  # nearly certain; nothing at all
    w = np.abs(numbers((classes,), "float32"))
    w[[1, 5]] = 0
    x[0, 1] = -np.inf  # of no weight
    kept = np.ones(x.shape, bool)
    kept[4, 2], x[4, 2] = False, np.nan
    bound = np.array([8, 8 + 60, 8, 8, 8])  # the gap of the second row
    more = {"class_weights": w, "label_smoothing": 0.25, "z_loss": 1e-3}
    names = ["class_weights"], ["label_smoothing"], ["z_loss"], list(more)
    for chosen, where in itertools.product(names, (None, kept)):
        options = {name: more[name] for name in chosen} | {"ignore_index": -1}
        wide = softaxis.cross_entropy_and_grad(
            x.astype(np.longdouble), labels, where=where, reduction=reduction, **options
        )
        if "class_weights" in options:
            options["class_weights"] = host(w)
        options |= {"axis": 1, "where": host(where), "reduction": reduction}
        loss, grad = backend.cross_entropy_and_grad(host(x), host(labels), **options)
        assert_close(np.asarray(loss), np.asarray(wide[0]), bound if reduction == "none" else 8)
        largest = np.max(np.nan_to_num(np.abs(wide[1])), axis=1, keepdims=True)
        assert_close(np.asarray(grad), wide[1], bound[:, None], scale=largest)
        alone = backend.cross_entropy(host(x), host(labels), **options)
        assert np.array_equal(alone, loss, equal_nan=True)


def test_more_elements_than_32_bits_count(device, tmp_path):
    """The elements of a row, the rows and the results lie further apart than 2**31 elements."""
    apart, count = 2**31 + 4, 3
    far = np.memmap(tmp_path / "far", "float16", mode="w+", shape=(count * apart,))  # mostly holes
    x = numbers((count, 50), "float16")
    along = np.lib.stride_tricks.as_strided(far, (count, 50), (apart * 2, 2))
    along[...] = x
    y = call("softmax", x)
    assert np.array_equal(call("softmax", along), y)
    assert np.array_equal(call("softmax", along.T, 1), call("softmax", x.T, 1))
    assert np.array_equal(call("softmax", along.T, 0).T, y)
    call("softmax", x, out=along)
    assert np.array_equal(along, y)
    (tmp_path / "far").unlink()


@pytest.mark.parametrize("length", [10, 9_000])
def test_out(device, length):
    x = numbers((3, length), "float32")
    y = call("softmax", x)
    out = np.empty_like(x)
    given = host(out)
    assert backend.softmax(host(x), axis=1, out=given) is given
    assert np.array_equal(out, y)
    behind = np.zeros((4, length), "float32")  # overlaps with what is read
    behind[1:] = x
    call("softmax", behind[1:], out=behind[:3])
    assert np.array_equal(behind[:3], y)
    same = host(x.copy())
    assert backend.softmax(same, axis=1, out=same) is same
    assert np.array_equal(same, y)
    odd = np.empty((3, length, 2), "float32")[:, ::-1, 1]
    assert np.array_equal(call("softmax", x, out=odd), y)
    sums = host(np.empty(3, "float32"))
    assert backend.logsumexp(host(x), axis=1, out=sums) is sums
    assert np.array_equal(np.asarray(sums), call("logsumexp", x))


def test_the_shapes_of_sums(device):
    x = numbers((4, 5, 6), "float32")
    for axis, keepdims in itertools.product([0, 2, (0, 1), (0, 1, 2)], [False, True]):
        expected = np.sum(x, axis=axis, keepdims=keepdims).shape
        assert call("logsumexp", x, axis, keepdims=keepdims).shape == expected


def test_what_is_declined(device):
    x = host(numbers((4, 5, 6), "float32"))
    assert backend.softmax(x, axis=(0, 2)) is NotImplemented
    assert backend.softmax(x, axis=()) is NotImplemented
    assert backend.softmax(x[:0], axis=1) is NotImplemented
    labels = host(np.ones((4, 5, 6), "float32") / 6)
    assert backend.cross_entropy(x, labels, axis=2) is NotImplemented
    assert not device.ran


@pytest.fixture
def on_host(monkeypatch):
    """Let CuPy's arrays lie in the memory of the host."""

    def allocated(size):
        memory = np.full(max(size, 1), 77, "u1")
        owned = cupy.cuda.UnownedMemory(memory.ctypes.data, memory.nbytes, memory, device_id=0)
        return cupy.cuda.MemoryPointer(owned, 0)

    monkeypatch.setattr(cupy.cuda.runtime, "getDevice", lambda: 0)
    with cupy.cuda.using_allocator(allocated):
        yield


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_a_plain_call_takes_the_short_way(device, monkeypatch, on_host, name):
    """From the second on; it gives the bits of the long way, and leaves it what it cannot do."""
    monkeypatch.setattr(backend, "cupy", cupy)
    library, function = CuPyWithoutDevice(), getattr(softaxis, name)
    long_way = getattr(softaxis.get_backend("cupy"), name)
    x = numbers((4, 5, 6), "float32")
    function(library.from_numpy(x, ""))  # decides for the type
    for dtype, axis in itertools.product((*DTYPES, "bfloat16"), (-1, 0, 1, 2, None)):
        given = library.asarray(x, dtype)
        before = len(_shortcuts._known)
        found = [function(given, axis=axis) for _ in range(2)]
        assert len(_shortcuts._known) == before + 1
        wanted = in_host_memory(long_way(given, axis=axis))
        for y in found:
            assert y.shape == wanted.shape
            assert y.dtype == dtype
            assert np.array_equal(in_host_memory(y), wanted)
    reversed_ = function(library.from_numpy(x, "")[:, ::-1], axis=1)
    wanted = getattr(softaxis, name)(x[:, ::-1], axis=1)
    np.testing.assert_allclose(in_host_memory(reversed_), wanted, rtol=1e-5)
    for axis in (3, -4, True, 1.0, (0, 0)):
        with pytest.raises((TypeError, ValueError)):
            function(given, axis=axis)
    assert function(given, axis=(0, 1)).ndim == (1 if name == "logsumexp" else 3)


def test_the_public_functions_on_cupys_own_arrays(device, monkeypatch, on_host):
    """Over the memory of the host: strides, pointers and dispatch are CuPy's, launches are not."""
    library = CuPyWithoutDevice()

    monkeypatch.setattr(backend, "cupy", cupy)
    x, y = numbers((4, 5, 6), "float32"), np.arange(20).reshape(4, 5) % 6
    given, labels = library.from_numpy(x, ""), library.from_numpy(y, "")
    out = cupy.empty_like(given)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
    assert softaxis.softmax(given, axis=(0, 1), temperature=2.0, sink=1.0, out=out) is out
    close(in_host_memory(out), softaxis.softmax(x, axis=(0, 1), temperature=2.0, sink=1.0))
    reversed_ = softaxis.softmax(given[::-1, :, ::2], axis=1)
    close(in_host_memory(reversed_), softaxis.softmax(x[::-1, :, ::2], axis=1))
    where = library.from_numpy(x > 0, "")
    p = softaxis.softmax(given, where=where)
    close(in_host_memory(p), softaxis.softmax(x, where=x > 0))
    close(in_host_memory(softaxis.logsumexp(given)), softaxis.logsumexp(x))
    loss, grad = softaxis.cross_entropy_and_grad(given, labels)
    wanted = softaxis.cross_entropy_and_grad(x, y)
    close(in_host_memory(loss), wanted[0])
    close(in_host_memory(grad), wanted[1])
    brain = softaxis.softmax(library.asarray(x, "bfloat16"))
    assert brain.dtype.name == "bfloat16"
    wanted = softaxis.softmax(x.astype("bfloat16").astype("float32"))
    np.testing.assert_allclose(in_host_memory(brain).astype("float32"), wanted, rtol=2**-8)
    assert softaxis.softmax(library.asarray(x, "float16"), dtype="float32").dtype == "float32"
    product = softaxis.softmax_vjp(p, given)
    close(in_host_memory(product), softaxis.softmax_vjp(softaxis.softmax(x, where=x > 0), x))
    assert len(device.ran) == 8


def in_host_memory(a):
    """Copy a contiguous CuPy array that lies there to one of NumPy's."""
    assert a.flags.c_contiguous
    memory = (ctypes.c_char * a.nbytes).from_address(a.data.ptr)
    return np.frombuffer(memory, a.dtype).reshape(a.shape).copy()
