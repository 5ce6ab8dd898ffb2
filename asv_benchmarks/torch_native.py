"""PyTorch's own functions beside softaxis on CPU tensors: `nox -s bench -- --native`.

python asv_benchmarks/torch_native.py [SHAPE ...]

Prints time and memory, forward alone and with the gradient, and what comes out where a probability
is all but 1.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from benchmarks.threads import THREADS, limit_threads

limit_threads()  # before a library is imported

import torch  # noqa: E402
from benchmarks.contestants import SPIN, Contestant  # noqa: E402
from rounds import in_turns  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

import softaxis  # noqa: E402

SHAPES = ((8, 10), (64, 1000), (4096, 1024), (65536, 64), (64, 65536))
LARGE = 1 << 20
"""Bytes from which on a tensor counts in the mean."""
SECONDS = 0.5
"""Of timing each pair, about."""
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "softmax": (lambda x, _: torch.softmax(x, -1), lambda x, _: softaxis.softmax(x)),
    "log_softmax": (lambda x, _: torch.log_softmax(x, -1), lambda x, _: softaxis.log_softmax(x)),
    "logsumexp": (
        lambda x, _: torch.logsumexp(x, -1),
        lambda x, _: softaxis.logsumexp(x, axis=-1),
    ),
    "cross_entropy": (
        F.cross_entropy,
        lambda x, y: softaxis.cross_entropy(x, y, reduction="mean"),
    ),
}
"""PyTorch's function and ours, of logits and labels."""
MEMORY_SHAPE = (1024, 50257)


def trained(function: Callable[..., Any], x: torch.Tensor, y: torch.Tensor, g: Any) -> None:
    """Call a function and take its gradient."""
    x.grad = None
    result = function(x, y)
    result.backward(g if result.ndim else None)


def times(shape: tuple[int, int], name: str) -> Iterator[tuple[float, float]]:
    """Return the seconds of both, forward alone and with the gradient."""
    x, y = torch.randn(shape), torch.randint(0, shape[1], shape[:1])
    recorded = x.clone().requires_grad_()
    g = torch.randn(FUNCTIONS[name][0](x, y).shape)
    rest = partial(time.sleep, SPIN if x.nbytes >= LARGE else 0)
    for ways in (
        [partial(one, x, y) for one in FUNCTIONS[name]],
        [partial(trained, one, recorded, y, g) for one in FUNCTIONS[name]],
    ):
        running = {str(i): Contestant(way, after=rest) for i, way in enumerate(ways)}
        native, ours = (median(taken) for taken in in_turns(running, SECONDS).values())
        yield native, ours


def beyond(which: int) -> float:
    """Return the MiB that training takes beside logits and gradient, in a fresh process."""
    code = f"import torch_native; print(torch_native.peak({which}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def peak(which: int) -> float:
    """Return the same, in this process."""

    def most() -> float:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(one.split()[1]) / 1024 for one in lines if one.startswith("VmHWM"))

    function = FUNCTIONS["cross_entropy"][which]
    before = 0.0
    for rows, classes in ((300, 500), MEMORY_SHAPE):
        x = torch.ones(rows, classes, requires_grad=True)
        before = most()
        trained(function, x, torch.zeros(rows, dtype=torch.int64), None)
    return most() - before - x.nbytes / 2**20


def near_certainty(which: int) -> Iterator[tuple[str, float, float]]:
    """Return value and gradient for the larger logit of [40, 0] in float64."""
    for name in ("softmax", "log_softmax", "cross_entropy"):
        x = torch.tensor([[40.0, 0.0]], dtype=torch.float64, requires_grad=True)
        y = FUNCTIONS[name][which](x, torch.tensor([0]))
        first = y if y.ndim == 0 else y[0, 0]
        (slope,) = torch.autograd.grad(first, x)
        yield name, first.item(), slope[0, 0].item()


def main(shapes: tuple[tuple[int, int], ...]) -> None:
    """Print the tables."""
    torch.set_num_threads(THREADS)
    softaxis.set_num_threads(THREADS)
    print(f"PyTorch {torch.__version__}, {THREADS} threads, float32; microseconds, medians\n")
    print("| shape | function | native | softaxis | ratio | with gradient | softaxis | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    ratios: dict[str, list[float]] = {}
    for shape in shapes:
        for name in FUNCTIONS:
            cells = []
            for way, (native, ours) in zip(("", " with gradient"), times(shape, name), strict=True):
                cells += [f"{native * 1e6:.1f}", f"{ours * 1e6:.1f}", f"{native / ours:.2f}"]
                if 4 * shape[0] * shape[1] >= LARGE:
                    ratios.setdefault(name + way, []).append(native / ours)
            print(f"| {shape[0]}x{shape[1]} | `{name}` | {' | '.join(cells)} |", flush=True)
    for name, found in ratios.items():
        mean = geometric_mean(found)
        print(f"\n{name}: native / softaxis, geometric mean of 1 MiB and more: {mean:.2f}")
    print(f"\ncross_entropy and its gradient, {MEMORY_SHAPE}: MiB beside logits and gradient")
    print(f"native {beyond(0):.0f}, softaxis {beyond(1):.0f}")
    print("\n[40, 0] in float64 | native: value, gradient | softaxis: value, gradient")
    for (name, *native), (_, *ours) in zip(near_certainty(0), near_certainty(1), strict=True):
        print(name, "|", *(f"{one:.4g}" for one in native), "|", *(f"{one:.4g}" for one in ours))


if __name__ == "__main__":
    given = [tuple(map(int, one.split("x"))) for one in sys.argv[1:]]
    main(tuple(given) or SHAPES)  # type: ignore[arg-type] # two numbers each
