"""What Python and compiled code agree on: some sizes, and how a job lies in memory.

Nothing here imports numba, which is only needed where something is to be compiled.
"""

from __future__ import annotations

from struct import Struct

CHUNK = 4096
"""Numbers that are summed at a time: longer rows are cut, however many threads there are."""
TEAM = 256
"""Bytes of the two counters of a step, far enough from each other."""
SLOTS = 6
"""Numbers that are noted of a chunk, or of a row."""
ABREAST = 4
"""Vectors of neighbouring rows that are computed together where rows lie in columns."""
FEW = 2 * ABREAST * 64
"""Bytes of what is noted of those rows: two vectors for each of theirs."""
SUMS = 8
"""What the numbers of a row are added to, in float64; of float64, with the errors beside them."""
BESIDE_PLANES = FEW + SUMS * 16 * 8
"""And of the sums of one vector of those rows, which is half as long in float64."""

COMMON = Struct("=13qd2q")
"""The fields of `_jobs.Job` in their order, without `like`, `outer`, `row` and `extra`."""
EXTRA = COMMON.size
"""Where what else the kernel wants to know begins, at most so many bytes of it."""
EXTRA_SIZE = 48
TABLE = EXTRA + EXTRA_SIZE
"""Where the table of `outer` begins; that of `row` follows."""

KERNEL, JOB, UNITS, PARTS, SHARED, SCRATCH, SCRATCH_STEP, NOTES, NOTES_STEP = range(9)
"""The words of a task: the address of a kernel, that of its job, how many units there are and in
how many parts threads take them, the counters of a team or 0, and where scratch buffers and notes
are, of the first thread and how much further of the next one."""
NEXT, CAME = 16, 24
"""Further words, in cache lines of their own: which part is next, and how many threads came."""
TASK = Struct("=9q184x")
"""The fields of a task, and room for the others."""
BOX = 16
"""How many words there are for each helper, the first of which says what it is about."""
LOCK, ACQUIRE, RELEASE, YIELD = 1, 2, 3, 4
"""Further ones: the lock by which it sleeps, Python's functions of locks, and what lets other
threads run."""
ASLEEP, READY, FOUND, CALLED, TAKEN = range(5)
"""It sleeps, or watches the box. Of a task the box holds the address, and so much more:
whether it is for one that watches or for one that has been woken, or is being computed."""

SHARING = "work", "lead", "watch", "serve"
"""The functions by which threads share a task."""

NOTED = 5
"""Numbers in float64 that are known of a row when a loss is differentiated: itself, the maximum,
how often it is there, the sum over the others, and the logit of the right class."""

NONE, SUM, MEAN = range(3)
"""Reductions of losses."""

ROWS, LENGTH, OPERANDS, PLACES, STEPS = 0, 1, 2, 3, 8
"""The plan that XLA keeps for a handler, of 64-bit integers: how many rows there are, and how long;
how many operands; of which operand or result the addresses of a, b, c, p and q are, -1 for none;
and how many bytes are between rows of p and q."""
CALLED_BY_XLA = frozenset(
    name + step
    for name in ("softmax", "log_softmax", "logsumexp", "cross_entropy")
    for step in ("", "_slope")
)
"""The kernels that XLA calls: of the value, and of the way back."""
IGNORED = -2
"""What a handler is given for a label that does not count; -1 stands for a wrong one."""

FOUR = 4
"""Numbers that are known of a row when one goes back: the value, or g in its place, the maximum,
how often it is there, and the sum over the others."""

NO_LABEL = -(2**63)
"""What is ignored where nothing is; only itself would be taken for it."""

BYTES = bytes.__basicsize__ - 1
"""Bytes that a bytes object begins with."""
HEADER = object.__basicsize__
"""Bytes that an object of Python begins with."""
DATA, DIMENSIONS, SIZES, STRIDES = (HEADER + 8 * i for i in range(4))
"""Where an ndarray holds the address of its numbers, how many dimensions it has, as 32 bits, and
the addresses of their sizes and strides. NumPy's binary interface promises it; `_machine` makes
sure."""
