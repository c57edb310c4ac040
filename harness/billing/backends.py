"""Where the book is kept: a DuckDB file of its own, or a schema of a PostgreSQL database.

Both know two ways for rows to get in: *added* where their key is new, the first one staying, or
*replacing* those of their key. One writer; any thread may call, and they wait for one another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

import duckdb
import numpy as np
import psycopg
from numpy.typing import NDArray

from harness.billing.tables import TABLES
from harness.store import duckdb_session, postgres_session
from harness.store.duckdb_tables import create_missing, insert
from harness.store.interface import ExportFormat
from harness.store.opening import duckdb_path, is_postgres
from harness.store.postgres_export import export_query
from harness.store.postgres_session import copy_in, copy_out
from harness.store.postgres_tables import column_kinds
from harness.store.schema import Columns, Table, listed, quoted

SCHEMA: Final = "billing"
_SQL_TYPES: Final = {"i2": "smallint", "i8": "bigint"}


class Writing(Protocol):
    """What can be done within one transaction."""

    def add(self, table: Table, columns: Columns) -> int:
        """Add rows, of distinct keys, where their key is new; return how many were."""

    def replace(self, table: Table, columns: Columns) -> None:
        """Put rows, of distinct keys, in place of those of their keys."""

    def execute(self, statement: str) -> None:
        """Run a statement."""


class BackEnd(Protocol):
    """Where the book is kept. Every method raises `harness.store.errors.StoreError`."""

    def writing(self) -> AbstractContextManager[Writing]:
        """Return a transaction: durable when it has ended, undone by an exception."""

    def fetch(self, query: str, names: Sequence[str]) -> Mapping[str, NDArray[np.int64]]:
        """Return the columns of a query: integers, never null, named ``names``."""

    def export(self, queries: Mapping[Path, str], file_format: ExportFormat) -> None:
        """Write the results of queries to files, all of one moment; all of them or none."""

    def close(self) -> None:
        """Let go of it."""


def open_back_end(address: str | Path) -> BackEnd:
    """Open the book at ``address``, made if there is none.

    Args:
        address: ``postgresql://...``, ``duckdb:///absolute/path``, or a path.

    Raises:
        StoreError: it cannot be opened.
        ValueError: an address of another kind.
    """
    if is_postgres(address):
        return PostgresBackEnd(str(address))
    return DuckDbBackEnd(duckdb_path(address))


class DuckDbBackEnd:
    """A DuckDB file. Keys are compared at each insertion: an index would cost more."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._session = duckdb_session.attached(path)
        with duckdb_session.translated(path):
            create_missing(self._session, TABLES, duckdb_session.DATABASE)

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """See `BackEnd.writing`."""
        with self._lock, duckdb_session.translated(self._path):
            self._session.execute(f"USE {duckdb_session.DATABASE}")
            self._session.begin()
            try:
                yield _DuckDbWriting(self._session)
                self._session.commit()
            except BaseException:
                with suppress(duckdb.Error):
                    self._session.rollback()
                raise

    def fetch(self, query: str, names: Sequence[str]) -> Mapping[str, NDArray[np.int64]]:
        """See `BackEnd.fetch`."""
        with self._reading() as cursor:
            found = cursor.execute(query).fetchnumpy()
        return {name: np.asarray(found[name], np.int64) for name in names}

    def export(self, queries: Mapping[Path, str], file_format: ExportFormat) -> None:
        """See `BackEnd.export`."""
        with self._reading() as cursor, _whole_or_gone(queries) as parts:
            cursor.begin()
            for part, query in zip(parts, queries.values(), strict=True):
                cursor.execute(f"COPY ({query}) TO {quoted(part)} (FORMAT {file_format})")
            cursor.rollback()

    def close(self) -> None:
        """See `BackEnd.close`."""
        with self._lock:
            self._session.close()

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb_session.translated(self._path):
            with self._lock:
                cursor = self._session.cursor()
            try:
                cursor.execute(f"USE {duckdb_session.DATABASE}")
                yield cursor
            finally:
                cursor.close()


class _DuckDbWriting:
    def __init__(self, session: duckdb.DuckDBPyConnection) -> None:
        self._session = session

    def add(self, table: Table, columns: Columns) -> int:
        if not _count(columns):
            return 0
        condition = f"ANTI JOIN store.{table.name} AS kept ON {table.same('arrivals', 'kept')}"
        return insert(self._session, table.name, columns, condition)

    def replace(self, table: Table, columns: Columns) -> None:
        if not _count(columns):
            return
        # DuckDB finds the variable by its name in this frame.
        keys = {name: columns[name] for name in table.key}  # noqa: F841
        self._session.execute(
            f"DELETE FROM store.{table.name} USING keys WHERE {table.same(table.name, 'keys')}"
        )
        insert(self._session, table.name, columns)

    def execute(self, statement: str) -> None:
        self._session.execute(statement)


class PostgresBackEnd:
    """The schema ``billing`` of a PostgreSQL database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.RLock()
        self._session: psycopg.Connection | None = None
        with self._holding() as session, session.transaction():
            session.execute("SELECT pg_advisory_xact_lock(hashtext('meterstorm billing'))")
            for statement in _statements():
                session.execute(statement.encode())

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """See `BackEnd.writing`."""
        with self._holding() as session, session.transaction():
            yield _PostgresWriting(session)

    def fetch(self, query: str, names: Sequence[str]) -> Mapping[str, NDArray[np.int64]]:
        """See `BackEnd.fetch`."""
        cast = listed([f"CAST({name} AS bigint) AS {name}" for name in names])
        with self._holding() as session:
            statement = f"SELECT {cast} FROM ({query}) AS found"
            found = copy_out(session, statement, dict.fromkeys(names, "i8"))
        return {name: np.asarray(column, np.int64) for name, column in found.items()}

    def export(self, queries: Mapping[Path, str], file_format: ExportFormat) -> None:
        """See `BackEnd.export`."""
        with (
            postgres_session.translated(self._url),
            duckdb_session.translated(next(iter(queries))),
            self._connected() as session,
            _whole_or_gone(queries) as parts,
            session.transaction(),
        ):
            session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for part, query in zip(parts, queries.values(), strict=True):
                export_query(session, query, part, file_format)

    def close(self) -> None:
        """See `BackEnd.close`."""
        with self._lock:
            self._drop()

    def _connected(self) -> psycopg.Connection:
        session = postgres_session.connected(self._url)
        with postgres_session.translated(self._url):
            session.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}".encode())
            session.execute(f"SET search_path TO {SCHEMA}".encode())
        return session

    @contextmanager
    def _holding(self) -> Iterator[psycopg.Connection]:
        """Hold the session alone; after a failure, let go of it, so the next call reconnects."""
        with self._lock:
            try:
                if self._session is None:
                    self._session = self._connected()
                with postgres_session.translated(self._url):
                    yield self._session
            except BaseException:
                self._drop()
                raise

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


class _PostgresWriting:
    def __init__(self, session: psycopg.Connection) -> None:
        self._session = session

    def add(self, table: Table, columns: Columns) -> int:
        return self._put(table, columns, "NOTHING")

    def replace(self, table: Table, columns: Columns) -> None:
        others = [name for name in table.types if name not in table.key]
        changes = listed([f"{name} = excluded.{name}" for name in others])
        self._put(table, columns, f"UPDATE SET {changes}")

    def execute(self, statement: str) -> None:
        self._session.execute(statement.encode())

    def _put(self, table: Table, columns: Columns, otherwise: str) -> int:
        if not _count(columns):
            return 0
        incoming = f"incoming_{table.name}"
        self.execute(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {incoming} (LIKE {table.name}) "
            "ON COMMIT DELETE ROWS"
        )
        self.execute(f"TRUNCATE {incoming}")
        statement = f"COPY {incoming} FROM STDIN (FORMAT BINARY)"
        copy_in(self._session, statement, columns, column_kinds(table))
        return self._session.execute(
            f"INSERT INTO {table.name} SELECT * FROM {incoming} "
            f"ON CONFLICT ({listed(table.key)}) DO {otherwise}".encode()
        ).rowcount


@contextmanager
def _whole_or_gone(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """Lend a file to write to for each path: they take those names if all goes well, or none."""
    parts = [path.with_name(f"{path.name}.part") for path in paths]
    made: list[Path] = []
    try:
        yield parts
        for part, path in zip(parts, paths, strict=True):
            made.append(part.replace(path))
    except BaseException:
        for path in made:
            path.unlink()
        raise
    finally:
        for part in parts:
            for left in part.parent.glob(f"{part.name}*"):
                left.unlink()


def _statements() -> Iterator[str]:
    for table in TABLES:
        kinds = column_kinds(table).items()
        columns = ", ".join(f"{name} {_SQL_TYPES[kind]} NOT NULL" for name, kind in kinds)
        yield (
            f"CREATE TABLE IF NOT EXISTS {table.name} "
            f"({columns}, PRIMARY KEY ({listed(table.key)}))"
        )


def _count(columns: Columns) -> int:
    return len(next(iter(columns.values())))
