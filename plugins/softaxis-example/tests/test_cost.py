"""Time and memory follow what is stored, however large the array is."""

import numpy as np
import pytest
import sparse

import softaxis

SIDE = 10**6


@pytest.fixture
def huge():
    """A million rows of a million elements: 3 entries in one row, 2 in another, no others."""
    coords = [[5, 5, 5, 900_000, 900_000], [1, 2, 3, 0, 999_999]]
    values = [1.0, 2.0, 2.0, 7.0, -7.0]
    return sparse.COO(coords, values, shape=(SIDE, SIDE), fill_value=-np.inf)


@pytest.mark.parametrize("function", [softaxis.softmax, softaxis.log_softmax])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_the_result_has_the_entries_of_the_input(huge, function, axis):
    y = function(huge, axis=axis, where=huge > -np.inf)
    assert y.shape == huge.shape
    assert y.nnz == huge.nnz
    assert (y.coords == huge.coords).all()


def test_logsumexp_has_one_entry_for_each_row_that_has_any(huge):
    y = softaxis.logsumexp(huge, axis=1)
    assert (y.shape, y.nnz, y.fill_value) == ((SIDE,), 2, -np.inf)
    row = sparse.COO([[0, 1, 2]], [1.0, 2.0, 2.0], shape=(3,), fill_value=-np.inf)
    assert y[5] == softaxis.logsumexp(row).todense()


def test_no_row_is_empty_when_all_is_one_row(huge):
    assert softaxis.softmax(huge, axis=None).nnz == huge.nnz


@pytest.mark.parametrize("axis", [1, ()])
def test_a_million_million_nan_are_not_stored(huge, axis):
    with pytest.raises(MemoryError, match=r"where=x > -np\.inf"):
        softaxis.softmax(huge, axis=axis)
