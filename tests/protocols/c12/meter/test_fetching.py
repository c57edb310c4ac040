"""Pulling a meter: the reads that fetch captures, and exactly what the model has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.c12.meter import Meter, MeterFetch, block_layout
from protocols.c12.meter.event_log import decode_entries, entry_rows
from protocols.c12.services import IndexRead, OffsetRead, ReadBody, Request, ResponseCode
from protocols.errors import CodecError
from protocols.readings import EVENT_TYPES, EventBatch, ReadingBatch
from tests.support.c12_meter_model import AnsiConcentrator, granted, logged, risen, schema_of
from tests.support.concentrator_model import FIRST_S, NAME, STEP_S, same

NAME_OF_1 = b"MST0000000000002"


def answers(meter: Meter, requests: Sequence[Request]) -> list[bytes]:
    found = []
    for request in requests:
        response = meter.handle(request, now=0.0)
        assert response.code is ResponseCode.OK
        found.append(ReadBody.decode(response.body).data)
    return found


def fetch(
    model: AnsiConcentrator,
    from_s: int,
    to_s: int,
    *,
    max_read: int = 0xFFFF,
    by_index: bool = False,
) -> tuple[ReadingBatch, list[Request]]:
    meter = granted(model, 1)
    asked: list[Request] = []
    fetching = MeterFetch(
        schema_of(model), NAME_OF_1, from_s, to_s, max_read=max_read, by_index=by_index
    )
    while requests := fetching.requests():
        asked += requests
        fetching.answered(answers(meter, requests))
    return fetching.result(NAME), asked


def events_of(events: EventBatch) -> list[tuple[object, ...]]:
    columns = [getattr(events, name).tolist() for name in EVENT_TYPES]
    return sorted(zip(*columns, strict=True))


def at(interval: int) -> int:
    return FIRST_S + interval * STEP_S


def test_what_is_fetched_is_what_the_model_has() -> None:
    model = AnsiConcentrator(intervals=50, raised=[logged(1, 3, 1, 1), logged(1, 30, 2, 2, 5)])
    found, asked = fetch(model, at(10), at(30))
    expected = model.buffer(at(10), at(30), range(1, 2))
    assert same(found, expected)
    assert events_of(found.events) == events_of(expected.events)
    assert len(found.events) == 1
    size = block_layout(schema_of(model)).size
    # The lists, the blocks of 569 + 10 and on in one go, both entries in one go.
    assert asked[3:] == [OffsetRead(64, 579 * size, 21 * size), OffsetRead(76, 11 + 14, 28)]


@pytest.mark.parametrize("by_index", [False, True])
def test_a_range_over_the_end_of_the_list_takes_two_reads(by_index: bool) -> None:
    model = AnsiConcentrator(intervals=1000)
    found, asked = fetch(model, at(380), at(400), by_index=by_index)
    assert same(found, model.buffer(at(380), at(400), range(1, 2)))
    if by_index:
        assert asked[3:] == [IndexRead(64, (0, 949), 11), IndexRead(64, (0, 0), 10)]


def test_no_read_asks_for_more_than_was_agreed() -> None:
    model = AnsiConcentrator(intervals=100)
    found, asked = fetch(model, at(0), at(99), max_read=1000)
    assert same(found, model.buffer(at(0), at(99), range(1, 2)))
    assert max(read.count for read in asked if isinstance(read, OffsetRead)) <= 1000
    assert len(asked) == 3 + 8


@pytest.mark.parametrize(
    ("from_s", "to_s"), [(0, at(-1)), (at(8), at(99)), (at(5), at(4)), (at(3) + 1, at(4) - 1)]
)
def test_where_nothing_is_nothing_comes(from_s: int, to_s: int) -> None:
    model = AnsiConcentrator(raised=[logged(1, 3, 1, 1)])
    found, _ = fetch(model, from_s, to_s)
    assert len(found) == len(found.events) == 0
    assert found.values.shape == (0, 5)


def test_before_the_first_capture_nothing_is_asked_for() -> None:
    model = AnsiConcentrator(intervals=1, unheard={(1, 0)})
    found, asked = fetch(model, 0, at(99))
    assert (len(found), len(asked)) == (0, 3)


def test_older_blocks_than_the_list_holds_are_not_asked_for() -> None:
    model = AnsiConcentrator(intervals=1000)
    found, _ = fetch(model, at(0), at(999))
    assert same(found, model.buffer(at(40), at(999), range(1, 2)))


def test_events_come_with_the_capture_that_ends_their_interval() -> None:
    raised = [logged(1, 4, 1, 1), risen(1, 4, 3), logged(1, 5, 2, 2), risen(1, 6, 3)]
    model = AnsiConcentrator(raised=raised)
    found, _ = fetch(model, at(5), at(5))
    assert found.events.code.tolist() == [2]
    found, _ = fetch(model, at(4), at(6))
    assert events_of(found.events) == events_of(model.buffer(at(4), at(6), range(1, 2)).events)
    assert len(found.events) == 4


def test_a_list_that_moves_on_between_two_reads_brings_nothing_wrong() -> None:
    raised = [logged(1, at_, 47, at_ + 1) for at_ in range(1100)]
    model = AnsiConcentrator(intervals=1000, raised=raised)
    meter = granted(model, 1)
    fetching = MeterFetch(schema_of(model), NAME_OF_1, at(40), at(999))
    fetching.answered(answers(meter, fetching.requests()))
    model.intervals = 1003
    fetching.answered(answers(meter, fetching.requests()))
    found = fetching.result(NAME)
    expected = model.buffer(at(43), at(999), range(1, 2))
    assert same(found, expected)
    mine = set(events_of(expected.events))
    assert set(events_of(found.events)) <= mine
    assert len(found.events) == 256 - 3


def test_what_is_captured_during_a_pull_is_left_for_the_next() -> None:
    model = AnsiConcentrator(intervals=1000)
    meter = granted(model, 1)
    fetching = MeterFetch(schema_of(model), NAME_OF_1, at(30), at(2000))
    fetching.answered(answers(meter, fetching.requests()))
    # Its event would not be fetched with it.
    model.intervals, model.raised = 1001, [logged(1, 1000, 47, 1)]
    fetching.answered(answers(meter, fetching.requests()))
    assert same(fetching.result(NAME), model.buffer(at(41), at(999), range(1, 2)))


def test_entries_are_told_by_16_bits_of_their_number() -> None:
    model = AnsiConcentrator(
        intervals=9, raised=[logged(1, at_, 47, 65_530 + at_) for at_ in range(9)]
    )
    found, _ = fetch(model, at(0), at(9))
    assert sorted(found.events.sequence.tolist()) == list(range(65_530, 65_539))


def test_entries_filled_anew_since_the_header_was_read_are_left_out() -> None:
    raised = [logged(1, at_, 47, 70_000 + at_) for at_ in range(4)]
    model = AnsiConcentrator(raised=raised)
    schema = schema_of(model)
    rows = entry_rows(schema, model.buffer(at(0), at(3), range(1, 2)).events)
    known = decode_entries(schema, rows.tobytes(), 70_001, NAME_OF_1)
    assert known.sequence.tolist() == [70_000, 70_001]


def test_an_answer_too_few_is_told() -> None:
    fetching = MeterFetch(schema_of(AnsiConcentrator()), NAME_OF_1, 0, at(9))
    with pytest.raises(CodecError):
        fetching.answered([b""])


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_garbage_raises_nothing_but_codec_errors(data: list[bytes]) -> None:
    fetching = MeterFetch(schema_of(AnsiConcentrator()), NAME_OF_1, 0, at(9))
    try:
        fetching.answered(data)
    except CodecError:
        return
    assert len(fetching.requests()) <= 4


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 1200),
    st.integers(-10, 1210),
    st.integers(0, 1200),
    st.integers(67, 9000),
    st.booleans(),
    st.sets(st.integers(0, 1200), max_size=5),
)
def test_any_range_comes_exactly(
    intervals: int, first: int, length: int, max_read: int, by_index: bool, gaps: set[int]
) -> None:
    model = AnsiConcentrator(intervals=intervals, unheard={(1, gap) for gap in gaps})
    found, _ = fetch(model, at(first), at(first + length), max_read=max_read, by_index=by_index)
    heard = model.buffer(0, at(2000), range(1, 2)).captured_at_s
    oldest = 0 if not len(heard) else int(heard[-1]) - 959 * STEP_S
    expected = model.buffer(max(at(first), oldest), at(first + length), range(1, 2))
    assert same(found, expected)


def test_captures_need_not_lie_on_whole_periods() -> None:
    model = Shifted(intervals=30)
    found, _ = fetch(model, at(4) + 17, at(9) + 17)
    assert same(found, model.buffer(at(4) + 17, at(9) + 17, range(1, 2)))
    assert len(found) == 6


class Shifted(AnsiConcentrator):
    """Captures 17 seconds after every whole period."""

    def buffer_span(self) -> tuple[int, int]:
        first, last = super().buffer_span()
        return first + 17, last + 17

    def buffer(self, from_s: int, to_s: int, meters: range | None = None) -> ReadingBatch:
        plain = super().buffer(from_s - 17, to_s - 17, meters)
        return ReadingBatch(
            plain.concentrator,
            plain.meter_ids,
            np.asarray(plain.captured_at_s + 17),
            plain.status,
            plain.values,
        )
