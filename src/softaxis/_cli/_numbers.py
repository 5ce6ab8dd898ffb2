"""How the command line writes numbers."""

from collections.abc import Sequence

LONGEST = 11
TERMS = 8  # a sum of more terms than this is shortened


def given(value: float) -> str:
    """Write an input, or a difference of inputs: as it is if that is short, else rounded."""
    full = f"{value + 0.0:.10g}"  # + 0.0 turns -0 into 0
    return full if len(full) <= LONGEST else f"{value:.6g}"


def computed(value: float) -> str:
    """Write a result to three places; tiny and huge ones keep two significant digits."""
    if value != 0 and (abs(value) < 0.0005 or abs(value) >= 1e6):
        return f"{value:.1e}"
    return f"{value + 0.0:.3f}"


def minus(name: str, value: float) -> str:
    """Write `name` minus `value` the way a person does."""
    return f"{name} + {given(-value)}" if value < 0 else f"{name} - {given(value)}"


def added(terms: Sequence[str]) -> str:
    """Write a sum."""
    return " + ".join(terms if len(terms) <= TERMS else [*terms[:2], "...", *terms[-1:]])


def unbroken(formula: str) -> str:
    """Keep a formula on one line."""
    return formula.replace(" ", "\N{NO-BREAK SPACE}")
