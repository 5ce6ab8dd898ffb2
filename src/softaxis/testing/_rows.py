"""The rows, shapes and axes that the checks are made of: one table for the kit and the tests."""

from __future__ import annotations

nan, inf = float("nan"), float("inf")

# Shapes with the axes they are reduced over.
AXES: list[tuple[tuple[int, ...], int | tuple[int, ...] | None]] = [
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
EMPTY_AXES: list[tuple[tuple[int, ...], int | tuple[int, ...] | None]] = [
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


def ends_of_the_range(most: float) -> list[list[float]]:
    """Return rows of the largest number of a dtype."""
    return [[-most, most], [most, most], [-most, -most, -most], [most, 0.0, -most], [most]]


# Rows with numbers that are not finite.
SPECIAL_ROWS = {
    "nan": [1.0, nan, 2.0],
    "nan-only": [nan],
    "nan-and-inf": [inf, nan, 0.0],
    "nan-and-minus-inf": [-inf, nan],
    "inf": [1.0, inf, 2.0],
    "inf-only": [inf],
    "two-inf": [inf, 0.0, inf],
    "inf-and-minus-inf": [-inf, inf],
    "some-minus-inf": [0.0, -inf, 0.0],
    "one-finite": [-inf, 3.0, -inf],
    "all-minus-inf": [-inf] * 3,
    "minus-inf-only": [-inf],
}

# What a mask leaves in; what it leaves out may hold anything.
MASKED_ROWS = {
    "one-left": ([5.0, 1.0, 9.0], [False, True, False]),
    "a-larger-one-masked": ([1e4, -1.0, 1.0, 0.5], [False, True, True, True]),
    "nan-masked": ([nan, 1.0, 2.0], [False, True, True]),
    "infinities-masked": ([inf, 0.25, -inf, -1.5], [False, True, False, True]),
    "nothing-left": ([1.0, nan, inf], [False, False, False]),
    "nan-left": ([1.0, nan, 2.0], [True, True, False]),
    "minus-inf-left": ([-inf, 1.0, -inf], [True, False, True]),
    "everything-left": ([0.5, -0.5, 2.0], [True, True, True]),
}
COOLED_ROWS = [  # x, temperature
    ([-1.0, 1.0, 2.0, 3.0], 0.5),
    ([-1.0, 1.0, 2.0, 3.0], 2.0),
    ([100.0, 101.0, 99.0], 0.25),
    ([1.0, 3.0, 3.0, 2.0], 0.0),
    ([1.0, 3.0, -3.0, 2.0], inf),
    ([-inf, 1.0, 2.0], inf),
    ([1.0, nan], 0.0),
    ([-inf, -inf], 0.0),
]
COOLED_ALONG_ROWS = [  # x, a temperature for each element; their quotients are exact
    ([1.0, 2.0, 3.0, -1.0], [0.5, 2.0, 1.0, 4.0]),
    ([8.0, -8.0, 0.5], [4.0, 0.25, 0.125]),
]
SUNK_ROWS = [  # x, sink
    ([-1.0, 1.0, 2.0], 0.0),
    ([-1.0, 1.0, 2.0], 3.0),
    ([1000.0, 1001.0], 1000.5),
    ([-30.0, -31.0], 0.0),
    ([0.0, -1.0], -40.0),
    ([0.0, 1.0, -2.0], -inf),
    ([-inf, -inf, -inf], 0.0),
    ([-inf, -inf], -inf),
    ([0.0, 1.0], nan),
]
WEIGHTED_ROWS = [  # x, weights
    ([0.5, -1.0, 2.0], [1.0, 2.0, 0.5]),
    ([0.5, nan, 2.0], [1.0, 0.0, 0.5]),
    ([inf, 1.0, -2.0], [0.0, 3.0, 1.0]),
    ([1.0, inf, nan], [0.0, 0.0, 0.0]),
    ([inf, inf, 0.0], [1.0, -2.0, 1.0]),
    ([inf, inf, 0.0], [-1.0, -2.0, 4.0]),
    ([2.0, 1.0, 0.0], [3.0, -1.0, -0.5]),
    ([1.0, 2.0, 0.0], [1.0, -3.0, 0.5]),
    ([500.0, 499.0, 3.0], [-1.0, 1.0, 1.0]),
    ([-inf, 0.0, 1.0], [1.0, 1.0, 2.0]),
]
INTEGER_ROWS = {
    "bool": [1, 0, 1, 0],
    "int8": [-128, 127, 0, 126],
    "int16": [-32768, 32767, 0, 32766],
    "int32": [-(2**31), 2**31 - 1, 0, -1],
    "int64": [-(2**53), 2**53, 0, 1],
    "uint8": [1, 2, 200, 199],
    "uint16": [1, 2, 65535, 65534],
    "uint32": [1, 2, 2**32 - 1, 0],
    "uint64": [1, 2, 2**53, 0],
}
COMPLEX_ROWS = [
    [1 + 2j, -0.5 + 0.25j, 0.25 - 1j],
    [0.5 + 4j],
    [1j, 2j, 3j],
    [1000 + 1j, 1000.5 - 2j, 999 + 0.5j],
    [1 + 0j, 2 + 0j],
]
# Rows whose smallest probability is subnormal.
SUBNORMAL_ROWS = {
    "float16": [0.0, -10.0, -15.0],
    "bfloat16": [0.0, -90.0, -92.0],
    "float32": [0.0, -90.0, -100.0],
    "float64": [0.0, -710.0, -740.0],
}
# Lengths of the rows that shapes are filled with.
LENGTHS = (1, 2, 3, 4, 5, 6, 8, 12, 24)

# Long rows: every length up to where unrolled loops have their tails, then around powers of 2.
KINDS = ("mixed", "last", "equal", "dominated")
LONG_LENGTHS = (
    *range(1, 67),
    *(127, 128, 129, 255, 256, 257, 511, 513, 1000, 1023, 1025, 2047, 2049, 4097, 8191, 16385),
    *(70_000, 100_003),
)
LONGEST = 1_000_003
