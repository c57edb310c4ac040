"""The tables of the embedded store, and how rows get into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from harness.store.schema import YOUNGER, Columns, Table, readings_table

COUNTERS_KEPT: Final = 500_000
"""Rows of counters that may pile up before the highest alone are kept."""

_SQL_TYPES: Final = {"u1": "UTINYINT", "u2": "USMALLINT", "u4": "UINTEGER", "i8": "BIGINT"}
_COMMANDS: Final = (
    "id BIGINT NOT NULL, meter UINTEGER NOT NULL, kind VARCHAR NOT NULL, "
    "parameter VARCHAR NOT NULL, created_at BIGINT NOT NULL, state VARCHAR NOT NULL, "
    "invocation_counter BIGINT, sent_at BIGINT, done_at BIGINT, attempts INTEGER NOT NULL, "
    "outcome VARCHAR NOT NULL"
)


def create_tables(session: duckdb.DuckDBPyConnection, registers: Sequence[str], at: str) -> None:
    """Create the tables of an empty store in the database named ``at``."""
    create_missing(session, (readings_table(registers), *YOUNGER), at)
    session.execute(f"CREATE TABLE {at}.counters (system_title BLOB, counter BIGINT)")
    session.execute(f"CREATE TABLE {at}.commands ({_COMMANDS})")


def create_missing(session: duckdb.DuckDBPyConnection, tables: Sequence[Table], at: str) -> None:
    """Create those of ``tables`` that are not in the database named ``at``."""
    for table in tables:
        columns = ", ".join(f"{name} {_SQL_TYPES[t]} NOT NULL" for name, t in table.types.items())
        for name in table.names:
            session.execute(f"CREATE TABLE IF NOT EXISTS {at}.{name} ({columns})")


@dataclass(frozen=True, slots=True)
class Counters:
    """How large the table of counters is, and how large when it last held the highest only."""

    rows: int
    titles: int

    @classmethod
    def of(cls, session: duckdb.DuckDBPyConnection) -> Self:
        """Count what is there."""
        query = "SELECT count(*), count(DISTINCT system_title) FROM store.counters"
        return cls(*session.execute(query).fetchall()[0])

    @property
    def piled_up(self) -> bool:
        """Whether most of the table is history."""
        return self.rows > max(COUNTERS_KEPT, 4 * self.titles)


def append_counters(
    session: duckdb.DuckDBPyConnection, counters: Mapping[bytes, int], there: Counters
) -> Counters:
    """Append counters to a table of that size, now and then compact it; return its size now."""
    if not counters:
        return there
    titles = np.empty(len(counters), object)
    titles[:] = list(counters)
    values = np.fromiter(counters.values(), np.int64, len(counters))
    insert(session, "counters", {"system_title": titles, "counter": values})
    now = Counters(there.rows + len(counters), there.titles)
    if not now.piled_up:
        return now
    # A table made anew gives its blocks back at the next checkpoint; deleted rows do not.
    session.execute(
        "CREATE OR REPLACE TABLE store.counters AS SELECT system_title, "
        "max(counter) AS counter FROM store.counters GROUP BY ALL"
    )
    highest = int(session.execute("SELECT count(*) FROM store.counters").fetchall()[0][0])
    return Counters(highest, highest)


def keep(
    session: duckdb.DuckDBPyConnection, table: Table, columns: Columns, first: NDArray[np.bool_]
) -> tuple[int, int, int]:
    """Store first arrivals and keep conflicts aside; return inserted, repeated, conflicting."""
    inserted = _append(session, table, _chosen(columns, first))
    conflicting = _keep_conflicts(session, table, _chosen(columns, ~first))
    return inserted, len(first) - inserted - conflicting, conflicting


def _chosen(columns: Columns, which: NDArray[np.bool_]) -> Columns:
    if which.all():
        return columns if len(which) else {}
    return {name: column[which] for name, column in columns.items()} if which.any() else {}


def _append(session: duckdb.DuckDBPyConnection, table: Table, columns: Columns) -> int:
    return insert(session, table.name, columns) if columns else 0


def _keep_conflicts(session: duckdb.DuckDBPyConnection, table: Table, arrivals: Columns) -> int:
    if not arrivals:
        return 0
    return insert(
        session,
        table.conflicts,
        arrivals,
        f"SEMI JOIN store.{table.name} AS kept ON {table.same('arrivals', 'kept')} "
        f"AND ({table.differs('arrivals', 'kept')})",
    )


def insert(
    session: duckdb.DuckDBPyConnection, table: str, columns: Columns, condition: str = ""
) -> int:
    """Insert ``columns``, called ``arrivals`` in the condition; return how many rows went in."""
    # DuckDB finds the variable by its name in this frame; registering it takes 0.4 ms longer.
    arrivals = dict(columns)  # noqa: F841
    return changed(
        session.execute(
            f"INSERT INTO store.{table} BY NAME SELECT arrivals.* FROM arrivals {condition}"
        )
    )


def changed(result: duckdb.DuckDBPyConnection) -> int:
    """Return how many rows an INSERT or UPDATE touched."""
    row = result.fetchone()
    return int(row[0]) if row else 0
