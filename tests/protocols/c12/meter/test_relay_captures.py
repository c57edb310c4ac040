"""A model is asked for all meters together, once a capture period, and nothing is missed by it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.c12.meter import Meter, MeterFetch
from protocols.c12.services import FullRead, OffsetRead, ReadBody, Request, ResponseCode
from protocols.readings import EVENT_TYPES, EventBatch, ReadingBatch
from tests.support.c12_meter_model import AnsiConcentrator, granted, logged, risen, schema_of
from tests.support.concentrator_model import FIRST_S, NAME, STEP_S, same


@dataclass
class Counting(AnsiConcentrator):
    """Remembers what it was asked, and hears meters only while they are in reach."""

    asked: list[tuple[int, int, range | None]] = field(default_factory=list)
    heard_until: dict[int, int] = field(default_factory=dict)

    def buffer(self, from_s: int, to_s: int, meters: range | None = None) -> ReadingBatch:
        self.asked.append((from_s, to_s, meters))
        self.unheard = {
            (meter, interval)
            for meter, last in self.heard_until.items()
            for interval in range(last + 1, self.intervals)
        }
        return super().buffer(from_s, to_s, meters)


def at(interval: int) -> int:
    return FIRST_S + interval * STEP_S


def answer(meter: Meter, request: Request) -> bytes:
    response = meter.handle(request, now=0.0)
    assert response.code is ResponseCode.OK
    return ReadBody.decode(response.body).data


def events_of(events: EventBatch) -> list[tuple[object, ...]]:
    columns = [getattr(events, name).tolist() for name in EVENT_TYPES]
    return sorted(zip(*columns, strict=True))


def fetched(model: AnsiConcentrator, meter: int, from_s: int, to_s: int) -> ReadingBatch:
    name = bytes(model.meter_names[meter])
    fetch = MeterFetch(schema_of(model), name, from_s, to_s)
    server = granted(model, meter)
    while requests := fetch.requests():
        fetch.answered([answer(server, request) for request in requests])
    return fetch.result(NAME)


def test_the_newest_captures_of_all_meters_take_two_questions_a_period() -> None:
    model = Counting(meters=40, intervals=1000)
    for interval in (1000, 1001, 1002):
        model.intervals = interval
        model.asked.clear()
        for meter in range(40):
            assert same(
                fetched(model, meter, at(interval - 1), at(interval - 1)),
                AnsiConcentrator(meters=40, intervals=interval).buffer(
                    at(interval - 1), at(interval - 1), range(meter, meter + 1)
                ),
            )
        assert len(model.asked) == 2
    # What is new since, and for the rises the capture before: however long the history.
    assert model.asked == [(at(1000) + 1, at(1001), None), (at(1000), at(1001), None)]


def test_how_the_lists_stand_takes_no_blocks() -> None:
    model = Counting(intervals=100)
    meter = granted(model, 1)
    model.asked.clear()
    for request in (FullRead(63), OffsetRead(76, 0, 11), FullRead(2050)):
        answer(meter, request)
    assert not model.asked


def test_a_meter_that_was_out_of_reach_brings_the_events_of_that_time() -> None:
    raised = [logged(1, 3, 1, 1), logged(1, 6, 2, 2), risen(1, 6, 8), logged(1, 9, 47, 3)]
    model = Counting(intervals=5, raised=raised, heard_until={1: 3})
    assert fetched(model, 1, 0, at(20)).events.code.tolist() == [1]
    model.intervals = 9
    assert fetched(model, 1, 0, at(20)).events.code.tolist() == [1]
    model.intervals, model.heard_until = 10, {}
    found = fetched(model, 1, 0, at(20))
    assert events_of(found.events) == events_of(model.buffer(0, at(20), range(1, 2)).events)
    assert len(found.events) == 4


def test_a_capture_that_came_late_is_in_its_block() -> None:
    model = Counting(intervals=5, heard_until={1: 3})
    assert len(fetched(model, 1, at(4), at(4))) == 0
    model.intervals, model.heard_until = 6, {}
    assert same(fetched(model, 1, at(4), at(5)), model.buffer(at(4), at(5), range(1, 2)))


def test_time_that_goes_back_is_looked_at_anew() -> None:
    model = Counting(intervals=30, raised=[logged(1, 20, 1, 1)])
    assert len(fetched(model, 1, 0, at(40)).events) == 1
    model.intervals = 10
    found = fetched(model, 1, 0, at(40))
    assert same(found, model.buffer(0, at(40), range(1, 2)))
    assert len(found.events) == 0


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.sets(st.integers(0, 2))), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), unique=True, max_size=12),
)
def test_whoever_is_out_of_reach_when_nothing_is_lost(
    steps: list[tuple[int, set[int]]], befell: list[tuple[int, int]]
) -> None:
    raised = [
        logged(meter, interval, 47, 1 + sum(m == meter and i < interval for m, i in befell))
        for meter, interval in befell
    ]
    model = Counting(intervals=0, raised=raised)
    for passed, silent in steps:
        before = model.intervals
        model.intervals += passed
        for meter in range(3):
            if meter in silent:
                model.heard_until.setdefault(meter, before - 1)
            else:
                model.heard_until.pop(meter, None)
        for meter in range(3):
            found = fetched(model, meter, 0, at(100))
            expected = model.buffer(0, at(100), range(meter, meter + 1))
            assert np.array_equal(found.captured_at_s, expected.captured_at_s)
            assert np.array_equal(found.values, expected.values)
            assert events_of(found.events) == events_of(expected.events)
