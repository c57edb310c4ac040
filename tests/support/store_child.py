"""A writer that is killed: puts numbered batches and says after each that it is durable.

Run as ``python -m tests.support.store_child ADDRESS [POINT PUT]``: with a point, the process kills
itself with SIGKILL at that point of that put.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

from harness.store import duckdb_store, duckdb_tables
from harness.store.interface import PutResult, Store
from harness.store.opening import open_store
from harness.store.rows import Rows, Via
from harness.store.schema import Table
from harness.store.seen import Seen
from tests.support.stores import (
    REGISTERS,
    Alarm,
    Change,
    Reading,
    alarms_of,
    registered,
    registrations_of,
    rows_of,
)

PUTS: Final = 12
METERS: Final = 500
TITLE: Final = b"MSC\x00\x00\x00\x00\x01"

POINTS: Final[dict[str, tuple[Any, str, str, bool]]] = {
    # name: owner, function, of which table, whether it has run when the kill comes
    "received": (Seen, "first_arrivals", "", False),
    "rows written": (duckdb_tables, "_append", "readings", True),
    "conflicts written": (duckdb_tables, "_keep_conflicts", "readings", True),
    "alarms written": (duckdb_tables, "_append", "alarms", True),
    "alarm conflicts written": (duckdb_tables, "_keep_conflicts", "alarms", True),
    "counters written": (duckdb_store, "append_counters", "", True),
    "committed": (Seen, "add", "", False),
    "noted": (Seen, "add", "", True),
}


def readings_of_put(number: int) -> list[Reading]:
    """Return the batch: new readings, repeats of the put before, and one conflict with it."""
    new = [(m, 1, 900 * (number + 1), 0, (number, m), int(Via.PUSH)) for m in range(METERS)]
    if not number:
        return list(new)
    repeats = [(m, 1, 900 * number, 0, (number - 1, m), int(Via.PUSH)) for m in range(10)]
    conflict: Reading = (10, 1, 900 * number, 0, (99, 99), Via.PUSH)
    return [*new, *repeats, conflict]


def alarms_of_put(number: int) -> list[Alarm]:
    """Return the alarms of the batch: new ones, one of the put before, and one in conflict."""
    new: list[Alarm] = [(m, 0, 11, number, 900 * number, 0) for m in range(20)]
    if not number:
        return new
    again, other = ((m, 0, 11, number - 1, 900 * (number - 1), m) for m in range(2))
    return [*new, again, other]


def changes_of_put(number: int) -> list[Change]:
    """Return what happens to registrations in the batch."""
    return [registered(number, number)]


def rows_of_put(number: int) -> Rows:
    """Return the batch as rows."""
    return rows_of(readings_of_put(number))


def put(store: Store, number: int) -> PutResult:
    """Put the batch."""
    return store.put(
        rows_of_put(number),
        {TITLE: number},
        stored_at_us=number,
        alarms=alarms_of(alarms_of_put(number)),
        registrations=registrations_of(changes_of_put(number)),
    )


def kill_at(point: str, put: int) -> None:
    """Let this process kill itself when it passes ``point`` in put number ``put``."""
    owner, name, table, after = POINTS[point]
    original: Callable[..., object] = getattr(owner, name)
    passes = 0

    def passing(*args: object) -> object:
        nonlocal passes
        if any(isinstance(argument, Table) and argument.name != table for argument in args):
            return original(*args)
        last = passes == put
        passes += 1
        if last and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, passing)


def main() -> None:
    """Put every batch, then wait to be killed."""
    address, *point = sys.argv[1:]
    if point:
        kill_at(point[0], int(point[1]))
    store = open_store(address, REGISTERS, create=True)
    for number in range(PUTS):
        put(store, number)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
