"""Every wrong argument: the type of the error, the parameter in backticks, and what came."""

import operator
from functools import partial
from types import ModuleType

import numpy as np
import pytest

import softaxis

NAMED = operator.attrgetter("__name__")
NORMALIZERS = [softaxis.softmax, softaxis.log_softmax, softaxis.softmin]
REDUCTIONS = [softaxis.logsumexp, softaxis.logmeanexp]
LOSSES = [softaxis.cross_entropy, softaxis.cross_entropy_and_grad]
WITH_WHERE = [*NORMALIZERS, softaxis.hardmax, *REDUCTIONS]
WITH_DTYPE = [*WITH_WHERE, softaxis.sigmoid, softaxis.log_sigmoid]

pytestmark = pytest.mark.without_computing


def real(xp, shape=(3, 4)):
    return xp.asarray(np.zeros(shape))


@pytest.mark.parametrize("function", WITH_WHERE, ids=NAMED)
@pytest.mark.parametrize(
    ("shape", "came"), [((3,), "3"), ((4, 3), "4, 3"), ((2, 4), "2, 4"), ((1, 3, 4), "1, 3, 4")]
)
def test_a_mask_that_does_not_broadcast(xp, function, shape, came):
    where = xp.asarray(np.ones(shape, dtype=bool))
    with pytest.raises(ValueError, match=rf"(?s)`where`.*{came}"):
        function(real(xp), where=where)


@pytest.mark.parametrize("function", WITH_WHERE, ids=NAMED)
@pytest.mark.parametrize("dtype", ["int32", "float32", "uint8"])
def test_a_mask_that_is_not_boolean(xp, function, dtype):
    where = xp.asarray(np.ones((3, 4)), dtype)
    with pytest.raises(TypeError, match=rf"(?is)`where`.*bool.*{dtype}"):
        function(real(xp), where=where)


@pytest.mark.parametrize("function", NORMALIZERS, ids=NAMED)
@pytest.mark.parametrize(
    ("name", "shapes"),
    [("temperature", [(3,), (3, 2), (1, 3, 4)]), ("sink", [(4,), (2,), (3, 4), (3, 1)])],
)
def test_an_array_that_does_not_broadcast(xp, function, name, shapes):
    for shape in shapes:
        with pytest.raises(ValueError, match=rf"`{name}`"):
            function(real(xp), **{name: real(xp, shape)})


@pytest.mark.parametrize("function", NORMALIZERS, ids=NAMED)
@pytest.mark.parametrize("name", ["temperature", "sink"])
@pytest.mark.parametrize("wrong", ["hot", object(), 1j, b"1"], ids=lambda w: type(w).__name__)
def test_a_scalar_that_is_no_real_number(xp, function, name, wrong):
    with pytest.raises(TypeError, match=rf"`{name}`"):
        function(real(xp), **{name: wrong})


@pytest.mark.needs("complex")
@pytest.mark.parametrize("function", NORMALIZERS, ids=NAMED)
@pytest.mark.parametrize("name", ["temperature", "sink"])
def test_a_complex_array_where_a_real_one_belongs(xp, function, name):
    wrong = xp.asarray(np.ones(1) + 1j)
    with pytest.raises(TypeError, match=rf"`{name}`.*complex"):
        function(real(xp), **{name: wrong})


@pytest.mark.parametrize("function", REDUCTIONS, ids=NAMED)
def test_weights_that_do_not_broadcast(xp, function):
    for shape in ((3,), (4, 3), (1, 3, 4, 1)):
        with pytest.raises(ValueError, match="`weights`"):
            function(real(xp), weights=real(xp, shape))


@pytest.mark.parametrize("function", REDUCTIONS, ids=NAMED)
@pytest.mark.parametrize("wrong", ["heavy", object()], ids=lambda w: type(w).__name__)
def test_weights_that_are_no_numbers(xp, function, wrong):
    with pytest.raises(TypeError, match="`weights`"):
        function(real(xp), weights=wrong)


@pytest.mark.parametrize("function", WITH_DTYPE, ids=NAMED)
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "complex64"])
def test_a_dtype_that_is_not_real_floating(xp, function, dtype):
    if not xp.has_dtype(dtype):
        dtype = "int64"
    with pytest.raises(TypeError, match=rf"(?i)`dtype`.*{dtype}"):
        function(real(xp), dtype=xp.dtype(dtype))


@pytest.mark.parametrize("function", WITH_DTYPE, ids=NAMED)
@pytest.mark.parametrize("wrong", ["no-dtype", 3.5, object()], ids=lambda w: type(w).__name__)
def test_a_dtype_that_is_no_dtype(xp, function, wrong):
    with pytest.raises(TypeError, match="`dtype`"):
        function(real(xp), dtype=wrong)


@pytest.mark.parametrize("function", [*WITH_DTYPE, softaxis.softmax_jacobian], ids=NAMED)
@pytest.mark.parametrize(
    "wrong",
    [None, "text", object(), {1.0, 2.0}, {"a": 1.0}, ["a", "b"], [[1.0], [1.0, 2.0]], [None, 1.0]],
    ids=lambda wrong: repr(wrong).partition(" at ")[0],
)
def test_something_that_is_no_array(function, wrong):
    with pytest.raises((TypeError, ValueError), match=r"`(x|p)`"):
        function(wrong)


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
@pytest.mark.parametrize("shape", [(4,), (3, 1), (3, 4), (1, 3), ()], ids=str)
def test_integer_labels_of_a_wrong_shape(xp, function, shape):
    labels = xp.asarray(np.zeros(shape, dtype=int))
    with pytest.raises(ValueError, match="`labels`"):
        function(real(xp), labels)


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
@pytest.mark.parametrize("shape", [(3,), (4, 3), (1, 4), (3, 5)], ids=str)
def test_probability_labels_of_a_wrong_shape(xp, function, shape):
    with pytest.raises(ValueError, match="`labels`"):
        function(real(xp), real(xp, shape))


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
def test_labels_of_a_wrong_dtype(xp, function):
    for labels in (
        xp.asarray(np.zeros(3, dtype=bool)),
        *([xp.asarray(np.zeros((3, 4)) + 1j)] if xp.has_dtype("complex64") else []),
    ):
        with pytest.raises(TypeError, match="`labels`"):
            function(real(xp), labels)


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
@pytest.mark.parametrize("reduction", ["average", "", None, 1, "NONE", ["mean"]], ids=repr)
def test_an_unknown_reduction(xp, function, reduction):
    labels = xp.asarray(np.zeros(3, dtype=int))
    with pytest.raises((TypeError, ValueError), match="`reduction`"):
        function(real(xp), labels, reduction=reduction)


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_label_smoothing_outside_0_and_1(xp, function, amount):
    labels = xp.asarray(np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match=r"`label_smoothing`"):
        function(real(xp), labels, label_smoothing=amount)


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
@pytest.mark.parametrize("name", ["label_smoothing", "z_loss"])
@pytest.mark.parametrize("wrong", ["much", [0.1], None, 1j], ids=repr)
def test_an_amount_that_is_no_number(xp, function, name, wrong):
    labels = xp.asarray(np.zeros(3, dtype=int))
    with pytest.raises(TypeError, match=rf"`{name}`"):
        function(real(xp), labels, **{name: wrong})


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
@pytest.mark.parametrize("shape", [(3,), (1,), (), (3, 4), (1, 4)], ids=str)
def test_class_weights_of_a_wrong_shape(xp, function, shape):
    labels = xp.asarray(np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="`class_weights`"):
        function(real(xp), labels, class_weights=real(xp, shape))


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
@pytest.mark.parametrize("wrong", [1.5, "0", True, [0]], ids=repr)
def test_an_ignore_index_that_is_no_integer(xp, function, wrong):
    labels = xp.asarray(np.zeros(3, dtype=int))
    with pytest.raises(TypeError, match="`ignore_index`"):
        function(real(xp), labels, ignore_index=wrong)


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
def test_an_ignore_index_beside_probability_labels(xp, function):
    with pytest.raises(ValueError, match="`ignore_index`"):
        function(real(xp), real(xp), ignore_index=0)


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
def test_the_mask_of_a_loss(xp, function):
    labels = xp.asarray(np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="`where`"):
        function(real(xp), labels, where=xp.asarray(np.ones((2, 4), dtype=bool)))
    with pytest.raises(TypeError, match="`where`"):
        function(real(xp), labels, where=real(xp))


@pytest.mark.parametrize("function", LOSSES, ids=NAMED)
def test_logits_without_a_class_axis(xp, function):
    with pytest.raises(softaxis.AxisError):
        function(xp.asarray(0.0), xp.asarray(0))
    with pytest.raises(softaxis.AxisError):
        function(real(xp), xp.asarray(np.zeros(3, dtype=int)), axis=2)


PRODUCTS = [
    softaxis.softmax_vjp,
    softaxis.softmax_jvp,
    softaxis.log_softmax_vjp,
    softaxis.log_softmax_jvp,
]


@pytest.mark.parametrize("function", PRODUCTS, ids=NAMED)
def test_a_direction_of_a_wrong_shape(xp, function):
    name = "g" if function.__name__.endswith("vjp") else "t"
    for shape in ((4, 3), (3, 5), (2, 3, 4)):
        with pytest.raises(ValueError, match=rf"`{name}`"):
            function(real(xp), real(xp, shape))


def test_products_of_logsumexp_of_a_wrong_shape(xp):
    x, full, reduced = real(xp), real(xp), real(xp, (3,))
    wrong = real(xp, (2,))
    for call, name in [
        (partial(softaxis.logsumexp_vjp, x, wrong, reduced), "lse"),
        (partial(softaxis.logsumexp_vjp, x, reduced, wrong), "g"),
        (partial(softaxis.logsumexp_jvp, x, wrong, full), "lse"),
        (partial(softaxis.logsumexp_jvp, x, reduced, wrong), "t"),
    ]:
        with pytest.raises(ValueError, match=rf"`{name}`"):
            call(axis=1)


@pytest.mark.parametrize("function", [*PRODUCTS, softaxis.softmax_jacobian], ids=NAMED)
def test_the_axis_of_the_products(xp, function):
    arguments = [real(xp)] * (1 if function is softaxis.softmax_jacobian else 2)
    with pytest.raises(softaxis.AxisError, match=r"`axis` 2 .*2 dim"):
        function(*arguments, axis=2)
    with pytest.raises(TypeError, match="`axis`"):
        function(*arguments, axis=1.0)
    with pytest.raises(ValueError, match="`axis`"):
        function(*arguments, axis=(0, 0))


def test_everything_but_the_arrays_is_keyword_only(xp):
    x, labels = real(xp), xp.asarray(np.zeros(3, dtype=int))
    for function in [*WITH_DTYPE, softaxis.softmax_jacobian]:
        with pytest.raises(TypeError, match="positional"):
            function(x, -1)
        with pytest.raises(TypeError, match=r"positional|keyword"):
            function(x=x)
    for function in LOSSES:
        with pytest.raises(TypeError, match="positional"):
            function(x, labels, -1)
    for function in PRODUCTS:
        with pytest.raises(TypeError, match="positional"):
            function(x, x, -1)


class Foreign:
    """An array of a library that nobody has heard of."""

    shape, ndim, dtype = (), 0, None

    def __array_namespace__(self, api_version=None):
        return ModuleType("foreign")


@pytest.mark.parametrize("name", ["where", "temperature", "sink"])
def test_another_library_among_the_arguments(xp, name):
    with pytest.raises(TypeError, match=rf"`{name}`.*(?i:foreign)"):
        softaxis.softmax(real(xp), **{name: Foreign()})


@pytest.mark.only("not NumPy")
def test_numpy_among_the_arguments_of_another_library(xp):
    x = real(xp)
    for function, name, foreign in [
        (softaxis.softmax, "where", np.ones(4, dtype=bool)),
        (softaxis.softmax, "temperature", np.ones(4)),
        (softaxis.softmax, "sink", np.ones(3)),
        (softaxis.logsumexp, "weights", np.ones(4)),
    ]:
        with pytest.raises(TypeError, match=rf"`{name}`.*numpy"):
            function(x, **{name: foreign})
    with pytest.raises(TypeError, match=r"`labels`.*numpy"):
        softaxis.cross_entropy(x, np.zeros(3, dtype=int))
    with pytest.raises(TypeError, match=r"`g`.*numpy"):
        softaxis.softmax_vjp(x, np.zeros((3, 4)))
