"""What it takes until the first result: the import, and the first call after it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import softaxis

from .accuracy import operands
from .contestants import MAKERS
from .grid import IMPLEMENTATIONS, THREADS

FUNCTIONS = ("softmax", "log_softmax", "logsumexp")

IMPORTS = {
    "softaxis": "import softaxis",
    "softaxis[numba]": "import softaxis",
    "scipy": "import scipy.special",
    "torch": "import torch",
    "jax": "import jax",
}
FIRST = {
    "softaxis": "softaxis.set_backends(disable='numba'); softaxis.{}(x, axis=-1)",
    "softaxis[numba]": "softaxis.set_backends(prioritize='numba'); softaxis.{}(x, axis=-1)",
    "scipy": "scipy.special.{}(x, axis=-1)",
    "torch": "torch.{}(torch.from_numpy(x), -1)",
    "jax": "jax.jit(jax.nn.{}, static_argnames='axis')(x, axis=-1).block_until_ready()",
}
TIMED = """
import time
start = time.perf_counter()
{}
print(time.perf_counter() - start)
"""
TIMED_TWICE = """
import time, numpy
{}
x = numpy.ones((4096, 1024), "float32")
times = []
for _ in range(2):
    start = time.perf_counter()
    {}
    times.append(time.perf_counter() - start)
print(times[0] - times[1])
"""


def fresh(script: str) -> float:
    """Run a script in a fresh interpreter that finds everything compiled, as installed code is."""
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPATH": str(Path(softaxis.__file__).parents[1]),
        "SOFTAXIS_NUM_THREADS": str(THREADS),
    }
    environment.setdefault("PYTHONPYCACHEPREFIX", str(Path(tempfile.gettempdir(), "softaxis-pyc")))
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(done.stdout)


def import_seconds(code: str = "import softaxis") -> float:
    """Time an import."""
    return fresh(TIMED.format(code))


def first_call_seconds(function: str, implementation: str) -> float:
    """Time the first call on 16 MB after the import, less what a second one takes."""
    call = FIRST[implementation].format(function)
    return fresh(TIMED_TWICE.format(IMPORTS[implementation], call))


class _Fresh:
    """Each implementation that is installed."""

    timeout = 180
    unit = "ms"
    version = "1"

    def need(self, implementation: str) -> None:
        """Skip what is not installed."""
        MAKERS[implementation]("softmax", operands("softmax", "normal", "float32"))


class Import(_Fresh):
    """An import in a fresh interpreter, beyond what that takes to start."""

    params = (IMPLEMENTATIONS,)
    param_names = ("implementation",)

    def setup(self, implementation: str) -> None:
        self.need(implementation)
        import_seconds(IMPORTS[implementation])  # compiles

    def track_import(self, implementation: str) -> float:
        return min(import_seconds(IMPORTS[implementation]) for _ in range(3)) * 1e3


class FirstCall(_Fresh):
    """The first call after the import, its caches warm, beyond what the second takes.

    What a library imports only now counts here.
    """

    version = "2"

    params = (IMPLEMENTATIONS, FUNCTIONS)
    param_names = ("implementation", "function")

    def setup(self, implementation: str, function: str) -> None:
        self.need(implementation)
        first_call_seconds(function, implementation)  # fills the caches

    def track_first_call(self, implementation: str, function: str) -> float:
        return median(first_call_seconds(function, implementation) for _ in range(3)) * 1e3
