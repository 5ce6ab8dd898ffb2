"""Which reference belongs to which function, and the calls whose result has to be right."""

from calls import run
from derivatives import DERIVATIVES
from drawing import FUNCTIONS, calls
from losses import LOSSES
from normalizers import NORMALIZERS
from reductions import REDUCTIONS

CHECKS = {**NORMALIZERS, **REDUCTIONS, **LOSSES, **DERIVATIVES}


class Right:
    """Whatever a function is called with, the result is right."""

    needs = "computing"

    def __init__(self, function):
        self.name = function

    def drawn(self, xp):
        return calls(xp, self.name)

    def holds(self, xp, call):
        CHECKS[call.function](xp, call, run(xp, call))


RIGHT = [Right(function) for function in FUNCTIONS]
