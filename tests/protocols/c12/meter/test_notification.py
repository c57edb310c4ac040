"""What meters push, and what a head-end takes out of it: the same, to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.meter import (
    MeterSchema,
    block_layout,
    block_offsets,
    decode_blocks,
    encode_blocks,
    load_profile_writes,
    notification_writes,
    read_notifications,
)
from protocols.c12.meter.view import MeterView
from protocols.c12.services import (
    Dialect,
    FullWrite,
    OffsetRead,
    OffsetWrite,
    ReadBody,
    decode_request,
    encode_request,
)
from protocols.errors import CodecError, LocalProtocolError
from protocols.readings import EVENT_TYPES, EventBatch, EventSource, ReadingBatch
from tests.support.c12_meter_model import (
    AnsiConcentrator,
    Raised,
    granted,
    logged,
    risen,
    schema_of,
)
from tests.support.concentrator_model import FIRST_S, NAME, STEP_S, same

NAMES = [b"MST%013d" % number for number in (1, 2, 3)]


def same_events(left: EventBatch, right: EventBatch) -> bool:
    """Tell whether two batches hold the same events, in whatever order."""

    def rows(events: EventBatch) -> list[tuple[object, ...]]:
        columns = [getattr(events, name) for name in EVENT_TYPES]
        assert [column.dtype for column in columns] == list(EVENT_TYPES.values())
        return sorted(zip(*(column.tolist() for column in columns), strict=True))

    return rows(left) == rows(right)


def of_meter(model: AnsiConcentrator, number: int, first: int, last: int) -> ReadingBatch:
    """Return readings ``first`` .. ``last`` of a meter, with their events."""
    return model.buffer(
        FIRST_S + first * STEP_S, FIRST_S + last * STEP_S, range(number, number + 1)
    )


def test_a_push_writes_the_octets_that_the_meter_shows_where_it_shows_them() -> None:
    model = AnsiConcentrator(intervals=1000, raised=[logged(1, 998, 47, 1), logged(1, 999, 2, 2)])
    schema, meter = schema_of(model), granted(model, 1)
    view = MeterView(model, 1, schema)
    _, previous = view.with_previous(FIRST_S + 990 * STEP_S, FIRST_S + 999 * STEP_S)
    writes = notification_writes(schema, of_meter(model, 1, 990, 999), previous)
    assert {write.table for write in writes} == {64, 76}
    for write in writes:
        assert isinstance(write, OffsetWrite)
        response = meter.handle(OffsetRead(write.table, write.offset, len(write.data)), now=0.0)
        assert ReadBody.decode(response.body).data == write.data


def test_what_is_pushed_is_taken_apart_again() -> None:
    raised = [
        logged(1, 3, 47, 1, argument=9),
        risen(1, 3, 12),
        risen(1, 3, 0),
        logged(1, 5, 2049, 2),
        risen(1, 6, 15),
    ]
    model = AnsiConcentrator(raised=raised)
    schema, readings = schema_of(model), of_meter(model, 1, 1, 7)
    writes = notification_writes(schema, readings)
    taken = read_notifications(schema, NAME, [(NAMES[1], writes)])
    assert same(taken, readings)
    assert same_events(taken.events, readings.events)
    assert len(taken.events) == 5


def test_many_meters_are_taken_apart_together() -> None:
    model = AnsiConcentrator(raised=[logged(0, 2, 1, 1), risen(2, 1, 8)])
    schema = schema_of(model)
    batches = [of_meter(model, number, 0, 2 + number) for number in range(3)]
    pushes = [
        (name, notification_writes(schema, batch))
        for name, batch in zip(NAMES, batches, strict=True)
    ]
    taken = read_notifications(schema, NAME, pushes)
    assert len(taken) == 3 + 4 + 5
    for name, batch in zip(NAMES, batches, strict=True):
        mine = np.flatnonzero(taken.meter_ids == name)
        assert np.array_equal(taken.values[mine], batch.values)
        assert np.array_equal(taken.captured_at_s[mine], batch.captured_at_s)
    assert same_events(taken.events, EventBatch.concatenate([one.events for one in batches]))


@given(
    st.sets(st.integers(0, 40)),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 15)), max_size=6, unique=True),
    st.sets(st.integers(0, 40), max_size=6),
    st.integers(0, 1 << 31),
)
def test_any_captures_with_any_events_come_through(
    captures: set[int], bits: list[tuple[int, int]], entries: set[int], before: int
) -> None:
    heard = sorted(captures)
    raised: list[Raised] = [risen(1, at, bit) for at, bit in bits]
    raised += [logged(1, at, at, before + number) for number, at in enumerate(sorted(entries), 1)]
    model = AnsiConcentrator(intervals=41, raised=raised)
    schema = schema_of(model)
    readings = model.readings([(1, at) for at in heard])
    writes = notification_writes(schema, readings)
    taken = read_notifications(schema, NAME, [(NAMES[1], writes)])
    assert same(taken, readings)
    assert same_events(taken.events, readings.events)


def test_blocks_side_by_side_are_one_write_and_a_list_goes_round() -> None:
    model = AnsiConcentrator(intervals=1000)
    schema = schema_of(model)
    # Element 0 holds interval 391, as the first interval is at element 569.
    writes = notification_writes(schema, of_meter(model, 1, 389, 393))
    size = block_layout(schema).size
    assert places(writes) == [(958 * size, 2 * size), (0, 3 * size)]


def test_captures_with_others_between_them_are_writes_of_their_own() -> None:
    model = AnsiConcentrator()
    schema = schema_of(model)
    size = block_layout(schema).size
    writes = notification_writes(schema, model.readings([(1, 0), (1, 1), (1, 5)]))
    assert places(writes) == [(569 * size, 2 * size), (574 * size, size)]


def test_a_status_is_told_by_the_block_before_it() -> None:
    model = AnsiConcentrator(raised=[risen(1, 3, 12)])
    schema = schema_of(model)
    tables = [write.table for write in notification_writes(schema, of_meter(model, 1, 2, 5))]
    assert tables == [64, 3, 64]


def test_a_status_of_another_capture_cannot_be_pushed() -> None:
    model = AnsiConcentrator(raised=[risen(1, 3, 12)])
    events = of_meter(model, 1, 3, 3).events
    plain = of_meter(model, 1, 5, 5)
    readings = ReadingBatch(
        NAME, plain.meter_ids, plain.captured_at_s, plain.status, plain.values, events
    )
    with pytest.raises(LocalProtocolError):
        notification_writes(schema_of(model), readings)


def test_writes_of_many_meters_are_made_at_once() -> None:
    model = AnsiConcentrator(meters=20, intervals=3)
    schema, readings = schema_of(model), model.buffer(0, 1 << 40)
    rows = load_profile_writes(schema, readings)
    expected = [
        encode_request(write, Dialect.C12_22)
        for at in range(len(readings))
        for write in notification_writes(schema, part(readings, at))
    ]
    assert [bytes(row) for row in rows] == expected
    write = decode_request(bytes(rows[7]), Dialect.C12_22)
    assert isinstance(write, OffsetWrite)
    taken = read_notifications(schema, NAME, [(bytes(readings.meter_ids[7]), [write])])
    assert same(taken, part(readings, 7))


@pytest.mark.parametrize(
    "writes",
    [
        [OffsetWrite(64, 0, bytes(10))],
        [OffsetWrite(64, 0, bytes(67))],
        [OffsetWrite(76, 11, bytes(14))],
        [OffsetWrite(76, 0, bytes(5))],
        [OffsetWrite(76, 0, b"\4" + bytes(10)), OffsetWrite(76, 11, bytes(14))],
        [OffsetWrite(76, 0, b"\4" + bytes(10)), OffsetWrite(76, 11, bytes(3))],
        [FullWrite(3, bytes(4))],
        [FullWrite(23, bytes(4))],
        [FullWrite(64, bytes(67))],
    ],
)
def test_what_no_meter_of_ours_pushes_is_refused(writes: list[FullWrite | OffsetWrite]) -> None:
    with pytest.raises(CodecError):
        read_notifications(schema_of(AnsiConcentrator()), NAME, [(NAMES[0], writes)])


def test_a_status_that_is_no_status_is_refused() -> None:
    model = AnsiConcentrator()
    schema = schema_of(model)
    writes = [*notification_writes(schema, of_meter(model, 1, 3, 3)), FullWrite(3, bytes(3))]
    with pytest.raises(CodecError):
        read_notifications(schema, NAME, [(NAMES[1], writes)])


@given(
    st.lists(st.tuples(st.sampled_from([3, 64, 76]), st.integers(0, 20), st.binary(max_size=120)))
)
def test_garbage_raises_nothing_but_codec_errors(
    garbage: list[tuple[int, int, bytes]],
) -> None:
    schema = schema_of(AnsiConcentrator())
    writes = [
        FullWrite(table, data) if table == 3 else OffsetWrite(table, offset, data)
        for table, offset, data in garbage
    ]
    with suppress(CodecError):
        read_notifications(schema, NAME, [(NAMES[0], writes)])


class TestBlocks:
    """One block."""

    def test_the_octets_of_a_block(self) -> None:
        model = AnsiConcentrator()
        readings = of_meter(model, 1, 1, 1)
        before = of_meter(model, 1, 0, 0).values
        block = encode_blocks(schema_of(model), readings, before)
        assert bytes(block[0]).hex(" ", 4) == bytes.fromhex(
            # end time 1700001000 = FIRST_S + 900
            "e8f45365"
            # end readings, INT64: total, two rates, export, and 229.501 V
            + (14_154).to_bytes(8, "little").hex()
            + (5_120 + 1).to_bytes(8, "little").hex()
            + (9_033).to_bytes(8, "little").hex()
            + (73).to_bytes(8, "little").hex()
            + (229_501).to_bytes(8, "little").hex()
            # no status; rises 153, 120, 33 and 3; the voltage itself
            + "000000"
            + "99000000 78000000 21000000 03000000"
            + (229_501).to_bytes(4, "little").hex()
        ).hex(" ", 4)

    def test_without_the_capture_before_the_interval_is_partial(self) -> None:
        model = AnsiConcentrator()
        schema = schema_of(model)
        block = bytes(encode_blocks(schema, of_meter(model, 1, 1, 1))[0])
        assert block[44:47].hex() == "022222"
        assert block[47:63] == bytes(16)

    @given(st.lists(st.integers(0, 15), min_size=1, max_size=4))
    def test_the_status_is_the_common_nibble(self, status: list[int]) -> None:
        model = AnsiConcentrator()
        schema, plain = schema_of(model), of_meter(model, 1, 0, len(status) - 1)
        readings = ReadingBatch(
            NAME,
            plain.meter_ids,
            plain.captured_at_s,
            np.array(status, np.uint8),
            plain.values,
        )
        octets = encode_blocks(schema, readings)
        assert decode_blocks(schema, octets.tobytes()).status.tolist() == status
        assert (octets[:, 44] >> 4).tolist() == status

    def test_a_status_that_is_no_nibble_is_refused(self) -> None:
        model = AnsiConcentrator()
        plain = of_meter(model, 1, 0, 0)
        readings = ReadingBatch(
            NAME,
            plain.meter_ids,
            plain.captured_at_s,
            np.array([16], np.uint8),
            plain.values,
        )
        with pytest.raises(CodecError):
            encode_blocks(schema_of(model), readings)

    def test_a_reading_beyond_32_bits_is_refused(self) -> None:
        model = AnsiConcentrator()
        schema = schema_of(model)
        block = bytearray(encode_blocks(schema, of_meter(model, 1, 0, 0))[0])
        block[8] = 1
        with pytest.raises(CodecError, match="32 bits"):
            decode_blocks(schema, bytes(block))

    def test_registers_up_to_their_last_number_come_through(self) -> None:
        model = AnsiConcentrator()
        schema, plain = schema_of(model), of_meter(model, 1, 0, 0)
        values = np.full_like(plain.values, 0xFFFF_FFFF)
        readings = ReadingBatch(NAME, plain.meter_ids, plain.captured_at_s, plain.status, values)
        octets = encode_blocks(schema, readings).tobytes()
        assert np.array_equal(decode_blocks(schema, octets).values, values)

    def test_every_capture_of_the_list_has_a_place_of_its_own(self) -> None:
        schema: MeterSchema = schema_of(AnsiConcentrator())
        times = FIRST_S + STEP_S * np.arange(960)
        assert len(set(block_offsets(schema, times).tolist())) == 960
        assert block_offsets(schema, times).max() == 959 * block_layout(schema).size


def places(writes: Sequence[FullWrite | OffsetWrite]) -> list[tuple[int, int]]:
    """Return at which offset how many octets are written."""
    offsets = [write for write in writes if isinstance(write, OffsetWrite)]
    assert len(offsets) == len(writes)
    return [(write.offset, len(write.data)) for write in offsets]


def part(readings: ReadingBatch, at: int) -> ReadingBatch:
    rows = slice(at, at + 1)
    return ReadingBatch(
        readings.concentrator,
        readings.meter_ids[rows],
        readings.captured_at_s[rows],
        readings.status[rows],
        readings.values[rows],
    )


def test_status_events_are_told_apart_from_entries() -> None:
    model = AnsiConcentrator(raised=[risen(1, 2, 5), logged(1, 2, 5, 1)])
    readings = of_meter(model, 1, 2, 2)
    writes = notification_writes(schema_of(model), readings)
    taken = read_notifications(schema_of(model), NAME, [(NAMES[1], writes)]).events
    assert sorted(taken.source.tolist()) == [EventSource.LOG, EventSource.STATUS]
