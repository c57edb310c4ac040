"""Reading what DuckDB files hold: the shards of one run as one store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from harness.store import duckdb_session
from harness.store.duckdb_tables import create_missing
from harness.store.errors import StoreSchemaError
from harness.store.schema import YOUNGER, Columns, Table, listed
from harness.store.sql_reader import SqlReader
from harness.store.usage import Usage, UsageQuestion
from harness.store.usage_query import usage


class DuckDbReader(SqlReader):
    """A `StoredReader` over a DuckDB session that has the tables of a store."""

    def __init__(
        self, session: duckdb.DuckDBPyConnection, where: str | Path, registers: Sequence[str]
    ) -> None:
        """Take over ``session``; ``where`` is named in errors."""
        super().__init__(registers)
        self._session = session
        self._where = where

    @classmethod
    def of_files(cls, paths: Sequence[Path]) -> DuckDbReader:
        """Read several files as one store. A file left by a killed writer is read whole.

        Raises:
            StoreLockedError: a writer has one open.
            StoreSchemaError: one is no store, or they have different registers.
            ValueError: no file.
        """
        if not paths:
            raise ValueError("a reader needs at least one file")
        session = duckdb_session.in_memory()
        try:
            return cls(session, paths[0], _joined(session, paths))
        except BaseException:
            session.close()
            raise

    def close(self) -> None:
        """See `StoredReader.close`."""
        self._session.close()

    def usage(self, question: UsageQuestion) -> Usage:
        """See `UsageReader.usage`."""

        def fetch(query: str, names: Sequence[str]) -> Columns:
            found: Columns = self._session.execute(query).fetchnumpy()
            return found

        with duckdb_session.translated(self._where):
            return usage(fetch, question, self._registers)

    def _columns(self, table: Table, query: str) -> Columns:
        with duckdb_session.translated(self._where):
            columns: Columns = self._session.execute(query).fetchnumpy()
            return columns

    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb_session.translated(self._where):
            return self._session.execute(query).fetchall()


def _joined(session: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> tuple[str, ...]:
    """Attach the files and define each table as the union of theirs; return the registers."""
    found: list[tuple[str, ...]] = []
    for number, path in enumerate(paths):
        with duckdb_session.translated(path):
            duckdb_session.attach(session, path, f"shard_{number}", read_only=True)
            found.append(duckdb_session.registers_of(session, path, f"shard_{number}"))
        if found[-1] != found[0]:
            raise StoreSchemaError(
                f"it has the registers {listed(found[-1])}, {paths[0]} has {listed(found[0])}",
                where=str(path),
                mend="name the files of one run",
            )
    _define(session, ("readings", "conflicts", "commands"), range(len(paths)))
    for table in YOUNGER:
        having = [i for i in range(len(paths)) if _has(session, table, i)]
        if having:
            _define(session, table.names, having)
        else:
            create_missing(session, [table], "memory")
    return found[0]


def _define(
    session: duckdb.DuckDBPyConnection, names: Sequence[str], shards: Sequence[int]
) -> None:
    for name in names:
        union = " UNION ALL ".join(f"FROM shard_{i}.{name}" for i in shards)
        session.execute(f"CREATE VIEW {name} AS {union}")


def _has(session: duckdb.DuckDBPyConnection, table: Table, shard: int) -> bool:
    query = "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND table_name = ?"
    return bool(session.execute(query, [f"shard_{shard}", table.name]).fetchall())
