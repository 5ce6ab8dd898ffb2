"""The derivatives, against their formulas on dense arrays in extended precision."""

import numpy as np
import pytest
import sparse

import softaxis

X = np.array(
    [
        [1.0, 2.0, -np.inf, -np.inf, 2.0],
        [-np.inf, -np.inf, 0.5, -np.inf, -np.inf],
        [-40.0, 0.0, -np.inf, -30.0, -np.inf],
        [3.0, 3.0, 3.0, -5.0, 2.0],
    ]
)
G = np.array(
    [
        [1.0, 0.0, 7.0, 0.0, -2.0],
        [3.0, 0.0, 2.0, 0.0, 0.0],
        [1.0, 3.0, np.nan, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 5.0],
    ]
)


def product(vjp, y, axis):
    """Return p (g - sum(p g)) or g - p sum(g) over what is not masked, in extended precision."""
    y, live = y.astype(np.longdouble), -np.inf < X
    g = np.where(live, G, 0).astype(np.longdouble)
    if vjp is softaxis.softmax_vjp:
        return y * (g - (y * g).sum(axis, keepdims=True))
    return np.where(live, g - np.exp(y) * g.sum(axis, keepdims=True), 0)


PAIRS = [
    (softaxis.softmax, softaxis.softmax_vjp, "p"),
    (softaxis.log_softmax, softaxis.log_softmax_vjp, "logp"),
]


def coo(values, fill=0.0):
    return sparse.COO.from_numpy(values, fill_value=values.dtype.type(fill))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1, (0, 1), ()])
@pytest.mark.parametrize(("forward", "vjp", "_"), PAIRS)
@pytest.mark.parametrize("fill", [0.0, 3.0])
def test_products(forward, vjp, _, axis, dtype, fill):
    x, g = coo(X, -np.inf), coo(G.astype(dtype), fill)
    y = forward(x, axis=axis, where=x > -np.inf, dtype=np.dtype(dtype))
    dx = vjp(y, g, axis=axis)
    assert dx.dtype == dtype
    assert dx.fill_value == 0
    assert dx.nnz <= y.nnz
    error = abs(dx.todense() - product(vjp, y.todense(), axis)).max()
    assert error <= 8 * np.finfo(dtype).eps * 5  # the largest of G


@pytest.mark.parametrize(("forward", "vjp", "_"), PAIRS)
def test_near_certainty_nothing_cancels(forward, vjp, _):
    x = coo(np.array([40.0, 0.0, -np.inf]), -np.inf)
    dx = vjp(forward(x), coo(np.array([1.0, 0.0, 9.0]))).todense()
    assert dx[0] == pytest.approx(4.248354255291589e-18, rel=1e-14)
    assert dx[2] == 0


@pytest.mark.parametrize(("forward", "vjp", "_"), PAIRS)
def test_rows_that_are_nan_stay_nan(forward, vjp, _):
    y = forward(coo(np.array([[np.nan, 0.0], [-np.inf, -np.inf], [0.0, -np.inf]]), -np.inf))
    dx = vjp(y, coo(np.ones((3, 2)))).todense()
    assert np.isnan(dx).tolist() == [[True, True], [True, True], [False, False]]


@pytest.mark.parametrize(("_", "vjp", "name"), PAIRS)
def test_another_fill_value_is_declined(_, vjp, name):
    y = coo(np.array([0.5, 0.25, 0.25]), 0.5)
    with softaxis.backend_opts(trace=True) as trace, pytest.raises(TypeError, match="densify"):
        vjp(y, y)
    assert trace[0][1:3] == ("example", "declined")
    assert trace[0][3].startswith(f"takes `{name}` whose fill_value is")


def test_the_fill_value_does_not_matter_where_all_is_stored():
    p, g = np.array([0.75, 0.25, 0.0]), coo(np.array([1.0, 0.0, np.inf]))
    np.testing.assert_array_equal(
        softaxis.softmax_vjp(coo(p, -np.inf), g).todense(),
        softaxis.softmax_vjp(coo(p), g).todense(),
    )
