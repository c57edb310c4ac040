from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.bal.errors import (
    BatteryError,
    BatteryInUseError,
    BatteryNameError,
    CyclicTopologyError,
    NameTakenError,
    NotASourceError,
    SharesError,
    TopologyError,
    UnknownBatteryError,
    ValueRangeError,
)
from harness.bal.model.batteries import Batteries
from harness.bal.model.topology import LEVELS_MAX, NAME_LENGTH_MAX
from harness.bal.model.values import Kind, Nameplate, Reading, Share, Values
from tests.support.battery_model import add, plate, told


def home() -> Batteries:
    """Return two batteries aggregated and split in two, and a third that is free."""
    batteries = Batteries()
    for name in ("a", "b", "free"):
        add(batteries, name, ah=10, discharge_a=10, holds_ah=5)
    batteries.make_aggregator("both", ["a", "b"])
    batteries.make_splitter([Share.percent("north", 50), Share.percent("south", 50)], "both")
    return batteries


Try = Callable[[Batteries], object]


@pytest.mark.parametrize(
    ("attempt", "error", "text"),
    [
        (lambda b: b.status("nort"), UnknownBatteryError, '"nort".*did you mean "north"'),
        (lambda b: b.make_aggregator("x", ["nobody"]), UnknownBatteryError, '"nobody"'),
        (lambda b: b.make_aggregator("x", ["x", "free"]), CyclicTopologyError, '"x".*of itself'),
        (
            lambda b: b.make_splitter([Share.percent("free", 50)], "free"),
            CyclicTopologyError,
            '"free".*of itself',
        ),
        (lambda b: b.make_aggregator("x", ["a"]), BatteryInUseError, 'the aggregate "both"'),
        (
            lambda b: b.make_aggregator("x", ["both"]),
            BatteryInUseError,
            'part of the partitions "north", "south"',
        ),
        (lambda b: b.make_aggregator("x", []), TopologyError, '"x".*0 sources'),
        (lambda b: b.make_aggregator("x", ["free", "free"]), TopologyError, "named twice"),
        (lambda b: b.make_aggregator("north", ["free"]), NameTakenError, '"north"'),
        (lambda b: b.make_aggregator("", ["free"]), BatteryNameError, "cannot be a name"),
        (lambda b: b.make_aggregator("x\n", ["free"]), BatteryNameError, "cannot be a name"),
        (
            lambda b: b.make_aggregator("x" * (NAME_LENGTH_MAX + 1), ["free"]),
            BatteryNameError,
            "cannot be a name",
        ),
        (
            lambda b: b.make_splitter([Share("p", 600_000), Share("q", 400_001)], "free"),
            SharesError,
            '"free".*1000001 ppm, more than the whole.*100 %',
        ),
        (lambda b: b.make_splitter([Share("p", 0)], "free"), SharesError, '"p".*0 ppm'),
        (lambda b: b.make_splitter([], "free"), SharesError, '"free".*0 partitions'),
        (
            lambda b: b.make_splitter([Share("p", 1), Share("p", 1)], "free"),
            NameTakenError,
            '"p"',
        ),
        (lambda b: b.remove("both", 0), BatteryInUseError, '"both".*north'),
        (lambda b: b.set_current("a", 0, 0), BatteryInUseError, '"a".*"both"'),
        (lambda b: b.schedule("both", 0, 1, 2, 0), BatteryInUseError, '"both"'),
        (lambda b: b.source_lost("both", 0), NotASourceError, '"both".*aggregate'),
        (
            lambda b: b.make_battery("x", Kind.AGGREGATE, "", plate(1, 1, 1)),
            TopologyError,
            "aggregate is made of others",
        ),
        (
            lambda b: b.make_battery("x", Kind.PHYSICAL, "", Nameplate(1, -1, 1, 1)),
            ValueRangeError,
            '"x".*nameplate',
        ),
        (
            lambda b: b.source_read("a", Reading.at(0, Values(1, 0, 1, 1, -1, 1)), 0),
            ValueRangeError,
            '"a".*negative',
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_changes_nothing(
    attempt: Try, error: type[BatteryError], text: str
) -> None:
    batteries = home()
    before = [batteries.status(name) for name in batteries.names()]
    with pytest.raises(error, match=text) as refusal:
        attempt(batteries)
    assert refusal.value.mend
    assert [batteries.status(name) for name in batteries.names()] == before


def test_there_is_a_highest_level() -> None:
    batteries = Batteries()
    add(batteries, "0", ah=10, discharge_a=10)
    for level in range(LEVELS_MAX):
        batteries.make_aggregator(str(level + 1), [str(level)])
    top = str(LEVELS_MAX)
    with pytest.raises(TopologyError, match=f"{LEVELS_MAX + 1} levels"):
        batteries.make_aggregator("too high", [top])
    assert told(batteries.set_discharge(top, 1_000, 0)) == {"0": 1_000}


def test_partitions_of_one_battery_may_meet_again_in_an_aggregate() -> None:
    batteries = home()
    batteries.make_aggregator("all", ["north", "free", "south"])
    status = batteries.status("all")
    assert (status.sources, status.sources_online) == (3, 3)
    assert batteries.sources("all") == ["a", "b", "free"]
    assert told(batteries.set_discharge("all", 9_000, 0)) == {"a": 3_000, "b": 3_000, "free": 3_000}


def test_a_removed_aggregate_stops_and_frees_its_sources() -> None:
    batteries = home()
    batteries.make_aggregator("more", ["north", "free"])
    batteries.set_discharge("more", 3_000, 0)
    assert told(batteries.remove("more", 5)) == {"a": 0, "b": 0, "free": 0}
    assert "more" not in batteries.names()
    assert told(batteries.set_discharge("free", 1_000, 6)) == {"free": 1_000}
    assert told(batteries.set_discharge("north", 1_000, 6)) == {"a": 500, "b": 500}


def test_what_a_source_was_told_alone_ends_when_it_becomes_part_of_another() -> None:
    batteries = Batteries()
    add(batteries, "a", ah=10, discharge_a=10)
    batteries.set_discharge("a", 5_000, 0)
    batteries.make_aggregator("c", ["a"])
    assert told(batteries.due(1)) == {"a": 0}
    batteries.remove("c", 2)
    assert batteries.due(3) == []
    assert batteries.status("a").expected.current_ma == 0
