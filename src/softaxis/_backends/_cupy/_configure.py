"""Configure: how many threads share a row, what each of them holds, and how a grid covers all rows.

What decides the order of a row's sum (`lanes`, `held`) depends on its length, its dtype and on
whether its elements lie side by side; the number of rows and their distance decide only where the
threads of a row sit. So a row has the same bits alone and in a batch.
"""

from __future__ import annotations

from typing import NamedTuple

WARP = 32
MAX_THREADS = 512
"""Threads of a block: 128 registers each, which no kernel exceeds."""
MAX_BLOCKS = 2**31 - 1
_THREADS = 128
"""Threads of a block whose rows take a warp or less."""
_VECTOR = 16
"""Bytes that a thread loads at once."""
_SECTOR = 32
"""Bytes that memory hands out at once: what rows side by side have to use up."""
_MOST_HELD = {2: 16, 4: 16, 8: 8}
"""Elements that a thread holds, at most, by their size in bytes: up to 16 registers."""
_MOST_TAKEN = {2: 8, 4: 16, 8: 8}
"""The same where shared memory keeps a row, and a thread holds a piece of it at a time."""
_LARGEST_GROUP = 128
ASIDE = 2048
"""Bytes of the shared memory of a block that CUDA and the kernels' own variables take, at most."""


class Limits(NamedTuple):
    """What a device has."""

    shared: int
    """Bytes of shared memory that a block may ask for."""
    cluster: int
    """Blocks that may reach into each other's shared memory; 1 where none can."""


class Configuration(NamedTuple):
    """A launch: what the kernels are compiled for, and the blocks."""

    lanes: int
    """Threads that share a row, or a part of one: a power of two."""
    held: int
    """Elements that each of them holds in registers."""
    beside: bool
    """Neighbouring threads hold neighbouring rows, not neighbouring elements."""
    threads: int
    """Threads of a block."""
    parts: int
    """Parts of a row; with more than one, three kernels run instead of one."""
    cluster: int
    """Blocks that keep a row in their shared memory; 0 where registers hold it."""
    share: int
    """Elements of a row that a block keeps there."""
    shared: int
    """Bytes of that."""
    blocks: int
    """Blocks of the kernels that read rows; they walk over what is left."""
    reason: str
    """Why, in a few words."""


def configure(
    rows: int,
    length: int,
    itemsize: int,
    *,
    stride: int = 1,
    between: int = 0,
    limits: Limits,
    arrays: int = 1,
) -> Configuration:
    """Choose a configuration.

    Parameters
    ----------
    rows, length : int
        The number of rows and of the elements of each; neither is 0.
    itemsize : int
        The size of an element in bytes: 2, 4 or 8.
    stride, between : int
        The distances from an element to the next one of its row, and of the row beside it (0 where
        there is none), in elements.
    limits : Limits
        What the device has.
    arrays : int
        How many arrays are read: 2 for a vector-Jacobian product.

    Returns
    -------
    Configuration
        The launch.
    """
    apart = length > 1 and abs(stride) != 1
    most = MAX_THREADS * itemsize // _SECTOR if apart else MAX_THREADS
    lanes, held, reason = _shared(length, itemsize, most)
    parts = -(-length // (lanes * held))
    if parts > 1 and not apart:
        kept = _kept(length, itemsize, arrays, limits)
        if kept is not None:
            held = _MOST_TAKEN[itemsize]
            return _in_shared_memory(rows, lanes, held, *kept, itemsize * arrays)
    if parts > 1:
        reason = "a row in parts, each in the registers of a block"
    beside = apart and rows > 1 and 0 < abs(between) < abs(stride)
    if beside:
        group = min(MAX_THREADS // lanes, _LARGEST_GROUP)
        reason += "; rows side by side"
    else:
        group = max(_THREADS // lanes, 1) if lanes <= WARP else 1
    blocks = min(-(-rows // group) * parts, MAX_BLOCKS)
    return Configuration(lanes, held, beside, lanes * group, parts, 0, 0, 0, blocks, reason)


def _kept(length: int, itemsize: int, arrays: int, limits: Limits) -> tuple[int, int] | None:
    """Return how many blocks keep a row, and how many elements each; None where it is too long.

    As few as leave room for two blocks on a multiprocessor, of which one loads while the other
    waits; where even the largest cluster leaves none, that.
    """
    vector = _VECTOR // itemsize
    blocks = 1
    while True:
        share = -(-length // (blocks * vector)) * vector
        needed = share * itemsize * arrays + ASIDE
        if needed <= limits.shared // 2 or 2 * blocks > limits.cluster:
            return (blocks, share) if needed <= limits.shared else None
        blocks *= 2


def _in_shared_memory(
    rows: int, lanes: int, held: int, cluster: int, share: int, size: int
) -> Configuration:
    """Return the launch of blocks that keep `share` elements of `size` bytes each."""
    blocks = min(rows, MAX_BLOCKS // cluster) * cluster
    where = "a block" if cluster == 1 else f"a cluster of {cluster} blocks"
    reason = f"a row in the shared memory of {where}"
    return Configuration(lanes, held, False, lanes, 1, cluster, share, share * size, blocks, reason)


def _shared(length: int, itemsize: int, most_lanes: int) -> tuple[int, int, str]:
    """Return how many threads share a row, what each holds at most, and why."""
    vector, most = _VECTOR // itemsize, _MOST_HELD[itemsize]
    if length <= WARP * vector:
        lanes = _power_of_two(-(-length // vector))
        return lanes, vector, "a row a warp" if lanes == WARP else "several rows a warp"
    if length <= WARP * most:
        return WARP, _power_of_two(-(-length // WARP)), "a row a warp"
    lanes = min(_power_of_two(-(-length // most)), most_lanes)
    return lanes, most, "a row a warp" if lanes == WARP else "a row a block"


def _power_of_two(n: int) -> int:
    """Round up to a power of two."""
    return 1 << (n - 1).bit_length()
