"""How much room readings take in a store, and how much there is where the store is.

Measured, and rounded up. DuckDB 2.0 takes 14 octets a reading of four registers where 70,000 meters
are captured at a time, 16 where 20,000 are, 31 with the eight of power quality. Most of it is what
registers cannot be packed into, so the estimate is all of their octets and one for the rest; a file
also has blocks that come free only when it is closed. PostgreSQL 15 takes 142 octets a reading of
four registers: 69 for the row and its place in the page, 8 for each register, 41 for its entry in
the unique index. Beside that comes the server's log, up to what its settings allow.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.store.opening import duckdb_path, is_postgres
from harness.store.postgres_session import connected, redacted, translated

DUCKDB_REGISTER: Final = 4
DUCKDB_REST: Final = 1
DUCKDB_SPARE: Final = 64 * 1024 * 1024
POSTGRES_REGISTER: Final = 8
POSTGRES_REST: Final = 111
"""Octets of a reading: for each register, for the rest. Octets that come beside them, at most."""

_PLACE: Final = (
    # Hidden from users who may not know, and of no use where the server is another machine: what it
    # says of its own address tells that, even where a port of ours leads to it.
    "SELECT coalesce(nullif(pg_tablespace_location(dattablespace), ''), "
    "(SELECT setting FROM pg_settings WHERE name = 'data_directory')), "
    "coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', true), "
    "pg_size_bytes(current_setting('max_wal_size')), "
    "coalesce(pg_total_relation_size(to_regclass('readings')), 0) "
    "FROM pg_database WHERE datname = current_database()"
)


@dataclass(frozen=True, slots=True)
class Room:
    """The place of one store.

    Attributes:
        where: its file or its server's folder, for people.
        device: the file system it is on; places on the same one share what is free.
        free: octets that are free there, for this user.
        held: octets that the store's readings take already.
        spare: octets that may be needed beside readings, at most.
    """

    where: str
    device: int
    free: int
    held: int
    spare: int

    def needed(self, octets: int) -> int:
        """Return how many octets more must be free for readings that take ``octets``."""
        # Where there is little to write, a log that holds all of it twice is larger than the rest.
        return max(0, octets - self.held) + min(self.spare, 2 * octets)


def octets_of(address: str | Path, readings: int, registers: int) -> int:
    """Return how many octets that many readings take in the store at ``address``."""
    if is_postgres(address):
        return readings * (POSTGRES_REST + POSTGRES_REGISTER * registers)
    return readings * (DUCKDB_REST + DUCKDB_REGISTER * registers)


def room_of(address: str | Path) -> Room | None:
    """Return the place of a store, or of one that is still to be made.

    ``None``: it cannot be seen from here, because it is on another machine or closed to this user.

    Raises:
        StoreError: a server refuses us.
        ValueError: an address of another kind.
    """
    try:
        if is_postgres(address):
            return _of_server(str(address))
        return _of_file(duckdb_path(address))
    except OSError:
        return None


def _of_file(path: Path) -> Room:
    held = path.stat().st_size if path.exists() else 0
    return _room(str(path), path.absolute().parent, held, DUCKDB_SPARE)


def _of_server(url: str) -> Room | None:
    with translated(url), connected(url) as session:
        found = session.execute(_PLACE.encode()).fetchall()
    folder, here, log, held = found[0]
    return _room(redacted(url), Path(folder), int(held), int(log)) if folder and here else None


def _room(where: str, folder: Path, held: int, spare: int) -> Room:
    return Room(where, os.stat(folder).st_dev, shutil.disk_usage(folder).free, held, spare)
