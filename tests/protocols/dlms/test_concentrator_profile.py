"""Pushes and interval buffers: octets, both ways through the decoder, and foreign bodies."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from protocols.dlms.axdr import compact_array, decode_data, encode_data
from protocols.dlms.clock import encode_date_time
from protocols.dlms.concentrator_profile import (
    MAX_REGISTERS,
    PREFIX_SIZE,
    PushDecoder,
    encode_buffer,
    encode_rows,
    push,
    push_apdu,
    row_layout,
)
from protocols.dlms.data import (
    NULL,
    Data,
    DataType,
    array,
    double_long_unsigned,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from protocols.dlms.foreign_rows import read_body, read_rows
from protocols.errors import CodecError, ProtocolError
from protocols.lowering.codec import plain
from protocols.readings import ReadingBatch

CONCENTRATOR = b"MSC0000000000001"
SENT_AT = encode_date_time(1_700_000_100)
LONG_INVOKE_ID = 0x4000_0007
PUSH_WIRE = bytes.fromhex(
    # data-notification, invoke id 7 and confirmed
    "0f 40000007"
    # length and date-time of sending: 14 November 2023 (Tuesday) 22:15:00
    "0c 07e7 0b 0e 02 16 0f 00 00 0000 00"
    # structure of 3: MSC0000000000001, 0-7:25.9.0.255, array of 2
    "02 03 09 10 4d534330303030303030303030303031 09 06 0007190900ff 01 02"
    # structure of 4: MST0000000000001, 22:13:20, status 1, register
    "02 04 09 10 4d535430303030303030303030303031 09 0c 07e7 0b 0e 02 16 0d 14 00 0000 00"
    "11 01 06 00000005"
    "02 04 09 10 4d535430303030303030303030303032 09 0c 07e7 0b 0e 02 16 0d 14 00 0000 00"
    "11 02 06 ffffffff"
)


def meter_ids(count: int) -> NDArray[np.bytes_]:
    return np.array([b"MST%013d" % (number + 1) for number in range(count)], "S16")


def a_push(rows: NDArray[np.uint8]) -> bytes:
    return push_apdu(
        CONCENTRATOR,
        rows.tobytes(),
        len(rows),
        long_invoke_id_and_priority=LONG_INVOKE_ID,
        date_time=SENT_AT,
    )


def assert_same(one: ReadingBatch, other: ReadingBatch) -> None:
    assert one.concentrator == other.concentrator
    assert one.registers == other.registers
    for name in ("meter_ids", "captured_at_s", "status", "values"):
        left, right = getattr(one, name), getattr(other, name)
        assert left.dtype == right.dtype, name
        assert left.tolist() == right.tolist(), name


def generic(apdu: bytes) -> ReadingBatch:
    return read_rows(*read_body(decode_data(apdu[18:])))


def outcome(decode: Callable[[bytes], ReadingBatch], wire: bytes) -> ReadingBatch | str:
    """Return the batch, or the path of the error."""
    try:
        return decode(wire)
    except CodecError as exc:
        return exc.path


def test_a_push_is_these_octets() -> None:
    values = np.array([[5], [0xFFFF_FFFF]], np.uint32)
    rows = encode_rows(meter_ids(2), 1_700_000_000, np.array([1, 2], np.uint8), values)
    assert a_push(rows) == PUSH_WIRE


def test_these_octets_are_a_push() -> None:
    decoder = PushDecoder()
    batch = decoder.decode_push(PUSH_WIRE)
    assert (decoder.fast_count, decoder.generic_count) == (1, 0)
    assert batch.concentrator == CONCENTRATOR
    assert batch.meter_ids.tolist() == [b"MST0000000000001", b"MST0000000000002"]
    assert batch.captured_at_s.tolist() == [1_700_000_000] * 2
    assert batch.status.tolist() == [1, 2]
    assert batch.values.tolist() == [[5], [0xFFFF_FFFF]]
    assert len(batch) == 2
    assert batch.registers == 1


def test_the_declaration_says_the_same() -> None:
    parsed = plain(push(1, 2).parse(PUSH_WIRE))
    assert parsed["concentrator"] == CONCENTRATOR
    assert [row["status"] for row in parsed["rows"]] == [1, 2]
    assert push(1, 2).build(parsed) == PUSH_WIRE


@st.composite
def batches(draw: st.DrawFn) -> bytes:
    """A push of ours with any number of rows and registers, capture times alike or not."""
    count, registers = draw(st.integers(1, 130)), draw(st.integers(1, 12))
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.Generator(np.random.Philox(seed))
    times = 1_700_000_000 + 900 * generator.integers(0, draw(st.integers(1, 3)), count)
    values = generator.integers(0, 2**32, (count, registers), np.uint32)
    status = generator.integers(0, 256, count).astype(np.uint8)
    return a_push(encode_rows(meter_ids(count), times, status, values))


@given(batches())
def test_fast_equals_generic(apdu: bytes) -> None:
    decoder = PushDecoder()
    batch = decoder.decode_push(apdu)
    assert (decoder.fast_count, decoder.generic_count) == (1, 0)
    assert_same(batch, generic(apdu))


@given(batches(), st.data())
def test_a_damaged_push_gives_the_generic_answer(apdu: bytes, data: st.DataObject) -> None:
    damaged = bytearray(apdu)
    # After the date-time: what comes before has no generic judge.
    for _ in range(data.draw(st.integers(1, 2))):
        position = data.draw(st.integers(18, min(len(apdu), 300) - 1))
        damaged[position] = data.draw(st.integers(0, 255))
    wire = bytes(damaged)
    expected, found = outcome(generic, wire), outcome(PushDecoder().decode_push, wire)
    if isinstance(expected, ReadingBatch):
        assert isinstance(found, ReadingBatch)
        assert_same(found, expected)
    else:
        assert found == expected


@given(st.binary(max_size=80), st.booleans())
def test_garbage_raises_only_protocol_errors(garbage: bytes, with_prefix: bool) -> None:
    wire = PUSH_WIRE[: PREFIX_SIZE if with_prefix else 0] + garbage
    for decode in (PushDecoder().decode_push, lambda w: PushDecoder().decode_buffer(b"C", w)):
        with contextlib.suppress(ProtocolError):
            decode(wire)


@given(st.integers(0, len(PUSH_WIRE) - 1))
def test_every_truncation_is_refused(size: int) -> None:
    with pytest.raises(CodecError):
        PushDecoder().decode_push(PUSH_WIRE[:size])


def test_trailing_octets_are_refused() -> None:
    with pytest.raises(CodecError, match="1 trailing"):
        PushDecoder().decode_push(PUSH_WIRE + b"\x00")


def test_the_arrays_are_the_batchs_own() -> None:
    buffer = bytearray(PUSH_WIRE)
    batch = PushDecoder().decode_push(bytes(buffer))
    for column in (batch.meter_ids, batch.captured_at_s, batch.status, batch.values):
        assert column.flags.writeable


@pytest.mark.parametrize("count", [127, 128, 255, 256, 300])
def test_array_counts_take_one_two_or_three_octets(count: int) -> None:
    values = np.arange(count, dtype=np.uint32).reshape(count, 1)
    rows = encode_rows(meter_ids(count), 1_700_000_000, 0, values)
    decoder = PushDecoder()
    batch = decoder.decode_push(a_push(rows))
    assert decoder.fast_count == 1
    assert batch.values[:, 0].tolist() == list(range(count))


def test_a_fleets_rows_are_sliced_per_concentrator() -> None:
    values = np.arange(40, dtype=np.uint32).reshape(10, 4)
    rows = encode_rows(meter_ids(10), 1_700_000_000, 0, values)
    assert rows.shape == (10, row_layout(4).size) == (10, 56)
    batch = PushDecoder().decode_push(a_push(rows[3:7]))
    assert batch.meter_ids.tolist() == meter_ids(10)[3:7].tolist()
    assert batch.values.tolist() == values[3:7].tolist()


def test_an_interval_buffer_has_the_same_rows() -> None:
    times = np.array([1_700_000_000, 1_700_000_900])
    rows = encode_rows(meter_ids(2), times, 0, np.array([[1, 2], [3, 4]], np.uint32))
    decoder = PushDecoder()
    batch = decoder.decode_buffer(CONCENTRATOR, encode_buffer(rows.tobytes(), 2))
    assert decoder.fast_count == 1
    assert batch.concentrator == CONCENTRATOR
    assert batch.captured_at_s.tolist() == times.tolist()
    assert batch.values.tolist() == [[1, 2], [3, 4]]
    empty = decoder.decode_buffer(CONCENTRATOR, encode_buffer(b"", 0))
    assert len(empty) == 0


METER, AT, STATUS = octet_string(b"METER7"), octet_string(SENT_AT), unsigned(3)
REGISTERS = (double_long_unsigned(9), long_unsigned(8))


def foreign_push(*rows: Data) -> bytes:
    body = structure(octet_string(b"DC7"), octet_string(bytes(6)), array(rows))
    return PUSH_WIRE[:18] + encode_data(body)


def foreign_row(
    *,
    meter: Data = METER,
    at: Data = AT,
    status: Data = STATUS,
    registers: tuple[Data, ...] = REGISTERS,
) -> Data:
    return structure(meter, at, status, *registers)


@pytest.mark.parametrize(
    "at",
    [
        octet_string(SENT_AT),
        Data(DataType.DATE_TIME, SENT_AT),
        double_long_unsigned(1_700_000_100),
        octet_string(encode_date_time(1_700_000_100, deviation_min=-120)),
        octet_string(encode_date_time(1_700_000_100.5)),
    ],
)
def test_foreign_times_and_widths_are_understood(at: Data) -> None:
    batch = PushDecoder().decode_push(foreign_push(foreign_row(at=at)))
    assert batch.concentrator == b"DC7"
    assert batch.meter_ids.tolist() == [b"METER7"]
    assert batch.captured_at_s.tolist() == [1_700_000_100]
    assert batch.status.tolist() == [3]
    assert batch.values.tolist() == [[9, 8]]


def test_null_data_repeats_the_capture_time_before() -> None:
    batch = PushDecoder().decode_push(foreign_push(foreign_row(), foreign_row(at=NULL)))
    assert batch.captured_at_s.tolist() == [1_700_000_100] * 2


def test_a_compact_array_holds_rows_too() -> None:
    compact = Data(DataType.COMPACT_ARRAY, compact_array(array([foreign_row()] * 3)))
    wire = PUSH_WIRE[:18] + encode_data(structure(octet_string(b"DC7"), compact))
    batch = PushDecoder().decode_push(wire)
    assert batch.values.tolist() == [[9, 8]] * 3


def test_a_push_without_a_date_time_is_understood() -> None:
    batch = PushDecoder().decode_push(PUSH_WIRE[:5] + b"\x00" + PUSH_WIRE[18:])
    assert batch.status.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("row", "path"),
    [
        (foreign_row(meter=octet_string(b"")), "rows[1].meter"),
        (foreign_row(meter=octet_string(bytes(17))), "rows[1].meter"),
        (foreign_row(meter=unsigned(1)), "rows[1].meter"),
        (foreign_row(at=octet_string(b"\xff" * 12)), "rows[1].captured_at"),
        (foreign_row(at=octet_string(b"12")), "rows[1].captured_at"),
        (foreign_row(at=unsigned(1)), "rows[1].captured_at"),
        (foreign_row(status=long_unsigned(256)), "rows[1].status"),
        (foreign_row(status=NULL), "rows[1].status"),
        (foreign_row(registers=()), "rows[1]"),
        (foreign_row(registers=(unsigned(1),)), "rows[1]"),
        (foreign_row(registers=(unsigned(1), NULL)), "rows[1].registers[1]"),
        (
            foreign_row(registers=(Data(DataType.LONG64_UNSIGNED, 1 << 32), NULL)),
            "rows[1].registers[0]",
        ),
        (foreign_row(registers=(Data(DataType.LONG, -1), NULL)), "rows[1].registers[0]"),
        (unsigned(1), "rows[1]"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(row: Data, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        PushDecoder().decode_push(foreign_push(foreign_row(), row))
    assert caught.value.path == path


def test_the_first_capture_time_cannot_be_a_repetition() -> None:
    with pytest.raises(CodecError) as caught:
        PushDecoder().decode_push(foreign_push(foreign_row(at=NULL)))
    assert caught.value.path == "rows[0].captured_at"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda wire: b"\xc2" + wire[1:], "tag"),
        (lambda wire: wire[:5] + b"\x0b" + wire[6:], "date_time_length"),
        (lambda wire: wire[:18] + encode_data(unsigned(1)), "body"),
        (lambda wire: wire[:18] + encode_data(structure(unsigned(1))), ""),
        (lambda wire: wire[:18] + encode_data(structure(unsigned(1), array())), "concentrator"),
        (lambda wire: wire[:18] + encode_data(structure(octet_string(b"C"), NULL)), "rows"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_by_name(
    change: Callable[[bytes], bytes], path: str
) -> None:
    with pytest.raises(CodecError) as caught:
        PushDecoder().decode_push(change(PUSH_WIRE))
    assert caught.value.path == path


@pytest.mark.parametrize("registers", [0, MAX_REGISTERS + 1])
def test_the_number_of_registers_is_bounded(registers: int) -> None:
    with pytest.raises(CodecError, match="registers"):
        encode_rows(meter_ids(1), 0, 0, np.zeros((1, registers), np.uint32))
