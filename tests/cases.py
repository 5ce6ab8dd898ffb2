"""The one table of shapes and values, shared by the tests and the benchmarks."""

import numpy as np

from softaxis.testing.references import LARGEST, mp

FLOATS = ("float16", "bfloat16", "float32", "float64", "longdouble")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")

# Shapes with the axes they are reduced over.
AXES = [
    ((4,), -1),
    ((4,), 0),
    ((4,), None),
    ((4,), ()),
    ((), None),
    ((), ()),
    ((3, 4), 0),
    ((3, 4), 1),
    ((3, 4), -2),
    ((3, 4), (0, 1)),
    ((3, 4), (1,)),
    ((3, 4), ()),
    ((2, 3, 4), 1),
    ((2, 3, 4), (0, 2)),
    ((2, 3, 4), (2, 0)),
    ((2, 3, 4), (-1, -3)),
    ((2, 3, 4), (1, 2)),
    ((2, 3, 4), None),
    ((1, 5), 0),
    ((5, 1), 0),
    ((1, 1, 1), (0, 1)),
    ((2, 1, 3, 2), (0, 2)),
]

# Shapes with a length of 0.
EMPTY_AXES = [
    ((0,), 0),
    ((0,), None),
    ((0, 3), 0),
    ((0, 3), 1),
    ((3, 0), 0),
    ((3, 0), -1),
    ((2, 0, 3), (0, 1)),
    ((2, 0, 3), (0, 2)),
    ((0, 0), None),
]

# Finite rows, by what is hard about them.
ROWS = {
    "plain": [-1.0, 1.0, 2.0, 3.0],
    "signs": [-0.25, 1.0, -0.75],
    "single": [3.5],
    "equal": [2.0, 2.0, 2.0, 2.0, 2.0],
    "zeros": [0.0, -0.0, 0.0],
    "tie-at-the-top": [1.0, 1.0, 0.0, -3.0],
    "near-certainty": [0.0, -20.0],
    "nearer-certainty": [0.0, -40.0],
    "certainty-last": [-30.0, 0.0],
    "certainty-among-many": [-25.0, -26.0, 0.0, -25.5, -24.0],
    "offset": [1000.0, 1001.0, 1002.5],
    "negative-offset": [-1000.0, -1001.0, -1002.5],
    "wide": [-80.0, -10.0, 0.0, 10.0, 80.0],
    "sum-near-one": [-0.6931471805599453, -1.3862943611198906, -1.3862943611198906],
    "tiny": [1e-7, -1e-7, 0.0, 2e-7],
}

# Rows with numbers that are not finite: x, softmax, log_softmax, logsumexp, logmeanexp.
nan, inf = float("nan"), float("inf")
SPECIAL_ROWS = {
    "nan": ([1.0, nan, 2.0], [nan] * 3, [nan] * 3, nan, nan),
    "nan-only": ([nan], [nan], [nan], nan, nan),
    "nan-and-inf": ([inf, nan, 0.0], [nan] * 3, [nan] * 3, nan, nan),
    "nan-and-minus-inf": ([-inf, nan], [nan] * 2, [nan] * 2, nan, nan),
    "inf": ([1.0, inf, 2.0], [nan] * 3, [nan] * 3, inf, inf),
    "inf-only": ([inf], [nan], [nan], inf, inf),
    "two-inf": ([inf, 0.0, inf], [nan] * 3, [nan] * 3, inf, inf),
    "inf-and-minus-inf": ([-inf, inf], [nan] * 2, [nan] * 2, inf, inf),
    "some-minus-inf": (
        [0.0, -inf, 0.0],
        [0.5, 0.0, 0.5],
        [-mp.log(2), -inf, -mp.log(2)],
        mp.log(2),
        mp.log(mp.mpf(2) / 3),
    ),
    "one-finite": ([-inf, 3.0, -inf], [0.0, 1.0, 0.0], [-inf, 0.0, -inf], 3.0, 3 - mp.log(3)),
    "all-minus-inf": ([-inf] * 3, [nan] * 3, [nan] * 3, -inf, -inf),
    "minus-inf-only": ([-inf], [nan], [nan], -inf, -inf),
}


def extreme_rows(dtype):
    """List rows at the ends of a floating dtype's range."""
    most = LARGEST[dtype]
    return [[-most, most], [most, most], [-most, -most, -most], [most, 0.0, -most], [most]]


def spread(shape, seed=0, scale=3.0):
    """Draw normal numbers, the same ones for the same arguments."""
    return scale * np.random.default_rng(seed).standard_normal(shape)
