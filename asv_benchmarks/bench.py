"""Measure the working tree beside SciPy, PyTorch and JAX, and print ratios: `nox -s bench`.

python asv_benchmarks/bench.py [--quick] [--json FILE]
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.threads import limit_threads

limit_threads()  # before a library is imported

import footprint  # noqa: E402
import report  # noqa: E402
from benchmarks import grid  # noqa: E402
from machine import Watch, machine_class, warning  # noqa: E402
from rich.console import Console  # noqa: E402
from rounds import Point, measure  # noqa: E402

WIDTH = 130
"""Columns of the widest table."""
FUNCTIONS = (*grid.FUNCTIONS, *grid.WITH_OUT)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--quick", action="store_true", help="four shapes, less time on each")
    parser.add_argument("--functions", nargs="+", default=FUNCTIONS, choices=FUNCTIONS)
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in grid.CASES])
    parser.add_argument("--dtypes", nargs="+", default=grid.DTYPES, choices=grid.DTYPES)
    parser.add_argument("--seconds", type=float, help="of timing each point, about")
    parser.add_argument("--grid-only", action="store_true", help="leave out memory and overheads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="record it for the documentation")
    return parser.parse_args()


def main() -> None:
    """Print the grid, then what a call costs beside its time."""
    options = parse()
    console = Console(width=max(WIDTH, Console().width))
    of = ", ".join(f"{name} {version}" for name, version in report.versions().items())
    console.print(f"{machine_class()}, {grid.THREADS} threads; {of}", markup=False)
    console.print(warning(), style="bold red", end="")
    names = options.cases or (grid.QUICK if options.quick else [c.name for c in grid.CASES])
    seconds = options.seconds or (0.3 if options.quick else 0.7)
    points: list[Point] = []
    started, watch = time.perf_counter(), Watch()
    for function in options.functions:
        of_function = [
            measure(function, grid.case(name), dtype, grid.CONTESTANTS, seconds)
            for name in names
            for dtype in options.dtypes
        ]
        report.show_function(console, function, of_function)
        points += of_function
    report.show_figures(console, points)
    others = watch.others()
    console.print(watch.warning(), style="bold red", end="")
    console.print(f"the grid took {time.perf_counter() - started:.0f} s")
    more: dict[str, Any] = {"others": round(others, 3)}
    if not options.grid_only:
        more["memory"] = list(footprint.memory())
        more["first_call"] = list(footprint.first_calls())
        report.show_memory(console, more["memory"])
        report.show_first_calls(console, more["first_call"])
    if options.json:
        report.save(options.json, points, more)
    if not options.grid_only:  # in a process of its own, for it installs a backend
        subprocess.run([sys.executable, Path(__file__).with_name("quick.py")], check=True)


if __name__ == "__main__":
    main()
