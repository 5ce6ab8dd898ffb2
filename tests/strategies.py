"""What hypothesis draws for the tests and for the fuzzer: values, shapes, axes and strides."""

import math

import numpy as np
from cases import FLOATS
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softaxis.testing import references as ref

inf, nan = float("inf"), float("nan")
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
FULL_SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5)
MODERATE = st.floats(-50, 50, width=16)
ANY = st.one_of(
    MODERATE,
    st.sampled_from([0.0, -0.0, inf, -inf, nan, 65504.0, -65504.0, 6e-8, -6e-8]),
)


@st.composite
def axes(draw, ndim, single=False):
    """Draw an axis of an array of `ndim` dimensions, a tuple of some, or None."""
    if single:
        return draw(st.integers(-ndim, ndim - 1))
    some = draw(st.lists(st.integers(0, ndim - 1), unique=True)) if ndim else []
    signed = tuple(axis - draw(st.sampled_from([0, ndim])) for axis in some)
    choices = [signed, None, *([signed[0]] if signed else [])]
    return draw(st.sampled_from(choices))


def floats_of(xp):
    return st.sampled_from([name for name in FLOATS if xp.has_dtype(name)])


def finite(dtype):
    """List strategies for the finite numbers of a floating dtype, by what is hard about them."""
    most, tiny, eps = ref.LARGEST[dtype], float(ref.TINY[dtype]), ref.EPS[dtype]
    span = math.log(most)  # exp overflows beyond it
    return {
        "moderate": MODERATE,
        "wide": st.floats(-3 * span, 3 * span),
        "huge": st.one_of(st.floats(-most, most), st.sampled_from([most, -most, most / 2])),
        "subnormal": st.integers(-40, 40).map(lambda n: n * max(tiny * eps, 5e-324)),
        "ties": st.sampled_from([0.0, -0.0, 1.0, 1.0 + eps, -2.5]),
        "certain": st.one_of(st.sampled_from([0.0, 0.0]), st.floats(-3 * span, -span / 4)),
    }


SPECIAL = st.one_of(MODERATE, st.sampled_from([0.0, -0.0, inf, -inf, -inf, nan]))


def layouts_of(xp, ndim):
    """Name the layouts that `stored` knows for arrays of the library."""
    kinds = ["plain"]
    if xp.strided and ndim:
        kinds += ["stepped", "transposed", "repeated"]
        kinds += ["reversed"] if xp.name.startswith("numpy") else []
    return kinds


def stored(xp, values, dtype, layout):
    """Store numbers with strides of their own: reversed, stepped, transposed or repeated."""
    array = np.asarray(values)
    if layout == "transposed":
        turned = xp.asarray(np.ascontiguousarray(array.T), dtype)
        backwards = tuple(reversed(range(array.ndim)))
        return turned.T if array.ndim == 2 else xp.xp.permute_dims(turned, backwards)
    if layout == "stepped":
        wide = np.repeat(array, 2, axis=-1)
        wide[..., 1::2] = nan if array.dtype.kind in "fc" else 1
        return xp.asarray(wide, dtype)[..., ::2]
    if layout == "reversed":
        return xp.asarray(array[..., ::-1], dtype)[..., ::-1]
    if layout == "repeated":
        return xp.xp.broadcast_to(xp.asarray(array[:1], dtype), array.shape)
    if layout == "swapped":
        return array.astype(np.dtype(dtype).newbyteorder())
    if layout == "unaligned":
        size = np.dtype(dtype).itemsize
        memory = np.zeros(array.size * size + 1, np.uint8)[1:]
        moved = memory.view(dtype).reshape(array.shape)
        moved[...] = array
        return moved
    if layout == "beside":  # with room at the end of each row: `out` may be the same, moved by one
        wide = np.zeros((*array.shape[:-1], array.shape[-1] + 1), dtype)
        wide[..., 1:] = array
        return wide[..., 1:]
    return xp.asarray(array, dtype)


@st.composite
def layouts(draw, xp, array, dtype):
    """Store an array in one of its layouts."""
    return stored(xp, array, dtype, draw(st.sampled_from(layouts_of(xp, array.ndim))))


@st.composite
def inputs(draw, xp, elements=MODERATE, shapes=SHAPES, single=False):
    """Draw an array of the library and an axis."""
    dtype = draw(floats_of(xp))
    values = draw(hnp.arrays(np.float64, draw(shapes), elements=elements))
    x = draw(layouts(xp, values, dtype))
    return x, dtype, draw(axes(values.ndim, single))
