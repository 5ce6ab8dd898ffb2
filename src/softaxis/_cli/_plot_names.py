"""Names beside the points of the plot: one for each cluster, none on top of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

NEAR = 9.0  # points of the page; closer marks share a name
LIFT = 13.0  # how far a name moves up where it would cover another
LEADER = {"arrowstyle": "-", "lw": 0.5, "color": "#8A8A8A"}
SPELT = 4  # a cluster of more names than this is shortened


@dataclass(frozen=True)
class Point:
    """One input on the curve."""

    name: str
    x: float
    y: float


def name_points(axes: Axes, points: Sequence[Point]) -> None:
    """Write the names above and to the left, where a growing curve leaves room."""
    pixels = axes.figure.dpi / 72
    taken: list[Bbox] = []
    for cluster in _clusters(axes, points, NEAR * pixels):
        anchor = cluster[-1]
        lift, side = 5.0, -4.0
        while True:
            label = axes.annotate(
                _join([point.name for point in cluster]),
                (anchor.x, anchor.y),
                xytext=(side, lift),
                textcoords="offset points",
                ha="right",
                fontsize=9,
                arrowprops=LEADER if lift > LIFT else None,
            )
            box = label.get_window_extent()
            outside = axes.bbox.x0 - box.x0
            if outside <= 0 and not any(box.overlaps(other) for other in taken):
                break
            label.remove()
            if outside > 0:
                side += outside / pixels + 1
            else:
                lift += LIFT
        taken.append(box)


def _clusters(axes: Axes, points: Sequence[Point], near: float) -> list[list[Point]]:
    clusters: list[list[Point]] = []
    last = (0.0, 0.0)
    for point in sorted(points, key=lambda point: point.x):
        x, y = axes.transData.transform((point.x, point.y))
        if clusters and abs(x - last[0]) + abs(y - last[1]) < near:
            clusters[-1].append(point)
        else:
            clusters.append([point])
        last = (x, y)
    return clusters


def _join(names: Sequence[str]) -> str:
    if len(names) > SPELT:
        names = [*names[:2], "...", names[-1]]
    return ", ".join(names)
