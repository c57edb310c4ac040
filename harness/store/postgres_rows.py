"""How rows get into the tables of a store in PostgreSQL.

The unique index is the only duplicate filter, on both ways in:

* `keep` copies the batch into a temporary table, and from there what the index has not. This is
  right whatever the batch holds, and each row passes through the executor twice.
* `load` copies straight into the table. The index refuses such a batch as a whole if one reading of
  it is there already, comes twice, or is being written by somebody else; the savepoint is then
  undone and the batch goes the other way. So that this stays the exception, because what was undone
  leaves dead rows behind, the index is first asked whether the place is vacant.

Both are used inside the caller's transaction: nothing is durable before it has committed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import psycopg

from harness.store.postgres_session import copy_in
from harness.store.postgres_tables import column_kinds
from harness.store.schema import Columns, Table, listed

_OCCUPIED: Final = (
    # One probe of the unique index for each slot, whatever the planner knows of the table.
    "SELECT EXISTS (SELECT FROM unnest(%s::bigint[], %s::smallint[]) AS slot (at, profile), "
    "LATERAL (SELECT FROM readings WHERE captured_at = slot.at "
    "AND readings.profile = slot.profile AND meter BETWEEN %s AND %s LIMIT 1) AS there)"
)


def create_incoming(session: psycopg.Connection, tables: Sequence[Table]) -> None:
    """Create the temporary tables of a session, which empty themselves at every commit."""
    for table in tables:
        execute(
            session,
            f"CREATE TEMPORARY TABLE {_incoming(table)} (LIKE {table.name}) ON COMMIT DELETE ROWS",
        )


def append(
    session: psycopg.Connection, table: Table, columns: Columns, name: str | None = None
) -> None:
    """Append rows to the table, or to one of the same columns called ``name``."""
    if _count(columns):
        statement = f"COPY {name or table.name} FROM STDIN (FORMAT BINARY)"
        copy_in(session, statement, columns, column_kinds(table))


def keep(session: psycopg.Connection, table: Table, columns: Columns) -> tuple[int, int, int]:
    """Store first arrivals and keep conflicts aside; return inserted, repeated, conflicting."""
    arrived = _count(columns)
    if not arrived:
        return 0, 0, 0
    incoming = _incoming(table)
    append(session, table, columns, incoming)
    inserted = execute(
        session,
        # Reads a temporary table, so in the order of arrival: the first one stays.
        f"INSERT INTO {table.name} SELECT * FROM {incoming} "
        f"ON CONFLICT ({listed(table.key)}) DO NOTHING",
    )
    conflicting = _keep_conflicts(session, table) if inserted < arrived else 0
    return inserted, arrived - inserted - conflicting, conflicting


def load(session: psycopg.Connection, readings: Table, columns: Columns) -> tuple[int, int, int]:
    """Store readings as `keep` does, quickly where none of them is there."""
    if _count(columns) and not _occupied(session, columns) and _copied(session, readings, columns):
        return _count(columns), 0, 0
    return keep(session, readings, columns)


def execute(
    session: psycopg.Connection, statement: str, parameters: Sequence[object] | None = None
) -> int:
    """Run a statement and return how many rows it touched."""
    return session.execute(statement.encode(), parameters).rowcount


def _copied(session: psycopg.Connection, readings: Table, columns: Columns) -> bool:
    """Copy into the table itself; tell whether the index took all of it, or nothing."""
    try:
        with session.transaction():
            append(session, readings, columns)
    except psycopg.errors.UniqueViolation:
        return False
    return True


def _occupied(session: psycopg.Connection, columns: Columns) -> bool:
    """Tell whether a reading is between the lowest and the highest meter of a slot that comes."""
    # One number for each slot: rows of two columns are slow to sort.
    at, profile = (np.asarray(columns[name], np.int64) for name in ("captured_at", "profile"))
    slots = np.unique(at * 256 + profile)
    meters = columns["meter"]
    asked = ((slots >> 8).tolist(), (slots & 255).tolist(), int(meters.min()), int(meters.max()))
    return bool(session.execute(_OCCUPIED.encode(), asked).fetchall()[0][0])


def _keep_conflicts(session: psycopg.Connection, table: Table) -> int:
    return execute(
        session,
        f"INSERT INTO {table.conflicts} SELECT arrivals.* FROM {_incoming(table)} AS arrivals "
        f"WHERE EXISTS (SELECT FROM {table.name} AS kept WHERE {table.same('arrivals', 'kept')} "
        f"AND ({table.differs('arrivals', 'kept')}))",
    )


def _incoming(table: Table) -> str:
    return f"incoming_{table.name}"


def _count(columns: Columns) -> int:
    return len(next(iter(columns.values())))
