"""Where a battery is: its connection point, or the centre of those it is made of.

The grid is a small graph of connection points and lines with lengths. Floyd-Warshall gives all
distances; the centre of some points is the point of the grid whose farthest of them is nearest,
then the one with the least sum of distances, then the first by name. (R. W. Floyd, "Algorithm 97:
Shortest Path", CACM 5(6), 1962.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from harness.bal.errors import LocationError

POINTS_MAX: Final = 500
"""Connection points of a grid; all distances between them are computed at once."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line between two connection points."""

    from_point: str
    to_point: str
    length_m: int


@dataclass(frozen=True, slots=True)
class Location:
    """Where a battery is connected; ``centre`` when that is the middle of several points."""

    point: str
    centre: bool


class ConnectionGrid:
    """The connection points and how far they are from each other."""

    __slots__ = ("_distances", "_points", "lines")

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self.lines = tuple(lines)
        self._points = sorted({p for line in self.lines for p in (line.from_point, line.to_point)})
        if len(self._points) > POINTS_MAX:
            raise LocationError(
                "",
                f"a grid of {len(self._points)} connection points",
                mend=f"join neighbouring points until there are at most {POINTS_MAX}",
            )
        self._distances = self._all_distances()

    def locate(self, battery: str, points: Iterable[str | None]) -> Location | None:
        """Return the centre of ``points``; None when none of them is known.

        Raises:
            LocationError: a point is not in the grid, or no point reaches all of them. A single
                point needs no grid.
        """
        known = sorted({point for point in points if point is not None})
        if not known:
            return None
        if len(known) == 1:
            return Location(known[0], centre=False)
        self._require(battery, known)
        reached = [point for point in self._points if self._reaches(point, known)]
        if not reached:
            raise LocationError(
                battery,
                f"no point of the grid reaches all of {', '.join(known)}",
                mend="join the parts of the grid by a line",
            )
        return Location(min(reached, key=lambda point: self._farness(point, known)), centre=True)

    def distance_m(self, one: str, other: str) -> int | None:
        """Return the length of the shortest way between two points; None when there is none."""
        return self._distances.get(one, {}).get(other)

    def _require(self, battery: str, points: list[str]) -> None:
        for point in points:
            if point not in self._distances:
                raise LocationError(
                    battery,
                    f'its connection point "{point}" is not in the grid',
                    mend="add a line that leads there",
                )

    def _reaches(self, point: str, others: list[str]) -> bool:
        return all(other in self._distances[point] for other in others)

    def _farness(self, point: str, others: list[str]) -> tuple[int, int, str]:
        distances = [self._distances[point][other] for other in others]
        return max(distances), sum(distances), point

    def _all_distances(self) -> dict[str, dict[str, int]]:
        distances = {point: {point: 0} for point in self._points}
        for line in self.lines:
            for one, other in ((line.from_point, line.to_point), (line.to_point, line.from_point)):
                known = distances[one].get(other, line.length_m)
                distances[one][other] = min(known, line.length_m)
        for middle in self._points:
            from_middle = list(distances[middle].items())
            for reached in distances.values():
                if middle in reached:
                    _shorten(reached, reached[middle], from_middle)
        return distances


def _shorten(reached: dict[str, int], to_middle: int, from_middle: list[tuple[str, int]]) -> None:
    for point, rest in from_middle:
        way = to_middle + rest
        if way < reached.get(point, way + 1):
            reached[point] = way
