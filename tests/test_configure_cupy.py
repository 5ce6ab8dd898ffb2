"""The launches of the CUDA kernels over their whole domain, and the layouts they walk over."""

import functools
import itertools

import numpy as np
import pytest

from softaxis._backends._cupy import _kernels
from softaxis._backends._cupy._configure import ASIDE, Limits, configure
from softaxis._backends._cupy._layout import layout_of

LENGTHS = sorted(
    {*range(1, 600), *(2**i + d for i in range(1, 40) for d in (-1, 0, 1)), 32_000, 100_003}
)
ROWS = (1, 2, 3, 127, 128, 129, 65_535, 2**31 - 1, 2**31, 2**35 + 1)
SHARED_MEMORY = 48 * 1024
LIMITS = {
    "sm_75": Limits(64 * 1024, 1),
    "sm_80": Limits(163 * 1024, 1),
    "sm_86": Limits(99 * 1024, 1),
    "sm_90": Limits(227 * 1024, 8),
    "sm_120": Limits(99 * 1024, 8),
}
AMPERE, HOPPER = LIMITS["sm_80"], LIMITS["sm_90"]


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("itemsize", [2, 4, 8])
@pytest.mark.parametrize("beside", [False, True], ids=["along", "beside"])
def test_a_launch_keeps_to_the_limits_and_says_why(itemsize, beside, limits):
    for length, rows, arrays in itertools.product(LENGTHS, ROWS, (1, 2)):
        strides = {"stride": rows, "between": 1} if beside and rows > 1 else {}
        c = configure(rows, length, itemsize, limits=limits, arrays=arrays, **strides)
        assert c.reason
        assert c.lanes & (c.lanes - 1) == 0
        assert 1 <= c.lanes <= c.threads <= 512
        assert c.threads % c.lanes == 0
        assert c.threads % 32 == 0, "shuffles want whole warps"
        assert c.held % (16 // itemsize) == 0
        assert c.held * max(itemsize, 4) <= 64, "more than 16 registers of values"
        assert c.beside == (bool(strides) and length > 1)
        if c.cluster:
            assert_kept(c, length, itemsize * arrays, limits)
        else:  # the parts of a row cover it, and none of them is empty
            assert (c.parts - 1) * c.lanes * c.held < length <= c.parts * c.lanes * c.held
            assert c.share == c.shared == 0
        for _, blocks, threads in _kernels.launches(c, rows, _kernels.SOFTMAX):
            assert 1 <= blocks <= 2**31 - 1
            assert 1 <= threads <= 512
        # three buffers of maxima, sums and counts, one number a thread
        assert c.threads * (8 + 8 + 4) * 2 <= SHARED_MEMORY


def assert_kept(c, length, size, limits):
    """The blocks of a cluster keep a whole row, all but the last the same share of it."""
    assert c.parts == 1
    assert c.cluster in (1, 2, 4, 8)
    assert c.cluster <= limits.cluster
    assert c.blocks % c.cluster == 0, "whole clusters"
    assert (c.cluster - 1) * c.share < length <= c.cluster * c.share
    assert c.share * size == c.shared <= limits.shared - ASIDE
    assert c.shared % 16 == 0, "vectors"
    assert not c.beside
    assert c.threads == c.lanes


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("itemsize", [2, 4, 8])
def test_rows_are_kept_by_as_few_blocks_as_leave_room_for_another(itemsize, limits):
    """Once for two blocks a multiprocessor, and at last for one."""
    clusters, halves = [], []
    for length in range(4_097, 2_000_000 // itemsize, 1_003):
        c = configure(9, length, itemsize, limits=limits)
        if c.reason == "a row a block":
            continue
        if c.cluster:
            clusters.append(c.cluster)
            halves.append(c.shared + ASIDE <= limits.shared // 2)
        else:
            least = length / limits.cluster * itemsize
            assert least > limits.shared - ASIDE - 16, "it would have fitted"
    assert clusters == sorted(clusters)
    assert halves == sorted(halves, reverse=True)
    alone = [one for one, half in zip(clusters, halves, strict=True) if not half]
    assert set(alone) == {limits.cluster}


@pytest.mark.parametrize("itemsize", [2, 4, 8])
def test_the_order_of_a_sum_does_not_depend_on_the_rows_beside(itemsize):
    """A row has the bits that it has in a batch, where it is taken out by a slice."""
    for length in LENGTHS:
        of = functools.partial(configure, length=length, itemsize=itemsize, limits=HOPPER)
        along = [of(rows) for rows in ROWS] + [of(rows, stride=-1) for rows in ROWS]
        apart = [of(rows, stride=7, between=1) for rows in ROWS]
        apart += [of(rows, stride=-7, between=7 * length) for rows in ROWS]
        apart += [of(1, stride=7, between=0)]
        for kinds in (along, apart):
            assert len({(c.lanes, c.held, c.parts, c.cluster, c.share) for c in kinds}) == 1


@pytest.mark.parametrize("itemsize", [2, 4, 8])
def test_rows_side_by_side_use_up_what_memory_hands_out_at_once(itemsize):
    for length in LENGTHS[1:]:
        c = configure(10**6, length, itemsize, stride=10**6, between=1, limits=HOPPER)
        assert c.threads // c.lanes * itemsize >= 32, c


@pytest.mark.parametrize("itemsize", [2, 4, 8])
def test_every_element_of_a_row_is_held_once(itemsize):
    """As `position` in memory.cuh: lanes take neighbours of 16 bytes in turn."""
    vector = 16 // itemsize
    for length in (1, 7, 33, 70, 129, 1000, 4097, 32_000):
        c = configure(1, length, itemsize, limits=Limits(0, 1))
        part, v, lane = np.ix_(*map(np.arange, (c.parts, c.held, c.lanes)))
        held = part * c.lanes * c.held + (v // vector * c.lanes + lane) * vector + v % vector
        assert np.array_equal(np.sort(held, axis=None), np.arange(c.parts * c.lanes * c.held))


@pytest.mark.parametrize("itemsize", [2, 4, 8])
@pytest.mark.parametrize("length", [9_001, 50_257, 128_256, 200_000])
def test_every_element_of_a_row_is_kept_once(itemsize, length):
    """As `Share` in kept.cuh: a block goes over its share as `position` says."""
    vector = 16 // itemsize
    c = configure(1, length, itemsize, limits=HOPPER)
    assert c.cluster
    step = c.lanes * c.held
    piece, v, lane = np.ix_(*map(np.arange, (-(-c.share // step), c.held, c.lanes)))
    within = piece * step + (v // vector * c.lanes + lane) * vector + v % vector
    within = within[within < c.share]
    found = [at + within for at in range(0, c.cluster * c.share, c.share)]
    found = np.sort(np.concatenate(found))
    assert np.array_equal(found[found < length], np.arange(length))
    assert len(np.unique(within // vector)) * 16 == c.shared


def test_every_regime_has_its_reason():
    of = functools.partial(configure, 9, itemsize=4, limits=HOPPER)
    assert of(10).reason == "several rows a warp"
    assert of(500).reason == "a row a warp"
    assert of(4_000).reason == "a row a block"
    assert of(9_000).reason == "a row in the shared memory of a block"
    assert of(100_000).reason == "a row in the shared memory of a cluster of 4 blocks"
    assert of(400_000).reason == "a row in the shared memory of a cluster of 8 blocks"
    assert of(10**6).reason == "a row in parts, each in the registers of a block"
    assert of(100_000, limits=AMPERE).reason == of(10**6).reason
    assert of(10, stride=9, between=1).reason.endswith("rows side by side")


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
