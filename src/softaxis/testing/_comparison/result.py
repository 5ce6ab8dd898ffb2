"""What `compare` finds out: the contestants, as data."""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass
from typing import Any

import softaxis
from softaxis.testing._comparison.errors import Error
from softaxis.testing._comparison.probes import Outcome


@dataclass(frozen=True)
class Row:
    """One contestant.

    `state` is "ran", "declines" (a backend, for which `default` takes over), "refuses", "missing",
    "broken" or "blocked"; where it is not "ran", `reason` says why. `seconds` is the median time
    of a call, `ratio` that time over the time of the library's own function (SciPy's where it has
    none), `memory` the bytes of the peak.
    """

    name: str
    library: str
    backend: str | None
    state: str
    reason: str = ""
    seconds: float | None = None
    ratio: float | None = None
    memory: int | None = None
    error: Error | None = None
    special: tuple[Outcome, ...] = ()


@dataclass(frozen=True, repr=False)
class Found:
    """What was found about every installed library.

    Parameters
    ----------
    function : str
        The name of the function.
    shape : tuple of int
        The shape of the input.
    dtype : str
        Its dtype.
    axis : int or tuple of int
        The axis of a row, 0 or more.
    source : str
        Where the input is from.
    rounds : int
        How often every contestant was timed.
    sampled, of_rows : int
        On how many rows the error was measured, and how many there are.
    rows : tuple of Row
        The contestants.
    versions : dict of str to str
        The libraries that took part.
    load : float or None
        Processes that wanted each processor before the start; above 1 times say little.
    """

    function: str
    shape: tuple[int, ...]
    dtype: str
    axis: int | tuple[int, ...]
    source: str
    rounds: int
    sampled: int
    of_rows: int
    rows: tuple[Row, ...]
    versions: dict[str, str]
    load: float | None

    @property
    def busy(self) -> bool:
        """Whether other processes left too little of the machine to rely on the times."""
        return self.load is not None and self.load > 1

    def as_json(self) -> dict[str, Any]:
        """Return plain dicts and lists; what is not finite is a string.

        Returns
        -------
        dict
            Its keys are only ever added to.
        """
        return {
            "softaxis": softaxis.__version__,
            "python": platform.python_version(),
            "versions": self.versions,
            "function": self.function,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "axis": self.axis if isinstance(self.axis, int) else list(self.axis),
            "source": self.source,
            "rounds": self.rounds,
            "load": self.load,
            "sampled_rows": self.sampled,
            "rows": self.of_rows,
            "contestants": [_plain(row) for row in self.rows],
        }


def _plain(row: Row) -> dict[str, Any]:
    error = None if row.error is None else row.error._asdict()
    special = {each.probe: _finite(each._asdict()) | {"text": str(each)} for each in row.special}
    return {**vars(row), "error": error and _finite(error), "special": special}


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }
