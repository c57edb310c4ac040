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

from harness.store import duckdb_store
from harness.store.opening import open_store
from harness.store.rows import Rows, Via
from harness.store.seen import Seen
from tests.support.stores import REGISTERS, Reading, rows_of

PUTS: Final = 12
METERS: Final = 500
TITLE: Final = b"MSC\x00\x00\x00\x00\x01"

POINTS: Final[dict[str, tuple[Any, str, bool]]] = {
    # name: owner, function, whether it has run when the kill comes
    "received": (Seen, "first_arrivals", False),
    "rows written": (duckdb_store.DuckDbStore, "_append", True),
    "conflicts written": (duckdb_store.DuckDbStore, "_keep_conflicts", True),
    "counters written": (duckdb_store, "_append_counters", True),
    "committed": (Seen, "add", False),
    "noted": (Seen, "add", True),
}


def readings_of_put(number: int) -> list[Reading]:
    """Return the batch: new readings, repeats of the put before, and one conflict with it."""
    new = [(m, 1, 900 * (number + 1), 0, (number, m), int(Via.PUSH)) for m in range(METERS)]
    if not number:
        return list(new)
    repeats = [(m, 1, 900 * number, 0, (number - 1, m), int(Via.PUSH)) for m in range(10)]
    conflict: Reading = (10, 1, 900 * number, 0, (99, 99), Via.PUSH)
    return [*new, *repeats, conflict]


def rows_of_put(number: int) -> Rows:
    """Return the batch as rows."""
    return rows_of(readings_of_put(number))


def kill_at(point: str, put: int) -> None:
    """Let this process kill itself when it passes ``point`` in put number ``put``."""
    owner, name, after = POINTS[point]
    original: Callable[..., object] = getattr(owner, name)
    passes = 0

    def passing(*args: object) -> object:
        nonlocal passes
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
        store.put(rows_of_put(number), {TITLE: number}, stored_at_us=number)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
