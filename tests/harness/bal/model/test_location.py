from __future__ import annotations

import heapq
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bal.errors import LocationError
from harness.bal.model import location as module
from harness.bal.model.batteries import Batteries
from harness.bal.model.location import ConnectionGrid, Line, Location
from tests.support.battery_model import add

STREET = [Line(one, other, 100) for one, other in pairwise("abcdefg")]


def test_the_centre_of_the_ends_of_a_street_is_its_middle() -> None:
    assert ConnectionGrid(STREET).locate("c", ["a", "g"]) == Location("d", centre=True)


def test_the_centre_is_where_the_farthest_is_nearest_not_the_mean() -> None:
    assert ConnectionGrid(STREET).locate("c", ["a", "b", "b", "g"]) == Location("d", centre=True)


def test_the_shortest_way_counts_not_the_number_of_lines() -> None:
    grid = ConnectionGrid([*STREET, Line("a", "g", 10_000), Line("a", "b", 40)])
    assert grid.distance_m("a", "g") == 540


def test_one_point_needs_no_grid() -> None:
    assert ConnectionGrid().locate("c", ["x", None, "x"]) == Location("x", centre=False)
    assert ConnectionGrid().locate("c", [None]) is None


def test_points_that_cannot_be_are_refused_by_name() -> None:
    grid = ConnectionGrid([*STREET, Line("x", "y", 1)])
    with pytest.raises(LocationError, match=r'"home".*"z" is not in the grid'):
        grid.locate("home", ["a", "z"])
    with pytest.raises(LocationError, match=r'"home".*no point of the grid reaches all of a, x'):
        grid.locate("home", ["a", "x"])


def test_the_size_of_a_grid_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POINTS_MAX", 6)
    with pytest.raises(LocationError, match="a grid of 7 connection points"):
        ConnectionGrid(STREET)


def test_an_aggregate_of_partitions_is_where_their_sources_are() -> None:
    batteries = Batteries(ConnectionGrid(STREET))
    add(batteries, "one", ah=10, discharge_a=10, point="a")
    add(batteries, "two", ah=10, discharge_a=10, point="e")
    batteries.make_aggregator("both", ["one", "two"])
    assert batteries.location("both") == Location("c", centre=True)
    assert batteries.location("two") == Location("e", centre=False)


def dijkstra(lines: list[Line], start: str) -> dict[str, int]:
    found: dict[str, int] = {}
    waiting = [(0, start)]
    while waiting:
        way, point = heapq.heappop(waiting)
        if point in found:
            continue
        found[point] = way
        for line in lines:
            for one, other in ((line.from_point, line.to_point), (line.to_point, line.from_point)):
                if one == point:
                    heapq.heappush(waiting, (way + line.length_m, other))
    return found


@given(st.integers(0, 2**32 - 1))
def test_distances_agree_with_another_way_of_finding_them(seed: int) -> None:
    random = Random(seed)
    points = "abcdefgh"[: random.randint(2, 8)]
    lines = [
        Line(random.choice(points), random.choice(points), random.randint(0, 50))
        for _ in range(random.randint(1, 14))
    ]
    grid = ConnectionGrid(lines)
    for line in lines:
        found = dijkstra(lines, line.from_point)
        distances = {point: grid.distance_m(line.from_point, point) for point in points}
        assert {point: way for point, way in distances.items() if way is not None} == found
