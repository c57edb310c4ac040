"""Virtual meters and orders, worked out by hand: two batteries as one, divided in two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.bal.happenings import FORGET, LOST, REMOVE, SCHEDULE, SET_CURRENT, SETTLE, TIME_PASSED
from harness.bal.journal import Event, Order
from harness.bal.model.batteries import Batteries
from harness.bal.model.values import FlowRecord, Kind, Nameplate, Policy, Reading, Share, Values
from harness.check.battery_parts import Parts, read_parts
from harness.check.conservation import Conservation, Wants, conservation_of

TOPOLOGY = """
[[battery]]
name = "a"
voltage_mv = 50_000

[[battery]]
name = "b"
voltage_mv = 50_000

[[battery]]
name = "alone"
voltage_mv = 50_000

[[aggregate]]
name = "both"
sources = ["a", "b"]

[[splitter]]
source = "both"
partitions = [{ name = "homes", share = "60 %" }, { name = "grid", share = "40 %" }]
"""


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    file = tmp_path / "topology.toml"
    file.write_text(TOPOLOGY)
    return read_parts(file)


def command(sequence: int, at_ms: int, name: str, current_ma: int) -> Event:
    return Event(sequence, at_ms, SET_CURRENT, {"name": name, "current_ma": current_ma})


def order(sequence: int, event: int, source: str, current_ma: int) -> Order:
    return Order(sequence, event, source, current_ma, "executed", 0, current_ma)


def flow(name: str, *, charged: int = 0, discharged: int = 0, source: str = "both") -> FlowRecord:
    """Return a record up to 10 s whose account is exact, metered at 50 V."""
    return FlowRecord(
        name=name,
        source=source,
        from_ms=0,
        to_ms=10_000,
        opening_ma_ms=10**9,
        charged_ma_ms=charged,
        discharged_ma_ms=discharged,
        adjusted_ma_ms=0,
        closing_ma_ms=10**9 + charged - discharged,
        charged_nj=charged * 50_000,
        discharged_nj=discharged * 50_000,
    )


# From 1 s on homes give 300 mA; from 4 s on the grid takes 100 mA of them, until 8 s.
EVENTS = [
    command(1, 1_000, "homes", 300),
    command(2, 4_000, "grid", -100),
    command(3, 8_000, "homes", 0),
]
ORDERS = [
    order(1, 1, "a", 200),
    order(2, 1, "b", 100),
    order(3, 2, "a", 150),
    order(4, 2, "b", 50),
    order(5, 3, "a", -50),
    order(6, 3, "b", -50),
]
FLOWS = [
    flow("homes", discharged=300 * 7_000),
    flow("grid", charged=100 * 6_000),
    flow(""),
]


def found(
    parts: Parts,
    flows: Sequence[FlowRecord] = FLOWS,
    events: Sequence[Event] = EVENTS,
    orders: Sequence[Order] = ORDERS,
) -> Conservation:
    return conservation_of(parts, events, orders, flows)


def test_what_was_ordered_is_what_flowed(parts: Parts) -> None:
    seen = found(parts)
    assert not seen.findings
    assert (seen.accounts, seen.divided) == (3, 1)


def test_a_partition_that_got_too_much_is_found(parts: Parts) -> None:
    homes = flow("homes", discharged=300 * 7_000 + 1)
    whole, finding = found(parts, [homes, *FLOWS[1:]]).findings
    assert (whole.battery, finding.battery, finding.at_ms) == ("both", "homes", 10_000)
    assert "gave 2100001 mA ms, and 2100000 at most" in finding.what


def test_a_partition_that_took_too_much_is_found(parts: Parts) -> None:
    grid = flow("grid", charged=600_001)
    whole, finding = found(parts, [FLOWS[0], grid, FLOWS[2]]).findings
    assert (whole.battery, finding.battery) == ("both", "grid")
    assert "took 600001 mA ms" in finding.what


def test_what_is_ordered_and_registered_by_nobody_is_found(parts: Parts) -> None:
    homes = flow("homes", discharged=300 * 5_000)
    (finding,) = found(parts, [homes, *FLOWS[1:]]).findings
    assert (finding.battery, finding.at_ms) == ("both", 10_000)


def test_a_record_of_another_partition_does_not_make_up_for_it(parts: Parts) -> None:
    """300 mA s too much at one, as much too little at the other: the sum would be right."""
    flows = [
        flow("homes", discharged=300 * 7_000 + 300_000),
        flow("grid", charged=600_000 + 300_000),
        flow(""),
    ]
    assert [one.battery for one in found(parts, flows).findings] == ["homes", "grid"]


@pytest.mark.parametrize("off", [-1, 1])
def test_accounts_are_exact(parts: Parts, off: int) -> None:
    grid = replace(FLOWS[1], closing_ma_ms=FLOWS[1].closing_ma_ms + off)
    (finding,) = found(parts, [FLOWS[0], grid, FLOWS[2]]).findings
    assert finding.battery == "grid"
    assert "closes" in finding.what


def test_nothing_is_adjusted_unless_somebody_settles(parts: Parts) -> None:
    rest = replace(FLOWS[2], adjusted_ma_ms=7, closing_ma_ms=10**9 + 7)
    (finding,) = found(parts, [*FLOWS[:2], rest]).findings
    assert finding.battery == "the rest of both"
    settled = [*EVENTS, Event(4, 9_000, SETTLE, {"name": "both"})]
    assert not found(parts, [*FLOWS[:2], rest], settled).findings


@pytest.mark.parametrize("millivolts", [49_999, 50_001])
def test_energy_is_at_a_voltage_that_was_there(parts: Parts, millivolts: int) -> None:
    homes = replace(FLOWS[0], discharged_nj=FLOWS[0].discharged_ma_ms * millivolts)
    (finding,) = found(parts, [homes, *FLOWS[1:]]).findings
    assert "nJ" in finding.what
    told = Event(1, 500, "read", {"name": "a", "values": [millivolts, 0, 0, 0, 0, 0]})
    told = replace(told, sequence=99)
    assert not found(parts, [homes, *FLOWS[1:]], [told, *EVENTS]).findings


def test_orders_beyond_what_is_wanted_are_found(parts: Parts) -> None:
    orders = [replace(ORDERS[0], current_ma=201), *ORDERS[1:]]
    findings = found(parts, orders=orders).findings
    assert (findings[0].battery, findings[0].at_ms) == ("grid, homes", 1_000)
    assert "301 mA was ordered" in findings[0].what


def test_one_that_was_just_commanded_gets_exactly_that(parts: Parts) -> None:
    events = [command(1, 1_000, "alone", 300)]
    assert not found(parts, [], events, [order(1, 1, "alone", 300)]).findings
    (finding,) = found(parts, [], events, [order(1, 1, "alone", 299)]).findings
    assert (finding.battery, finding.at_ms) == ("alone", 1_000)
    assert found(parts, [], events, []).findings


def test_one_that_others_are_made_of_is_not_commanded(parts: Parts) -> None:
    (finding,) = found(parts, [], [command(1, 1_000, "both", 0)], []).findings
    assert finding.battery == "both"


def test_what_happens_by_itself_happens_at_the_moment_of_its_event(parts: Parts) -> None:
    """Homes run empty at 5.5 s: a millisecond more or less is not what was ordered."""
    events = [EVENTS[0], Event(2, 5_500, TIME_PASSED, {})]
    orders = [*ORDERS[:2], order(3, 2, "a", 0), order(4, 2, "b", 0)]

    def gave(lasted_ms: int) -> list[str]:
        flows = [flow("homes", discharged=300 * lasted_ms), flow("grid"), flow("")]
        return [one.battery for one in found(parts, flows, events, orders).findings]

    assert gave(4_500) == []
    assert gave(4_499) == ["both"]
    # Nobody can hold it against homes: it was wanted of them.
    assert gave(4_501) == ["both"]


def test_what_is_out_of_reach_counts_as_told_nothing(parts: Parts) -> None:
    events = [EVENTS[0], Event(3, 5_000, LOST, {"name": "a"})]
    flows = [flow("homes", discharged=300 * 4_000 + 100 * 5_000), flow("grid"), flow("")]
    assert not found(parts, flows, events, ORDERS[:2]).findings
    flows[0] = flow("homes", discharged=300 * 9_000)
    assert [one.battery for one in found(parts, flows, events, ORDERS[:2]).findings] == ["both"]


def test_windows_count_while_they_last_and_a_command_ends_them(parts: Parts) -> None:
    window = {"name": "homes", "current_ma": 500, "start_ms": 2_000, "end_ms": 9_000}
    events = [
        command(1, 1_000, "homes", 100),
        Event(2, 1_500, SCHEDULE, window),
        Event(3, 2_000, TIME_PASSED, {}),
        command(4, 4_000, "homes", 0),
    ]
    orders = [
        order(at, event, "a", current)
        for at, (event, current) in enumerate(((1, 100), (3, 500), (4, 0)), 1)
    ]

    def gave(amount: int) -> list[str]:
        flows = [flow("homes", discharged=amount), flow("grid"), flow("")]
        return [one.battery for one in found(parts, flows, events, orders).findings]

    assert gave(100 * 1_000 + 500 * 2_000) == []
    assert "homes" in gave(100 * 1_000 + 500 * 2_000 + 1)


def test_what_a_later_window_covers_is_back_after_it_whatever_was_commanded_before() -> None:
    wants = Wants()
    wants.add(1_000, 9_000, 700)
    wants.add(3_000, 5_000, -200)
    wants.stand(2_000, 50)
    assert list(wants.stretches(0, 10_000)) == [
        (1_000, 0),
        (1_000, 700),
        (1_000, 50),
        (2_000, -200),
        (4_000, 700),
        (1_000, 50),
    ]
    assert [wants.at(at_ms) for at_ms in (2_999, 3_000, 4_999, 5_000)] == [50, -200, -200, 700]


def test_what_comes_after_the_meters_were_asked_counts_for_nothing(parts: Parts) -> None:
    orders = [*ORDERS, order(7, 9, "a", -80)]

    def at(at_ms: int) -> Conservation:
        return found(parts, FLOWS, [*EVENTS, Event(9, at_ms, TIME_PASSED, {})], orders)

    assert [one.battery for one in at(9_999).findings][-1] == "both"
    assert not [one for one in at(10_000).findings if one.battery == "both"]


def test_what_was_made_or_removed_meanwhile_is_left_out(parts: Parts) -> None:
    wrong = [flow("homes"), *FLOWS[1:]]
    assert found(parts, wrong).findings
    assert not found(parts, wrong, [*EVENTS, Event(4, 9_000, REMOVE, {"name": "grid"})]).findings


def test_meters_that_forgot_are_held_against_what_was_wanted_only(parts: Parts) -> None:
    events = [*EVENTS, Event(4, 9_000, FORGET, {"before_ms": 5_000})]
    rest = [flow("homes", discharged=300 * 3_000), flow("grid", charged=100 * 3_000), flow("")]
    seen = found(parts, rest, events)
    assert (seen.findings, seen.divided) == ([], 0)
    assert found(parts, rest).findings
    assert found(parts, [flow("homes", discharged=300 * 7_001), *rest[1:]], events).findings


def test_partitions_of_partitions_are_held_against_their_meter(tmp_path: Path) -> None:
    file = tmp_path / "topology.toml"
    file.write_text(
        TOPOLOGY
        + """
[[splitter]]
source = "homes"
partitions = [{ name = "first", share = "50 %" }, { name = "second", share = "50 %" }]
"""
    )
    parts = read_parts(file)
    events = [command(1, 1_000, "first", 300)]
    flows = [
        flow("homes", discharged=2_700_000),
        flow("first", discharged=2_700_000, source="homes"),
        flow("second", source="homes"),
    ]
    assert not found(parts, flows, events, ORDERS[:2]).findings
    flows[0] = flow("homes", discharged=2_699_999)
    assert {one.battery for one in found(parts, flows, events, ORDERS[:2]).findings} == {
        "both",
        "homes",
    }


def test_the_model_conserves_by_this_arithmetic(parts: Parts) -> None:
    """The layer's own model, told what a run tells it, agrees to the milliampere-millisecond."""
    batteries = Batteries()
    plate = Nameplate(50_000, 5_000, 5_000, 10**9)
    for name in ("a", "b", "alone"):
        batteries.make_battery(name, Kind.PHYSICAL, "", plate)
    batteries.make_aggregator("both", ["a", "b"])
    shares = [Share.percent("homes", 60), Share.percent("grid", 40)]
    batteries.make_splitter(shares, "both", Policy.RESERVED)
    values = Values(50_000, 0, 5_000, 5_000, 7 * 10**8, 10**9)
    for name in ("a", "b"):
        batteries.source_read(name, Reading.at(0, values), 0)
    batteries.due(0)
    orders: list[Order] = []
    for event in EVENTS:
        if event.kind != SET_CURRENT:
            continue
        for one in batteries.set_current(
            event.details["name"], event.details["current_ma"], event.at_ms
        ):
            orders.append(order(len(orders) + 1, event.sequence, one.source, one.current_ma))
    seen = found(parts, batteries.flows(0, 10_000), EVENTS, orders)
    assert not seen.findings
    assert seen.divided == 1
