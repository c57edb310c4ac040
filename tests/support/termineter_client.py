"""Read a C12.18 meter with termineter, an independent client, and print what it said as JSON.

Run as a process of its own: termineter blocks, and a wrong answer may keep it waiting for ever. The
first argument is what pyserial opens (``socket://...`` or a terminal), the others are done one
after the other, and the printed list has an entry for each::

    start                               identify and negotiate
    login:USER_ID:USER:PASSWORD         password in hexadecimal, empty for none
    read:TABLE                          the table, in hexadecimal
    read:TABLE:OFFSET:COUNT             part of it
    write:TABLE:OCTETS                  octets in hexadecimal
    write:TABLE:OCTETS:OFFSET
    procedure:NUMBER:PARAMETERS         [result code, response data]
    manufacturer:NUMBER:PARAMETERS      the same for a manufacturer procedure
    general                             what `C1219GeneralAccess` makes of decade 0
    set-device-id:NAME                  through `C1219GeneralAccess`; 0 when it was taken
    log                                 what `C1219LogAccess` makes of the history log
    logoff
    stop

What fails is ``{"error": name, "code": response code or null}``, and the next one is done.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Final

from c1218.connection import Connection
from c1218.errors import C1218NegotiateError, C1218ReadTableError, C1218WriteTableError
from c1219.access.general import C1219GeneralAccess
from c1219.access.log import C1219LogAccess
from c1219.errors import C1219ParseError, C1219ProcedureError

GENERAL: Final = (
    "char_format",
    "nameplate_type",
    "std_tbls_used",
    "std_proc_used",
    "manufacturer",
    "ed_model",
    "mfg_serial_no",
    "ed_mode",
    "std_status",
    "device_id",
)
ERRORS: Final = (
    C1218NegotiateError,
    C1218ReadTableError,
    C1218WriteTableError,
    C1219ParseError,
    C1219ProcedureError,
)
SERIAL: Final = {
    "parity": "N",
    "baudrate": 9600,
    "bytesize": 8,
    "xonxoff": False,
    "interCharTimeout": None,
    "rtscts": False,
    "timeout": 5,
    "stopbits": 1,
    "dsrdtr": False,
    "writeTimeout": None,
}


def read(connection: Connection, table: str, *part: str) -> str:
    offset, count = map(int, part) if part else (None, None)
    octets: bytes = connection.get_table_data(int(table), octetcount=count, offset=offset)
    return octets.hex()


def write(connection: Connection, table: str, octets: str, *offset: str) -> None:
    at = int(offset[0]) if offset else None
    connection.set_table_data(int(table), bytes.fromhex(octets), offset=at)


def procedure(
    connection: Connection, number: str, parameters: str, *, manufacturer: bool = False
) -> list[Any]:
    code, data = connection.run_procedure(int(number), manufacturer, bytes.fromhex(parameters))
    return [code, data.hex()]


def login(connection: Connection, user_id: str, user: str, password: str) -> bool:
    done: bool = connection.login(user, int(user_id), bytes.fromhex(password) or None)
    return done


def general(connection: Connection) -> dict[str, Any]:
    access = C1219GeneralAccess(connection)
    return {name: getattr(access, name) for name in GENERAL}


def set_device_id(connection: Connection, name: str) -> int:
    done: int = C1219GeneralAccess(connection).set_device_id(name)
    return done


def log(connection: Connection) -> dict[str, Any]:
    access = C1219LogAccess(connection)
    entries = [
        {**entry, "Arguments": entry["Arguments"].hex(), "Time": str(entry.get("Time"))}
        for entry in access.logs
    ]
    return {"history_entries": access.nbr_history_entries, "entries": entries}


DOES: Final[dict[str, Callable[..., Any]]] = {
    "start": Connection.start,
    "login": login,
    "read": read,
    "write": write,
    "procedure": procedure,
    "manufacturer": lambda *words: procedure(*words, manufacturer=True),
    "general": general,
    "set-device-id": set_device_id,
    "log": log,
    "logoff": Connection.logoff,
    "stop": Connection.stop,
}


def do(connection: Connection, order: str) -> Any:
    name, *words = order.split(":")
    try:
        return DOES[name](connection, *words)
    except ERRORS as error:
        return {"error": type(error).__name__, "code": getattr(error, "code", None)}


def main() -> None:
    url, *orders = sys.argv[1:]
    connection = Connection(url, serial_settings=SERIAL, enable_cache=False)
    json.dump([do(connection, order) for order in orders], sys.stdout)
    connection.serial_h.close()


if __name__ == "__main__":
    main()
