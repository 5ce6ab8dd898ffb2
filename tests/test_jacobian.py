"""softmax_jacobian: J_ij = p_i (delta_ij - p_j) for every row."""

import numpy as np
import pytest
from cases import FLOATS, ROWS, spread

import softaxis
from softaxis.testing import references as ref


def jacobian(p):
    """Write the matrix of one row out."""
    n = len(p)
    result = np.empty((n, n), dtype=object)
    for i in range(n):
        others = ref.mp.fsum(p[k] for k in range(n) if k != i)
        for j in range(n):
            result[i, j] = p[i] * others if i == j else -p[i] * p[j]
    return result


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_rows(xp, row, dtype):
    p = ref.softmax(xp.numpy(xp.asarray(row, dtype)))
    given = xp.asarray(ref.rounded(p, dtype), dtype)
    result = xp.call(softaxis.softmax_jacobian)(given)
    assert xp.dtype_name(result) == dtype
    ref.assert_accurate(
        xp.numpy(result), jacobian(p), dtype, bound=8, flushed=xp.flushes_subnormals
    )


@pytest.mark.parametrize(
    ("shape", "axis", "kept", "length"),
    [
        ((4,), 0, (), 4),
        ((3, 4), -1, (3,), 4),
        ((3, 4), 0, (4,), 3),
        ((2, 3, 4), 1, (2, 4), 3),
        ((2, 3, 4), -1, (2, 3), 4),
        ((1, 3), 0, (3,), 1),
        ((2, 3, 2), (0, 2), (3,), 4),
        ((2, 3), None, (), 6),
        ((2, 3), (), (2, 3), 1),
        ((4,), (), (4,), 1),
        ((), (), (), 1),
    ],
    ids=str,
)
def test_the_matrices_take_the_place_of_the_rows_at_the_end(xp, shape, axis, kept, length):
    p = xp.call(softaxis.softmax)(xp.asarray(spread(shape)), axis=axis)
    result = xp.numpy(xp.call(softaxis.softmax_jacobian)(p, axis=axis))
    assert result.shape == (*kept, length, length)
    rows = ref.as_rows(xp.numpy(p), shape, axis)
    matrices = result.reshape(-1, length, length)
    for row, matrix in zip(rows, matrices, strict=True):
        ref.assert_accurate(matrix, jacobian(ref.objects(row)), xp.dtype_name(p), bound=16)


def test_a_matrix_is_symmetric_and_its_rows_sum_to_zero(xp):
    p = xp.call(softaxis.softmax)(xp.asarray(spread((3, 5))))
    result = xp.numpy(xp.call(softaxis.softmax_jacobian)(p))
    np.testing.assert_array_equal(result, np.swapaxes(result, -1, -2))
    assert (np.abs(result.sum(axis=-1)) <= 16 * ref.EPS[xp.dtype_name(p)]).all()


def test_a_matrix_times_a_direction_is_the_jvp(xp):
    p = xp.call(softaxis.softmax)(xp.asarray(spread((3, 5))))
    t = xp.asarray(spread((3, 5), seed=1))
    matrix = xp.numpy(xp.call(softaxis.softmax_jacobian)(p))
    product = (matrix @ xp.numpy(t)[..., None])[..., 0]
    expected = xp.numpy(xp.call(softaxis.softmax_jvp)(p, t))
    np.testing.assert_allclose(product, expected, rtol=0, atol=64 * ref.EPS[xp.dtype_name(p)])


@pytest.mark.parametrize(
    ("shape", "result"), [((0,), (0, 0)), ((0, 3), (0, 3, 3)), ((3, 0), (3, 0, 0))]
)
def test_nothing(xp, shape, result):
    p = xp.asarray(np.zeros(shape))
    assert xp.numpy(xp.call(softaxis.softmax_jacobian)(p)).shape == result
