"""What the benchmarks of speed share: implementation, case and dtype as parameters.

Raise the `version` of a benchmark where it measures something else than before: asv then leaves out
what was recorded of the old one. Without it any edit of its code would.
"""

from .contestants import prepare
from .grid import DTYPES, IMPLEMENTATIONS, TRACKED, case
from .threads import limit_threads
from .timing import median_seconds


class Timed:
    """One function on the tracked cases, with every implementation in one graph."""

    params = (IMPLEMENTATIONS, TRACKED, DTYPES)
    param_names = ("implementation", "case", "dtype")
    unit = "seconds"
    version = "1"
    timeout = 120
    function: str

    def setup(self, implementation: str, name: str, dtype: str) -> None:
        limit_threads()
        self.contestant = prepare(implementation, self.function, case(name), dtype)

    def seconds(self) -> float:
        """Return the median of a call."""
        return median_seconds(self.contestant)
