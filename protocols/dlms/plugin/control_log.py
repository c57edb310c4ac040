"""A meter's control log: a profile with one row for every command that the meter carried out.

Columns: time, event code (unsigned), parameter (long64), invocation counter of the request
(double-long-unsigned, 0 where it had none). With the counter a head-end that lost an answer finds
out whether its command was executed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from protocols.dlms.axdr import decode_data
from protocols.dlms.clock import decode_date_time, encode_date_time
from protocols.dlms.cosem.profile import CaptureObject, Row
from protocols.dlms.data import Data, DataType, double_long_unsigned, octet_string, unsigned
from protocols.dlms.plugin.addresses import (
    CLOCK,
    EVENT_CODE,
    EVENT_PARAMETER,
    INVOCATION_COUNTER,
)
from protocols.errors import CodecError
from protocols.plugin import Command, CommandKind, Execution

CODES: Final = {
    CommandKind.DISCONNECT: 1,
    CommandKind.RECONNECT: 2,
    CommandKind.SEGMENT: 3,
    CommandKind.TARIFF: 4,
    CommandKind.TIME: 5,
}
KINDS: Final = {code: kind for kind, code in CODES.items()}
COLUMNS: Final = (
    CaptureObject(8, CLOCK, 2),
    CaptureObject(1, EVENT_CODE, 2),
    CaptureObject(1, EVENT_PARAMETER, 2),
    CaptureObject(1, INVOCATION_COUNTER, 2),
)


def log_rows(executions: Sequence[Execution]) -> list[Row]:
    """Return executions as rows."""
    return [
        (
            octet_string(encode_date_time(execution.at_s)),
            unsigned(CODES[execution.command.kind]),
            Data(DataType.LONG64, execution.command.parameter),
            double_long_unsigned(execution.counter),
        )
        for execution in executions
    ]


def read_log_rows(octets: bytes) -> tuple[Execution, ...]:
    """Return the executions in an encoded buffer; raises `CodecError` when it is no control log."""
    rows = decode_data(octets)
    if rows.type is not DataType.ARRAY or not isinstance(rows.value, tuple):
        raise CodecError("not an array", codec="control log", path="buffer")
    return tuple(_execution(row) for row in rows.value)


def _execution(row: Data) -> Execution:
    match row:
        case Data(
            DataType.STRUCTURE,
            (
                Data(DataType.OCTET_STRING, bytes(at)),
                Data(DataType.UNSIGNED, int(code)),
                Data(DataType.LONG64, int(parameter)),
                Data(DataType.DOUBLE_LONG_UNSIGNED, int(counter)),
            ),
        ) if code in KINDS:
            at_s = math.floor(decode_date_time(at))
            return Execution(Command(KINDS[code], parameter), at_s, counter)
    raise CodecError("not a row of a control log", codec="control log", path="row")
