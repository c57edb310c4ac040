"""Blocks of interval data: octets by hand, exactness in every format, refusals."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.tables.configuration import Configuration
from protocols.c12.tables.defaults import CONFIGURATION
from protocols.c12.tables.dimensions import Dimensions, IntervalFormat
from protocols.c12.tables.formats import ByteOrder, IntegerForm, NumberFormat, TimeFormat
from protocols.c12.tables.interval_blocks import (
    BlockLayout,
    ChannelStatus,
    CommonStatus,
    Intervals,
    block_layout,
    pack_status,
    unpack_status,
)
from protocols.c12.tables.registry import STANDARD_TABLES
from protocols.errors import CodecError, LocalProtocolError
from tests.support.c12_profiles import (
    FIRST_S,
    STEP_S,
    configuration_of,
    dimensions_of,
    recorded,
)

CLOCKS = [tm for tm in TimeFormat if tm is not TimeFormat.NONE]
# What fits the number formats: the registers reach twenty-six times as much.
LARGEST = {
    NumberFormat.CHAR6: 500,
    NumberFormat.INT32_FOUR_DECIMALS: 500,
    NumberFormat.INT24: 5_000,
    NumberFormat.FLOAT32: 50_000,
}


def same(found: Intervals, wanted: Intervals) -> bool:
    return all(
        np.array_equal(getattr(found, name), getattr(wanted, name))
        for name in ("captured_at_s", "values", "channel_status", "common_status")
    )


def test_a_block_octet_by_octet() -> None:
    configuration = configuration_of(
        byte_order=ByteOrder.BIG,
        number_format_1=NumberFormat.INT24,
        time_format=TimeFormat.SECONDS_SINCE_1970,
    )
    dimensions = dimensions_of(
        2, intervals=3, interval_format=IntervalFormat.UINT16, simple_status=True,
        block_end_pulse=True,
    )  # fmt: skip
    values = np.array([[[11, 20], [13, 20]]])
    status = np.zeros((1, 2, 2), np.uint8)
    status[0, 1] = (ChannelStatus.PARTIAL, ChannelStatus.TEST_MODE)
    common = np.array([[0, CommonStatus.POWER_FAIL]], np.uint8)
    intervals = Intervals(np.array([FIRST_S, FIRST_S + STEP_S]), values, status, common)
    octets = block_layout(configuration, dimensions).pack(intervals, np.array([[10, 20]]))
    assert octets.shape == (1, 1, 4 + 2 * 7 + 1 + 3 * 6)
    assert octets.tobytes() == bytes.fromhex(
        "6553f4e8"  # the end of the second interval
        "00000d 0000000d  000014 00000014"  # what each channel read then, and its pulses
        "01"  # the first interval is good
        "0000 0001 0000"  # 11 - 10 and 20 - 20
        "2250 0002 0000"  # power fail and partial; test mode and no third channel
        "0000 0000 0000"  # not yet
    )


@pytest.mark.parametrize(("order", "ni"), list(product(ByteOrder, NumberFormat)))
@pytest.mark.parametrize("form", [IntervalFormat.UINT32, IntervalFormat.NUMBER_1])
def test_every_format_is_exact(order: ByteOrder, ni: NumberFormat, form: IntervalFormat) -> None:
    dimensions = dimensions_of(interval_format=form)
    intervals, before = recorded(largest=LARGEST.get(ni, 100_000))
    for tm in CLOCKS:
        configuration = configuration_of(byte_order=order, number_format_1=ni, time_format=tm)
        layout = block_layout(configuration, dimensions)
        assert same(layout.unpack(layout.pack(intervals, before), 2), intervals)


def test_construct_reads_what_the_rows_wrote() -> None:
    dimensions = dimensions_of(3, blocks=3, simple_status=True, block_end_pulse=True)
    intervals, before = recorded(1, 12, 3)
    octets = block_layout(CONFIGURATION, dimensions).pack(intervals, before).tobytes()
    blocks = STANDARD_TABLES.decode(64, octets, CONFIGURATION, dimensions)["blocks"]
    deltas = np.diff(intervals.values[0], axis=0, prepend=before)
    for number, block in enumerate(blocks):
        assert block["end_time"] == FIRST_S + STEP_S * (4 * number + 3)
        readings = [reading["value"] for reading in block["end_readings"]]
        assert readings == intervals.values[0, 4 * number + 3].tolist()
        data = [interval["data"] for interval in block["intervals"]]
        assert data == deltas[4 * number : 4 * number + 4].tolist()


@pytest.mark.parametrize("flags", [{"block_end_read": False, "block_end_pulse": True}, {}])
def test_end_readings_make_the_start_needless(flags: dict[str, Any]) -> None:
    layout = block_layout(CONFIGURATION, dimensions_of(**flags))
    intervals, before = recorded()
    assert same(layout.unpack(layout.pack(intervals, before), 2), intervals)


def test_without_end_readings_the_start_is_needed() -> None:
    layout = block_layout(CONFIGURATION, dimensions_of(block_end_read=False))
    intervals, before = recorded()
    octets = layout.pack(intervals, before)
    assert same(layout.unpack(octets, 2, before), intervals)
    with pytest.raises(LocalProtocolError):
        layout.unpack(octets, 2)


def test_scalars_and_divisors() -> None:
    dimensions = dimensions_of(2, scalars=(3, 1), divisors=(1, 4), intervals=2)
    layout = block_layout(CONFIGURATION, dimensions)
    before = np.array([[5, 8]])
    intervals = Intervals.good(
        FIRST_S + STEP_S * np.arange(2), np.array([[[7, 12], [7, 20]]], np.int64)
    )
    octets = layout.pack(intervals, before)
    rows = layout.rows.decode(octets.tobytes(), 1)
    assert rows["intervals"]["data"].tolist() == [[[6, 1], [0, 2]]]
    assert same(layout.unpack(octets, 2), intervals)
    with pytest.raises(CodecError):
        layout.pack(intervals, np.array([[5, 9]]))


def test_an_interval_that_the_scalar_does_not_divide() -> None:
    plain = block_layout(CONFIGURATION, dimensions_of(1, intervals=1))
    scaled = block_layout(CONFIGURATION, dimensions_of(1, intervals=1, scalars=(2,), divisors=(1,)))
    octets = plain.pack(
        Intervals.good(np.array([FIRST_S]), np.array([[[3]]])), np.zeros((1, 1), np.int64)
    )
    with pytest.raises(CodecError):
        scaled.unpack(octets, 1)


def test_a_channel_that_is_not_cumulative_holds_its_values() -> None:
    dimensions = dimensions_of(2, interval_format=IntervalFormat.INT32)
    layout = block_layout(CONFIGURATION, dimensions, 1, (True, False))
    values = np.array([[[5, 230_000], [5, 229_000], [9, -4]]], np.int64)
    intervals = Intervals.good(FIRST_S + STEP_S * np.arange(3), values)
    octets = layout.pack(intervals, np.array([[0, 0]]))
    data = layout.rows.decode(octets.tobytes(), 1)["intervals"]["data"]
    assert data[0].tolist() == [[5, 230_000], [0, 229_000], [4, -4], [0, 0]]
    assert same(layout.unpack(octets, 3), intervals)


def test_negative_increments_in_the_other_integer_forms() -> None:
    for form in IntegerForm:
        configuration = configuration_of(integer_form=form)
        layout = block_layout(configuration, dimensions_of(1, interval_format=IntervalFormat.INT16))
        values = np.array([[[-5], [-300], [40]]], np.int64)
        intervals = Intervals.good(FIRST_S + STEP_S * np.arange(3), values)
        octets = layout.pack(intervals, np.zeros((1, 1), np.int64))
        assert same(layout.unpack(octets, 3), intervals)


@pytest.mark.parametrize(
    ("form", "delta"),
    [
        (IntervalFormat.UINT8, 256),
        (IntervalFormat.UINT16, 65_536),
        (IntervalFormat.UINT32, 1 << 32),
        (IntervalFormat.UINT32, -1),
        (IntervalFormat.INT8, 128),
        (IntervalFormat.INT16, -32_769),
        (IntervalFormat.NUMBER_2, 1 << 31),
    ],
)
def test_an_increment_that_the_format_does_not_hold(form: IntervalFormat, delta: int) -> None:
    layout = block_layout(CONFIGURATION, dimensions_of(1, interval_format=form))
    start = np.array([[1 << 40]])
    intervals = Intervals.good(np.array([FIRST_S]), (start + delta)[:, None])
    with pytest.raises(CodecError):
        layout.pack(intervals, start)


def test_times_must_be_one_interval_apart() -> None:
    layout = block_layout(CONFIGURATION, dimensions_of())
    intervals, before = recorded(count=4)
    times = intervals.captured_at_s.copy()
    times[2:] += STEP_S
    for broken in (times, times[:0]):
        with pytest.raises(CodecError):
            layout.pack(
                Intervals(broken, intervals.values, intervals.channel_status,
                          intervals.common_status),
                before,
            )  # fmt: skip


def test_blocks_that_disagree_about_time() -> None:
    layout = block_layout(CONFIGURATION, dimensions_of())
    intervals, before = recorded(meters=2, count=8)
    octets = layout.pack(intervals, before)
    octets[1, 0, 0] ^= 1
    with pytest.raises(CodecError):
        layout.unpack(octets, 4)
    with pytest.raises(CodecError):
        layout.unpack(layout.pack(intervals, before)[:, ::-1], 4)


def test_meters_that_recorded_at_different_times() -> None:
    layout = block_layout(CONFIGURATION, dimensions_of(intervals=2))
    intervals, before = recorded(meters=2, count=3)
    times = intervals.captured_at_s + np.array([[0], [7 * STEP_S]])
    apart = replace(intervals, captured_at_s=times)
    octets = layout.pack(apart, before)
    assert same(layout.unpack_each(octets, 1), apart)
    with pytest.raises(CodecError):
        layout.unpack(octets, 1)


@pytest.mark.parametrize("valid", [0, 5])
def test_a_block_has_so_many_intervals(valid: int) -> None:
    layout = block_layout(CONFIGURATION, dimensions_of())
    intervals, before = recorded()
    with pytest.raises(CodecError):
        layout.unpack(layout.pack(intervals, before), valid)


def test_fractions_are_no_register_values() -> None:
    configuration = configuration_of(number_format_1=NumberFormat.FLOAT64)
    layout = block_layout(configuration, dimensions_of(1, intervals=1))
    octets = layout.rows.encode(
        {
            "end_time": FIRST_S,
            "end_readings": {"value": np.array([[1.5]])},
            "intervals": {"status": np.zeros((1, 1), "V1"), "data": np.ones((1, 1, 1), "u4")},
        },
        1,
    )
    with pytest.raises(CodecError):
        layout.unpack(octets[None], 1)


@pytest.mark.parametrize("bits", [0x7FF8 << 48, 0x7FF0 << 48, 0x43E0 << 48])
def test_numbers_that_are_no_integers_at_all(bits: int) -> None:
    configuration = configuration_of(byte_order=ByteOrder.BIG, number_format_1=NumberFormat.FLOAT64)
    layout = block_layout(
        configuration, dimensions_of(1, intervals=1, interval_format=IntervalFormat.NUMBER_1)
    )
    good = layout.pack(
        Intervals.good(np.array([FIRST_S]), np.array([[[3]]])), np.zeros((1, 1), np.int64)
    )
    for position in (4, layout.size - 8):
        octets = good.copy()
        octets[0, 0, position : position + 8] = list(bits.to_bytes(8, "big"))
        with pytest.raises(CodecError):
            layout.unpack(octets, 1)


def test_interval_data_beyond_63_bits() -> None:
    configuration = configuration_of(number_format_1=NumberFormat.INT64)
    dimensions = dimensions_of(
        1, intervals=1, interval_format=IntervalFormat.NUMBER_1, scalars=(1,), divisors=(3,)
    )
    layout = block_layout(configuration, dimensions)
    octets = np.zeros((1, 1, layout.size), np.uint8)
    octets[0, 0, -1] = 0x7F
    with pytest.raises(CodecError):
        layout.unpack(octets, 1)


@pytest.mark.parametrize(
    "changes",
    [{"scalars": (0,), "divisors": (1,)}, {"scalars": (1,), "divisors": (0,)}, {"intervals": 0}],
)
def test_nothing_is_divided_by_zero(changes: dict[str, Any]) -> None:
    with pytest.raises(CodecError):
        block_layout(CONFIGURATION, dimensions_of(1, **changes))


def test_a_profile_without_extended_status() -> None:
    layout = block_layout(CONFIGURATION, dimensions_of(extended_status=False))
    intervals, before = recorded()
    found = layout.unpack(layout.pack(intervals, before), 2)
    assert np.array_equal(found.values, intervals.values)
    assert not found.channel_status.any()
    assert found.common_status.shape == intervals.common_status.shape


def test_without_a_clock_or_a_set_there_is_no_profile() -> None:
    without_clock: Configuration = configuration_of(time_format=TimeFormat.NONE)
    for configuration, dimensions, number in (
        (without_clock, dimensions_of(), 1),
        (CONFIGURATION, dimensions_of(), 2),
        (CONFIGURATION, Dimensions(), 1),
    ):
        with pytest.raises(LocalProtocolError):
            block_layout(configuration, dimensions, number)


def test_the_nibbles_of_extended_status() -> None:
    channel = np.array([[1, 2, 3, 4]], np.uint8)
    octets = pack_status(channel, np.array([9], np.uint8))
    # Channel 1 under the common flags; then each even channel above the odd one after it.
    assert octets.tobytes().hex() == "912340"
    with pytest.raises(CodecError):
        pack_status(channel * 8, np.array([0], np.uint8))


@given(data=st.data(), channels=st.integers(1, 9))
def test_extended_status_round_trips(data: st.DataObject, channels: int) -> None:
    nibbles = st.lists(st.integers(0, 15), min_size=channels, max_size=channels)
    channel = np.array([data.draw(nibbles)], np.uint8)
    common = np.array([data.draw(st.integers(0, 15))], np.uint8)
    octets = pack_status(channel, common)
    assert octets.shape == (1, channels // 2 + 1)
    found = unpack_status(octets, channels)
    assert np.array_equal(found[0], channel)
    assert np.array_equal(found[1], common)


@given(octets=st.binary(min_size=2 * 81, max_size=2 * 81), valid=st.integers(0, 5))
def test_garbage_raises_codec_errors_only(octets: bytes, valid: int) -> None:
    layout: BlockLayout = block_layout(
        configuration_of(time_format=TimeFormat.BCD_FIELDS, number_format_1=NumberFormat.BCD4),
        dimensions_of(4, intervals=3),
    )
    size = layout.size
    rows = np.frombuffer(octets[:size].ljust(size, b"\0"), np.uint8).reshape(1, 1, size)
    try:
        layout.unpack(rows, valid)
    except CodecError:
        return
