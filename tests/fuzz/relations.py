"""What two calls have to do with each other: the same bits, however a row is stored."""

from dataclasses import replace

import numpy as np
from calls import Call, Numbers, Wrong, run
from drawing import FULL, SUMS, axes_of, dtypes, first, numbers, settled
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from strategies import layouts_of

from softaxis.testing import references as ref

FLOATS = ("float16", "bfloat16", "float32", "float64", "longdouble")
ROWWISE = (*FULL, *SUMS, "hardmax")


class Relation:
    """A relation that holds for every call of some functions."""

    def __init__(self, draw, holds, *, needs="computing"):
        self.name = holds.__name__
        self.drawn, self.holds, self.needs = draw, holds, needs


@st.composite
def batches(draw, xp):
    """Draw a batch of rows along its last axis, with other rows that they are mixed with."""
    dtype = draw(dtypes(xp, FLOATS))
    shape = draw(st.tuples(st.integers(1, 6), st.sampled_from([1, 2, 3, 7, 8, 9, 17, 33, 130])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.1, 3.0, 30.0]))
    x = Numbers(settled(xp, scale * rng.standard_normal(shape), dtype), dtype)
    order = draw(st.permutations(range(shape[0])))
    function = draw(st.sampled_from(ROWWISE))
    return Call(function, (x,), {"axis": -1}, {"order": list(order)})


def same(xp, got, want, call):
    alike = np.array_equal(got, want, equal_nan=True)
    if not alike or (np.signbit(got) != np.signbit(want))[got == 0].any():
        raise Wrong(f"other bits: {got.tolist()}, and {want.tolist()} for {call.code(xp)}")


def rows_in_another_order_have_the_same_bits(xp, call):
    """Permute the rows of a batch, and take some of them alone."""
    (x,) = call.arrays
    order = call.about["order"]
    whole = run(xp, call).result
    permuted = replace(call, arrays=(replace(x, values=x.values[order]),))
    same(xp, run(xp, permuted).result, whole[order], permuted)
    alone = replace(call, arrays=(replace(x, values=x.values[order[:1]]),))
    same(xp, run(xp, alone).result, whole[order[:1]], alone)


def rows_along_another_axis_have_the_same_bits(xp, call):
    """Lay the rows out along the first axis."""
    (x,) = call.arrays
    turned = Call(call.function, (replace(x, values=x.values.T.copy()),), {"axis": 0})
    result = run(xp, turned).result
    whole = run(xp, call).result
    same(xp, result.T if result.ndim == 2 else result, whole, turned)


@st.composite
def stored_differently(draw, xp):
    call = draw(batches(xp))
    kinds = layouts_of(xp, 2)
    kinds = [kind for kind in kinds if kind not in ("plain", "repeated")]
    kinds += ["unaligned"] if xp.name == "numpy" else []
    return replace(call, about={"layout": draw(st.sampled_from(kinds))})


def strides_do_not_change_the_bits(xp, call):
    """Store the same rows reversed, stepped, transposed or unaligned."""
    (x,) = call.arrays
    other = replace(call, arrays=(replace(x, layout=call.about["layout"]),))
    same(xp, run(xp, other).result, run(xp, call).result, other)


@st.composite
def exact_shifts(draw, xp):
    """Draw rows of multiples of 1/4 and a shift: every difference is exact in every dtype."""
    dtype = draw(dtypes(xp, FLOATS))
    row = draw(hnp.arrays(np.int64, st.integers(1, 9), elements=st.integers(-20, 20)))
    shift = draw(st.integers(-40, 40))
    temperature = draw(st.sampled_from([None, 0.5, 1.0, 2.0, 0.0]))
    options = {} if temperature is None else {"temperature": temperature}
    function = draw(st.sampled_from(FULL))
    x = Numbers(row / 4, dtype)
    return Call(function, (x,), options, {"shift": shift / 4})


def a_shift_changes_little(xp, call):
    """Add the same number to a row: both results are within the documented bound."""
    (x,) = call.arrays
    shifted = replace(call, arrays=(replace(x, values=x.values + call.about["shift"]),))
    got, want = (np.asarray(run(xp, c).result, np.float64) for c in (shifted, call))
    allowed = 2 * (8 + 2 * np.ptp(x.values)) * ref.EPS[x.dtype]
    if not np.allclose(got, want, rtol=allowed, atol=0, equal_nan=True):
        raise Wrong(f"not near: {got.tolist()}, and {want.tolist()} for {call.code(xp)}")


@st.composite
def moved_axes(draw, xp):
    x = draw(first(xp, kinds=("moderate", "wide", "ties", "special"), long=False))
    axis = draw(axes_of(x.values.ndim))
    return Call(draw(st.sampled_from(FULL)), (x,), {"axis": axis})


def every_form_of_an_axis_means_the_same(xp, call):
    """Write the axis as a tuple of non-negative numbers, in order."""
    axes = ref.axes_of(call.options["axis"], call.arrays[0].values.ndim)
    other = replace(call, options={"axis": axes})
    same(xp, run(xp, other).result, run(xp, call).result, other)


@st.composite
def scalars(draw, xp):
    """Draw a call with a temperature and a sink that every dtype holds."""
    dtype = draw(dtypes(xp, FLOATS))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=1, max_side=5))
    x = draw(numbers(xp, shape, dtype, ("moderate", "ties", "special"), layout=False))
    options = {"axis": -1, "temperature": draw(st.sampled_from([0.0, 0.5, 2.0, np.inf]))}
    if draw(st.booleans()):
        options["sink"] = draw(st.sampled_from([0.0, 1.0, -2.0, -np.inf, np.inf, np.nan]))
    return Call(draw(st.sampled_from(FULL)), (x,), options)


def a_number_and_an_array_mean_the_same(xp, call):
    """Give temperature and sink as arrays of no dimensions."""
    dtype = call.arrays[0].dtype
    options = {
        name: Numbers(np.array(float(value)), dtype) if name != "axis" else value
        for name, value in call.options.items()
    }
    other = replace(call, options=options)
    same(xp, run(xp, other).result, run(xp, call).result, other)


RELATIONS = [
    Relation(batches, rows_in_another_order_have_the_same_bits, needs="steady bits"),
    Relation(batches, rows_along_another_axis_have_the_same_bits, needs="steady bits"),
    Relation(stored_differently, strides_do_not_change_the_bits, needs="strides"),
    Relation(exact_shifts, a_shift_changes_little),
    Relation(moved_axes, every_form_of_an_axis_means_the_same),
    Relation(scalars, a_number_and_an_array_mean_the_same),
]
