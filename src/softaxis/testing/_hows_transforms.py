"""Trying a call under a compiler, and through automatic differentiation."""

from __future__ import annotations

from typing import Any

from softaxis.backend import Declined
from softaxis.testing._arrays import NDArray
from softaxis.testing._comparing import Expected
from softaxis.testing._hows import How
from softaxis.testing._subject import Subject
from softaxis.testing._trials import Operand, Trial


def compiled(subject: Subject, trial: Trial) -> None:
    """Run the implementation under the library's tracer."""
    function, keywords = subject.direct(trial)
    arrays = [subject.make(operand) for operand in trial.arrays]
    if function(*arrays, **keywords) is NotImplemented:
        raise Declined(f"backend {subject.name!r} declined")
    traced = subject.arrays.compiled(lambda *given: function(*given, **keywords))
    if traced is None:
        raise Declined("the library has no tracer")
    result = traced(*arrays)
    subject.compare(trial, result if isinstance(result, tuple) else (result,))


def differentiated(weights: NDArray, slope: Expected) -> How:
    """Return how to compare the derivative of sum(weights * result) with what it should be."""

    def how(subject: Subject, trial: Trial) -> None:
        arrays = subject.arrays
        w = subject.make(Operand(weights, trial.dtype))
        function, (point, *rest), keywords = subject.made(trial)

        def scalar(x: Any) -> Any:
            y = function(x, *rest, **keywords)
            kept = arrays.xp.where(w != 0, y, arrays.xp.zeros_like(y))
            return arrays.xp.sum(kept * w)

        got = arrays.gradient(scalar, point)
        if got is None:
            raise Declined("the library has no automatic differentiation")
        changed = Trial(trial.function, trial.arrays, trial.keywords, (slope,), trial.dtype, "")
        subject.compare(changed, (got,))

    return how
