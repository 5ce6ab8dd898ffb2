"""Shapes and values: the table of the conformance kit, and what the tests have besides."""

import numpy as np

from softaxis.testing import _rows
from softaxis.testing._arrays import FLOATS, INTEGERS
from softaxis.testing._rows import AXES, EMPTY_AXES, ROWS, inf, nan
from softaxis.testing.references import LARGEST, mp

__all__ = [
    "AXES",
    "EMPTY_AXES",
    "FLOATS",
    "INTEGERS",
    "ROWS",
    "SPECIAL_ROWS",
    "extreme_rows",
    "inf",
    "nan",
    "spread",
]


# What becomes of the rows that are not finite: softmax, log_softmax, logsumexp, logmeanexp.
_OUTCOMES = {
    "nan": (nan, nan, nan, nan),
    "nan-only": (nan, nan, nan, nan),
    "nan-and-inf": (nan, nan, nan, nan),
    "nan-and-minus-inf": (nan, nan, nan, nan),
    "inf": (nan, nan, inf, inf),
    "inf-only": (nan, nan, inf, inf),
    "two-inf": (nan, nan, inf, inf),
    "inf-and-minus-inf": (nan, nan, inf, inf),
    "some-minus-inf": (
        [0.5, 0.0, 0.5],
        [-mp.log(2), -inf, -mp.log(2)],
        mp.log(2),
        mp.log(mp.mpf(2) / 3),
    ),
    "one-finite": ([0.0, 1.0, 0.0], [-inf, 0.0, -inf], 3.0, 3 - mp.log(3)),
    "all-minus-inf": (nan, nan, -inf, -inf),
    "minus-inf-only": (nan, nan, -inf, -inf),
}


def _spelt_out(name):
    """x, softmax, log_softmax, logsumexp, logmeanexp; one NaN stands for a row of them."""
    row = _rows.SPECIAL_ROWS[name]
    p, logp, lse, mean = _OUTCOMES[name]
    p, logp = (part if isinstance(part, list) else [part] * len(row) for part in (p, logp))
    return row, p, logp, lse, mean


SPECIAL_ROWS = {name: _spelt_out(name) for name in _rows.SPECIAL_ROWS}


def extreme_rows(dtype):
    """List rows at the ends of a floating dtype's range."""
    return _rows.ends_of_the_range(LARGEST[dtype])


def spread(shape, seed=0, scale=3.0):
    """Draw normal numbers, the same ones for the same arguments."""
    return scale * np.random.default_rng(seed).standard_normal(shape)
