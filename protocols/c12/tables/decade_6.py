"""Decade 6, load profile: ST61 to ST67."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from protocols.c12.tables.dimensions import (
    INTERVAL_FORMATS,
    LOAD_PROFILE_FLAGS,
    LOAD_PROFILE_TABLES,
    ChannelSource,
    Dimensions,
    IntervalFormat,
    LoadProfile,
    LoadProfileControl,
    LoadProfileSet,
)
from protocols.c12.tables.formats.bits import Bits
from protocols.c12.tables.formats.field import Declaration, Field
from protocols.c12.tables.record import absent, present, record
from protocols.c12.tables.types import Types
from protocols.errors import CodecError, LocalProtocolError

VALUES_MAX: Final = 1 << 24
"""Interval data of one set: a peer's ST61 must not choose how much work we do."""
LIST_STATUS: Final[dict[str, Bits]] = {
    "descending": 0,
    "overflow": 1,
    "circular": 2,
    "inhibit_overflow": 3,
    "intervals_descending": 4,
    "active": 5,
    "test_mode": 6,
}
"""LP_SET_STATUS: the order of the blocks, whether they are a circular list, and the set's state."""


def actual_load_profile(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST61: a set for each of the tables 64 to 67 that ST0 has."""
    one = record(
        "blocks" / types.uint16,
        "intervals" / types.uint16,
        "channels" / types.uint8,
        "interval_min" / types.uint8,
    )
    uses = types.configuration.uses_table
    return record(
        "memory_octets" / types.uint32,
        "flags" / types.bit_field(2, LOAD_PROFILE_FLAGS),
        "formats" / types.bit_field(1, INTERVAL_FORMATS),
        *(present(uses(n), f"set_{n - 63}", one) for n in LOAD_PROFILE_TABLES),
    )


def load_profile_control(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST62: per set its channels' sources, its interval format, scalars and divisors."""
    profile = _profile(dimensions)
    members: list[Declaration] = []
    for number, one in enumerate(profile.sets, 1):
        scaled = one is not None and number in profile.scalars_and_divisors
        channels = 0 if one is None else one.channels
        sources = types.array(channels, _channel_source(types))
        factors = types.array(channels, types.uint16)
        members += [
            present(one, f"channels_{number}", sources),
            present(one, f"interval_format_{number}", types.uint8),
            present(scaled, f"scalars_{number}", factors),
            present(scaled, f"divisors_{number}", factors),
        ]
    return record(*members)


def load_profile_status(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST63: per set where its newest block is, and what has not been read."""
    one = record(
        "flags" / types.bit_field(1, LIST_STATUS),
        "valid_blocks" / types.uint16,
        "last_block_element" / types.uint16,
        "last_block_sequence" / types.uint32,
        "unread_blocks" / types.uint16,
        "valid_intervals" / types.uint16,
    )
    uses = types.configuration.uses_table
    return record(*(present(uses(n), f"set_{n - 63}", one) for n in LOAD_PROFILE_TABLES))


def load_profile_data(number: int) -> Callable[[Types, Dimensions], Declaration]:
    """Return what declares the data of set ``number``, table 63 + ``number``."""

    def declare(types: Types, dimensions: Dimensions) -> Declaration:
        one = load_profile_set(dimensions, number)
        return record(
            "blocks" / types.array(one.blocks, load_profile_block(types, dimensions, number))
        )

    return declare


def load_profile_block(types: Types, dimensions: Dimensions, number: int = 1) -> Declaration:
    """Declare one block of set ``number``: its end time, end readings and intervals."""
    profile, one = _profile(dimensions), load_profile_set(dimensions, number)
    control = interval_control(dimensions, number)
    readings = record(
        present(profile.block_end_read, "value", types.number_1),
        present(profile.block_end_pulse, "pulses", types.uint32),
    )
    has_readings = profile.block_end_read or profile.block_end_pulse
    interval = record(
        present(profile.extended_status, "status", types.octets(one.channels // 2 + 1)),
        "data" / types.array(one.channels, types.dressed(interval_field(types, control))),
    )
    return record(
        present(True, "end_time", types.stime),
        "end_readings" / types.array(one.channels, readings) if has_readings else absent(),
        present(profile.simple_status, "simple_status", types.bit_set((one.intervals + 7) // 8)),
        "intervals" / types.array(one.intervals, interval),
    )


def interval_field(types: Types, control: LoadProfileControl) -> Field:
    """Return the type of interval data that ST62 chose."""
    match control.interval_format:
        case IntervalFormat.NUMBER_1:
            return types.number_1_field()
        case IntervalFormat.NUMBER_2:
            return types.number_2_field()
        case IntervalFormat.UINT8 | IntervalFormat.UINT16 | IntervalFormat.UINT32:
            return types.unsigned_field(int(control.interval_format))
    return types.integer_field(int(control.interval_format) // 8)


def load_profile_set(dimensions: Dimensions, number: int) -> LoadProfileSet:
    """Return what ST61 says of set ``number``.

    Raises `LocalProtocolError` if it says nothing, `CodecError` for what no table has room for.
    """
    one = _profile(dimensions).sets[number - 1]
    if one is None:
        raise LocalProtocolError(f"there is no load profile set {number}")
    if one.blocks * one.intervals * max(one.channels, 1) > VALUES_MAX:
        raise CodecError(f"more than {VALUES_MAX} values in set {number}", codec="ST61")
    return one


def interval_control(dimensions: Dimensions, number: int) -> LoadProfileControl:
    """Return what ST62 says of set ``number``; raises `LocalProtocolError` if nothing."""
    control = dimensions.load_profile_controls[number - 1]
    if control is None:
        raise LocalProtocolError(f"the interval format of set {number} (ST62) is not known")
    return control


def control_values(dimensions: Dimensions) -> dict[str, Any]:
    """Return the values that build ST62."""
    values: dict[str, Any] = {}
    for number, control in enumerate(dimensions.load_profile_controls, 1):
        if control is None:
            continue
        values[f"channels_{number}"] = [
            {
                "flags": {"end_reading": channel.end_reading},
                "source": channel.source,
                "end_reading_source": channel.end_reading_source,
            }
            for channel in control.channels
        ]
        values[f"interval_format_{number}"] = int(control.interval_format)
        values[f"scalars_{number}"] = list(control.scalars)
        values[f"divisors_{number}"] = list(control.divisors)
    return values


def controls_of(values: Mapping[str, Any]) -> tuple[LoadProfileControl | None, ...]:
    """Return the four sets of a parsed ST62; raises `ValueError` for an unknown format."""
    return tuple(
        _control(values, number) if f"channels_{number}" in values else None
        for number in range(1, 5)
    )


def _control(values: Mapping[str, Any], number: int) -> LoadProfileControl:
    return LoadProfileControl(
        channels=tuple(
            ChannelSource(
                channel["source"], channel["flags"]["end_reading"], channel["end_reading_source"]
            )
            for channel in values[f"channels_{number}"]
        ),
        interval_format=IntervalFormat(values[f"interval_format_{number}"]),
        scalars=tuple(values.get(f"scalars_{number}", ())),
        divisors=tuple(values.get(f"divisors_{number}", ())),
    )


def _channel_source(types: Types) -> Declaration:
    return record(
        "flags" / types.bit_field(1, {"end_reading": 0}),
        "source" / types.uint8,
        "end_reading_source" / types.uint8,
    )


def _profile(dimensions: Dimensions) -> LoadProfile:
    if dimensions.load_profile is None:
        raise LocalProtocolError("the sizes of decade 6 (ST61) are not known")
    return dimensions.load_profile
