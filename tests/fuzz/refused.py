"""Calls with one wrong argument: an error has to come that names it."""

import re
from dataclasses import replace

import numpy as np
from calls import Dtype, Numbers, Wrong, run
from drawing import FULL, FUNCTIONS, LOSSES, POINTWISE, PRODUCTS, SUMS, THROUGH_SUMS, calls
from hypothesis import strategies as st

import softaxis

inf, nan = float("inf"), float("nan")
WITH_AXIS = tuple(name for name in FUNCTIONS if name not in POINTWISE)
WITH_WHERE = (*FULL, "hardmax", *SUMS, *LOSSES, *THROUGH_SUMS)
WITH_DTYPE = (*FULL, "hardmax", *POINTWISE, *SUMS)
WITH_OUT = (*FULL, *POINTWISE, "logsumexp")
ODD = st.sampled_from(["much", b"1", {}, {1.0}, object, [None], [[1.0], [1.0, 2.0]], 1j, ...])


class Refused:
    """Any call of a function with a wrong argument raises an error that names the argument."""

    needs = "computing"

    def __init__(self, function):
        self.name = f"refused:{function}"
        self.function = function

    def drawn(self, xp):
        return calls(xp, self.function).flatmap(lambda call: spoilt(xp, call))

    def holds(self, xp, call):
        name, errors = call.about["wrong"]
        try:
            outcome = run(xp, call)
        except errors as error:
            if not re.search(rf"`{name}`", str(error)):
                raise Wrong(f"the error does not name `{name}`: {error!r}") from error
        else:
            raise Wrong(f"`{name}` was taken; the result is {outcome.result!r}")


def spoilt(xp, call):
    """Draw a call with one argument replaced by what cannot be taken."""
    ndim, shape = call.arrays[0].values.ndim, call.arrays[0].values.shape
    ways = []
    if call.function in WITH_AXIS:
        ways += [
            _option("axis", st.sampled_from([ndim, -ndim - 1, 99]), softaxis.AxisError),
            _option("axis", st.sampled_from([True, 1.0, "0", [0], None.__class__]), TypeError),
        ]
        if ndim:
            ways.append(_option("axis", st.sampled_from([(0, 0), (-1, ndim - 1)]), ValueError))
    longer = Numbers(np.zeros((2, *(n + 1 for n in shape)), bool), "bool")
    if call.function in WITH_WHERE:
        ways += [
            _option("where", st.just(longer), ValueError),
            _option("where", st.just(Numbers(np.ones(shape), "float32")), TypeError),
            _option("where", st.one_of(ODD, st.just(0.5)), (TypeError, ValueError)),
        ]
    if call.function in FULL:
        ways += [
            _option("temperature", st.sampled_from([-1.0, -inf, nan, -5e-324]), ValueError),
            _option("temperature", st.one_of(ODD, st.booleans()), (TypeError, ValueError)),
            _option("temperature", st.just(replace(longer, dtype="float32")), ValueError),
            _option("sink", st.one_of(ODD, st.booleans()), (TypeError, ValueError)),
        ]
    if call.function in (*SUMS, *THROUGH_SUMS):
        ways += [
            _option("weights", st.one_of(ODD.filter(_is_no_number), st.booleans()), ERRORS),
            _option("weights", st.just(replace(longer, dtype="float32")), ValueError),
            _option("keepdims", st.sampled_from([1, 0, "yes", nan, [True]]), TypeError),
        ]
    if call.function in WITH_DTYPE:
        wrong = [Dtype("int32"), Dtype("bool"), 3.5, "no-dtype", object()]
        ways.append(_option("dtype", st.sampled_from(wrong), TypeError))
    if call.function in WITH_OUT:
        ways.append(_option("out", st.sampled_from([[0.0], True, "out", 1.0]), TypeError))
        ways.append(_option("out", st.just(replace(longer, dtype="float32")), ERRORS))
    if call.function in LOSSES:
        ways += [
            _option("reduction", st.sampled_from(["average", "", None, 1, ["mean"]]), ERRORS),
            _option("label_smoothing", st.sampled_from([-0.1, 1.5, nan, inf]), ValueError),
            _option("z_loss", st.sampled_from([-1e-9, nan, -inf]), ValueError),
            _option("z_loss", ODD, TypeError),
            _option("ignore_index", st.sampled_from([1.5, "0", True, [0], nan]), TypeError),
            _option("class_weights", st.just(replace(longer, dtype="float32")), ValueError),
            _array("labels", longer, TypeError),
        ]
        labels, classes = call.arrays[1], shape[call.options["axis"]]
        is_seen = xp.reads_values and labels.values.dtype.kind in "iu" and labels.values.size
        if is_seen and classes != call.options.get("ignore_index"):
            beyond = Numbers(np.full(labels.values.shape, classes), labels.dtype)
            ways.append(_array("labels", beyond, ValueError))
    names = {"softmax_vjp": "g", "softmax_jvp": "t", "log_softmax_vjp": "g", "log_softmax_jvp": "t"}
    if call.function in PRODUCTS:
        ways.append(_array(names[call.function], replace(longer, dtype="float32"), ValueError))
    if call.function in THROUGH_SUMS:
        ways.append(_array("lse", replace(longer, dtype="float32"), ValueError))
    return st.one_of(ways).map(lambda way: way(call))


ERRORS = (TypeError, ValueError)


def _is_no_number(value):
    return not isinstance(value, complex)


def _option(name, values, errors):
    def replaced(value):
        return lambda call: replace(
            call, options={**call.options, name: value}, about={"wrong": (name, errors)}
        )

    return values.map(replaced)


def _array(name, value, errors):
    def replaced(call):
        return replace(
            call,
            arrays=(call.arrays[0], value, *call.arrays[2:]),
            about={"wrong": (name, errors)},
        )

    return st.just(replaced)


REFUSED = [Refused(function) for function in FUNCTIONS]
