"""Measure the cupy backend on a GPU, beside a copy and other libraries: `nox -s bench-cuda`.

python asv_benchmarks/gpu.py [--quick] [--json FILE]

Times are the device's own, between two events on the current stream: the median of many calls,
after some to warm up. Bytes are those that a function has to read and to write, each of them once.
"""

import argparse
import datetime as dt
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cupy
import ml_dtypes

import softaxis
from softaxis._backends._cupy._configure import configure
from softaxis._backends._cupy._kernels import limits_of

Call = Callable[[], Any]

LENGTHS = (1024, 4096, 8192, 16_384, 32_768, 50_257, 131_072, 262_144, 1_048_576)
QUICK = (1024, 32_768)
DTYPES = {"float32": "float32", "float16": "float16", "bfloat16": ml_dtypes.bfloat16}
FUNCTIONS = ("softmax", "log_softmax", "logsumexp", "cross_entropy")
BYTES = 1 << 30
"""Of an array."""
SMALL = (8, 10)


def traffic(function: str, rows: int, length: int, itemsize: int) -> int:
    """Return the bytes that a function has to read and to write."""
    read = rows * length * itemsize
    if function == "cross_entropy":
        return read + rows * (8 + itemsize)  # labels are int64
    return read + (read if function in ("softmax", "log_softmax", "copy") else rows * itemsize)


def seconds(call: Call, *, calls: int = 30, warm: int = 5) -> float:
    """Return the median time of a call on the device."""
    for _ in range(warm):
        call()
    times = []
    for _ in range(calls):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(begin, end) / 1e3)
    return statistics.median(times)


def contestants(function: str, x: Any, labels: Any) -> dict[str, Call]:
    """Return what computes the same, by name."""
    ours = getattr(softaxis.get_backend("cupy"), function)
    if function == "cross_entropy":
        return {"softaxis": lambda: ours(x, labels), **of_torch(function, x, labels)}
    from cupyx.scipy import special

    found = {"softaxis": lambda: ours(x, axis=-1)}
    theirs = getattr(special, function, None)
    if theirs is not None and x.dtype != ml_dtypes.bfloat16:  # of which cupyx has little
        found["cupyx"] = lambda: theirs(x, axis=-1)
    return found | of_torch(function, x, labels)


def of_torch(function: str, x: Any, labels: Any) -> dict[str, Call]:
    """Return what PyTorch calls it, where it is installed with CUDA."""
    if importlib.util.find_spec("torch") is None:
        return {}
    import torch

    if not torch.cuda.is_available():
        return {}
    is_brain = x.dtype == ml_dtypes.bfloat16
    t, y = torch.from_dlpack(x.view("uint16") if is_brain else x), torch.from_dlpack(labels)
    t = t.view(torch.bfloat16) if is_brain else t
    if function == "cross_entropy":
        return {"torch": lambda: torch.nn.functional.cross_entropy(t, y, reduction="none")}
    return {"torch": lambda: getattr(torch, function)(t, -1)}


def point(function: str, length: int, dtype: str) -> dict[str, Any]:
    """Measure one function on rows of one length, beside a copy of the same array."""
    itemsize = cupy.dtype(DTYPES[dtype]).itemsize
    rows = BYTES // itemsize // length
    x = cupy.random.standard_normal((rows, length), dtype="float32").astype(DTYPES[dtype])
    labels = cupy.random.randint(0, length, rows).astype("int64")
    copy = traffic("copy", rows, length, itemsize) / seconds(x.copy)  # into memory of the pool
    needed = traffic(function, rows, length, itemsize)
    limits = limits_of(cupy.cuda.runtime.getDevice())
    found = {name: seconds(call) for name, call in contestants(function, x, labels).items()}
    return {
        "function": function,
        "rows": rows,
        "length": length,
        "dtype": dtype,
        "regime": configure(rows, length, itemsize, limits=limits).reason,
        "seconds": found,
        "copy_bytes_per_second": copy,
        "bytes_per_second": needed / found["softaxis"],
    }


def small(calls: int = 2000) -> dict[str, float]:
    """Measure a small softmax as a program sees it, beside one elementwise kernel of CuPy."""
    x = cupy.zeros(SMALL, "float32")
    found = {}
    for name, call in {"softaxis": lambda: softaxis.softmax(x), "x + 1": lambda: x + 1}.items():
        call()
        cupy.cuda.get_current_stream().synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        cupy.cuda.get_current_stream().synchronize()
        found[name] = (time.perf_counter() - begin) / calls
    return found


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())
    return {
        "gpu": properties["name"].decode(),
        "driver": str(cupy.cuda.runtime.driverGetVersion()),
        "cupy": cupy.__version__,
        "softaxis": softaxis.__version__,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }


def line(one: dict[str, Any]) -> str:
    """Write a measurement in a line."""
    share = one["bytes_per_second"] / one["copy_bytes_per_second"]
    ours = one["seconds"]["softaxis"]
    others = [
        f"{value / ours:.2f} times as fast as {name}"
        for name, value in one["seconds"].items()
        if name != "softaxis"
    ]
    head = f"{one['function']:<14}{one['dtype']:<9}{one['rows']:>7} x {one['length']:<8}"
    speed = f"{one['bytes_per_second'] / 1e12:.2f} TB/s, {share:.2f} of a copy"
    return head + ", ".join([f"{ours * 1e3:.3f} ms", speed, *others, one["regime"]])


def main() -> None:
    """Print the figures, and record them where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--quick", action="store_true", help="two lengths of rows")
    parser.add_argument("--json", type=Path, metavar="FILE", help="record them")
    options = parser.parse_args()
    if not cupy.is_available():
        sys.exit("NOT MEASURED: CuPy finds no GPU with its driver here")
    found: dict[str, Any] = {"machine": machine(), "points": []}
    print(", ".join(found["machine"].values()))
    for function in FUNCTIONS:
        for dtype in DTYPES:
            for length in QUICK if options.quick else LENGTHS:
                found["points"].append(point(function, length, dtype))
                print(line(found["points"][-1]), flush=True)
    found["small"] = small()
    print(*(f"8x10, {name}: {value * 1e6:.1f} us" for name, value in found["small"].items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
