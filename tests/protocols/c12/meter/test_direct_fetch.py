"""Pulling in one message, and telling when it does not do; the general way for other meters."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.c12.application import Application
from protocols.c12.meter import (
    STATUS_LOG,
    DirectFetch,
    EventsSeen,
    MeterAnswer,
    MeterFetch,
    block_layout,
)
from protocols.c12.services import FullRead, OffsetRead, ReadBody, Request, ResponseCode
from protocols.errors import CodecError
from protocols.readings import EVENT_TYPES, EventBatch, ReadingBatch
from tests.support.c12_foreign_meter import ForeignMeter
from tests.support.c12_meter_model import AnsiConcentrator, granted, logged, risen, schema_of
from tests.support.concentrator_model import FIRST_S, NAME, STEP_S, same

NAME_OF_1 = b"MST0000000000002"


def at(interval: int) -> int:
    return FIRST_S + interval * STEP_S


def answers(meter: Application, requests: Sequence[Request]) -> list[bytes]:
    found = []
    for request in requests:
        response = meter.handle(request, now=0.0)
        assert response.code is ResponseCode.OK
        found.append(ReadBody.decode(response.body).data)
    return found


def events_of(events: EventBatch) -> list[tuple[object, ...]]:
    columns = [getattr(events, name).tolist() for name in EVENT_TYPES]
    return sorted(zip(*columns, strict=True))


def pull(
    model: AnsiConcentrator, from_s: int, to_s: int, seen: EventsSeen | None = None
) -> tuple[ReadingBatch, Sequence[Request]]:
    """Return what meter 1 has, and the reads of entries that it took."""
    meter = granted(model, 1)
    fetch = DirectFetch(schema_of(model), from_s, to_s, seen or EventsSeen())
    assert fetch.worthwhile
    answer = MeterAnswer(fetch, NAME_OF_1, answers(meter, fetch.requests))
    assert answer.fits
    requests = answer.entry_requests(0xFFFF)
    if requests:
        answer.take_entries(answers(meter, requests))
    return fetch.gathered(NAME, {0: answer.result()}).readings, requests


def test_one_capture_takes_its_block_and_how_the_lists_stand() -> None:
    model = AnsiConcentrator(intervals=50)
    found, entries = pull(model, at(49), at(49))
    assert same(found, model.buffer(at(49), at(49), range(1, 2)))
    assert not entries
    schema = schema_of(model)
    size, element = block_layout(schema).size, at(49) // STEP_S % 960
    assert DirectFetch(schema, at(49), at(49), EventsSeen()).requests == (
        FullRead(63),
        OffsetRead(64, element * size, size),
        OffsetRead(76, 0, 11),
        FullRead(STATUS_LOG),
    )


@pytest.mark.parametrize(
    ("from_s", "to_s", "worthwhile"),
    [
        (at(0), at(0), True),
        (at(0), at(23), True),
        (at(0), at(24), False),
        (0, 2**32 - 1, False),
        (at(1), at(0), False),
    ],
)
def test_only_a_short_range_is_asked_for_at_once(from_s: int, to_s: int, worthwhile: bool) -> None:
    fetch = DirectFetch(schema_of(AnsiConcentrator()), from_s, to_s, EventsSeen())
    assert fetch.worthwhile == worthwhile


def test_entries_that_were_seen_and_are_too_old_are_not_asked_for_again() -> None:
    model = AnsiConcentrator(intervals=10, raised=[logged(1, 3, 1, 1), logged(1, 9, 2, 2)])
    seen = EventsSeen()
    found, entries = pull(model, at(9), at(9), seen)
    assert found.events.code.tolist() == [2]
    assert entries == [OffsetRead(76, 11 + 14, 28)]
    model.intervals = 11
    assert not pull(model, at(10), at(10), seen)[1]
    model.intervals, model.raised = 12, [*model.raised, logged(1, 11, 47, 3)]
    found, entries = pull(model, at(11), at(11), seen)
    assert found.events.code.tolist() == [47]
    assert entries == [OffsetRead(76, 11 + 3 * 14, 14)]
    # A gap of that time is filled: its events are asked for though they were seen.
    found, entries = pull(model, at(3), at(4), seen)
    assert found.events.code.tolist() == [1]
    assert entries


def test_of_a_meter_without_captures_no_entries_are_asked_for() -> None:
    model = AnsiConcentrator(intervals=9, raised=[logged(1, 3, 1, 1)])
    found, entries = pull(model, at(20), at(21))
    assert len(found) == len(found.events) == len(entries) == 0


def test_blocks_that_do_not_count_any_more_are_left_out() -> None:
    model = AnsiConcentrator(intervals=9)
    schema = schema_of(model)
    fetch = DirectFetch(schema, at(0), at(8), EventsSeen())
    data = answers(granted(model, 1), fetch.requests)
    status = bytearray(data[0])
    status[1:3] = (4).to_bytes(2, "little")
    answer = MeterAnswer(fetch, NAME_OF_1, [bytes(status), *data[1:]])
    found = fetch.gathered(NAME, {0: answer.result()}).readings
    assert same(found, model.buffer(at(5), at(8), range(1, 2)))


def test_the_first_meters_seen_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.c12.meter.direct_fetch.METERS_REMEMBERED", 2)
    seen = EventsSeen()
    model = AnsiConcentrator(raised=[logged(1, 3, 1, 1)])
    pull(model, at(3), at(3), seen)
    known = seen.get(NAME_OF_1)
    assert known is not None
    for name in (b"A", b"B"):
        seen.keep(name, known)
    assert [seen.get(name) is None for name in (NAME_OF_1, b"A", b"B")] == [True, False, False]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 29), st.booleans()), max_size=12),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 8)), max_size=12),
)
def test_pulls_in_any_order_bring_exactly_what_the_model_has(
    befell: list[tuple[int, bool]], pulls: list[tuple[int, int, int]]
) -> None:
    entries = sorted(interval for interval, is_status in befell if not is_status)
    raised = [logged(1, interval, 47, number) for number, interval in enumerate(entries, 1)]
    raised += [risen(1, interval, 3) for interval in {i for i, is_status in befell if is_status}]
    model, seen = AnsiConcentrator(intervals=1, raised=raised), EventsSeen()
    for passed, back, length in pulls:
        model.intervals = min(30, model.intervals + passed)
        first = max(0, model.intervals - 1 - back)
        found, _ = pull(model, at(first), at(first + length), seen)
        expected = model.buffer(at(first), at(first + length), range(1, 2))
        assert same(found, expected)
        assert events_of(found.events) == events_of(expected.events)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=70), min_size=4, max_size=4))
def test_garbage_raises_nothing_but_codec_errors(data: list[bytes]) -> None:
    fetch = DirectFetch(schema_of(AnsiConcentrator()), at(3), at(3), EventsSeen())
    try:
        fetch.gathered(NAME, {0: MeterAnswer(fetch, NAME_OF_1, data).result()})
    except CodecError:
        return


# Meters that keep their blocks elsewhere


@pytest.mark.parametrize(("room", "first"), [(50, 1), (50, 7_003), (2000, 1), (960, 1)])
@pytest.mark.parametrize("intervals", [1, 40, 300])
def test_a_meter_that_numbers_its_blocks_otherwise_is_read_by_its_tables(
    room: int, first: int, intervals: int
) -> None:
    model = AnsiConcentrator(intervals=intervals)
    schema = schema_of(model)
    foreign = ForeignMeter(granted(model, 1), schema, room, first)
    for from_s, to_s in ((at(intervals - 1), at(intervals)), (at(0), at(999))):
        fetch = MeterFetch(schema, NAME_OF_1, from_s, to_s)
        while requests := fetch.requests():
            lacking = [FullRead(STATUS_LOG)] if FullRead(STATUS_LOG) in requests else []
            assert all(fetch.may_lack(request) for request in lacking)
            there = [request for request in requests if request not in lacking]
            fetch.answered([*answers(foreign, there), *(b"" for _ in lacking)])
        oldest_s = max(from_s, at(intervals - room))
        expected = model.buffer(oldest_s, to_s, range(1, 2))
        assert same(fetch.result(NAME), expected)


def test_a_guess_that_does_not_fit_is_told() -> None:
    model = AnsiConcentrator(intervals=40)
    schema = schema_of(model)
    foreign = ForeignMeter(granted(model, 1), schema, 960, has_status_log=True)
    fetch = DirectFetch(schema, at(39), at(39), EventsSeen())
    assert not MeterAnswer(fetch, NAME_OF_1, answers(foreign, fetch.requests)).fits


def test_a_list_in_descending_order_is_refused_rather_than_misread() -> None:
    model = AnsiConcentrator(intervals=40)
    data = answers(granted(model, 1), [FullRead(63), OffsetRead(76, 0, 11), FullRead(STATUS_LOG)])
    fetch = MeterFetch(schema_of(model), NAME_OF_1, at(0), at(9))
    with pytest.raises(CodecError, match="descending"):
        fetch.answered([bytes((data[0][0] | 1, *data[0][1:])), *data[1:]])


def test_a_meter_without_captures_is_not_asked_where_it_keeps_them() -> None:
    model = AnsiConcentrator(intervals=1, unheard={(1, 0)})
    fetch = DirectFetch(schema_of(model), at(0), at(0), EventsSeen())
    answer = MeterAnswer(fetch, NAME_OF_1, answers(granted(model, 1), fetch.requests))
    assert answer.fits
    assert len(fetch.gathered(NAME, {0: answer.result()}).readings) == 0
