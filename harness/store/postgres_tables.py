"""The tables of a store in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import psycopg

from harness.store.schema import ALARMS, Table, listed

_KINDS: Final = {"u1": "i2", "u2": "i4", "u4": "i8", "i8": "i8"}
"""There are no unsigned columns here, so each kind is held in the next larger."""
_SQL_TYPES: Final = {"i2": "smallint", "i4": "integer", "i8": "bigint"}
UNIQUE_INDEX: Final = "readings_once"
_INDEXES: Final = {
    "readings": (UNIQUE_INDEX, "captured_at, profile, meter"),
    "alarms": ("alarms_once", listed(ALARMS.key)),
}

_COMMANDS: Final = (
    "id bigint PRIMARY KEY, meter bigint NOT NULL, kind text NOT NULL, "
    "parameter text NOT NULL, created_at bigint NOT NULL, state text NOT NULL, "
    "invocation_counter bigint, sent_at bigint, done_at bigint, attempts integer NOT NULL, "
    "outcome text NOT NULL"
)


def column_kinds(table: Table) -> dict[str, str]:
    """Return the kind of every column of a table, as `copy_out` wants it."""
    return {name: _KINDS[kind] for name, kind in table.types.items()}


def create_tables(connection: psycopg.Connection, tables: Sequence[Table]) -> None:
    """Create what is missing of ``tables``, of counters and of commands."""
    with connection.transaction():
        # CREATE IF NOT EXISTS of two sessions at once may collide; one after the other may not.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('meterstorm store'))")
        for statement in (
            *(statement for table in tables for statement in _statements(table)),
            "CREATE TABLE IF NOT EXISTS counters "
            "(system_title bytea PRIMARY KEY, counter bigint NOT NULL)",
            f"CREATE TABLE IF NOT EXISTS commands ({_COMMANDS})",
        ):
            connection.execute(statement.encode())


def _statements(table: Table) -> Iterator[str]:
    columns = ", ".join(
        f"{name} {_SQL_TYPES[kind]} NOT NULL" for name, kind in column_kinds(table).items()
    )
    for name in table.names:
        yield f"CREATE TABLE IF NOT EXISTS {name} ({columns})"
    if table.name in _INDEXES:
        index, on = _INDEXES[table.name]
        yield f"CREATE UNIQUE INDEX IF NOT EXISTS {index} ON {table.name} ({on})"
