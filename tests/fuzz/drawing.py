"""Calls of every public function, with every argument, drawn by hypothesis.

Zero lengths, rows of thousands, all layouts, all masks; what a call needs from another function
(p, logp, lse) is computed by mpmath and rounded.
"""

import numpy as np
from calls import Call, Dtype, Numbers, Out
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import SPECIAL, axes, finite, inf, layouts_of, nan

from softaxis.testing import references as ref

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float64", "float32", "float16", "bfloat16", "longdouble")
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
ROWS = hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=9)
SCALARS = st.sampled_from([0.5, 1.0, 2, 3.0, 0.1, 0.75, 100.0])
FULL = ("softmax", "log_softmax", "softmin")
SUMS = ("logsumexp", "logmeanexp")
POINTWISE = ("sigmoid", "log_sigmoid")
LOSSES = ("cross_entropy", "cross_entropy_and_grad")
PRODUCTS = ("softmax_vjp", "softmax_jvp", "log_softmax_vjp", "log_softmax_jvp")
THROUGH_SUMS = ("logsumexp_vjp", "logsumexp_jvp")
FUNCTIONS = (*FULL, "hardmax", *POINTWISE, *SUMS, *LOSSES, *PRODUCTS, *THROUGH_SUMS)
FUNCTIONS += ("softmax_jacobian",)


def calls(xp, function):
    """Return the strategy for calls of one function on one library."""
    for names, strategy in STRATEGIES.items():
        if function in names:
            return strategy(xp, function)
    raise LookupError(function)


def maybe(draw, chance=3):
    """Draw a yes once in `chance` + 1 times."""
    return draw(st.integers(0, chance)) == chance  # shrinks to no


def dtypes(xp, names):
    return st.sampled_from([name for name in names if xp.has_dtype(name)])


@st.composite
def numbers(draw, xp, shape, dtype, kinds=("moderate",), layout=True):
    """Draw an array: of one kind, or with special values among moderate ones."""
    kind = draw(st.sampled_from(kinds))
    if dtype == "bool":
        values = draw(hnp.arrays(bool, shape))
    elif dtype in INTEGERS:
        values = draw(hnp.arrays(dtype, shape))
    elif dtype.startswith("complex"):
        parts = [draw(hnp.arrays(np.float64, shape, elements=SPECIAL)) for _ in range(2)]
        values = np.empty(shape, complex)
        values.real, values.imag = parts
    else:
        elements = SPECIAL if kind == "special" else finite(dtype)[kind]
        values = draw(hnp.arrays(np.float64, shape, elements=elements))
        values = settled(xp, values, dtype)
    kinds = layouts_of(xp, values.ndim) if layout else ["plain"]
    if xp.name == "numpy" and values.size and layout:
        kinds = [*kinds, "swapped", "unaligned"]
    return Numbers(values, dtype, draw(st.sampled_from(kinds)) if len(kinds) > 1 else "plain")


def settled(xp, values, dtype):
    """Round to the dtype; without subnormal numbers where the library takes them for 0."""
    with np.errstate(all="ignore"):
        if dtype != "longdouble":
            values = values.astype("float32" if dtype == "bfloat16" else dtype).astype(float)
    if xp.flushes_subnormals:
        values = np.where(np.abs(values) < float(ref.TINY[dtype]), np.copysign(0.0, values), values)
    return values


def nearest(exact, dtype):
    """Round mpmath numbers to float64, or to longdouble by mantissa and exponent."""
    if dtype != "longdouble":
        return np.asarray(exact, dtype=float)
    result = np.empty(exact.shape, np.longdouble)
    for index in np.ndindex(exact.shape):
        mantissa, exponent = (
            ref.mp.frexp(exact[index]) if ref.mp.isfinite(exact[index]) else (exact[index], 0)
        )
        high = float(mantissa)
        low = float(mantissa - high) if ref.mp.isfinite(mantissa) else 0.0
        result[index] = np.ldexp(np.longdouble(high) + np.longdouble(low), exponent)
    return result


@st.composite
def long_rows(draw, xp, dtype):
    """Draw one or two rows of hundreds or thousands of normal, tied or nearly certain numbers."""
    length = draw(st.integers(100, 3000) if maybe(draw) else st.integers(33, 200))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.sampled_from([(length,), (2, length), (length, 2)]))
    kind = draw(st.sampled_from(["normal", "ties", "certain", "equal"]))
    values = {
        "normal": lambda: 3 * rng.standard_normal(shape),
        "ties": lambda: rng.integers(0, 4, shape) * 1.0,
        "certain": lambda: np.where(rng.random(shape) < 1 / length, 0.0, -25 - rng.random(shape)),
        "equal": lambda: np.full(shape, 0.1),
    }[kind]()
    return Numbers(settled(xp, values, dtype), dtype, draw(st.sampled_from(layouts_of(xp, 2))))


@st.composite
def first(draw, xp, *, kinds, also=(), long=True):
    """Draw the first array, of any dtype."""
    dtype = draw(dtypes(xp, (*FLOATS, *FLOATS, "bool", *INTEGERS, *also)))
    if long and dtype in FLOATS and maybe(draw, 24):
        return draw(long_rows(xp, dtype))
    shape = draw(st.one_of(SHAPES, ROWS))
    return draw(numbers(xp, shape, dtype, kinds))


ALL_KINDS = ("moderate", "wide", "huge", "subnormal", "ties", "certain", "special")


@st.composite
def axes_of(draw, ndim):
    """Draw an axis in any of its forms."""
    axis = draw(axes(ndim))
    if isinstance(axis, int) and draw(st.booleans()):
        return np.int64(axis) if draw(st.booleans()) else (axis,)
    return axis


@st.composite
def broadcastable(draw, shape):
    """Draw a shape that broadcasts to `shape`."""
    dropped = draw(st.integers(0, len(shape))) if draw(st.booleans()) else 0
    return tuple(1 if draw(st.integers(0, 2)) == 0 else n for n in shape[dropped:])


@st.composite
def masks(draw, xp, shape):
    """Draw `where`: an array, True or False."""
    kind = draw(st.sampled_from(["array", "array", "array", "none", "all", True, False]))
    if isinstance(kind, bool):
        return kind
    shape = draw(broadcastable(shape))
    values = np.full(shape, kind == "all")
    if kind == "array":
        values = draw(hnp.arrays(bool, shape))
    return Numbers(values, "bool")


def default_of(xp, dtype):
    return dtype if dtype in FLOATS or dtype.startswith("complex") else xp.default_float


@st.composite
def with_out(draw, xp, x, shape, options):
    """Add `out`: fresh, with strides of its own, `x` itself, or `x` moved by one element."""
    if xp.immutable or xp.name == "numpy-read-only" or not maybe(draw, 5):
        return x, options
    dtype = options["dtype"].name if "dtype" in options else default_of(xp, x.dtype)
    kinds = ["empty"]
    if xp.strided and shape:
        kinds += ["stepped", "transposed"]
    writable = x.layout not in ("repeated", "swapped")
    if shape == x.values.shape and dtype == x.dtype and writable:
        kinds.append("x")
        if xp.namespace == "numpy" and shape and x.values.size:
            kinds.append("beside")
    kind = draw(st.sampled_from(kinds))
    if kind == "beside":
        x = Numbers(x.values, x.dtype, "beside")
    return x, {**options, "out": Out(kind, shape, dtype)}


TEMPERATURES = st.one_of(
    SCALARS, st.sampled_from([0, 0.0, inf, 1e-3, 1e-6, 1e-30, 1e-300, 5e-324, 1e5, 1e30, 1e300])
)


@st.composite
def temperatures(draw, xp, x):
    """Draw a temperature, a number or an array, down to 0 and up to infinity."""
    scalars = SCALARS if x.dtype.startswith("complex") else TEMPERATURES
    if draw(st.booleans()) or x.dtype.startswith("complex"):
        return draw(scalars)
    dtype = draw(st.sampled_from([default_of(xp, x.dtype), draw(dtypes(xp, FLOATS)), "int32"]))
    shape = draw(broadcastable(x.values.shape))
    if dtype == "int32":
        return Numbers(draw(hnp.arrays(dtype, shape, elements=st.integers(0, 9))), dtype)
    values = draw(hnp.arrays(np.float64, shape, elements=temperature_values(dtype)))
    return Numbers(settled(xp, values, dtype), dtype)


def temperature_values(dtype):
    most, tiny = ref.LARGEST[dtype], float(ref.TINY[dtype])
    special = [0.0, inf, tiny, most, nan, -1.0]
    return st.one_of(SCALARS, SCALARS, st.floats(0.0625, 16, width=16), st.sampled_from(special))


@st.composite
def sinks(draw, xp, x, axis):
    """Draw a sink, a number or an array of the reduced shape, infinities and NaN included."""
    values = st.one_of(
        st.floats(-50, 50, width=16), st.sampled_from([0.0, -inf, inf, nan, 0.1, 1e4, -1e4])
    )
    if draw(st.booleans()):
        return draw(st.one_of(values, st.sampled_from([0, 2, -1, 1e5, 1e30, -1e300])))
    reduced = np.zeros(x.values.shape).sum(axis=axis).shape
    shape = draw(broadcastable(reduced))
    dtype = draw(st.sampled_from([default_of(xp, x.dtype), draw(dtypes(xp, FLOATS)), "int8"]))
    if dtype == "int8":
        return Numbers(draw(hnp.arrays(dtype, shape)), dtype)
    drawn = draw(hnp.arrays(np.float64, shape, elements=values))
    return Numbers(settled(xp, drawn, dtype), dtype)


@st.composite
def normalizers(draw, xp, function):
    also = ("complex64", "complex128") if function != "softmin" else ()
    x = draw(first(xp, kinds=ALL_KINDS, also=also))
    axis = draw(axes_of(x.values.ndim))
    is_real = not x.dtype.startswith("complex")
    options = {"axis": axis}
    if maybe(draw):
        options["where"] = draw(masks(xp, x.values.shape))
    if maybe(draw):
        options["temperature"] = draw(temperatures(xp, x))
    if maybe(draw) and is_real:
        options["sink"] = draw(sinks(xp, x, axis))
    if maybe(draw) and is_real:
        options["dtype"] = Dtype(draw(dtypes(xp, FLOATS)))
    x, options = draw(with_out(xp, x, x.values.shape, options))
    return Call(function, (x,), options)


@st.composite
def picks(draw, xp, function):
    x = draw(first(xp, kinds=ALL_KINDS))
    options = {"axis": draw(axes_of(x.values.ndim))}
    if maybe(draw):
        options["where"] = draw(masks(xp, x.values.shape))
    if maybe(draw):
        options["dtype"] = Dtype(draw(dtypes(xp, FLOATS)))
    return Call(function, (x,), options)


@st.composite
def pointwise(draw, xp, function):
    x = draw(first(xp, kinds=ALL_KINDS, long=False))
    options = {"dtype": Dtype(draw(dtypes(xp, FLOATS)))} if maybe(draw) else {}
    x, options = draw(with_out(xp, x, x.values.shape, options))
    return Call(function, (x,), options)


@st.composite
def weights(draw, xp, x, *, real=True):
    """Draw weights of any sign and size, zeros of both signs, integers and numbers."""
    if maybe(draw, 4):
        return draw(st.sampled_from([1.0, 2.0, 0.0, -1.0, 0.5, 3, -0.0]))
    dtype = default_of(xp, x.dtype)
    if not real and maybe(draw, 6) and xp.has_dtype("complex64"):
        return Numbers(np.array(1 + 2j), "complex64")
    shape = draw(broadcastable(x.values.shape))
    if maybe(draw, 5):
        return Numbers(draw(hnp.arrays(np.int8, shape)), "int8")
    largest = min(ref.LARGEST[dtype], 1e30)
    values = st.one_of(
        st.floats(0, 8, width=16),
        st.floats(0.5, 8, width=16),
        st.floats(-8, 8, width=16),
        st.sampled_from([0.0, -0.0, 1.0, -1.0, largest, 1 / largest, float(ref.TINY[dtype])]),
    )
    kind = draw(st.sampled_from([values, st.floats(0.5, 8, width=16)]))
    drawn = draw(hnp.arrays(np.float64, shape, elements=kind))
    return Numbers(settled(xp, drawn, dtype), dtype)


@st.composite
def reductions(draw, xp, function):
    also = ("complex64", "complex128") if function == "logsumexp" else ()
    x = draw(first(xp, kinds=ALL_KINDS, also=also))
    options = {"axis": draw(axes_of(x.values.ndim))}
    is_real = not x.dtype.startswith("complex")
    if maybe(draw):
        options["where"] = draw(masks(xp, x.values.shape))
    if maybe(draw, 2) and is_real:
        options["weights"] = draw(weights(xp, x, real=function == "logmeanexp"))
    if draw(st.booleans()):
        options["keepdims"] = draw(st.booleans())
    if maybe(draw) and is_real:
        options["dtype"] = Dtype(draw(dtypes(xp, FLOATS)))
    if function == "logsumexp":
        if maybe(draw):
            options["return_sign"] = True
        elif is_real and getattr(options.get("weights"), "dtype", "") != "complex64":
            shape = np.sum(
                np.zeros(x.values.shape),
                axis=options["axis"],
                keepdims=options.get("keepdims", False),
            ).shape
            x, options = draw(with_out(xp, x, shape, options))
    return Call(function, (x,), options)


@st.composite
def losses(draw, xp, function):
    dtype = draw(dtypes(xp, (*FLOATS, *FLOATS, "int8", "bool")))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4))
    x = draw(numbers(xp, shape, dtype, ALL_KINDS))
    if dtype in FLOATS and maybe(draw, 24):
        x = draw(long_rows(xp, dtype))
    shape = x.values.shape
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    options = {"axis": axis}
    classes = shape[axis]
    rows = np.zeros(shape).sum(axis=axis).shape
    if draw(st.booleans()) or (classes == 0 and 0 not in rows):
        values = st.one_of(st.floats(0, 1, width=16), st.sampled_from([0.0, 1.0, 1e-6]))
        drawn = draw(hnp.arrays(np.float64, shape, elements=values))
        own = default_of(xp, dtype)
        labels = Numbers(settled(xp, drawn, own), own)
    else:
        of = [n for n in INTEGERS if xp.has_dtype(n) and np.iinfo(n).max >= classes]
        kind = draw(st.sampled_from(of))
        allowed = st.integers(0, max(classes - 1, 0))
        if draw(st.booleans()):
            ignored = draw(st.sampled_from([-1, -100, 0, classes, 127]))
            options["ignore_index"] = ignored
            if np.iinfo(kind).min <= ignored <= np.iinfo(kind).max:
                allowed = st.one_of(allowed, st.just(ignored))
        labels = Numbers(draw(hnp.arrays(kind, rows, elements=allowed)), kind)
    if maybe(draw):
        options["where"] = draw(masks(xp, shape))
    if maybe(draw):
        values = st.one_of(st.floats(0, 4, width=16), st.sampled_from([0.0, 1.0]))
        own = default_of(xp, dtype)
        drawn = draw(hnp.arrays(np.float64, (classes,), elements=values))
        options["class_weights"] = Numbers(settled(xp, drawn, own), own)
    if maybe(draw):
        options["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 0.5, 1.0, 1]))
    if maybe(draw):
        options["z_loss"] = draw(st.sampled_from([0.0, 1e-4, 0.25, 1, 2.0]))
    if draw(st.booleans()):
        options["reduction"] = draw(st.sampled_from(["none", "sum", "mean"]))
    return Call(function, (x, labels), options)


@st.composite
def rounded_results(draw, xp, function, *, long=True):
    """Draw x and a mask, and round softmax or log_softmax of them."""
    dtype = draw(dtypes(xp, FLOATS))
    if long and maybe(draw, 24):
        x = draw(long_rows(xp, dtype))
    else:
        shape = draw(st.one_of(SHAPES, ROWS))
        x = draw(numbers(xp, shape, dtype, ("moderate", "wide", "ties", "certain")))
    axis = draw(axes_of(x.values.ndim))
    where = None
    if maybe(draw):
        where = np.broadcast_to(draw(hnp.arrays(bool, x.values.shape)), x.values.shape)
    values = xp.numpy(x.on(xp))
    reference = ref.log_softmax if function.startswith("log") else ref.softmax
    exact = reference(values, axis, where=where)
    y = nearest(exact, dtype)
    return Numbers(values, dtype), where, axis, Numbers(settled(xp, y, dtype), dtype)


@st.composite
def products(draw, xp, function):
    x, where, axis, y = draw(rounded_results(xp, function))
    kinds = ("moderate", "ties", "special")
    v = draw(numbers(xp, y.values.shape, y.dtype, kinds))
    return Call(function, (y, v), {"axis": axis}, {"x": x.values, "where": where})


@st.composite
def jacobians(draw, xp, function):
    x, _, axis, y = draw(rounded_results(xp, "softmax", long=False).filter(_is_small))
    return Call(function, (y,), {"axis": axis}, {"x": x.values})


def _is_small(drawn):
    return drawn[0].values.size <= 40 and drawn[1] is None


@st.composite
def through_sums(draw, xp, function):
    dtype = draw(dtypes(xp, FLOATS))
    shape = draw(st.one_of(SHAPES, ROWS))
    x = draw(numbers(xp, shape, dtype, ("moderate", "wide", "ties", "certain", "special")))
    if maybe(draw, 24):
        x = draw(long_rows(xp, dtype))
    options = {"axis": draw(axes_of(x.values.ndim))}
    if maybe(draw):
        options["where"] = draw(masks(xp, x.values.shape))
    if maybe(draw):
        options["weights"] = draw(weights(xp, x))
    if draw(st.booleans()):
        options["keepdims"] = draw(st.booleans())
    where, factors = (_values(options.get(name), xp) for name in ("where", "weights"))
    if factors is not None:
        factors = np.broadcast_to(factors, x.values.shape)
    values = xp.numpy(x.on(xp))
    log, sign = ref.logsumexp(
        values, options["axis"], factors, where, options.get("keepdims", False)
    )
    lse = Numbers(settled(xp, nearest(log, dtype), dtype), dtype)
    if factors is not None or maybe(draw, 5):
        options["sign"] = Numbers(settled(xp, sign.astype(float), dtype), dtype)
    kind = ("moderate", "ties", "special")
    like = lse if function == "logsumexp_vjp" else x
    v = draw(numbers(xp, like.values.shape, dtype, kind))
    return Call(function, (x, lse, v), options)


def _values(option, xp):
    return xp.numpy(option.on(xp)) if isinstance(option, Numbers) else option


STRATEGIES = {
    FULL: normalizers,
    ("hardmax",): picks,
    POINTWISE: pointwise,
    SUMS: reductions,
    LOSSES: losses,
    PRODUCTS: products,
    THROUGH_SUMS: through_sums,
    ("softmax_jacobian",): jacobians,
}
