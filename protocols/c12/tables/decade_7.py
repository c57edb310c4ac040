"""Decade 7, logs: ST71 to ST76."""

from __future__ import annotations

from typing import Final

from protocols.c12.tables.decade_0 import TABLE_IDENTIFIER_B
from protocols.c12.tables.dimensions import LOG_FLAGS, Dimensions, Log
from protocols.c12.tables.formats.bits import Bits
from protocols.c12.tables.formats.field import Declaration
from protocols.c12.tables.record import present, record
from protocols.c12.tables.types import Types
from protocols.errors import LocalProtocolError

LIST_STATUS: Final[dict[str, Bits]] = {
    "descending": 0,
    "overflow": 1,
    "circular": 2,
    "inhibit_overflow": 3,
}
"""LIST_STATUS: the order of the entries, and whether they are a circular list."""


def actual_log(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST71; its last two fields exist from standard version 2 on (as termineter reads)."""
    extended = types.configuration.standard_version > 1
    return record(
        "flags" / types.bit_field(1, LOG_FLAGS),
        "standard_event_octets" / types.uint8,
        "manufacturer_event_octets" / types.uint8,
        "history_argument_size" / types.uint8,
        "event_argument_size" / types.uint8,
        "history_entries" / types.uint16,
        "event_entries" / types.uint16,
        present(extended, "extended_flags", types.uint8),
        present(extended, "program_tables", types.uint16),
    )


def events_supported(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST72: the events that the device can log."""
    log = _log(dimensions)
    return record(
        "standard_events" / types.bit_set(log.standard_event_octets),
        "manufacturer_events" / types.bit_set(log.manufacturer_event_octets),
    )


def log_control(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST73 and ST75: what the device does log.

    ST75 was not seen in the facts; the choice is the layout of ST73.
    """
    log = _log(dimensions)
    tables, manufacturer_tables, procedures, manufacturer_procedures = (
        types.configuration.dimensions_of_sets
    )
    return record(
        "standard_events" / types.bit_set(log.standard_event_octets),
        "manufacturer_events" / types.bit_set(log.manufacturer_event_octets),
        "standard_tables" / types.bit_set(tables),
        "manufacturer_tables" / types.bit_set(manufacturer_tables),
        "standard_procedures" / types.bit_set(procedures),
        "manufacturer_procedures" / types.bit_set(manufacturer_procedures),
    )


def history_log(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST74: a header, then every entry that there is room for."""
    log = _log(dimensions)
    entry = record(
        present(log.history_date_time, "time", types.ltime),
        present(log.event_number, "event_number", types.uint16),
        present(log.history_sequence, "sequence", types.uint16),
        "user" / types.uint16,
        "event" / types.bit_field(2, TABLE_IDENTIFIER_B),
        "argument" / types.octets(log.history_argument_size),
    )
    return _log_data(types, entry, log.history_entries)


def event_log(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST76. Unlike the history, entries always have a time and a sequence number."""
    log = _log(dimensions)
    entry = record(
        present(True, "time", types.ltime),
        present(log.event_number, "event_number", types.uint16),
        "sequence" / types.uint16,
        "user" / types.uint16,
        "event" / types.bit_field(2, TABLE_IDENTIFIER_B),
        "argument" / types.octets(log.event_argument_size),
    )
    return _log_data(types, entry, log.event_entries)


def _log_data(types: Types, entry: Declaration, count: int) -> Declaration:
    return record(
        "flags" / types.bit_field(1, LIST_STATUS),
        "valid_entries" / types.uint16,
        "last_entry_element" / types.uint16,
        "last_entry_sequence" / types.uint32,
        "unread_entries" / types.uint16,
        "entries" / types.array(count, entry),
    )


def _log(dimensions: Dimensions) -> Log:
    if dimensions.log is None:
        raise LocalProtocolError("the sizes of decade 7 (ST71) are not known")
    return dimensions.log
