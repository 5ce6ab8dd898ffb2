"""Measure what the plots of docs/performance.md need beside the grid: `nox -s bench -- --rows`.

python asv_benchmarks/row_lengths.py [--json FILE]

24 MiB in rows of ten elements to a million; `numpy` against `numba` from a hundred elements to
millions; and what numba costs once in a process.
"""

import argparse
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.threads import limit_threads

limit_threads()  # before a library is imported

import numpy as np  # noqa: E402
import report  # noqa: E402
from benchmarks import grid  # noqa: E402
from benchmarks.grid import Case  # noqa: E402
from benchmarks.imports import first_call_seconds  # noqa: E402
from goals import NUMBA  # noqa: E402
from machine import Watch, warning  # noqa: E402
from rounds import Point, measure  # noqa: E402

FILE = Path(__file__).parent / "results" / "row_lengths.json"
FUNCTIONS = {
    "softmax": grid.IMPLEMENTATIONS,
    "softmax out=": (NUMBA,),
    "log_softmax": grid.IMPLEMENTATIONS,
    "log_softmax out=": (NUMBA,),
    "logsumexp": grid.IMPLEMENTATIONS,
}
"""What is measured, and of whom."""
NBYTES = 24 << 20
"""With a result as large beyond a last cache of 32 MB, and below what glibc always asks the system
for anew, so that the plot is of the work and not of new pages."""
LENGTHS = (10, 32, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
SIZES = tuple(1 << power for power in range(7, 24, 2))
"""Elements; one of them is where numba takes over by default."""
ROW = 128
"""The length of the rows in arrays of those sizes."""
SECONDS = 0.25
"""Of timing each point, about."""
PROCESSES = 5


def lengths() -> Iterator[Point]:
    """Measure arrays of the same size in bytes, cut into rows of every length."""
    for function, names in FUNCTIONS.items():
        for dtype in grid.DTYPES:
            for length in LENGTHS:
                rows = NBYTES // np.dtype(dtype).itemsize // length
                yield measure(function, Case((rows, length)), dtype, names, SECONDS)


def sizes() -> Iterator[Point]:
    """Measure our two backends on arrays from small to large."""
    for size in SIZES:
        yield measure("softmax", Case((size // ROW, ROW)), "float32", grid.OURS, SECONDS)


def start() -> dict[str, float]:
    """Return what numba costs once a process that finds everything compiled: the first call."""
    try:
        first_call_seconds("softmax", NUMBA)  # fills the caches
    except subprocess.CalledProcessError as error:
        print(f"the first call failed: {error.stderr.strip().splitlines()[-1]}")
        return {}
    taken = median(first_call_seconds("softmax", NUMBA) for _ in range(PROCESSES))
    return {"first_call": taken}


def show(points: list[Point]) -> None:
    """Print the bandwidth of everybody, a point a line."""
    for point in points:
        moved = sum(point.case.moved(point.function, point.dtype))
        found = [f"{name} {moved / 1e9 / taken:.2f}" for name, taken in point.seconds.items()]
        found.append(f"copy {2 * point.case.nbytes(point.dtype) / 1e9 / point.copy_seconds:.2f}")
        print(f"{point.function} {point.case.name} {point.dtype}, GB/s: {', '.join(found)}")


def measured(points: list[Point]) -> list[dict[str, Any]]:
    """Return rows of those who took part."""
    names = {(p.function, name) for p in points for name in (*p.seconds, *p.missing)}
    return [row for row in report.rows(points) if (row["function"], row["contestant"]) in names]


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--json", type=Path, default=FILE, metavar="FILE", help="record it there")
    file = parser.parse_args().json
    print(warning(), end="", flush=True)
    started, watch = time.perf_counter(), Watch()
    points = list(lengths())
    show(points)
    of_size = list(sizes())
    show(of_size)
    others = watch.others()
    print(watch.warning(), end="")
    once = start()
    print(", ".join(f"{name} {1e3 * seconds:.0f} ms" for name, seconds in once.items()))
    more = {"others": round(others, 3), "start": once, "sizes": measured(of_size)}
    file.unlink(missing_ok=True)  # a recording is one run
    report.save(file, points, more)
    print(f"recorded in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
