"""A round: some calls drawn from one seed, and the smallest one that is wrong."""

import time
import traceback
from dataclasses import dataclass

import hypothesis

PREAMBLE = """\
import numpy as np, softaxis
from libraries import variants
from numpy import inf, nan
from strategies import stored
xp = next(xp for xp in variants({library!r}) if xp.name == {variant!r})
with xp.active(): print({code})"""


@dataclass(frozen=True)
class Finding:
    """A wrong result or a wrong error."""

    title: str
    code: str
    problem: str
    again: str
    kind: tuple[str, ...]

    def __str__(self):
        return f"\nFINDING {self.title}\n{self.code}\n{self.problem}\nagain: {self.again}\n"


class Round:
    """Calls drawn from one seed for one property, on one variant of a library."""

    def __init__(self, library, xp, one, seed, examples, end):
        self.library, self.xp, self.one, self.seed = library, xp, one, seed
        self.examples, self.end = examples, end
        self.calls = 0
        self.last = None

    def finding(self):
        """Draw and make the calls; return what was wrong, as small as it gets, or None."""

        @hypothesis.seed(self.seed)
        @hypothesis.settings(
            max_examples=self.examples,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(call=self.one.drawn(self.xp))
        def calls(call):
            if self.last is None and time.monotonic() > self.end:
                return
            self.calls += 1
            with self.xp.active():
                try:
                    self.one.holds(self.xp, call)
                except Exception:
                    self.last = call  # hypothesis runs the smallest one last
                    raise

        with self.xp.active():
            try:
                calls()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
                return self._found(error)
        return None

    def _found(self, error):
        name, variant = self.one.name, self.xp.name
        frame = traceback.extract_tb(error.__traceback__)[-1]
        problem = f"{type(error).__name__}: {error}"
        if type(error).__name__ != "Wrong":
            problem += f" (raised in {frame.filename}, line {frame.lineno})"
        code = "nothing was called"
        if self.last is not None:
            code = self.last.code(self.xp)
        return Finding(
            f"{name} on {variant}",
            PREAMBLE.format(library=self.library, variant=variant, code=code),
            problem,
            f"python tests/fuzz/run.py --library {self.library} --variant {variant} "
            f"--property {name} --seed {self.seed} --examples {self.examples}",
            (name, type(error).__name__, str(frame.lineno)),
        )
