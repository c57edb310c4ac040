"""Blocks of interval data (ST64 to ST67) of many meters at once, and back to register values.

Theory of operation: a block holds what each interval added to each register, and, where ST61 says
so, every register's value at the block's end. So the values at all interval ends follow exactly:
the end reading minus what came after. A channel that is not cumulative (a voltage) holds the value
itself. Everything is integers; what a format cannot hold exactly is refused, never rounded.

The block's octets are declared once, in `decade_6`; numpy rows come from lowering that declaration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.tables.configuration import Configuration
from protocols.c12.tables.decade_6 import (
    interval_control,
    interval_field,
    load_profile_block,
    load_profile_set,
)
from protocols.c12.tables.dimensions import Dimensions, IntervalFormat
from protocols.c12.tables.formats.field import Column, Field
from protocols.c12.tables.types import Types
from protocols.errors import CodecError, LocalProtocolError
from protocols.lowering import FixedLayout, lower_to_dtype

CODEC: Final = "interval blocks"
PULSES: Final = 1 << 32
INT64: Final = 1 << 63
FLOAT_MAX: Final = 2.0**53
"""Up to here every integer is a float64."""
Integers = NDArray[np.int64]
Octets = NDArray[np.uint8]


class ChannelStatus(IntEnum):
    """The nibble that the extended status has for each channel of an interval."""

    NONE = 0
    OVERFLOW = 1
    PARTIAL = 2
    LONG = 3
    SKIPPED = 4
    TEST_MODE = 5
    CONFIGURATION_CHANGED = 6
    STOPPED = 7


class CommonStatus(IntFlag):
    """The nibble that the extended status has for the interval as a whole."""

    DAYLIGHT_SAVING = 1
    POWER_FAIL = 2
    CLOCK_SET_FORWARD = 4
    CLOCK_SET_BACKWARD = 8


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """What m meters of one configuration recorded at n interval ends each.

    ``captured_at_s`` int64 (n,), or (m, n) where the meters differ: the ends, POSIX seconds UTC,
    ascending, one interval apart.
    ``values`` int64 (m, n, channels): registers at those ends, in units of the register.
    ``channel_status`` uint8 (m, n, channels): `ChannelStatus`; ``common_status`` uint8 (m, n).
    """

    captured_at_s: Integers
    values: Integers
    channel_status: Octets
    common_status: Octets

    @classmethod
    def good(cls, captured_at_s: Integers, values: Integers) -> Intervals:
        """Return intervals without any exception in their status."""
        status = np.zeros(values.shape, np.uint8)
        return cls(captured_at_s, values, status, np.zeros(values.shape[:2], np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class BlockLayout:
    """How one load profile set's blocks look: see `block_layout`.

    ``rows`` are the octets of a block; ``interval_s`` and ``intervals`` say what a block spans.
    ``scalars`` and ``divisors`` int64 (channels,); ``cumulative`` bool (channels,).
    """

    rows: FixedLayout
    time: Field
    reading: Field
    reading_unit: int
    interval: Field
    interval_unit: int
    interval_s: int
    intervals: int
    channels: int
    block_end_read: bool
    block_end_pulse: bool
    extended_status: bool
    simple_status: bool
    scalars: Integers
    divisors: Integers
    cumulative: NDArray[np.bool_]

    @property
    def size(self) -> int:
        """The octets of one block."""
        return self.rows.size

    def pack(self, intervals: Intervals, before: Integers) -> Octets:
        """Return blocks, oldest first, as uint8 (m, blocks, size); the last may be partial.

        The first interval opens the first block. ``before`` int64 (m, channels) holds the registers
        at its start. What a partial block has no data for is zeros.

        Raises:
            CodecError: times are not one interval apart, or a value does not fit its format.
        """
        meters, count, _ = intervals.values.shape
        times = intervals.captured_at_s
        if times.shape not in ((count,), (meters, count)):
            raise CodecError(f"{count} intervals with times {times.shape}", codec=CODEC)
        times = np.broadcast_to(times, (meters, count))
        if count == 0 or (np.diff(times) != self.interval_s).any():
            raise CodecError(f"times are not {self.interval_s} s apart", codec=CODEC)
        blocks = self.blocks(count)
        ends = np.minimum(np.arange(1, blocks + 1) * self.intervals, count) - 1
        columns: dict[str, Column] = {
            "end_time": self.time.to_wire(times[:, ends].reshape(-1)),
            "intervals": {"data": self._interval_data(intervals, before, blocks)},
        }
        last = intervals.values[:, ends].reshape(-1, self.channels)
        columns["end_readings"] = {
            "value": self.reading.to_wire(times_exactly(last, self.reading_unit)),
            "pulses": last % PULSES,
        }
        if self.extended_status:
            columns["intervals"]["status"] = self._status_octets(intervals, blocks)
        if self.simple_status:
            columns["simple_status"] = self._simple_status(intervals, blocks)
        return self.rows.encode(columns, meters * blocks).reshape(meters, blocks, self.size)

    def unpack(
        self, octets: Octets, valid_intervals: int, before: Integers | None = None
    ) -> Intervals:
        """Return what the blocks uint8 (m, blocks, size) hold, oldest first.

        ``valid_intervals`` counts those of the last block; the others are full. The meters' blocks
        end at the same times. ``before`` is needed where ST61 has no block end readings.

        Raises:
            CodecError: the times differ or overlap, or numbers are not whole.
            LocalProtocolError: no end readings and no ``before``.
        """
        found = self.unpack_each(octets, valid_intervals, before)
        if (found.captured_at_s != found.captured_at_s[0]).any():
            raise CodecError("blocks of the meters end at different times", codec=CODEC)
        return replace(found, captured_at_s=found.captured_at_s[0])

    def unpack_each(
        self, octets: Octets, valid_intervals: int, before: Integers | None = None
    ) -> Intervals:
        """Return the same as `unpack`, for meters whose times may differ: times (m, n)."""
        meters, blocks, _ = octets.shape
        rows = self.rows.decode(octets.tobytes(), meters * blocks)
        captured_at_s = self._times(rows["end_time"], meters, blocks, valid_intervals)
        count = captured_at_s.shape[1]
        shape = (meters, blocks, self.intervals, self.channels)
        increments = self._register_units(rows["intervals"]["data"]).reshape(shape)
        increments.reshape(meters, -1, self.channels)[:, count:] = 0
        values = self._values(rows, increments, before).reshape(meters, -1, self.channels)
        channel, common = self._statuses(rows, meters)
        return Intervals(captured_at_s, values[:, :count], channel[:, :count], common[:, :count])

    def blocks(self, count: int) -> int:
        """Return how many blocks ``count`` intervals take."""
        return -(-count // self.intervals)

    def _interval_data(self, intervals: Intervals, before: Integers, blocks: int) -> Column:
        values = intervals.values
        increments = np.diff(values, axis=1, prepend=np.asarray(before, np.int64)[:, None, :])
        wanted = np.where(self.cumulative, increments, values)
        scaled = times_exactly(wanted, self.scalars * self.interval_unit)
        data, rest = np.divmod(scaled, self.divisors)
        if rest.any():
            raise CodecError("an interval that the divisor does not divide", codec=CODEC)
        return self.interval.to_wire(self._padded(data, blocks))

    def _padded(self, data: NDArray[Any], blocks: int) -> NDArray[Any]:
        """Return (m, n, ...) as (m * blocks, intervals, ...), zeros after the last interval."""
        meters, count, *rest = data.shape
        full = np.zeros((meters, blocks * self.intervals, *rest), data.dtype)
        full[:, :count] = data
        return full.reshape(meters * blocks, self.intervals, *rest)

    def _status_octets(self, intervals: Intervals, blocks: int) -> Column:
        octets = pack_status(intervals.channel_status, intervals.common_status)
        padded = self._padded(octets, blocks)
        return padded.view(f"V{padded.shape[-1]}")[..., 0]

    def _simple_status(self, intervals: Intervals, blocks: int) -> Column:
        good = ~(intervals.channel_status.any(-1) | intervals.common_status.astype(bool))
        octets = np.packbits(self._padded(good, blocks), axis=-1, bitorder="little")
        return np.ascontiguousarray(octets).view(f"V{octets.shape[-1]}")[..., 0]

    def _times(self, column: Column, meters: int, blocks: int, valid: int) -> Integers:
        ends = self.time.to_values(column).reshape(meters, blocks)
        if not 1 <= valid <= self.intervals:
            raise CodecError(f"{valid} intervals in a block of {self.intervals}", codec=CODEC)
        lengths = np.full(blocks, self.intervals)
        lengths[-1] = valid
        # The end of an interval is as many intervals before its block's end as follow it.
        later = np.concatenate([np.arange(length)[::-1] for length in lengths])
        times = np.asarray(np.repeat(ends, lengths, axis=1) - later * self.interval_s, np.int64)
        if (np.diff(times) <= 0).any():
            raise CodecError("blocks that overlap in time", codec=CODEC)
        return times

    def _register_units(self, column: Column) -> Integers:
        """Return interval data as what registers count."""
        raw = whole_numbers(self.interval.to_values(column), self.interval_unit)
        values, rest = np.divmod(times_exactly(raw, self.divisors), self.scalars)
        if rest.any():
            raise CodecError("an interval that the scalar does not divide", codec=CODEC)
        return np.asarray(values)

    def _values(self, rows: Any, increments: Integers, before: Integers | None) -> Integers:  # noqa: ANN401 - structured array
        sums = np.cumsum(increments, axis=2)
        if self.block_end_read:
            ends = whole_numbers(
                self.reading.to_values(rows["end_readings"]["value"]), self.reading_unit
            )
        elif self.block_end_pulse:
            ends = rows["end_readings"]["pulses"].astype(np.int64)
        elif before is not None:
            # Each block starts where the one before it ended.
            totals = np.cumsum(sums[:, :, -1], axis=1)
            ends = np.asarray(before, np.int64)[:, None, :] + totals
        else:
            raise LocalProtocolError("without block end readings the registers' start is needed")
        ends = ends.reshape(*sums.shape[:2], 1, self.channels)
        return np.where(self.cumulative, ends - (sums[:, :, -1:] - sums), increments)

    def _statuses(self, rows: Any, meters: int) -> tuple[Octets, Octets]:  # noqa: ANN401 - structured array
        shape = (meters, -1, self.channels // 2 + 1)
        if not self.extended_status:
            count = len(rows) // meters * self.intervals
            zeros = np.zeros((meters, count, self.channels), np.uint8)
            return zeros, zeros[..., 0]
        octets = np.ascontiguousarray(rows["intervals"]["status"]).view(np.uint8).reshape(shape)
        return unpack_status(octets, self.channels)


def pack_status(channel: Octets, common: Octets) -> Octets:
    """Return the extended status, channels // 2 + 1 octets for each interval.

    The first octet has channel 1 in its low nibble and the common flags in its high one; each other
    octet has an odd channel low and the even channel before it high.
    """
    *outer, channels = channel.shape
    nibbles = np.zeros((*outer, channels // 2 + 1, 2), np.uint8)
    nibbles[..., : (channels + 1) // 2, 0] = channel[..., 0::2]
    nibbles[..., 0, 1] = common
    nibbles[..., 1:, 1] = channel[..., 1::2]
    if (nibbles > 15).any():
        raise CodecError("a status that is no nibble", codec=CODEC)
    return np.asarray(nibbles[..., 0] | nibbles[..., 1] << 4)


def unpack_status(octets: Octets, channels: int) -> tuple[Octets, Octets]:
    """Return the statuses of the channels, and of the intervals, out of the extended status."""
    channel = np.empty((*octets.shape[:-1], channels), np.uint8)
    channel[..., 0::2] = (octets & 15)[..., : (channels + 1) // 2]
    channel[..., 1::2] = octets[..., 1:] >> 4
    return channel, np.asarray(octets[..., 0] >> 4, np.uint8)


@lru_cache(maxsize=256)
def block_layout(
    configuration: Configuration,
    dimensions: Dimensions,
    number: int = 1,
    cumulative: tuple[bool, ...] | None = None,
) -> BlockLayout:
    """Return the layout of load profile set ``number``; ``cumulative`` says which channels are.

    By default all channels are cumulative.

    Raises:
        LocalProtocolError: ST61 or ST62 lack the set, or the device has no clock.
        CodecError: a count, scalar or divisor of zero, or more values than a table has room for.
    """
    types = Types(configuration, columns=True)
    one, control = load_profile_set(dimensions, number), interval_control(dimensions, number)
    time, profile = types.stime_field(), dimensions.load_profile
    if time is None or profile is None:
        raise LocalProtocolError("a load profile needs a clock")
    ones = (1,) * one.channels
    if 0 in control.scalars + control.divisors or 0 in (one.channels, one.intervals):
        raise CodecError("a scalar, divisor or count of zero", codec=CODEC)
    return BlockLayout(
        rows=lower_to_dtype(load_profile_block(types, dimensions, number), CODEC),
        time=time,
        reading=types.number_1_field(),
        reading_unit=configuration.number_format_1.unit,
        interval=interval_field(types, control),
        interval_unit=_interval_unit(configuration, control.interval_format),
        interval_s=one.interval_min * 60,
        intervals=one.intervals,
        channels=one.channels,
        block_end_read=profile.block_end_read,
        block_end_pulse=profile.block_end_pulse,
        extended_status=profile.extended_status,
        simple_status=profile.simple_status,
        scalars=np.array(control.scalars or ones, np.int64),
        divisors=np.array(control.divisors or ones, np.int64),
        cumulative=np.array(cumulative or (True,) * one.channels, np.bool_),
    )


def _interval_unit(configuration: Configuration, chosen: IntervalFormat) -> int:
    if chosen is IntervalFormat.NUMBER_1:
        return configuration.number_format_1.unit
    if chosen is IntervalFormat.NUMBER_2:
        return configuration.number_format_2.unit
    return 1


def times_exactly(values: Integers, factors: Integers | int) -> Integers:
    """Return the products; raises `CodecError` where numpy would wrap round."""
    largest = max(-int(values.min()), int(values.max())) if values.size else 0
    if largest * int(np.max(factors)) >= INT64:
        raise CodecError("numbers beyond 63 bits", codec=CODEC)
    return np.asarray(values * factors)


def whole_numbers(values: NDArray[Any], unit: int) -> Integers:
    """Return numbers, in parts of ``unit``, as integers; refuse fractions with `CodecError`."""
    # Not-a-number compares as false.
    if values.dtype.kind == "f" and not (np.abs(values) < FLOAT_MAX).all():
        raise CodecError("a number beyond exact integers", codec=CODEC)
    if values.dtype.kind == "f" and (np.floor(values) != values).any():
        raise CodecError("a number that is not whole", codec=CODEC)
    whole, rest = np.divmod(values.astype(np.int64), unit)
    if rest.any():
        raise CodecError("a number that is not whole", codec=CODEC)
    return whole
