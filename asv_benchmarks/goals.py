"""What the figures have to reach, and what they are: ratios, their means and their worst points."""

from collections.abc import Iterable, Iterator, Sequence
from math import exp, log
from typing import NamedTuple

from benchmarks.grid import DEFAULT, NATIVE
from rounds import Point

MB = 10**6
BETTER = "torch or jax"
COPY = "copy"
NUMBA, NUMPY = "softaxis[numba]", "softaxis"
BOTH = ("softmax", "log_softmax")
ALL = (*BOTH, "logsumexp", "cross_entropy")
OUT = ("softmax out=", "log_softmax out=")


class Goal(NamedTuple):
    """How many times as fast as somebody, over the points from some size up."""

    ours: str
    against: str
    functions: tuple[str, ...]
    mean: float | None = None
    worst: float | None = None
    nbytes: int = 0


GOALS = (
    Goal(NUMBA, "scipy", BOTH, mean=10),
    Goal(NUMBA, "scipy", ("logsumexp",), mean=25),
    Goal(NUMBA, BETTER, ALL, mean=2, worst=1),
    Goal(NUMBA, COPY, OUT, worst=0.8, nbytes=16 * MB),
    Goal(DEFAULT, "scipy", (*BOTH, "logsumexp"), worst=1),
    Goal(DEFAULT, "scipy", BOTH, mean=10, nbytes=MB),
    Goal(DEFAULT, "scipy", ("logsumexp",), mean=25, nbytes=MB),
    Goal(DEFAULT, BETTER, ALL, mean=2, worst=1, nbytes=MB),
    Goal(NUMPY, "scipy", ("softmax",), mean=1.5, worst=1),
    Goal(NUMPY, "scipy", ("log_softmax",), worst=1),
    Goal(NUMPY, "scipy", ("logsumexp",), mean=5, worst=1),
)


class Figure(NamedTuple):
    """A goal on one function: the geometric mean and the worst of so many points."""

    goal: Goal
    function: str
    mean: float
    worst: float
    where: Point
    points: int

    @property
    def met(self) -> bool:
        """Return whether both the mean and the worst point are where they have to be."""
        return self.mean >= (self.goal.mean or 0) and self.worst >= (self.goal.worst or 0)


def ratio(point: Point, ours: str, against: str) -> float | None:
    """Return how many times as fast `ours` is; None where one of the two is missing."""
    if ours not in point.seconds:
        return None
    return _reference(point, against) and _reference(point, against) / point.seconds[ours]


def _reference(point: Point, against: str) -> float | None:
    """Return the seconds to compare with."""
    if against == BETTER:
        return min((point.seconds[name] for name in NATIVE if name in point.seconds), default=None)
    if against == COPY:  # a copy moves twice its bytes
        moved = sum(point.case.moved(point.function.removesuffix(" out="), point.dtype))
        return point.copy_seconds * moved / (2 * point.case.nbytes(point.dtype))
    return point.seconds.get(against)


def figures(points: Sequence[Point], goals: Iterable[Goal] = GOALS) -> Iterator[Figure | Goal]:
    """Return the figures of every goal; the goal itself where nothing could be compared."""
    for goal in goals:
        for function in goal.functions:
            found = [
                (value, point)
                for point in points
                if point.function == function
                and point.case.nbytes(point.dtype) >= goal.nbytes
                and (value := ratio(point, goal.ours, goal.against)) is not None
            ]
            if not found:
                yield goal._replace(functions=(function,))
                continue
            worst, where = min(found, key=lambda pair: pair[0])
            mean = exp(sum(log(value) for value, _ in found) / len(found))
            yield Figure(goal, function, mean, worst, where, len(found))
