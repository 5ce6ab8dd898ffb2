"""Backends that are unusual and right, which the conformance kit must not fail."""

import numpy as np
import pytest

from softaxis import _generic
from softaxis._dispatch._calls import default
from softaxis.backend import Backend, declined
from softaxis.testing import check

generic = {name: default(getattr(_generic, name)) for name in _generic.__all__}


def backend_of(change, functions=("softmax",), **capability):
    """Make a backend of array-API implementations that `change` has wrapped."""
    backend = Backend("unusual", types=(np.ndarray,))
    for name in functions:
        wrapped = change(generic[name])
        backend.implements(name=name, **({"dtypes": ("float16", "float32")} | capability))(wrapped)
    return backend


def declining_half(function):
    """Take arrays of an even size only."""

    def call(x, /, *arrays, **arguments):
        if x.size % 2:
            return declined("an odd number of elements")
        return function(x, *arrays, **arguments)

    return call


def declining_small(function):
    """Take arrays of 1000 elements or more only."""

    def call(x, /, *arrays, **arguments):
        if x.size < 1000:
            return declined("few elements")
        return function(x, *arrays, **arguments)

    return call


def last_axis_only(function):
    """Take no axis but the last, and neither mask nor `out`."""

    def call(x, /, *, axis, dtype=None):
        if axis != x.ndim - 1 or not x.flags.c_contiguous:
            return declined("rows that lie in one piece")
        return function(x, axis=axis, dtype=dtype)

    return call


def in_fortran_order(function):
    """Return results whose first axis is contiguous."""

    def call(x, /, *, out=None, **arguments):
        result = function(x, out=out, **arguments)
        return result if out is not None or np.ndim(result) < 2 else np.asfortranarray(result)

    return call


def as_views(function):
    """Return every other element of a larger array."""

    def call(x, /, *, out=None, return_sign=False, **arguments):
        if return_sign:
            return declined("one result")
        result = function(x, out=out, **arguments)
        if out is not None or np.ndim(result) == 0:
            return result
        longer = np.zeros((*result.shape[:-1], 2 * result.shape[-1]), result.dtype)
        longer[..., ::2] = result
        return longer[..., ::2]

    return call


def as_0d_arrays(function):
    """Return an array where NumPy's sum returns a scalar."""

    def call(x, /, *, out=None, return_sign=False, **arguments):
        if return_sign:
            return declined("one result")
        return np.asarray(function(x, out=out, **arguments))

    return call


def the_input_itself(function):
    """Softmax over no axis of ones is the input."""

    def call(x, /, *, axis, **arguments):
        alone = axis == () and x.dtype == np.float32 and (x == 1).all()
        plain = all(value is None for value in arguments.values())
        return x if alone and plain else function(x, axis=axis, **arguments)

    return call


UNUSUAL = {
    "declines half of the calls": backend_of(declining_half, dtypes=None),
    "declines small arrays": backend_of(declining_small),
    "the last axis only": backend_of(last_axis_only),
    "float32 only": backend_of(lambda f: f, dtypes=("float32",)),
    "float16 only": backend_of(lambda f: f, dtypes=("float16",)),
    "integers only": backend_of(lambda f: f, dtypes=("int8", "uint8")),
    "large arrays only": backend_of(lambda f: f, min_size=10_000),
    "Fortran order": backend_of(in_fortran_order),
    "views": backend_of(as_views, functions=("logsumexp",)),
    "0-d arrays": backend_of(as_0d_arrays, functions=("logsumexp",)),
    "the input itself": backend_of(the_input_itself),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_the_kit_passes_it(name):
    report = check(UNUSUAL[name])
    assert report.failures == ()
    assert report.passed
