"""What dispatch costs: a call through a backend that does nothing, and `import softaxis`."""

import os
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import softaxis
from softaxis.backend import Backend

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


def import_seconds(code: str = "import softaxis") -> float:
    """Time an import in a fresh interpreter that finds it compiled, as an installed one does."""
    script = f"import time; start = time.perf_counter(); {code}; print(time.perf_counter() - start)"
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPATH": str(Path(softaxis.__file__).parents[1]),
    }
    environment.setdefault("PYTHONPYCACHEPREFIX", str(Path(tempfile.gettempdir(), "softaxis-pyc")))
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout)


class Overhead:
    """A public call through the backend that does nothing, beside a direct call of that backend."""

    params = (("softmax", "logsumexp"), ("direct", "public"))
    param_names = ("function", "way")

    def setup(self, function: str, way: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        prefer_noop(self.folder.name)
        self.x = np.ones((8, 10))
        self.call = (DIRECT if way == "direct" else PUBLIC)[function]

    def teardown(self, function: str, way: str) -> None:
        sys.path.remove(self.folder.name)
        self.folder.cleanup()
        softaxis.set_backends()

    def time_call(self, function: str, way: str) -> None:
        self.call(self.x)


class Import:
    """`import softaxis` in a fresh interpreter: what it adds to a bare one."""

    timeout = 120
    number = 1
    unit = "ms"

    def setup(self) -> None:
        import_seconds()  # compiles

    def track_import(self) -> float:
        return min(import_seconds() for _ in range(20)) * 1e3
