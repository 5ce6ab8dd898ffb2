"""Memory above input and output, and the first call of a process: each measured in a fresh one."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import grid
from benchmarks.imports import FUNCTIONS, first_call_seconds
from benchmarks.memory import ready, resident, traced

FROM = 10**6
"""Bytes of the smallest input whose peak says anything about buffers."""
PROCESSES = 5


def peaks(function: str, implementation: str) -> dict[str, Any]:
    """Return `resident` and `traced` bytes for every case, or why there are none."""
    child = f"import footprint; footprint._child({function!r}, {implementation!r})"
    done = subprocess.run(
        [sys.executable, "-c", child],
        cwd=Path(__file__).parent,
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _child(function: str, implementation: str) -> None:
    """Print the peaks, the smallest inputs first."""
    from benchmarks.threads import limit_threads

    limit_threads()
    large = [case for case in grid.CASES if case.nbytes("float32") >= FROM]
    found = {}
    for case in sorted(large, key=lambda case: case.size):
        try:
            call = ready(implementation, function, case, "float32")
        except NotImplementedError as error:
            print(json.dumps({"missing": str(error)}))
            return
        found[case.name] = {"resident": resident(call), "traced": traced(call)}
    print(json.dumps(found))


def memory() -> Iterator[dict[str, Any]]:
    """Return a row for each function and each of ours: the largest of all cases, and where."""
    for function in grid.FUNCTIONS:
        for implementation in grid.OURS:
            found = peaks(function, implementation)
            row = {"function": function, "implementation": implementation}
            if "missing" in found:
                yield row | found
                continue
            for way in ("resident", "traced"):
                where = max(found, key=lambda name: found[name][way])
                row |= {way: found[where][way], f"{way}_at": where}
            yield row


def first_calls() -> Iterator[dict[str, Any]]:
    """Return a row for each function and each of ours: the median over some processes."""
    for implementation in grid.OURS:
        for function in FUNCTIONS:
            row = {"function": function, "implementation": implementation}
            try:
                first_call_seconds(function, implementation)  # fills the caches
            except subprocess.CalledProcessError as error:
                yield row | {"missing": error.stderr.strip().splitlines()[-1]}
                continue
            taken = [first_call_seconds(function, implementation) for _ in range(PROCESSES)]
            yield row | {"seconds": median(taken)}
