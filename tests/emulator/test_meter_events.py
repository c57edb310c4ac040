"""What meters raise: the columns, and a slow walk through the time of one meter after the other."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.event_kinds import TRACES, Ending, MeterEventKind
from emulator.fleet_config import MeterEventSpan
from emulator.grid import PROTOCOLS, Grid, generate_grid
from emulator.meter_events import MeterEvents, RaisedEvents
from emulator.plan import Plan
from protocols.readings import EventSource
from tests.support.grids import FIRST_S, behaviour, small_grid

STEPS = 8
STEP_S = 900
HALF: dict[str, str] = {"dlms": "50 %", "c12": "50 %"}
ALL: dict[str, str] = {"dlms": "0 %", "c12": "100 %"}

Row: TypeAlias = tuple[int, int, int, int, int, int]
"""Interval, source, code, sequence, raised at, argument."""


def plan_of(protocols: dict[str, str] = ALL, seed: int = 7) -> Plan:
    rhythm = behaviour(STEPS)
    grid = generate_grid(small_grid(6, protocols=protocols), rhythm, seed)
    return Plan(grid, rhythm, FIRST_S, seed)


def span(
    kind: MeterEventKind,
    starts_s: int,
    lasts_s: int | None = None,
    share_ppm: int = 1_000_000,
    number: int = 0,
) -> MeterEventSpan:
    return MeterEventSpan(
        number=number, kind=kind, starts_s=starts_s, lasts_s=lasts_s, share_ppm=share_ppm
    )


def speaks_c12(grid: Grid) -> list[bool]:
    spoken = grid.protocol[grid.concentrator_of(np.arange(grid.meters))]
    return [PROTOCOLS[at] == "c12" for at in spoken.tolist()]


def of_one(events: MeterEvents, meter: int) -> list[Row]:
    found = events.of(np.full(STEPS, meter), np.arange(STEPS))
    columns = (found.rows, found.source, found.code, found.sequence)
    more = (found.raised_at_s - FIRST_S, found.argument)
    return list(zip(*(column.tolist() for column in (*columns, *more)), strict=True))


def as_tuples(found: RaisedEvents) -> list[tuple[int, ...]]:
    columns = (found.meters, found.source, found.code, found.sequence)
    more = (found.raised_at_s, found.argument)
    return list(zip(*(column.tolist() for column in (*columns, *more)), strict=True))


# ---- one event ---------------------------------------------------------------------------------


def test_a_power_failure_is_two_entries_and_one_bit() -> None:
    events = MeterEvents([span(MeterEventKind.POWER_FAILURE, 1000, 600, number=4)], plan_of())
    assert of_one(events, 0) == [
        # interval source code sequence raised argument
        (2, EventSource.LOG, 1, 1, 1000, 5),
        (2, EventSource.LOG, 2, 2, 1600, 5),
        (2, EventSource.STATUS, 11, FIRST_S + 1800, 1800, 0),
    ]


@pytest.mark.parametrize(("starts_s", "interval"), [(0, 0), (1, 1), (900, 1), (901, 2)])
def test_what_happens_at_a_capture_is_delivered_with_it(starts_s: int, interval: int) -> None:
    events = MeterEvents([span(MeterEventKind.DEMAND_RESET, starts_s)], plan_of())
    assert of_one(events, 1) == [(interval, EventSource.LOG, 20, 1, starts_s, 1)]
    assert events.intervals == [interval]


def test_nothing_is_raised_after_the_last_capture() -> None:
    last_s = (STEPS - 1) * STEP_S
    spans = [
        span(MeterEventKind.TAMPER, last_s + 1),
        span(MeterEventKind.TEST_MODE, last_s - 5, 10, number=1),
    ]
    assert of_one(MeterEvents(spans, plan_of()), 0) == [
        (STEPS - 1, EventSource.LOG, 32, 1, last_s - 5, 2)
    ]
    assert MeterEvents(spans, plan_of()).intervals == [STEPS - 1]


def test_a_status_bit_is_up_until_its_event_is_over() -> None:
    events = MeterEvents([span(MeterEventKind.POWER_FAILURE, 1000, 600)], plan_of())
    times = (999, 1000, 1599, 1600)
    assert [events.status_bits(0, FIRST_S + at) >> 11 for at in times] == [0, 1, 1, 0]


def test_a_condition_without_end_stays_in_the_status() -> None:
    events = MeterEvents([span(MeterEventKind.LOW_BATTERY, 100)], plan_of())
    times = (99.9, 100, 10**7)
    assert [events.status_bits(0, FIRST_S + at) for at in times] == [0, 1 << 8, 1 << 8]


def test_test_mode_begins_and_ends() -> None:
    events = MeterEvents([span(MeterEventKind.TEST_MODE, 100, 50)], plan_of())
    times = (99, 100, 149, 150)
    assert [MeterEventKind.TEST_MODE in events.under_way(0, FIRST_S + at) for at in times] == [
        False,
        True,
        True,
        False,
    ]
    assert events.status_bits(0, FIRST_S + 120) == 0


def test_a_bit_that_is_up_already_is_not_raised_again() -> None:
    spans = [
        span(MeterEventKind.TAMPER, 100, 2000),
        span(MeterEventKind.TAMPER, 1500, 2000, number=1),
        span(MeterEventKind.TAMPER, 3500, 1, number=2),  # the moment at which the others are over
    ]
    raised = [row for row in of_one(MeterEvents(spans, plan_of()), 0) if row[1]]
    assert [row[0] for row in raised] == [1, 4]


def test_a_bit_set_twice_in_one_interval_is_raised_once() -> None:
    spans = [span(MeterEventKind.TAMPER, at, 10, number=at) for at in (100, 200)]
    rows = of_one(MeterEvents(spans, plan_of()), 0)
    assert [row[1] for row in rows] == [EventSource.LOG, EventSource.LOG, EventSource.STATUS]


# ---- whom it hits ------------------------------------------------------------------------------


def test_meters_of_the_other_world_raise_nothing() -> None:
    plan = plan_of(HALF)
    events = MeterEvents([span(MeterEventKind.TAMPER, 10)], plan)
    hit = [bool(of_one(events, meter)) for meter in range(plan.grid.meters)]
    assert hit == speaks_c12(plan.grid)
    assert True in hit
    assert False in hit


def test_shares_are_exact_and_drawn_by_seed_and_place_in_the_timeline() -> None:
    def hit(seed: int, number: int) -> list[int]:
        plan = plan_of(seed=seed)
        quarter = span(MeterEventKind.SELF_READ, 10, share_ppm=250_000, number=number)
        meters = MeterEvents([quarter], plan).of_interval(1, 0, plan.grid.meters).meters.tolist()
        assert len(meters) == round(plan.grid.meters / 4)
        return list(meters)

    assert hit(7, 0) == hit(7, 0)
    assert hit(7, 0) != hit(7, 1)
    assert hit(7, 0) != hit(8, 0)


# ---- any timeline ------------------------------------------------------------------------------


@st.composite
def timelines(draw: st.DrawFn) -> list[MeterEventSpan]:
    spans = []
    for number in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from([*MeterEventKind, MeterEventKind.TAMPER]))
        # Coarse times, so that events meet.
        lasts = st.sampled_from([1, 300, 600, 2000])
        ending = TRACES[kind].ending
        lasts_s = None if ending is Ending.NEVER else draw(lasts)
        if ending is Ending.OPTIONAL and draw(st.booleans()):
            lasts_s = None
        starts_s = draw(st.integers(0, 3 * STEPS)) * 300
        share = draw(st.sampled_from([0, 500_000, 1_000_000]))
        spans.append(span(kind, starts_s, lasts_s, share, number))
    return spans


def told_slowly(spans: list[MeterEventSpan], hit: list[bool]) -> list[Row]:
    """Walk through the seconds at which anything changes, interval by interval."""
    mine = [one for one, is_hit in zip(spans, hit, strict=True) if is_hit]
    moments: dict[int, list[tuple[int, int]]] = {}
    for one in mine:
        trace = TRACES[one.kind]
        for code in trace.begins:
            moments.setdefault(one.starts_s, []).append((code, one.number))
        for code in trace.ends if one.lasts_s else ():
            moments.setdefault(one.starts_s + (one.lasts_s or 0), []).append((code, one.number))
    rows: list[Row] = []
    sequence = 0
    for interval in range(STEPS):
        first_s, last_s = (interval - 1) * STEP_S + 1, interval * STEP_S
        for at_s in sorted(at for at in moments if first_s <= at <= last_s):
            for code, number in sorted(moments[at_s], key=lambda found: found[1]):
                sequence += 1
                rows.append((interval, EventSource.LOG, code, sequence, at_s, number + 1))
        for bit in range(16):
            risen = [
                one.starts_s
                for one in mine
                if bit in TRACES[one.kind].status_bits
                and first_s <= one.starts_s <= last_s
                and not any(
                    bit in TRACES[other.kind].status_bits
                    and other.starts_s < one.starts_s
                    and (other.lasts_s is None or one.starts_s < other.starts_s + other.lasts_s)
                    for other in mine
                )
            ]
            if risen:
                capture_s = FIRST_S + last_s
                rows.append((interval, EventSource.STATUS, bit, capture_s, last_s, 0))
    return rows


def who_is_hit(spans: list[MeterEventSpan], plan: Plan) -> list[list[bool]]:
    """Return for each meter which spans hit it: asked of each span alone, as a self-read."""
    everybody = range(plan.grid.meters)
    alone = [
        MeterEvents(
            [one.model_copy(update={"kind": MeterEventKind.SELF_READ, "starts_s": 0})], plan
        )
        for one in spans
    ]
    return [
        [bool(len(events.of_interval(0, meter, meter + 1))) for events in alone]
        for meter in everybody
    ]


@settings(max_examples=60, deadline=None)
@given(spans=timelines())
def test_the_columns_tell_what_a_walk_through_time_tells(spans: list[MeterEventSpan]) -> None:
    plan = plan_of(HALF)
    events = MeterEvents(spans, plan)
    for meter, hit in enumerate(who_is_hit(spans, plan)):
        told = of_one(events, meter)
        assert told == told_slowly(spans, hit)
        rising = {(row[0], row[2]) for row in told if row[1] == EventSource.STATUS}
        for interval, bit in rising:
            seen = [
                events.status_bits(meter, FIRST_S + at) >> bit & 1
                for at in range((interval - 1) * STEP_S + 1, interval * STEP_S + 1)
            ]
            assert 1 in seen


@settings(max_examples=40, deadline=None)
@given(spans=timelines(), data=st.data())
def test_any_selection_of_readings_brings_its_own_events(
    spans: list[MeterEventSpan], data: st.DataObject
) -> None:
    plan = plan_of(HALF)
    events = MeterEvents(spans, plan)
    meters = plan.grid.meters
    blocks = [events.of_interval(interval, 0, meters) for interval in range(STEPS)]
    expected = {
        (interval, meter): [row for row in as_tuples(block) if row[0] == meter]
        for interval, block in enumerate(blocks)
        for meter in range(meters)
    }
    pairs = data.draw(
        st.lists(st.sampled_from(sorted(expected)), unique=True, max_size=len(expected))
    )
    asked = np.array(pairs, np.int64).reshape(-1, 2)
    found = events.of(asked[:, 1], asked[:, 0])
    assert as_tuples(found) == [row for pair in pairs for row in expected[pair]]
    np.testing.assert_array_equal(asked[found.rows, 1], found.meters)
    assert events.total() == sum(len(block) for block in blocks)
    first = data.draw(st.integers(0, meters))
    part = events.of_interval(1, first, meters)
    assert as_tuples(part) == [row for row in as_tuples(blocks[1]) if row[0] >= first]
    np.testing.assert_array_equal(part.rows + first, part.meters)


def test_without_events_nothing_is_raised_and_nothing_is_kept() -> None:
    events = MeterEvents([], plan_of())
    found = events.of(np.arange(5), np.zeros(5, np.int64))
    assert len(found) == 0
    assert events.intervals == []
    assert events.status_bits(3, FIRST_S) == 0
    assert not events.under_way(3, FIRST_S)


def test_events_go_on_the_wire_under_the_names_of_their_meters() -> None:
    events = MeterEvents([span(MeterEventKind.TAMPER, 10)], plan_of())
    found = events.of_interval(1, 2, 4)
    names = np.array([b"MST%013d" % (meter + 1) for meter in found.meters])
    batch = found.batch(names)
    assert batch.meter_ids.tolist() == names.tolist()
    assert batch.code.tolist() == [47, 12, 47, 12]
    kinds = (batch.source, batch.code, batch.sequence, batch.raised_at_s, batch.argument)
    assert [column.dtype.name for column in kinds] == [
        "uint8",
        "uint16",
        "uint32",
        "int64",
        "uint32",
    ]
