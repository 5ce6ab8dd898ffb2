"""softaxis.compat.scipy: SciPy's signatures and defaults, on every array library."""

import inspect

import numpy as np
import pytest
from cases import spread

import softaxis
import softaxis.compat.scipy as compat
from softaxis.testing import references as ref

inf, nan = float("inf"), float("nan")
scipy_only = pytest.mark.needs_package("scipy")


def special():
    import scipy.special

    return scipy.special


@scipy_only
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_signatures(name):
    ours = inspect.signature(getattr(compat, name))
    theirs = inspect.signature(getattr(special(), name))

    def described(signature):
        return [(p.name, p.default) for p in signature.parameters.values()]

    assert described(ours) == described(theirs)
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for argument, parameter in theirs.parameters.items():
        if parameter.kind == positional:
            assert ours.parameters[argument].kind == positional


@scipy_only
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_normalizers_agree_with_scipy(axis, dtype, name):
    x = spread((4, 5)).astype(dtype)
    result, expected = (getattr(module, name)(x, axis=axis) for module in (compat, special()))
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=64 * ref.EPS[dtype])


@scipy_only
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"axis": 0},
        {"axis": -1, "keepdims": True},
        {"axis": (0, 1)},
        {"b": np.array([1.0, 2.0, 0.5, 0.0, 3.0])},
        {"b": np.array([1.0, -2.0, 0.5, 0.0, 3.0]), "axis": 1, "return_sign": True},
        {"b": np.array([[-1.0], [2.0], [0.0], [3.0]]), "axis": 1},
        {"b": 2.0, "axis": 0},
        {"return_sign": True},
        {"return_sign": True, "axis": 1, "keepdims": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logsumexp_agrees_with_scipy(options, dtype):
    x = spread((4, 5)).astype(dtype)
    options = {k: v.astype(dtype) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    result = compat.logsumexp(x, **options)
    expected = special().logsumexp(x, **options)
    assert isinstance(result, tuple) == isinstance(expected, tuple)
    results, expecteds = (r if isinstance(r, tuple) else (r,) for r in (result, expected))
    for ours, theirs in zip(results, expecteds, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=64 * ref.EPS[dtype], atol=64 * ref.EPS[dtype])


@scipy_only
def test_arguments_go_by_position_as_in_scipy():
    x = spread((2, 3))
    np.testing.assert_allclose(compat.softmax(x, 0), special().softmax(x, 0))
    np.testing.assert_allclose(compat.log_softmax(x, 1), special().log_softmax(x, 1))
    result, sign = compat.logsumexp(x, 1, [1.0, -1.0, 2.0], True, True)
    expected, expected_sign = special().logsumexp(x, 1, [1.0, -1.0, 2.0], True, True)
    np.testing.assert_allclose(result, expected, rtol=1e-12)
    np.testing.assert_array_equal(sign, expected_sign)
    np.testing.assert_allclose(
        compat.logsumexp(a=x, b=np.full(3, 2.0)), special().logsumexp(a=x, b=np.full(3, 2.0))
    )


@scipy_only
@pytest.mark.parametrize("x", [1.5, [1.0, 2.0], [[1, 2], [3, 4]], (0.5, 0.25)], ids=str)
def test_lists_and_scalars_as_in_scipy(x):
    for name in ("softmax", "log_softmax", "logsumexp"):
        result, expected = (getattr(module, name)(x) for module in (compat, special()))
        assert np.shape(result) == np.shape(expected)
        np.testing.assert_allclose(result, expected, rtol=1e-14, atol=1e-15)


@scipy_only
@pytest.mark.parametrize("row", [[-inf, 1.0], [inf, 1.0], [nan, 1.0], [-inf, -inf]], ids=str)
def test_special_rows_of_logsumexp_as_in_scipy(row):
    np.testing.assert_allclose(compat.logsumexp(row), special().logsumexp(row))


@scipy_only
def test_complex_input_as_in_scipy():
    x = np.array([1 + 2j, -0.5 + 0.3j, 0.25 - 1j])
    np.testing.assert_allclose(compat.logsumexp(x), special().logsumexp(x), rtol=1e-14)


def test_the_defaults_run_over_all_axes(xp):
    x = xp.asarray(spread((2, 3)))
    for ours, general in [
        (compat.softmax, softaxis.softmax),
        (compat.log_softmax, softaxis.log_softmax),
        (compat.logsumexp, softaxis.logsumexp),
    ]:
        np.testing.assert_array_equal(
            xp.numpy(xp.call(ours)(x)), xp.numpy(xp.call(general)(x, axis=None))
        )
        np.testing.assert_array_equal(
            xp.numpy(xp.call(ours)(x, axis=1)), xp.numpy(xp.call(general)(x, axis=1))
        )


def test_b_is_weights(xp):
    x, b = xp.asarray(spread((2, 3))), xp.asarray([1.0, -2.0, 0.5])
    ours = xp.numpy(xp.call(compat.logsumexp)(x, axis=1, b=b, return_sign=True))
    general = xp.numpy(xp.call(softaxis.logsumexp)(x, axis=1, weights=b, return_sign=True))
    np.testing.assert_array_equal(ours, general)


def test_unsigned_integers_are_right_unlike_in_scipy(xp):
    result = xp.numpy(xp.call(compat.softmax)(xp.asarray([1, 2, 200], "uint8")))
    assert result[2] == 1.0
