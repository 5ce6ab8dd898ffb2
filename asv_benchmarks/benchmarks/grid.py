"""The shapes, dtypes, functions and contestants that everything which measures speed shares.

`nox -s bench` times all of it, asv the cases `TRACKED`, and the documentation draws it.
Nothing here depends on what is installed, and nothing but NumPy is imported.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

THREADS = 2

DTYPES = ("float32", "float64")

FUNCTIONS = ("softmax", "log_softmax", "logsumexp", "cross_entropy")
WITH_OUT = ("softmax out=", "log_softmax out=")
"""The same into an array that exists: no page of the result is new to the process."""

OURS = ("softaxis", "softaxis[numba]")
"""On NumPy arrays: the `numpy` backend alone, and the `numba` backend at every size."""
DEFAULT = "softaxis default"
"""What a user gets who chooses nothing."""
NATIVE = ("torch", "jax")
PEERS = ("scipy", *NATIVE)
CONTESTANTS = (*OURS, DEFAULT, *PEERS)
IMPLEMENTATIONS = (*OURS, *PEERS)
"""Those that asv follows from commit to commit."""


@dataclass(frozen=True)
class Case:
    """A shape, and the axis of its rows."""

    shape: tuple[int, ...]
    axis: int = -1

    @property
    def name(self) -> str:
        """Say it in one word: `4096x1024`, `1000x4096@0` along another axis than the last."""
        return "x".join(map(str, self.shape)) + (f"@{self.axis}" if self.axis != -1 else "")

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return prod(self.shape)

    @property
    def length(self) -> int:
        """Return the length of a row."""
        return self.shape[self.axis]

    def nbytes(self, dtype: str) -> int:
        """Return how many bytes the input has."""
        return self.size * np.dtype(dtype).itemsize

    def moved(self, function: str, dtype: str) -> tuple[int, int]:
        """Return the bytes that have to be read and those that have to be written.

        A reduction writes one number a row; the labels of a cross-entropy are read as int64.
        """
        rows = self.size // self.length
        read = self.nbytes(dtype) + (8 * rows if function == "cross_entropy" else 0)
        reduces = function in ("logsumexp", "cross_entropy")
        return read, rows * np.dtype(dtype).itemsize if reduces else self.nbytes(dtype)


CASES = (
    Case((1, 10)),
    Case((8, 10)),
    Case((128, 128)),
    Case((200, 150)),
    Case((65536, 64)),
    Case((4096, 1024)),
    Case((1024, 32000)),
    Case((64, 65536)),
    Case((1, 10**6)),
    Case((1000, 4096), axis=0),
    Case((64, 300, 256), axis=1),
)
QUICK = ("8x10", "200x150", "4096x1024", "1000x4096@0")
"""The cases of `nox -s bench -- --quick`."""

TRACKED = ("4096x1024", "8x10", "65536x64", "1x1000000", "1000x4096@0")
"""The cases of asv, the one first on which the dashboard opens."""


def case(name: str) -> Case:
    """Return the case of this name."""
    return next(case for case in CASES if case.name == name)


@lru_cache(maxsize=1)  # the contestants of one point read the same array
def logits(case: Case, dtype: str) -> np.ndarray:
    """Draw normal logits with a standard deviation of 4, the same ones every time."""
    seed = zlib.crc32(f"{case.name} {dtype}".encode())
    x = np.random.default_rng(seed).standard_normal(case.shape, dtype=dtype)
    x *= 4
    return x


def labels(case: Case) -> np.ndarray:
    """Draw a class for every row."""
    rows = list(case.shape)
    del rows[case.axis]
    return np.random.default_rng(0).integers(case.length, size=rows)
