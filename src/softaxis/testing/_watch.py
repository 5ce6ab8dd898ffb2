"""A child process that may do anything: watched, bounded in time and output, and ended.

Its streams are files and no pipes, because whoever reads a pipe to its end waits for every
grandchild that inherited it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

MOST_OUTPUT = 1 << 20
"""Bytes on the error stream at which it is emptied, lest an endless one fills the disk."""
LINES = 12
TICK = 0.02
START = 1.0
"""Seconds more for the interpreter to start in."""


class Ending(NamedTuple):
    """How the child ended."""

    status: int | None
    """Its exit status, minus the number of the signal that ended it; None if it had to be ended."""
    seconds: float
    output: tuple[str, ...]
    """The last lines of its error stream."""

    @property
    def description(self) -> str:
        """The status in words."""
        if self.status is None:
            return f"no end after {self.seconds:.3g} s"
        return _describe(self.status)


def watch(module: str, arguments: Sequence[str], folder: Path, seconds: float) -> Ending:
    """Run the `main` of a module in a process group of its own; end the group after `seconds`."""
    # -P: as here, the working directory is on the path only where sys.path names it
    code = f"import sys; from {module} import main; main(*sys.argv[1:])"
    command = [sys.executable, "-P", "-c", code, *arguments]
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    begin = time.monotonic()
    with (folder / "stderr").open("ab+") as errors:
        process = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
            creationflags=_NEW_GROUP,
        )
        try:
            status = _wait(process, begin + START + seconds, errors)
            spent = time.monotonic() - begin
        finally:
            _end(process)
        return Ending(status, spent, tuple(_last_lines(errors)))


def _wait(process: subprocess.Popen[bytes], deadline: float, errors: IO[bytes]) -> int | None:
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(TICK)
        if os.fstat(errors.fileno()).st_size > MOST_OUTPUT:
            errors.truncate(0)
    return process.poll()


def _last_lines(errors: IO[bytes]) -> Iterator[str]:
    errors.seek(max(0, os.fstat(errors.fileno()).st_size - MOST_OUTPUT))
    text = errors.read(MOST_OUTPUT).replace(b"\0", b"").decode(errors="replace")
    for line in text.splitlines()[-LINES:]:
        yield "".join(c if c.isprintable() else " " for c in line.expandtabs())[:500]


if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP

    def _end(process: subprocess.Popen[bytes]) -> None:
        """End the process and its descendants."""
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(command, capture_output=True, check=False)
        process.kill()
        process.wait()

    def _describe(status: int) -> str:
        """Say how a process ended: Windows puts the exception of a crash in the exit status."""
        number = f"{status & 0xFFFFFFFF:#x}" if abs(status) > 0xFFFF else str(status)
        return f"the process ended with exit status {number}"

else:
    _NEW_GROUP = 0

    def _end(process: subprocess.Popen[bytes]) -> None:
        """End what is left of the process group: descendants may outlive the process."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _describe(status: int) -> str:
        """Say how a process ended."""
        if status >= 0:
            return f"the process ended with exit status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:  # a real-time signal
            name = f"signal {-status}"
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
