"""The standard procedures 0 to 32, run by writing ST7 and answered in ST8.

Names as termineter's constants list them. Parameters and response data are declared for the
procedures that a meter of this project runs; ``None`` leaves the octets as they are. The facts do
not give those layouts: those of procedures 4, 5, 6, 9 and 10 are a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from protocols.c12.tables.configuration import MANUFACTURER_BASE, Configuration
from protocols.c12.tables.decade_5 import QUALIFIER
from protocols.c12.tables.formats.bits import Bits
from protocols.c12.tables.formats.field import Declaration
from protocols.c12.tables.record import present, record
from protocols.c12.tables.types import Types
from protocols.errors import CodecError, LocalProtocolError
from protocols.lowering import lower

Layout: TypeAlias = "Callable[[Types], Declaration] | None"


class ProcedureResult(IntEnum):
    """RESULT_CODE of ST8."""

    COMPLETED = 0
    ACCEPTED = 1
    INVALID_PARAMETER = 2
    CONFLICT = 3
    TIMING_CONSTRAINT = 4
    NO_AUTHORIZATION = 5
    UNRECOGNIZED = 6


class ResponseSelector(IntEnum):
    """SELECTOR of ST7: when ST8 gets an answer."""

    ON_COMPLETION = 0
    ON_EXCEPTION = 1
    NEVER = 2
    IMMEDIATELY_AND_ON_COMPLETION = 3


@dataclass(frozen=True, slots=True)
class Procedure:
    """One standard procedure; ``parameters`` and ``response`` declare its octets."""

    number: int
    name: str
    parameters: Layout = None
    response: Layout = None


def _nothing(_types: Types) -> Declaration:
    return record()


def _list(types: Types) -> Declaration:
    return record("list" / types.uint8)


def _list_and_entries(types: Types) -> Declaration:
    return record("list" / types.uint8, "entries" / types.uint16)


def _mode(types: Types) -> Declaration:
    return record("mode" / types.uint8)


def _remote_reset(types: Types) -> Declaration:
    actions: dict[str, Bits] = {
        "demand_reset": 0,
        "self_read": 1,
        "season_change": 2,
        "new_season": (3, 6),
    }
    return record("actions" / types.bit_field(1, actions))


def _set_date_time(types: Types) -> Declaration:
    mask = types.bit_field(1, {"set_time": 0, "set_date": 1, "set_qualifier": 2})
    return record(
        "mask" / mask,
        present(True, "clock", types.ltime),
        "qualifier" / types.bit_field(1, QUALIFIER),
    )


def _old_and_new_time(types: Types) -> Declaration:
    return record(present(True, "before", types.ltime), present(True, "after", types.ltime))


_PROCEDURES: Final = (
    Procedure(0, "Cold start", _nothing, _nothing),
    Procedure(1, "Warm start", _nothing, _nothing),
    Procedure(2, "Save configuration", _nothing, _nothing),
    Procedure(3, "Clear data", _nothing, _nothing),
    Procedure(4, "Reset list pointers", _list, _nothing),
    Procedure(5, "Update last read entry", _list_and_entries, _nothing),
    Procedure(6, "Change end device mode", _mode, _nothing),
    Procedure(7, "Clear standard status flags", _nothing, _nothing),
    Procedure(8, "Clear manufacturer flags", _nothing, _nothing),
    Procedure(9, "Remote reset", _remote_reset, _remote_reset),
    Procedure(10, "Set date and/or time", _set_date_time, _old_and_new_time),
    Procedure(11, "Execute diagnostics procedure"),
    Procedure(12, "Activate all pending tables", _nothing, _nothing),
    Procedure(13, "Activate specific pending tables"),
    Procedure(14, "Clear all pending tables", _nothing, _nothing),
    Procedure(15, "Clear specific pending tables"),
    Procedure(16, "Start load profile", _nothing, _nothing),
    Procedure(17, "Stop load profile", _nothing, _nothing),
    Procedure(18, "Log in"),
    Procedure(19, "Log out", _nothing, _nothing),
    Procedure(20, "Initiate an immediate call"),
    Procedure(21, "Direct load control"),
    Procedure(22, "Modify credit"),
    Procedure(27, "Clear pending call status"),
    Procedure(28, "Start quality of service monitors"),
    Procedure(29, "Stop quality of service monitors"),
    Procedure(30, "Start secured registers"),
    Procedure(31, "Stop secured registers"),
    Procedure(32, "Set precision date and/or time"),
)

PROCEDURES: Final = MappingProxyType({one.number: one for one in _PROCEDURES})
"""The standard procedures by number; 23 to 26 have no name in the public sources."""


def decode_parameters(number: int, data: bytes, configuration: Configuration) -> dict[str, Any]:
    """Return the parameters of a standard procedure; ``{"octets": data}`` if not declared.

    Raises `CodecError` when the octets do not fit.
    """
    return _decode(_layout(number, "parameters"), data, configuration, number)


def encode_parameters(
    number: int, values: Mapping[str, Any], configuration: Configuration
) -> bytes:
    """Return the octets of parameters. Raises `CodecError`."""
    return _encode(_layout(number, "parameters"), values, configuration, number)


def decode_response(number: int, data: bytes, configuration: Configuration) -> dict[str, Any]:
    """Return the response data of a standard procedure, as `decode_parameters` does."""
    return _decode(_layout(number, "response"), data, configuration, number)


def encode_response(number: int, values: Mapping[str, Any], configuration: Configuration) -> bytes:
    """Return the octets of response data. Raises `CodecError`."""
    return _encode(_layout(number, "response"), values, configuration, number)


def procedure_name(number: int) -> str:
    """Return the name of procedure ``number``; 2048 + n is the manufacturer's."""
    if number >= MANUFACTURER_BASE:
        return f"Manufacturer procedure {number - MANUFACTURER_BASE}"
    known = PROCEDURES.get(number)
    return f"Standard procedure {number}" if known is None else known.name


def _layout(number: int, which: str) -> Layout:
    if not 0 <= number < MANUFACTURER_BASE:
        raise LocalProtocolError(f"{number} is no standard procedure")
    layout: Layout = getattr(PROCEDURES.get(number), which, None)
    return layout


def _decode(
    layout: Layout, data: bytes, configuration: Configuration, number: int
) -> dict[str, Any]:
    if layout is None:
        return {"octets": bytes(data)}
    codec = lower(layout(Types(configuration)), f"procedure {number}")
    values, end = codec.parse_from(data)
    if end != len(data):
        raise CodecError(f"{len(data) - end} octets left over", codec=codec.name)
    parsed: dict[str, Any] = values
    return parsed


def _encode(
    layout: Layout, values: Mapping[str, Any], configuration: Configuration, number: int
) -> bytes:
    if layout is None:
        return bytes(values["octets"])
    return lower(layout(Types(configuration)), f"procedure {number}").build(values)
