"""History and event logs: places, numbers, arguments."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.tables.defaults import CONFIGURATION, meter_dimensions
from protocols.c12.tables.dimensions import Dimensions, Log
from protocols.c12.tables.formats import ByteOrder, TimeFormat
from protocols.c12.tables.logs import (
    EVENT_LOG,
    HISTORY_LOG,
    LogEntry,
    LogImage,
    decode_log,
    encode_log,
    events_identification,
    log_control,
)
from protocols.c12.tables.registry import STANDARD_TABLES
from protocols.errors import CodecError, LocalProtocolError

DIMENSIONS = meter_dimensions(history_entries=5, event_entries=5)
FIRST_S = 1_700_000_000
NUMBERS = [HISTORY_LOG, EVENT_LOG]


def entries_of(count: int, first: int = 0) -> tuple[LogEntry, ...]:
    return tuple(
        LogEntry(first + i, FIRST_S + i, i % 77, i, bytes([i % 256, 7]), bool(i % 2))
        for i in range(count)
    )


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(("circular", "descending"), list(product([False, True], repeat=2)))
@given(count=st.integers(0, 12), first=st.integers(0, 70_000), order=st.sampled_from(ByteOrder))
def test_the_newest_entries_come_back(
    number: int, circular: bool, descending: bool, count: int, first: int, order: ByteOrder
) -> None:
    configuration = replace(CONFIGURATION, byte_order=order)
    image = LogImage(entries_of(count, first), 1, descending, circular)
    data = encode_log(number, image, configuration, DIMENSIONS)
    kept = image.entries[-5:]
    wanted = replace(image, entries=kept, unread=min(1, len(kept)))
    assert decode_log(number, data, configuration, DIMENSIONS) == wanted


def test_events_octet_by_octet() -> None:
    dimensions = Dimensions(log=Log(event_number=True, event_argument_size=1, event_entries=2))
    entry = LogEntry(
        65_837, FIRST_S, 47, user=2, argument=b"\xaa", manufacturer=True, event_number=3,
        selector=1,
    )  # fmt: skip
    data = encode_log(EVENT_LOG, LogImage((entry,), unread=1), CONFIGURATION, dimensions)
    assert data == bytes.fromhex(
        "04 0100 0100 2d010100 0100"
        " 00000000 0000 0000 0000 0000 00"
        " 00f15365 0300 2d01 0200 2f18 aa"
    )  # fmt: skip
    assert decode_log(EVENT_LOG, data, CONFIGURATION, dimensions).entries == (entry,)


@pytest.mark.parametrize("tm", [TimeFormat.NONE, TimeFormat.BCD_FIELDS])
@pytest.mark.parametrize("number", NUMBERS)
def test_entries_without_a_time(number: int, tm: TimeFormat) -> None:
    configuration = replace(CONFIGURATION, time_format=tm)
    image = LogImage((LogEntry(0, None, 1, argument=b"\0\0"),))
    data = encode_log(number, image, configuration, DIMENSIONS)
    assert decode_log(number, data, configuration, DIMENSIONS) == image


def test_a_log_with_no_room_keeps_nothing() -> None:
    dimensions = Dimensions(log=Log())
    data = encode_log(EVENT_LOG, LogImage(entries_of(3), unread=3), CONFIGURATION, dimensions)
    assert data.hex() == "04" + "00" * 10
    assert decode_log(EVENT_LOG, data, CONFIGURATION, dimensions) == LogImage(())


def test_short_arguments_are_padded() -> None:
    image = LogImage((LogEntry(0, FIRST_S, 1, argument=b"a"),))
    data = encode_log(EVENT_LOG, image, CONFIGURATION, DIMENSIONS)
    assert decode_log(EVENT_LOG, data, CONFIGURATION, DIMENSIONS).entries[0].argument == b"a\0"


@pytest.mark.parametrize(
    "entries",
    [
        (LogEntry(1, FIRST_S, 1), LogEntry(3, FIRST_S, 1)),
        (LogEntry(0, FIRST_S, 1, argument=b"abc"),),
        (LogEntry(0, FIRST_S, 2048),),
        (LogEntry(0, FIRST_S, 1, user=65_536),),
    ],
)
def test_entries_that_do_not_fit(entries: tuple[LogEntry, ...]) -> None:
    with pytest.raises(CodecError):
        encode_log(EVENT_LOG, LogImage(entries), CONFIGURATION, DIMENSIONS)


@pytest.mark.parametrize("header", ["04 0600 0000", "04 0100 0500"])
def test_a_header_that_the_log_contradicts(header: str) -> None:
    data = encode_log(EVENT_LOG, LogImage(entries_of(2)), CONFIGURATION, DIMENSIONS)
    with pytest.raises(CodecError):
        decode_log(EVENT_LOG, bytes.fromhex(header) + data[5:], CONFIGURATION, DIMENSIONS)


def test_sizes_are_needed() -> None:
    with pytest.raises(LocalProtocolError):
        encode_log(EVENT_LOG, LogImage(()), CONFIGURATION, Dimensions())


def test_what_is_supported_and_what_is_logged() -> None:
    data = events_identification({0, 1, 47}, (), CONFIGURATION, DIMENSIONS)
    assert data.hex() == "03000000008000000000"
    data = log_control(
        75, {"standard_events": {1}, "standard_tables": {5}}, CONFIGURATION, DIMENSIONS
    )
    values = STANDARD_TABLES.decode(75, data, CONFIGURATION, DIMENSIONS)
    assert (values["standard_events"], values["standard_tables"]) == ({1}, {5})
    assert values["standard_procedures"] == frozenset()
    with pytest.raises(CodecError):
        log_control(75, {"events": {1}}, CONFIGURATION, DIMENSIONS)
    with pytest.raises(CodecError):
        events_identification({80}, (), CONFIGURATION, DIMENSIONS)
