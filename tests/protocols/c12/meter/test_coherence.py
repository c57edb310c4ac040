"""The tables of one meter tell one story: that of the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from protocols.c12.meter import (
    CONTROL_LOG,
    STATUS_LOG,
    Meter,
    MeterSchema,
    block_layout,
    decode_blocks,
    interval_data,
    meter_schema,
)
from protocols.c12.services import FullRead, FullWrite, ReadBody, Request, ResponseCode
from protocols.c12.tables.configuration import Configuration
from protocols.c12.tables.defaults import TABLES
from protocols.c12.tables.interval_blocks import block_layout as layout_of
from protocols.c12.tables.load_profile import decode_status, load_intervals
from protocols.c12.tables.logs import LogImage, decode_log
from protocols.c12.tables.registry import read_dimensions
from protocols.readings import EventSource
from tests.support.c12_meter_model import AnsiConcentrator, granted, logged, risen, schema_of
from tests.support.concentrator_model import FIRST_S, STEP_S

EVENTS = [
    logged(1, 3, 1, 1, argument=7),
    logged(1, 4, 2, 2),
    logged(1, 4, 2049, 3, argument=0xFFFF_FFFF),
    risen(1, 4, 11),
    logged(0, 5, 47, 1),
    logged(1, 6, 47, 4),
    risen(1, 6, 12),
    risen(1, 6, 0),
]


def table(meter: Meter, number: int) -> bytes:
    response = meter.handle(FullRead(number), now=0.0)
    assert response.code is ResponseCode.OK
    return ReadBody.decode(response.body).data


def values(schema: MeterSchema, meter: Meter, number: int) -> dict[str, Any]:
    return schema.decode(number, table(meter, number))


def valid_blocks(schema: MeterSchema, meter: Meter) -> bytes:
    """Return the blocks of ST64 that ST63 calls valid, oldest first."""
    status = decode_status(table(meter, 63), schema.configuration)[1]
    octets, size = table(meter, 64), block_layout(schema).size
    room = schema.settings.blocks
    elements = [
        (status.last_block_element - age) % room for age in range(status.valid_blocks)[::-1]
    ]
    return b"".join(octets[element * size :][:size] for element in elements)


@pytest.mark.parametrize("intervals", [1, 8, 960, 1000, 2500])
def test_the_load_profile_is_what_the_model_captured(intervals: int) -> None:
    model = AnsiConcentrator(intervals=intervals)
    schema = schema_of(model)
    captures = decode_blocks(schema, valid_blocks(schema, granted(model, 2)))
    expected = model.buffer(0, 1 << 40, range(2, 3))
    newest = slice(-min(intervals, 960), None)
    assert np.array_equal(captures.captured_at_s, expected.captured_at_s[newest])
    assert np.array_equal(captures.values, expected.values[newest])
    assert np.array_equal(captures.status, expected.status[newest])


def test_registers_follow_from_the_first_block_and_all_the_rises_after_it() -> None:
    model = AnsiConcentrator(intervals=1000)
    schema, meter = schema_of(model), granted(model, 1)
    blocks = valid_blocks(schema, meter)
    start = decode_blocks(schema, blocks).values[0].astype(np.int64)
    rises = interval_data(schema, blocks)[1:].astype(np.int64).sum(axis=0)
    total, rate_1, rate_2, export, _ = (start + rises).tolist()
    current = values(schema, meter, 23)
    assert current["total"]["summations"] == [total, export]
    assert current["tiers"][0]["summations"] == [rate_1, 0]
    assert current["tiers"][1]["summations"] == [rate_2, 0]
    assert total == rate_1 + rate_2


def test_a_measure_is_not_summed_up_but_told() -> None:
    model = AnsiConcentrator()
    schema = schema_of(model)
    blocks = valid_blocks(schema, granted(model, 1))
    voltage = decode_blocks(schema, blocks).values[:, 4]
    assert np.array_equal(interval_data(schema, blocks)[:, 4], voltage)


def test_the_demand_is_the_steepest_rise_in_watts_and_when_it_ended() -> None:
    model = AnsiConcentrator(intervals=40)
    schema, meter = schema_of(model), granted(model, 1)
    blocks = valid_blocks(schema, meter)
    rises = interval_data(schema, blocks)[:, 0].astype(np.int64)
    times = decode_blocks(schema, blocks).captured_at_s
    demand = values(schema, meter, 23)["total"]["demands"][0]
    assert demand["values"] == [int(rises.max()) * 3600 // STEP_S]
    assert demand["times"] == [int(times[rises.argmax()])]
    present = values(schema, meter, 28)
    assert present["demands"][0]["demand"] == int(rises[-1]) * 3600 // STEP_S
    assert present["values"] == decode_blocks(schema, blocks).values[-1].tolist()


def test_the_event_log_is_the_models_events() -> None:
    model = AnsiConcentrator(raised=EVENTS)
    schema, meter = schema_of(model), granted(model, 1)
    log = event_log(schema, meter)
    events = model.buffer(0, 1 << 40, range(1, 2)).events
    mine = events.take(events.source == EventSource.LOG)
    codes = [entry.code + 2048 * entry.manufacturer for entry in log.entries]
    assert codes == mine.code.tolist() == [1, 2, 2049, 47]
    assert [entry.sequence for entry in log.entries] == mine.sequence.tolist()
    assert [entry.time_s for entry in log.entries] == mine.raised_at_s.tolist()
    arguments = [int.from_bytes(entry.argument, "little") for entry in log.entries]
    assert arguments == mine.argument.tolist()
    assert log.unread == 4


def test_the_status_log_names_the_bits_that_each_capture_was_the_first_to_show() -> None:
    model = AnsiConcentrator(raised=EVENTS)
    schema = schema_of(model)
    assert values(schema, granted(model, 1), STATUS_LOG)["entries"] == [
        {"time": FIRST_S + 4 * STEP_S, "bits": 1 << 11},
        {"time": FIRST_S + 6 * STEP_S, "bits": 1 << 12 | 1},
    ]


def test_an_event_log_that_is_full_keeps_its_newest_entries() -> None:
    model = AnsiConcentrator(
        intervals=320, raised=[logged(0, at, at % 40, at + 1) for at in range(320)]
    )
    schema = schema_of(model)
    log = event_log(schema, granted(model, 0))
    assert [entry.sequence for entry in log.entries] == list(range(65, 321))


def test_entries_older_than_the_load_profile_are_kept_too() -> None:
    intervals = [*range(300), *range(1400, 1500)]
    raised = [logged(0, at, 47, number) for number, at in enumerate(intervals, 1)]
    model = AnsiConcentrator(intervals=1500, raised=raised)
    log = event_log(schema_of(model), granted(model, 0))
    assert [entry.sequence for entry in log.entries] == list(range(145, 401))


def test_an_event_stays_when_its_capture_leaves_the_load_profile() -> None:
    model = AnsiConcentrator(intervals=1000, raised=[logged(0, 40, 47, 1)])
    schema, meter = schema_of(model), granted(model, 0)
    assert len(event_log(schema, meter).entries) == 1
    model.intervals = 1010
    assert len(event_log(schema, meter).entries) == 1


def test_the_load_profile_is_full_though_the_newest_captures_did_not_arrive() -> None:
    model = AnsiConcentrator(intervals=1000, unheard={(0, at) for at in range(990, 1000)})
    schema = schema_of(model)
    captures = decode_blocks(schema, valid_blocks(schema, granted(model, 0)))
    assert captures.captured_at_s[0] == FIRST_S + 30 * STEP_S
    assert captures.captured_at_s[-1] == FIRST_S + 989 * STEP_S
    assert len(captures.values) == 960


def test_the_history_holds_what_was_written_and_executed() -> None:
    model = AnsiConcentrator()
    schema, meter = schema_of(model), granted(model, 1)
    meter.handle(FullWrite(5, b"ANOTHER".ljust(20)), now=0.0)
    meter.handle(FullWrite(7, bytes.fromhex("0700 01")), now=0.0)
    meter.handle(FullWrite(7, bytes.fromhex("0900 02 01")), now=0.0)
    history = decode_log(74, table(meter, 74), schema.configuration, schema.dimensions)
    told = [(one.code, int.from_bytes(one.argument, "little")) for one in history.entries]
    #              written ST5, ran 7,  reset,   ran 9
    assert told == [(10, 5), (9, 7), (20, 0), (9, 9)]
    assert {one.time_s for one in history.entries} == {int(model.now_s)}


def test_a_client_that_knows_nothing_reads_the_load_profile_by_the_tables_alone() -> None:
    model = AnsiConcentrator(intervals=1200)
    meter = granted(model, 0)
    configuration = Configuration.decode(table(meter, 0))
    tables = {number: table(meter, number) for number in (11, 21, 51, 61, 62, 71)}
    dimensions = read_dimensions(tables, configuration)
    counting = (True, True, True, True, False)
    layout = layout_of(configuration, dimensions, cumulative=counting)
    status = decode_status(table(meter, 63), configuration)[1]
    octets = np.frombuffer(table(meter, 64), np.uint8).reshape(1, -1)
    intervals = load_intervals(layout, octets, status)
    expected = model.buffer(0, 1 << 40, range(1))
    assert np.array_equal(intervals.captured_at_s, expected.captured_at_s[-960:])
    assert np.array_equal(intervals.values[0], expected.values[-960:])


def test_every_table_that_st0_names_can_be_read_and_no_other() -> None:
    model = AnsiConcentrator(raised=EVENTS)
    meter = granted(model, 1)
    meter.handle(FullWrite(7, bytes.fromhex("0700 01")), now=0.0)
    configuration = Configuration.decode(table(meter, 0))
    assert configuration.standard_tables_used == TABLES
    answered = {
        number
        for number in range(4096)
        if meter.handle(FullRead(number), now=0.0).code is ResponseCode.OK
    }
    assert answered == TABLES | {CONTROL_LOG, STATUS_LOG}
    named = {number for number in range(4096) if configuration.uses_table(number)}
    assert answered == named


def test_identity_clock_and_tier_are_the_models() -> None:
    model = AnsiConcentrator(rates={1: 2}, offsets_s={1: 5.0})
    schema, meter = schema_of(model), granted(model, 1)
    assert values(schema, meter, 5)["identification"] == "MST0000000000002"
    assert values(schema, meter, 1)["serial_number"] == "MST0000000000002"
    clock = values(schema, meter, 52)
    assert clock["clock"] == int(model.now_s) + 5
    # 2023-11-15, a Wednesday.
    assert clock["qualifier"]["day_of_week"] == 3
    assert values(schema, meter, 55)["status"]["tier"] == 1


@pytest.mark.parametrize("number", [23, 28])
def test_registers_are_not_ready_before_the_first_capture(number: int) -> None:
    model = AnsiConcentrator(intervals=2, unheard={(0, 0), (0, 1)})
    request: Request = FullRead(number)
    assert granted(model, 0).handle(request, now=0.0).code is ResponseCode.DATA_NOT_READY


def test_captures_that_did_not_arrive_are_blank_blocks() -> None:
    model = AnsiConcentrator(unheard={(0, 2), (0, 7)})
    schema = schema_of(model)
    captures = decode_blocks(schema, valid_blocks(schema, granted(model, 0)))
    heard = [FIRST_S + at * STEP_S for at in (0, 1, 3, 4, 5, 6)]
    assert captures.captured_at_s.tolist() == heard


def test_meters_of_a_kind_share_their_schema() -> None:
    model = AnsiConcentrator()
    assert meter_schema(list(model.registers), STEP_S) is schema_of(model)


def event_log(schema: MeterSchema, meter: Meter) -> LogImage:
    return decode_log(76, table(meter, 76), schema.configuration, schema.dimensions)
