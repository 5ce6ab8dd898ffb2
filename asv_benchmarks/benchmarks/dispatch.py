"""What dispatch costs: a call through a backend that does nothing."""

import sys
import tempfile
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import softaxis
from softaxis.backend import Backend

CALLS = 500
"""Calls of one round."""

noop = Backend("noop", types=(np.ndarray,))


@noop.implements(dtypes=None, differentiable=True, traceable=True)
def softmax(x, /, *, axis, where, temperature, sink, dtype, out):
    """Return the input: what is left of a call is dispatch."""
    return x


@noop.implements(dtypes=("float32", "float64"), min_size=1, devices=("cpu",))
def logsumexp(x, /, *, axis, weights, where, keepdims, return_sign, dtype, out):
    """Do the same behind a capability record that looks at each array."""
    return x


ENTRY_POINTS = """\
[softaxis.backends.numpy]
noop = {module}:noop
"""

DIRECT = {
    "softmax": partial(
        softmax, axis=1, where=None, temperature=None, sink=None, dtype=None, out=None
    ),
    "logsumexp": partial(
        logsumexp,
        axis=1,
        weights=None,
        where=None,
        keepdims=False,
        return_sign=False,
        dtype=None,
        out=None,
    ),
}
PUBLIC = {
    "softmax": softaxis.softmax,
    "logsumexp": partial(softaxis.logsumexp, axis=1),
}


def prefer_noop(folder: str) -> None:
    """Publish the backend as a distribution in `folder`, and prefer it in this process."""
    info = Path(folder, "softaxis_noop-0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: softaxis-noop\nVersion: 0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS.format(module=__name__))
    sys.path.append(folder)
    softaxis.set_backends(prioritize="noop")


def seconds(function: Callable[..., object], x: object, number: int) -> float:
    """Time one call, averaged over `number` of them."""
    return timeit.timeit(partial(function, x), number=number) / number


def overheads(function: str, rounds: int) -> tuple[list[float], list[float]]:
    """Time direct and public calls in turns; microseconds."""
    x = np.ones((8, 10))
    direct, public = [], []
    for _ in range(rounds):
        direct.append(1e6 * seconds(DIRECT[function], x, CALLS))
        public.append(1e6 * seconds(PUBLIC[function], x, CALLS))
    return direct, public


class Overhead:
    """A public call through the backend that does nothing, less a direct call of that backend."""

    params = tuple(DIRECT)
    param_names = ("function",)
    unit = "us"
    version = "1"

    def setup(self, function: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        prefer_noop(self.folder.name)

    def teardown(self, function: str) -> None:
        sys.path.remove(self.folder.name)
        self.folder.cleanup()
        softaxis.set_backends()

    def track_overhead(self, function: str) -> float:
        direct, public = overheads(function, rounds=100)
        return min(public) - min(direct)
