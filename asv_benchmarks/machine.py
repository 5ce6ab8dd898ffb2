"""What kind of machine this is: results carry its class, never its name."""

import os
import platform
import time
from pathlib import Path

VENDORS = {"AuthenticAMD": "amd", "GenuineIntel": "intel"}
EXTENSIONS = {"avx512f": "avx512", "avx2": "avx2", "sve": "sve", "asimd": "neon"}
"""Flags of the processor in /proc/cpuinfo, the widest vectors first, and their names."""

QUIET = 0.1
"""The share of the processors that others may take before a figure is in doubt."""


def machine_class(cpuinfo: str | None = None) -> str:
    """Return cores, vendor and vector instructions, as in `2-core-amd-avx512`."""
    info = _fields(_cpuinfo() if cpuinfo is None else cpuinfo)
    flags = (info.get("flags") or info.get("Features") or "").split()
    vendor = VENDORS.get(info.get("vendor_id", ""), platform.machine().lower())
    widest = [name for flag, name in EXTENSIONS.items() if flag in flags][:1]
    return "-".join([f"{os.cpu_count()}-core", vendor, *widest])


def asv_machine() -> dict[str, str]:
    """Return what `asv machine` records, with nothing that tells one such machine from another."""
    name = machine_class()
    return {
        "machine": name,
        "os": platform.system(),
        "arch": platform.machine(),
        "cpu": name.partition("-core-")[2],
        "num_cpu": str(os.cpu_count()),
        "ram": f"{_gigabytes()} GB",
    }


class Watch:
    """Watches from now on what other processes take of the processors."""

    def __init__(self) -> None:
        self.ticks, self.own = _ticks(), _own_seconds()

    def others(self) -> float:
        """Return the share that others took; 0 where the system does not say."""
        passed = [b - a for a, b in zip(self.ticks, _ticks(), strict=True)]
        if not any(passed):
            return 0.0
        per_second = os.sysconf("SC_CLK_TCK")
        busy = sum(passed) - sum(passed[3:5])
        return max(0.0, (busy - per_second * (_own_seconds() - self.own)) / sum(passed))

    def warning(self) -> str:
        """Return a line where they took so much that figures are in doubt."""
        others = self.others()
        if others < QUIET:
            return ""
        return f"WARNING: other processes took {others:.0%} of the processors: figures in doubt\n"


def warning(seconds: float = 0.5) -> str:
    """Watch for so long; return a line where measuring makes no sense."""
    watch = Watch()
    time.sleep(seconds)
    return watch.warning()


def _ticks() -> list[int]:
    """Return the ticks that all processors spent on each thing; idle and waiting are 3 and 4."""
    path = Path("/proc/stat")
    return [int(n) for n in path.read_text().split("\n")[0].split()[1:9]] if path.exists() else []


def _own_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def _fields(cpuinfo: str) -> dict[str, str]:
    """Return the fields of the first processor."""
    lines = cpuinfo.partition("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _gigabytes() -> int:
    """Return the main memory, rounded; 0 where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError):
        return 0
