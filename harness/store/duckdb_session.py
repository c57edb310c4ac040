"""Sessions with DuckDB files: attached read-write by one writer, or read-only by readers.

A file is *attached* to a private in-memory instance instead of being opened by its path: opening
a path twice in one process silently shares one instance, attaching it twice is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

from harness.store.errors import (
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreSchemaError,
)
from harness.store.schema import FIXED, quoted

DATABASE: Final = "store"
_SETTINGS: Final[dict[str, str | bool | int | float | list[str]]] = {
    # Commits are small and the machine is shared with the fleet: more threads cost, not gain.
    "threads": 2,
    # A store must not reach for the network.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_LOCKED: Final = ("conflicting lock", "already attached", "different configuration")
_FULL: Final = ("no space left", "file too large", "disk quota", "could not write all bytes")
_NOT_OURS: Final = ("not a valid duckdb", "no such file", "is a directory", "does not exist")


def in_memory() -> duckdb.DuckDBPyConnection:
    """Return a session that has no file."""
    session = duckdb.connect(":memory:", config=_SETTINGS)
    # A time without a zone is UTC, wherever the machine stands.
    session.execute("SET TimeZone = 'UTC'")
    return session


def attached(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Return a session with the file at ``path`` attached as `DATABASE`.

    Raises:
        StoreError: locked, not a DuckDB file, or not to be written.
    """
    session = in_memory()
    try:
        with translated(path):
            attach(session, path, DATABASE, read_only=read_only)
    except StoreError:
        session.close()
        raise
    return session


def attach(session: duckdb.DuckDBPyConnection, path: Path, name: str, *, read_only: bool) -> None:
    """Attach one more file to a session under ``name``."""
    mode = "READ_ONLY" if read_only else "READ_WRITE"
    session.execute(f"ATTACH {quoted(path)} AS {name} ({mode})")


def registers_of(
    session: duckdb.DuckDBPyConnection, path: Path, name: str = DATABASE
) -> tuple[str, ...]:
    """Return the register columns of an attached store.

    Raises:
        StoreSchemaError: the file has no table of readings, or another one.
    """
    query = (
        "SELECT column_name FROM duckdb_columns() "
        "WHERE database_name = ? AND table_name = 'readings' ORDER BY column_index"
    )
    names = tuple(str(row[0]) for row in session.execute(query, [name]).fetchall())
    if names[: len(FIXED)] != FIXED:
        raise StoreSchemaError(
            "the file holds no readings of ours", where=str(path), mend="name a store's file"
        )
    return names[len(FIXED) :]


@contextmanager
def translated(where: str | Path) -> Iterator[None]:
    """Raise DuckDB's and the system's errors as `StoreError` of the store at ``where``."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise _translate(error, str(where)) from error


def _translate(error: Exception, where: str) -> StoreError:
    text = str(error)
    lowered = text.lower()
    if any(mark in lowered for mark in _LOCKED):
        mend = "close the other writer or reader first; a store has one process at a time"
        return StoreLockedError("is open already", where=where, mend=mend)
    if any(mark in lowered for mark in _FULL):
        return StoreFullError(f"no room ({text})", where=where, mend="free disk space and repeat")
    if any(mark in lowered for mark in _NOT_OURS):
        return StoreSchemaError(text, where=where, mend="name a store's file, or create one")
    return StoreError(text, where=where, mend="check the disk and the permissions of the file")
