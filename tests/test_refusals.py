"""What cannot work is refused with an error that says why and what to do instead."""

import importlib

import numpy as np
import pytest
from libraries import CuPyWithoutDevice, Sparse

import softaxis

NORMALIZERS = [softaxis.softmax, softaxis.log_softmax, softaxis.softmin]
ONE_ARRAY = [
    *NORMALIZERS,
    softaxis.hardmax,
    softaxis.sigmoid,
    softaxis.log_sigmoid,
    softaxis.logsumexp,
    softaxis.logmeanexp,
    softaxis.softmax_jacobian,
]
TWO_ARRAYS = [
    softaxis.cross_entropy,
    softaxis.cross_entropy_and_grad,
    softaxis.softmax_vjp,
    softaxis.softmax_jvp,
    softaxis.log_softmax_vjp,
    softaxis.log_softmax_jvp,
]


@pytest.fixture
def sparse(xp):
    assert isinstance(xp, Sparse)
    return xp.xp


@pytest.mark.only("sparse")
@pytest.mark.without_computing
@pytest.mark.parametrize("kind", ["COO", "GCXS", "DOK"])
@pytest.mark.parametrize("function", [*ONE_ARRAY, *TWO_ARRAYS], ids=lambda f: f.__name__)
def test_sparse_arrays_would_be_densified(sparse, kind, function):
    x = getattr(sparse, kind).from_numpy(np.eye(3))
    arguments = [x] if function in ONE_ARRAY else [x, x]
    with pytest.raises(TypeError, match=r"(?s)sparse.*densif"):
        function(*arguments)


@pytest.mark.only("sparse")
@pytest.mark.without_computing
def test_a_sparse_mask_beside_a_dense_array(sparse):
    where = sparse.COO.from_numpy(np.eye(3, dtype=bool))
    with pytest.raises(TypeError, match="`where`"):
        softaxis.softmax(np.eye(3), where=where)


@pytest.mark.only("no device")
@pytest.mark.without_computing
def test_cupy_without_a_device_says_so_itself(xp):
    assert isinstance(xp, CuPyWithoutDevice)
    with pytest.raises(xp.xp.cuda.runtime.CUDARuntimeError):
        softaxis.softmax(xp.asarray([1.0, 2.0]))


@pytest.mark.only("no device")
@pytest.mark.without_computing
def test_the_backend_of_cupy_loads_without_a_device(xp):
    states = {status.name: status for status in softaxis.list_backends(load=True)}
    assert states["cupy"].state == "ready", states["cupy"].reason


@pytest.mark.parametrize("function", ONE_ARRAY, ids=lambda f: f.__name__)
def test_masked_arrays_are_refused_with_a_hint(function):
    x = np.ma.MaskedArray([1.0, 2.0, 3.0], mask=[True, False, False])
    with pytest.raises(TypeError, match=r"(?s)`(x|p)`.*MaskedArray.*`where`|MaskedArray.*where"):
        function(x)


@pytest.mark.parametrize("function", ONE_ARRAY, ids=lambda f: f.__name__)
def test_matrices_are_refused_with_a_hint(function):
    with pytest.warns(PendingDeprecationWarning):
        x = np.matrix([[1.0, 2.0]])
    with pytest.raises(TypeError, match=r"(?s)matrix.*asarray"):
        function(x)


@pytest.mark.parametrize("function", ONE_ARRAY, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "x",
    [
        np.array([1.0, None], dtype=object),
        np.array(["a", "b"]),
        np.array([b"a"]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.array([1], dtype="timedelta64[s]"),
        np.zeros(2, dtype=[("a", float)]),
    ],
    ids=lambda x: x.dtype.kind,
)
def test_dtypes_that_are_no_numbers(function, x):
    with pytest.raises(TypeError, match=r"`(x|p)`"):
        function(x)


class Framed:
    """An object that would turn into an array if it were asked, as pandas objects do."""

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("softaxis coerces nothing through __array__")


@pytest.mark.parametrize("function", ONE_ARRAY, ids=lambda f: f.__name__)
def test_nothing_is_coerced_through_array(function):
    with pytest.raises(TypeError, match="Framed"):
        function(Framed())


@pytest.mark.needs_package("pandas")
def test_pandas_objects_are_refused_with_a_hint():
    pandas = importlib.import_module("pandas")
    for x in (pandas.Series([1.0, 2.0]), pandas.DataFrame({"a": [1.0]})):
        with pytest.raises(TypeError, match="to_numpy"):
            softaxis.softmax(x)
