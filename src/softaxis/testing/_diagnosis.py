"""A diagnosis: what the doctor concludes from what a child process left behind."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from traceback import FrameSummary
from typing import Any

from softaxis import BackendStatus
from softaxis.testing._examination import RECORD, STAGES, TRACE, stack_of
from softaxis.testing._watch import Ending

NO_FAULT = frozenset({"healthy", "unfinished", "missing", "no device", "blocked"})
HEADS = {"hang": r"^Timeout \(", "crash": "^(?:Fatal Python error|Windows fatal exception)"}
FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found out about one backend.

    Parameters
    ----------
    name, package, origin : str
        As in `softaxis.BackendStatus`.
    state : str
        No fault: ``"healthy"``, ``"unfinished"`` (none found in the time there was),
        ``"missing"`` (the array library is not installed), ``"no device"`` (it finds none) or
        ``"blocked"`` (by the user). Faults: ``"broken import"`` (it raised), ``"slow import"``,
        ``"crash"``, ``"hang"`` or ``"fails"`` (the conformance kit).
    reason : str
        Why, in one sentence.
    stack : tuple of str
        Where it raised, crashed or hung, as far as that is known: ``file:line in function``, the
        innermost first.
    function, check, code : str
        Of a conformance failure: the softaxis function, the check, and a line of Python that
        shows the smallest failing case. Of a crash or hang there: the last check that passed.
    output : tuple of str
        The last lines of the error stream, of a process that crashed or hung.
    library_seconds, import_seconds : float, optional
        What it took to import the array library, and then the backend.
    seconds : float
        What the whole examination took.
    devices : tuple of str
        The devices that the array library sees.
    passed : int
        The number of conformance checks that passed.
    """

    name: str
    package: str
    origin: str
    state: str
    reason: str = ""
    stack: tuple[str, ...] = ()
    function: str = ""
    check: str = ""
    code: str = ""
    output: tuple[str, ...] = ()
    library_seconds: float | None = None
    import_seconds: float | None = None
    seconds: float = 0.0
    devices: tuple[str, ...] = ()
    passed: int = 0

    @property
    def healthy(self) -> bool:
        """Whether no fault was found. That an array library is missing is none."""
        return self.state in NO_FAULT

    @property
    def accelerators(self) -> tuple[str, ...]:
        """The devices that are no CPU."""
        return tuple(device for device in self.devices if "cpu" not in device.lower())


@dataclass
class Seen:
    """What the process has written down before it ended."""

    stage: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    checks: list[dict[str, str]] = field(default_factory=list)
    trace: str = ""


def read(folder: Path) -> Seen:
    """Read what the process has written, as far as it got."""
    seen = Seen(trace=_text(folder / TRACE))
    for written in _text(folder / RECORD).splitlines():
        try:
            line = json.loads(written)
        except ValueError:  # the process ended while it wrote
            continue
        if "check" in line:
            seen.checks.append(line)
            continue
        seen.stage = line.pop("stage")
        if "seconds" in line:
            seen.seconds[seen.stage] = line.pop("seconds")
        seen.found |= line
    return seen


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _stack(trace: str, state: str) -> tuple[str, ...]:
    """Return the innermost lines of the stack that faulthandler wrote of a crash or a hang."""
    _, *written = re.split(HEADS[state], trace, flags=re.MULTILINE)
    threads = written[-1].split("(most recent call first):\n") if written else []
    for stack in reversed(threads):  # the main thread is the last one
        found = FRAME.findall(stack.partition("\n\n")[0])
        if found:
            frames = (FrameSummary(file, int(line), name) for file, line, name in found)
            return tuple(stack_of(frames))
    return ()


def conclude(status: BackendStatus, seen: Seen, ending: Ending, import_limit: float) -> Diagnosis:
    """Name the first fault that was found."""
    found = seen.found
    package = "numpy" if status.name == "default" else status.package
    doing = {
        "": "before anything was imported",
        "library": f"importing {package}",
        "backend": f"importing backend {status.name!r}",
        "devices": "looking for devices",
        "conformance": "in the conformance kit",
        "exit": "when all was done and the process was to end",
    }[seen.stage]
    beyond = seen.seconds.get("backend", 0.0)
    last = seen.checks[-1] if seen.checks else {"function": "", "check": ""}
    about: dict[str, Any] = {}
    if "error" in found:
        state = "broken import" if seen.stage in {"library", "backend"} else "fails"
        about = {"reason": f"{found['error']}, {doing}", "stack": tuple(found["stack"])}
    elif "failure" in found:
        state, about = "fails", found["failure"]
    elif ending.status is None or ending.status != 0 or seen.stage != STAGES[-1]:
        state = "hang" if ending.status is None else "crash"
        about = {"reason": f"{ending.description}, {doing}", "stack": _stack(seen.trace, state)}
        about |= {"output": ending.output, "function": last["function"], "check": last["check"]}
    elif found.get("lacking"):
        state, about = "no device", {"reason": f"{package} finds none: {found['lacking']}"}
    elif beyond > import_limit:
        state = "slow import"
        reason = f"{beyond:.1f} s, {package} not counted; the limit is {import_limit:g} s"
        about = {"reason": reason}
    elif "unfinished" in found:
        state, about = "unfinished", {"reason": found["unfinished"]}
    else:
        state = "healthy"
    return Diagnosis(
        status.name,
        package,
        status.origin,
        state,
        **about,
        library_seconds=seen.seconds.get("library"),
        import_seconds=seen.seconds.get("backend"),
        seconds=ending.seconds,
        devices=tuple(found.get("devices", ())),
        passed=sum(check["state"] == "passed" for check in seen.checks),
    )
