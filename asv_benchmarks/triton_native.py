"""Measure the backend torch_triton on a GPU, beside what else computes the same.

python asv_benchmarks/triton_native.py [--quick] [--json FILE] [--dry]

Beside it stand PyTorch's own operators, as they are and compiled by torch.compile, the array-API
implementation compiled, and the backend `torch`: forward alone, and with the gradient. They take
turns. Times are the device's own, between two events; memory is the peak beside what was there
before. --dry makes every call once, on small tensors, in Triton's interpreter where there is no
GPU, and measures nothing.
"""

import argparse
import datetime as dt
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

HAS_GPU = torch.cuda.is_available()
if not HAS_GPU:
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported

import softaxis  # noqa: E402

Call = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Of logits, labels and a mask."""

SHAPES = (
    (65_536, 64),
    (16_384, 1024),
    (8192, 8192),
    (4096, 32_768),
    (4096, 50_257),
    (16, 1_048_576),
)
QUICK = ((16_384, 1024), (4096, 50_257))
DRY = ((3, 10),)
DTYPES = (torch.float32, torch.bfloat16)
SMOOTHING = 0.1
ROUNDS = 30
OURS = "torch_triton"


def hidden(x: Tensor, where: Tensor) -> Tensor:
    """Hide what is masked from a native operator."""
    return x.masked_fill(~where, -torch.inf)


NATIVE: dict[str, Call] = {
    "softmax": lambda x, _, __: torch.softmax(x, -1),
    "softmax, where": lambda x, _, where: torch.softmax(hidden(x, where), -1),
    "log_softmax": lambda x, _, __: torch.log_softmax(x, -1),
    "logsumexp": lambda x, _, __: torch.logsumexp(x, -1),
    "cross_entropy": lambda x, y, _: F.cross_entropy(x, y),
    "cross_entropy, where": lambda x, y, where: F.cross_entropy(hidden(x, where), y),
    "cross_entropy, smoothing": lambda x, y, _: F.cross_entropy(x, y, label_smoothing=SMOOTHING),
}


def ours(b: Any) -> dict[str, Call]:
    """Return the same of softaxis, or of one of its backends and no other."""
    loss = partial(b.cross_entropy, reduction="mean")
    return {
        "softmax": lambda x, _, __: b.softmax(x),
        "softmax, where": lambda x, _, where: b.softmax(x, where=where),
        "log_softmax": lambda x, _, __: b.log_softmax(x),
        "logsumexp": lambda x, _, __: b.logsumexp(x, axis=-1),
        "cross_entropy": lambda x, y, _: loss(x, y),
        "cross_entropy, where": lambda x, y, where: loss(x, y, where=where),
        "cross_entropy, smoothing": lambda x, y, _: loss(x, y, label_smoothing=SMOOTHING),
    }


def contestants(function: str, *, dry: bool) -> dict[str, Call]:
    """Return who computes a function, by name."""
    torch.compiler.reset()
    return {
        OURS: ours(softaxis.get_backend(OURS))[function],
        "native": NATIVE[function],
        "native compiled": compiled(NATIVE[function], dry=dry),
        "array API compiled": compiled(ours(softaxis)[function], dry=dry),
        "torch": ours(softaxis.get_backend("torch"))[function],
    }


def compiled(function: Call, *, dry: bool) -> Call:
    """Compile a function; only in name where nothing is measured."""
    found: Call = torch.compile(function, fullgraph=True, backend="eager" if dry else "inductor")
    return found


def with_gradient(function: Call, g: Tensor, x: Tensor, y: Tensor, where: Tensor) -> Tensor:
    """Return the gradient in a given direction."""
    (slope,) = torch.autograd.grad(function(x, y, where), x, g)
    return slope


def ways(
    function: str, shape: tuple[int, int], dtype: torch.dtype, *, dry: bool
) -> Iterator[tuple[str, dict[str, Callable[[], Tensor]]]]:
    """Yield the calls that take turns: forward alone, and with the gradient."""
    device = "cuda" if HAS_GPU else "cpu"
    torch.manual_seed(0)
    x = torch.randn(shape, device=device).to(dtype)
    y = torch.randint(0, shape[1], shape[:1], device=device)
    where = torch.rand(shape, device=device) > 0.3
    where.scatter_(1, y[:, None], True)
    who = contestants(function, dry=dry)
    yield "forward", {name: partial(one, x, y, where) for name, one in who.items()}
    x.requires_grad_()
    g = torch.randn_like(NATIVE[function](x, y, where))
    yield (
        "with gradient",
        {name: partial(with_gradient, one, g, x, y, where) for name, one in who.items()},
    )


def milliseconds(call: Callable[[], Tensor]) -> float:
    """Return the time of one call on the device."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end))


def in_turns(calls: dict[str, Callable[[], Tensor]]) -> dict[str, float]:
    """Return the medians of calls that take turns; every round starts with another one."""
    names = list(calls)
    for call in calls.values():  # compiled, and warm
        for _ in range(3):
            call()
    times: dict[str, list[float]] = {name: [] for name in names}
    for i in range(ROUNDS):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(milliseconds(calls[name]))
    return {name: statistics.median(taken) for name, taken in times.items()}


def mebibytes(call: Callable[[], Tensor]) -> float:
    """Return the peak of memory beside what was there, the result included."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    return float((torch.cuda.max_memory_allocated() - before) / 2**20)


def difference(one: Tensor, other: Tensor) -> float:
    """Return the largest difference, in eps of the dtype and of the largest number."""
    one, other = one.detach().double(), other.detach().double()
    largest = torch.where(other.isfinite(), other, 0.0).abs().max().clamp(min=1e-30)
    off = torch.where(one == other, 0.0, (one - other).abs()).max() / largest
    return float(off)


def point(
    function: str, shape: tuple[int, int], dtype: torch.dtype, *, dry: bool
) -> Iterator[dict[str, Any]]:
    """Measure one function on one tensor."""
    for way, calls in ways(function, shape, dtype, dry=dry):
        found: dict[str, Any] = {"function": function, "way": way, "shape": shape}
        found["dtype"] = str(dtype).removeprefix("torch.")
        found["difference_eps"] = (
            difference(calls[OURS](), calls["native"]()) / torch.finfo(dtype).eps
        )
        if dry:
            for call in calls.values():
                call()
        else:
            found["milliseconds"] = in_turns(calls)
            found["mebibytes"] = {name: mebibytes(call) for name, call in calls.items()}
        yield found


def line(one: dict[str, Any]) -> str:
    """Write a measurement in a line."""
    rows, length = one["shape"]
    head = f"{one['function']:<25}{one['way']:<14}{one['dtype']:<9}{rows:>6} x {length:<8}"
    off = f"{one['difference_eps']:.2g} eps from native"
    if "milliseconds" not in one:
        return f"{head}ran, not measured; {off}"
    taken, peak = one["milliseconds"], one["mebibytes"]
    others = [
        f"{name} {each / taken[OURS]:.2f} x ({peak[name]:.0f} MiB)"
        for name, each in taken.items()
        if name != OURS
    ]
    return f"{head}{taken[OURS]:.3f} ms ({peak[OURS]:.0f} MiB); " + ", ".join([*others, off])


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    import triton

    return {
        "gpu": torch.cuda.get_device_name() if HAS_GPU else "none",
        "torch": torch.__version__,
        "triton": triton.__version__,
        "softaxis": softaxis.__version__,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }


def main() -> None:
    """Print the figures, and record them where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two shapes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="record the figures")
    parser.add_argument("--dry", action="store_true", help="make every call, and measure nothing")
    options = parser.parse_args()
    if not HAS_GPU and not options.dry:
        sys.exit("NOT MEASURED: PyTorch finds no GPU with its driver here (--dry needs none)")
    if options.dry and options.json:
        parser.error("--dry measures nothing that could be recorded")
    softaxis.set_backends(prioritize="default")  # what torch.compile sees: the array-API steps
    found: dict[str, Any] = {"machine": machine(), "points": []}
    print(", ".join(found["machine"].values()))
    print("times of the others are multiples of that of torch_triton, which comes first")
    for function in NATIVE:
        for dtype in DTYPES:
            for shape in DRY if options.dry else QUICK if options.quick else SHAPES:
                for one in point(function, shape, dtype, dry=options.dry):
                    found["points"].append(one)
                    print(line(one), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
