"""The launches of the CUDA kernels over their whole domain, and the layouts they walk over."""

import itertools

import numpy as np
import pytest

from softaxis._backends._cupy import _kernels
from softaxis._backends._cupy._configure import configure
from softaxis._backends._cupy._layout import layout_of

LENGTHS = sorted(
    {*range(1, 600), *(2**i + d for i in range(1, 40) for d in (-1, 0, 1)), 32_000, 100_003}
)
ROWS = (1, 2, 3, 127, 128, 129, 65_535, 2**31 - 1, 2**31, 2**35 + 1)
SHARED_MEMORY = 48 * 1024


@pytest.mark.parametrize("itemsize", [2, 4, 8])
@pytest.mark.parametrize("beside", [False, True], ids=["along", "beside"])
def test_a_launch_keeps_to_the_limits_and_says_why(itemsize, beside):
    for length, rows in itertools.product(LENGTHS, ROWS):
        strides = {"stride": rows, "between": 1} if beside and rows > 1 else {}
        c = configure(rows, length, itemsize, **strides)
        assert c.reason
        assert c.lanes & (c.lanes - 1) == 0
        assert 1 <= c.lanes <= c.threads <= 512
        assert c.threads % c.lanes == 0
        assert c.threads % 32 == 0, "shuffles want whole warps"
        assert c.held % (16 // itemsize) == 0
        assert c.held * max(itemsize, 4) <= 64, "more than 16 registers of values"
        assert c.beside == (bool(strides) and length > 1)
        # the parts of a row cover it, and none of them is empty
        assert (c.parts - 1) * c.lanes * c.held < length <= c.parts * c.lanes * c.held
        for _, blocks, threads in _kernels.launches(c, rows, _kernels.SOFTMAX):
            assert 1 <= blocks <= 2**31 - 1
            assert 1 <= threads <= 512
        # three buffers of maxima, sums and counts, one number a thread
        assert c.threads * (8 + 8 + 4) * 2 <= SHARED_MEMORY


@pytest.mark.parametrize("itemsize", [2, 4, 8])
def test_the_order_of_a_sum_does_not_depend_on_the_rows_beside(itemsize):
    """A row has the bits that it has in a batch, where it is taken out by a slice."""
    for length in LENGTHS:
        along = [configure(rows, length, itemsize) for rows in ROWS]
        apart = [configure(rows, length, itemsize, stride=7, between=1) for rows in ROWS]
        apart += [configure(rows, length, itemsize, stride=-7, between=7 * length) for rows in ROWS]
        apart += [configure(1, length, itemsize, stride=7, between=0)]
        for kinds in (along, apart):
            assert len({(c.lanes, c.held, c.parts) for c in kinds}) == 1


@pytest.mark.parametrize("itemsize", [2, 4, 8])
def test_rows_side_by_side_use_up_what_memory_hands_out_at_once(itemsize):
    for length in LENGTHS[1:]:
        c = configure(10**6, length, itemsize, stride=10**6, between=1)
        assert c.threads // c.lanes * itemsize >= 32, c


@pytest.mark.parametrize("itemsize", [2, 4, 8])
def test_every_element_of_a_row_is_held_once(itemsize):
    """As `position` in memory.cuh: lanes take neighbours of 16 bytes in turn."""
    vector = 16 // itemsize
    for length in (1, 7, 33, 70, 129, 1000, 4097, 32_000):
        c = configure(1, length, itemsize)
        part, v, lane = np.ix_(*map(np.arange, (c.parts, c.held, c.lanes)))
        held = part * c.lanes * c.held + (v // vector * c.lanes + lane) * vector + v % vector
        assert np.array_equal(np.sort(held, axis=None), np.arange(c.parts * c.lanes * c.held))


def test_every_regime_has_its_reason():
    assert configure(9, 10, 4).reason == "several rows a warp"
    assert configure(9, 500, 4).reason == "a row a warp"
    assert configure(9, 4_000, 4).reason == "a row a block"
    assert configure(9, 10**6, 4).reason == "a row in parts, each in the registers of a block"
    assert configure(9, 10, 4, stride=9, between=1).reason.endswith("rows side by side")


SHAPE = (3, 4, 5, 6)


@pytest.mark.parametrize(
    "axes", [a for n in (1, 2, 3, 4) for a in itertools.combinations(range(4), n)]
)
@pytest.mark.parametrize("order", [*itertools.permutations(range(4))][::5])
def test_a_layout_walks_over_every_element_once(axes, order):
    x = np.arange(360).reshape(SHAPE).transpose(order)
    layout = layout_of(x.shape, axes, tuple(s // 8 for s in x.strides))
    if layout is None:
        return
    kept = [i for i in range(4) if i not in axes]
    rows = x.transpose(*kept, *axes).reshape(layout.rows, layout.length)
    r, j = np.ix_(np.arange(layout.rows), np.arange(layout.length))
    outer, along, inner = layout.strides[0]
    walked = r // layout.inner * outer + r % layout.inner * inner + j * along
    assert np.array_equal(walked, rows)


@pytest.mark.parametrize("axes", [(0,), (1,), (3,), (0, 1), (1, 2), (0, 1, 2, 3)])
def test_contiguous_arrays_with_neighbouring_axes_have_a_layout(axes):
    strides = (120, 30, 6, 1)
    assert layout_of(SHAPE, axes, strides, (0, 0, 0, 0), strides) is not None


def test_a_layout_joins_no_axes_that_one_array_keeps_apart():
    assert layout_of((4, 6), (0, 1), (6, 1)).length == 24
    assert layout_of((4, 6), (0, 1), (6, 1), (8, 1)) is None
    assert layout_of((4, 6), (0, 1), (6, 1), (0, 1)) is None
    assert layout_of((4, 1, 6), (0, 2), (6, 99, 1)).length == 24
