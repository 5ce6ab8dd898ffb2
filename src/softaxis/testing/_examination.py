"""The child process of the doctor: it looks at one backend and may end in any way.

What it finds goes, line by line, to a file that is opened anew for every line, because a backend
may print, close descriptors or end the process. Where it is when it crashes or hangs, faulthandler
writes to a second file.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.metadata
import json
import time
import traceback
from collections.abc import Callable, Iterable
from itertools import takewhile
from pathlib import Path
from typing import Any

from softaxis._dispatch import _registry

RECORD, TRACE = "record", "trace"
STAGES = ("library", "backend", "devices", "conformance", "exit")
MOST_FRAMES = 4

SHARE_OF_CHECKS = 0.8
"""Of the time, what has passed when no further check is begun: one that takes the rest hangs."""
SHARE_OF_TRACE = 0.85
"""Of the time, what has passed when a process that still runs writes where it is."""


class _TimeIsUp(BaseException):
    """Ends the conformance kit between two checks."""


class _Examination:
    def __init__(self, name: str, folder: Path, seconds: float) -> None:
        self.name = name
        self.source = _registry.find(name)  # None for `default`
        self.record = folder / RECORD
        self.last_check = time.monotonic() + SHARE_OF_CHECKS * seconds

    def write(self, **line: Any) -> None:
        with self.record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def run(self) -> None:
        stages: tuple[Callable[[], dict[str, Any]], ...]
        stages = (self.library, self.backend, self.devices, self.conformance)
        for name, stage in zip(STAGES, stages, strict=False):
            self.write(stage=name)
            begin = time.perf_counter()
            try:
                found = stage()
            except BaseException as error:  # noqa: BLE001 - an import may raise SystemExit
                frames = reversed(traceback.extract_tb(error.__traceback__))
                self.write(stage=name, error=_one_line(error), stack=stack_of(frames))
                return
            self.write(stage=name, seconds=time.perf_counter() - begin, **found)
            if found.get("lacking"):
                break
        self.write(stage=STAGES[-1])

    def library(self) -> dict[str, Any]:
        importlib.import_module("numpy" if self.source is None else self.source.imported)
        return {}

    def backend(self) -> dict[str, Any]:
        if self.source is not None:
            _registry.load(self.source)
        return {}

    def devices(self) -> dict[str, Any]:
        from softaxis._cli._libraries import DEVICES, inspect_library

        package = "numpy" if self.source is None else self.source.package
        library = inspect_library(package)
        lacking = library.error if package in DEVICES else None  # elsewhere they are unknown
        found = " ".join(library.devices).lower()
        needed = self.needed()
        if needed and "cpu" not in needed and found and not any(kind in found for kind in needed):
            lacking = f"the backend runs on {', '.join(sorted(needed))}"
        return {"devices": library.devices, "lacking": lacking}

    def needed(self) -> set[str]:
        """Return the kinds of devices that the backend runs on; none where it does not say."""
        loaded = None if self.source is None else _registry.loaded(self.source)
        functions = {} if loaded is None else loaded.functions
        return {kind for one in functions.values() for kind in one.capability.devices or ()}

    def conformance(self) -> dict[str, Any]:
        try:
            importlib.import_module("numpy")
        except ImportError:
            return {"unfinished": "the conformance kit needs NumPy"}
        from softaxis.testing import check

        def follow(outcome: Any) -> None:
            self.write(function=outcome.function, check=outcome.check, state=outcome.state)
            if outcome.state != "failed" and time.monotonic() > self.last_check:
                raise _TimeIsUp

        try:
            report = check(self.name, stop=True, progress=follow)
        except _TimeIsUp:
            return {"unfinished": "the time was up before the last check"}
        if report.passed:
            return {}
        if not report.failures:
            return {"failure": {"reason": "none of the checks could be run"}}
        first = report.failures[0]
        return {
            "failure": {
                "function": first.function,
                "check": first.check,
                "reason": first.reason,
                "code": first.code,
            }
        }


def _one_line(error: BaseException) -> str:
    message = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def stack_of(frames: Iterable[traceback.FrameSummary]) -> list[str]:
    """Name the innermost lines that a stack goes through, as far as what called the backend."""
    inner = takewhile(lambda frame: frame.filename not in _CALLERS, frames)
    files = (frame for frame in inner if not frame.filename.startswith("<"))
    lines = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in files]
    return lines[:MOST_FRAMES]


_CALLERS = {__file__, _registry.__file__, importlib.__file__, importlib.metadata.__file__}


def main(name: str, folder: str, seconds: str) -> None:
    """Examine one backend and write what is found to `folder`."""
    # open to the very end: threads and exit handlers may crash or hang too
    trace = (Path(folder) / TRACE).open("w", encoding="utf-8")
    faulthandler.enable(trace, all_threads=False)
    faulthandler.dump_traceback_later(SHARE_OF_TRACE * float(seconds), file=trace)
    _Examination(name, Path(folder), float(seconds)).run()
