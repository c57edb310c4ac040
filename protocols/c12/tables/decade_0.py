"""Decade 0, general configuration: ST1, ST3, ST5, ST6, ST7 and ST8 (ST0 is in `configuration`)."""

from __future__ import annotations

from typing import Final

from construct import GreedyBytes

from protocols.c12.tables.dimensions import Dimensions
from protocols.c12.tables.formats.bits import Bits
from protocols.c12.tables.formats.field import Declaration
from protocols.c12.tables.record import record
from protocols.c12.tables.status import MODES, STANDARD_STATUS
from protocols.c12.tables.types import Types

TABLE_IDENTIFIER_B: Final[dict[str, Bits]] = {
    "number": (0, 10),
    "manufacturer": 11,
    "selector": (12, 15),
}
"""TABLE_IDB_BFLD: a procedure or an event, standard or the manufacturer's, and a selector."""


def general_manufacturer_identification(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST1."""
    return record(
        "manufacturer" / types.text(4),
        "model" / types.text(8),
        "hardware_version" / types.uint8,
        "hardware_revision" / types.uint8,
        "firmware_version" / types.uint8,
        "firmware_revision" / types.uint8,
        "serial_number" / types.identifier(16),
    )


def mode_and_status(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST3, the end device mode and status."""
    return record(
        "mode" / types.bit_field(1, MODES),
        "standard_status_1" / types.bit_field(2, STANDARD_STATUS),
        "standard_status_2" / types.uint8,
        "manufacturer_status" / types.octets(types.configuration.manufacturer_status_size),
    )


def device_identification(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST5."""
    return record("identification" / types.identifier(20))


def utility_information(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST6. A choice: the five identifiers follow ID_FORM, the names do not."""
    return record(
        "owner_name" / types.text(20),
        "utility_division" / types.text(20),
        "service_point" / types.identifier(20),
        "electrical_address" / types.identifier(20),
        "device" / types.identifier(20),
        "utility_serial_number" / types.identifier(20),
        "customer" / types.identifier(20),
        "coordinate_1" / types.octets(10),
        "coordinate_2" / types.octets(10),
        "coordinate_3" / types.octets(10),
        "tariff" / types.text(8),
        "software_1_vendor" / types.text(4),
        "software_1_version" / types.uint8,
        "software_1_revision" / types.uint8,
        "software_2_vendor" / types.text(4),
        "software_2_version" / types.uint8,
        "software_2_revision" / types.uint8,
        "programmer_name" / types.text(10),
        "miscellaneous" / types.text(30),
    )


def procedure_initiate(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST7: writing it runs a procedure."""
    return record(
        "procedure" / types.bit_field(2, TABLE_IDENTIFIER_B),
        "sequence" / types.uint8,
        "parameters" / GreedyBytes,
    )


def procedure_response(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST8: what came of the procedure."""
    return record(
        "procedure" / types.bit_field(2, TABLE_IDENTIFIER_B),
        "sequence" / types.uint8,
        "result" / types.uint8,
        "data" / GreedyBytes,
    )
