"""Run the checks on a backend, and report."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from softaxis._dispatch._tables import tables
from softaxis.backend import Backend, Declined
from softaxis.testing._checks import CHECKS
from softaxis.testing._hows import Step
from softaxis.testing._pasting import paste
from softaxis.testing._subject import Subject, Wrong

ON_REQUEST = "64-bit sizes"


class Outcome(NamedTuple):
    """What one check found about one function.

    Parameters
    ----------
    function, check : str
        Which.
    state : str
        ``"passed"``, ``"failed"`` or ``"not run"``.
    cases, declined : int
        Calls that were made, and calls that the backend declined.
    worst : float or None
        The largest error, as a multiple of the documented bound; None where none was measured.
    reason : str
        What is wrong, or why it was not run.
    code : str
        The smallest failing call, as a line of Python to paste.
    """

    function: str
    check: str
    state: str
    cases: int = 0
    declined: int = 0
    worst: float | None = None
    reason: str = ""
    code: str = ""


class Report(NamedTuple):
    """What the checks found about a backend.

    Parameters
    ----------
    backend, library, version, device : str
        What was looked at; the version is that of the array library.
    outcomes : tuple of Outcome
        One for each function and check.
    measured : tuple of (str, str, float)
        The largest error for each function and dtype, as a multiple of the documented bound.
    """

    backend: str
    library: str
    version: str
    device: str
    outcomes: tuple[Outcome, ...]
    measured: tuple[tuple[str, str, float], ...]

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The checks that failed."""
        return tuple(one for one in self.outcomes if one.state == "failed")

    @property
    def passed(self) -> bool:
        """Whether something ran, everything claimed among it, and nothing failed."""
        return not self.failures and any(one.state == "passed" for one in self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """Return plain dicts and lists; keys are only ever added."""
        return {
            "backend": self.backend,
            "library": self.library,
            "version": self.version,
            "device": self.device,
            "passed": self.passed,
            "outcomes": [one._asdict() for one in self.outcomes],
            "measured": [
                {"function": function, "dtype": dtype, "worst": worst}
                for function, dtype, worst in self.measured
            ],
        }


def check(
    backend: str | Backend,
    *,
    library: str | None = None,
    device: Any = None,
    functions: Iterable[str] | None = None,
    checks: Iterable[str] | None = None,
    stop: bool = False,
    large: bool = False,
    progress: Callable[[Outcome], None] | None = None,
) -> Report:
    """Hold a backend to what softaxis promises.

    Parameters
    ----------
    backend : str or softaxis.backend.Backend
        A backend that `softaxis.list_backends` knows, or one that is not installed.
    library : str, optional
        The array library for ``"default"``, which runs on any; NumPy unless given.
    device : optional
        Where arrays are made, as their library names it.
    functions, checks : iterable of str, optional
        Look at these only.
    stop : bool
        End at the first failure.
    large : bool
        Try more elements than 32 bits count, where there is memory for them.
    progress : callable, optional
        Is given each `Outcome` as it comes.

    Returns
    -------
    Report
        What was found.

    Raises
    ------
    ValueError
        There is no such backend, function or check.
    RuntimeError
        The backend cannot be loaded; its own exception is the cause.

    Examples
    --------
    >>> from softaxis.testing import check
    >>> check("numpy", functions=["softmax"], checks=["special values"]).passed
    True
    """
    subject = Subject(backend, library, device)
    found: list[Outcome] = []
    for outcome in outcomes(subject, functions, checks, large):
        found.append(outcome)
        if progress is not None:
            progress(outcome)
        if stop and outcome.state == "failed":
            break
    measured = tuple((*key, worst) for key, worst in sorted(subject.worst.items()))
    arrays = subject.arrays
    version = str(getattr(importlib.import_module(arrays.name), "__version__", ""))
    where = arrays.device_of(arrays.asarray([1.0]))
    return Report(subject.name, arrays.name, version, where, tuple(found), measured)


def outcomes(
    subject: Subject,
    functions: Iterable[str] | None = None,
    checks: Iterable[str] | None = None,
    large: bool = False,
) -> Iterator[Outcome]:
    """Yield what each check finds about each function."""
    chosen = _chosen("functions", functions, tuple(subject.implementations))
    names = _chosen("checks", checks, tuple(CHECKS))
    for function in chosen:
        if function not in tables:
            reason = f"there is no softaxis.{function}"
            yield Outcome(function, "claims", "failed", reason=reason)
            continue
        for name in names:
            if name != ON_REQUEST or large or checks is not None:
                yield run_check(subject, function, name)
    if not subject.implementations:
        yield Outcome("", "claims", "failed", reason="the backend implements no function")


def _chosen(
    parameter: str, wanted: Iterable[str] | None, known: tuple[str, ...]
) -> tuple[str, ...]:
    if wanted is None:
        return known
    wanted = tuple(wanted)
    for name in wanted:
        if name not in known:
            raise ValueError(f"`{parameter}` must be among {', '.join(known)}; got {name!r}")
    return wanted


def run_check(subject: Subject, function: str, name: str) -> Outcome:
    """Run one check on one function; it ends at the first wrong result."""
    cases = declined = 0
    reason = "does not apply"
    before, subject.worst = subject.worst, {}
    share = _share(subject, name)
    try:
        for number, step in enumerate(CHECKS[name](subject, function)):
            if number % share:
                continue
            try:
                step.how(subject, step.trial)
            except Declined as why:
                declined += 1
                reason = str(why)
            except Exception as error:  # noqa: BLE001 - whatever the backend raises is reported
                worst = max(subject.worst.values(), default=None)
                smallest, smaller = _smallest(subject, step, error)
                about = ", ".join(filter(None, (smallest.trial.name, smallest.remark)))
                return Outcome(
                    *(function, name, "failed", cases + 1, declined, worst),
                    f"{_failure(smaller)} ({about})",
                    _code(subject, smallest, _failure(smaller)),
                )
            else:
                cases += 1
        worst = max(subject.worst.values(), default=None)
    finally:
        for key, value in subject.worst.items():
            before[key] = max(before.get(key, 0.0), value)
        subject.worst = before
    if cases:
        return Outcome(function, name, "passed", cases, declined, worst)
    return Outcome(function, name, "not run", 0, declined, None, reason)


def _share(subject: Subject, name: str) -> int:
    """Return every how many-th call a check tries, where calls are slow."""
    if name in {"claims", "declines"}:
        return 1
    return -(-subject.arrays.share // 4) if name == "gradients" else subject.arrays.share


def _smallest(subject: Subject, step: Step, error: Exception) -> tuple[Step, Exception]:
    """Return a single row that fails in the same way, if there is one."""
    for trial in step.trial.smaller():
        try:
            step.how(subject, trial)
        except Declined:
            continue
        except Exception as smaller:  # noqa: BLE001 - as above
            return step._replace(trial=trial), smaller
    return step, error


def _failure(error: Exception) -> str:
    message = str(error).strip().partition("\n")[0]
    return message if isinstance(error, Wrong) else f"raises {type(error).__name__}: {message}"


def _code(subject: Subject, step: Step, wrong: str) -> str:
    expected = step.trial.expected[0].high
    shown = f"should be {expected.tolist()}" if expected.size <= 8 else ""
    remark = "; ".join(filter(None, (wrong, step.remark, shown)))
    return paste(step.trial, subject.name, subject.arrays, subject.where, remark)
