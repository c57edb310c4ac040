"""Commanding a meter from the head-end's side: ST7 to write, ST8 and the control log to read."""

from __future__ import annotations

from typing import Any, Final

from protocols.c12.meter.procedures import CLOSED, INITIATE, OPEN, RESPONSE
from protocols.c12.meter.schema import CONTROL_LOG, SET_TARIFF, MeterSchema
from protocols.c12.meter.tables import COMMAND_CODES
from protocols.c12.tables.configuration import MANUFACTURER_BASE
from protocols.c12.tables.procedures import ProcedureResult, encode_parameters
from protocols.errors import CodecError
from protocols.plugin import Command, CommandKind, Execution

SET_DATE_TIME: Final = 10
DIRECT_LOAD_CONTROL: Final = 21
_KINDS: Final = {code: kind for kind, code in COMMAND_CODES.items()}


def command_procedure(schema: MeterSchema, command: Command, sequence: int) -> bytes:
    """Return what to write to ST7, whole, for a command; ``sequence`` (u8) comes back in ST8.

    Raises:
        CodecError: a parameter that does not fit.
    """
    number, parameters = _procedure(schema, command)
    manufacturer = number >= MANUFACTURER_BASE
    procedure = {"number": number % MANUFACTURER_BASE, "manufacturer": manufacturer}
    values = {"procedure": procedure, "sequence": sequence, "parameters": parameters}
    return schema.encode(INITIATE, values)


def decode_outcome(schema: MeterSchema, initiated: bytes, data: bytes) -> ProcedureResult | None:
    """Return the result in ST8 of what was written to ST7; ``None``: it is another one's.

    Raises:
        CodecError: not a table 8, or a result that is not known.
    """
    request, response = schema.decode(INITIATE, initiated), schema.decode(RESPONSE, data)
    if any(request[name] != response[name] for name in ("procedure", "sequence")):
        return None
    try:
        return ProcedureResult(response["result"])
    except ValueError as exc:
        raise CodecError(str(exc), codec="ST8", path="result") from exc


def decode_control_log(schema: MeterSchema, data: bytes) -> tuple[Execution, ...]:
    """Return what the control log tells, oldest first. Raises `CodecError`."""
    return tuple(_execution(entry) for entry in schema.decode(CONTROL_LOG, data)["entries"])


def _procedure(schema: MeterSchema, command: Command) -> tuple[int, bytes]:
    match command.kind:
        case CommandKind.DISCONNECT:
            return DIRECT_LOAD_CONTROL, bytes((0, OPEN))
        case CommandKind.RECONNECT:
            return DIRECT_LOAD_CONTROL, bytes((0, CLOSED))
        case CommandKind.SEGMENT:
            level = CLOSED if command.parameter & 1 else OPEN
            return DIRECT_LOAD_CONTROL, _octets(command.parameter >> 1, level)
        case CommandKind.TARIFF:
            return SET_TARIFF, _octets(command.parameter)
        case CommandKind.TIME:
            values: dict[str, Any] = {
                "mask": {"set_time": True, "set_date": True},
                "clock": command.parameter,
                "qualifier": {"day_of_week": 7, "universal_time": True},
            }
            configuration = schema.configuration
            return SET_DATE_TIME, encode_parameters(SET_DATE_TIME, values, configuration)


def _octets(*numbers: int) -> bytes:
    try:
        return bytes(numbers)
    except ValueError as exc:
        raise CodecError(str(exc), codec="ST7", path="parameters") from exc


def _execution(entry: dict[str, Any]) -> Execution:
    kind = _KINDS.get(entry["kind"])
    if kind is None:
        raise CodecError(f"kind {entry['kind']}", codec="control log", path="kind")
    return Execution(Command(kind, entry["parameter"]), entry["time"], entry["counter"])
