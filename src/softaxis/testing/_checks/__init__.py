"""The checks: what softaxis promises, as calls whose results were recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from softaxis.testing._checks._arguments import arguments
from softaxis.testing._checks._claims import claims, declines
from softaxis.testing._checks._loads import batch, large, long_rows, threads
from softaxis.testing._checks._numbers import dtypes, special_values, values
from softaxis.testing._checks._shapes import layouts, out, shapes
from softaxis.testing._checks._transforms import gradients, tracing
from softaxis.testing._hows import Step
from softaxis.testing._subject import Subject

Check: TypeAlias = Callable[[Subject, str], Iterator[Step]]


CHECKS: dict[str, Check] = {
    "claims": claims,
    "values": values,
    "special values": special_values,
    "arguments": arguments,
    "shapes and axes": shapes,
    "dtypes": dtypes,
    "memory layouts": layouts,
    "out": out,
    "long rows": long_rows,
    "batch": batch,
    "threads": threads,
    "tracing": tracing,
    "gradients": gradients,
    "declines": declines,
    "64-bit sizes": large,
}
