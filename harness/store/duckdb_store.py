"""The embedded store: one DuckDB file, one writer, no key index.

Theory of operation. DuckDB is quick at appending columns and slow at keeping a key index, so the
tables have none: `Seen` keeps the keys in memory and is told of rows only after their commit. The
rows it calls later arrivals are compared with the table in the same transaction, after the new
ones went in, so duplicates within the batch meet their first arrival there. Counters are appended
and the highest one counts, because an upsert without an index would rewrite the table.

After some errors DuckDB refuses the whole instance. After any failed write, therefore, the session
is dropped with what `Seen` knew, and the next call attaches the file anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from harness.store import duckdb_session
from harness.store.commands import COMMAND_COLUMNS, Command, command_of, command_row
from harness.store.errors import CommandError, StoreError, StoreSchemaError
from harness.store.interface import ExportFormat, PutResult, PutStage, Reached, unwatched
from harness.store.rows import Rows, StoredRows
from harness.store.schema import (
    FIXED,
    Columns,
    checked_registers,
    checked_rows,
    differs,
    from_columns,
    listed,
    quoted,
    same_reading,
    to_columns,
)
from harness.store.seen import Seen, Slot

_FIXED_TYPES: Final = ("UINTEGER", "UTINYINT", "BIGINT", "UTINYINT", "UTINYINT", "BIGINT")
_COMMANDS: Final = (
    "id BIGINT NOT NULL, meter UINTEGER NOT NULL, kind VARCHAR NOT NULL, "
    "parameter VARCHAR NOT NULL, created_at BIGINT NOT NULL, state VARCHAR NOT NULL, "
    "invocation_counter BIGINT, sent_at BIGINT, done_at BIGINT, attempts INTEGER NOT NULL, "
    "outcome VARCHAR NOT NULL"
)


def create_tables(session: duckdb.DuckDBPyConnection, registers: Sequence[str], at: str) -> None:
    """Create the tables of an empty store in the database named ``at``."""
    columns = ", ".join(
        f"{name} {sql_type} NOT NULL"
        for name, sql_type in (
            *zip(FIXED, _FIXED_TYPES, strict=True),
            *((register, "UINTEGER") for register in registers),
        )
    )
    session.execute(f"CREATE TABLE {at}.readings ({columns})")
    session.execute(f"CREATE TABLE {at}.conflicts ({columns})")
    session.execute(f"CREATE TABLE {at}.counters (system_title BLOB, counter BIGINT)")
    session.execute(f"CREATE TABLE {at}.commands ({_COMMANDS})")


class DuckDbStore:
    """A `Store` in one DuckDB file."""

    def __init__(self, path: Path, registers: Sequence[str], *, create: bool) -> None:
        """Open the store, or create it if there is none and ``create`` says so.

        Raises:
            StoreLockedError: somebody has it open.
            StoreSchemaError: there is none, or it has other registers.
            StoreError: the file cannot be written.
            ValueError: names that cannot be register columns.
        """
        self.path = path
        self._registers = checked_registers(registers)
        self._lock = threading.Lock()
        self._session: duckdb.DuckDBPyConnection | None = None
        self._closed = False
        if not path.exists():
            if not create:
                raise self._refusal("there is no such file", "create it, or name another")
            _create_file(path, self._registers)
        with self._lock, duckdb_session.translated(path):
            self._open()

    @property
    def registers(self) -> tuple[str, ...]:
        """Names of the register columns."""
        return self._registers

    def put(
        self,
        rows: Rows,
        counters: Mapping[bytes, int],
        stored_at_us: int,
        reached: Reached = unwatched,
    ) -> PutResult:
        """See `Store.put`."""
        checked_rows(rows, self._registers)
        with self._writing() as session:
            first = self._seen.first_arrivals(rows)
            new = rows.take(first)
            with _transaction(session):
                self._append(session, new, stored_at_us)
                later = rows.take(~first)
                conflicting = self._keep_conflicts(session, later, stored_at_us)
                reached(PutStage.ROWS_WRITTEN)
                _append_counters(session, counters)
                reached(PutStage.COUNTERS_WRITTEN)
            self._seen.add(new)
        return PutResult(len(new), len(later) - conflicting, conflicting)

    def counters(self) -> dict[bytes, int]:
        """See `Store.counters`."""
        query = "SELECT system_title, max(counter) FROM store.counters GROUP BY ALL ORDER BY ALL"
        return {bytes(title): int(counter) for title, counter in self._fetch(query)}

    def slots(self) -> NDArray[np.int64]:
        """See `Store.slots`."""
        query = "SELECT DISTINCT captured_at FROM store.readings ORDER BY captured_at"
        return np.array([row[0] for row in self._fetch(query)], np.int64)

    def present(self, captured_at_s: int, profile: int, meters: range) -> NDArray[np.bool_]:
        """See `Store.present`."""
        with self._writing():
            return self._seen.present((profile, captured_at_s), meters)

    def readings(self, meter: int, from_s: int, to_s: int) -> StoredRows:
        """See `Store.readings`."""
        query = (
            "SELECT * FROM store.readings WHERE meter = ? AND captured_at >= ? "
            "AND captured_at < ? ORDER BY captured_at, profile, stored_at"
        )
        with self._reading() as cursor:
            columns = cursor.execute(query, [meter, from_s, to_s]).fetchnumpy()
        return from_columns(columns, self._registers)

    def export(self, path: Path, *, file_format: ExportFormat, from_s: int, to_s: int) -> Path:
        """See `Store.export`."""
        part = path.with_name(path.name + ".part")
        query = (
            f"COPY (SELECT * FROM store.readings WHERE captured_at >= {from_s:d} "
            f"AND captured_at < {to_s:d} ORDER BY captured_at, meter, profile, stored_at) "
            f"TO {quoted(part)} (FORMAT {file_format})"
        )
        with self._reading() as cursor, duckdb_session.translated(path):
            cursor.execute(query)
            part.replace(path)
        return path

    def conflict_count(self) -> int:
        """See `Store.conflict_count`."""
        return int(self._fetch("SELECT count(*) FROM store.conflicts")[0][0])

    def add_command(self, command: Command) -> None:
        """See `Store.add_command`."""
        with self._writing() as session, _transaction(session):
            query = "SELECT 1 FROM store.commands WHERE id = ?"
            if session.execute(query, [command.id]).fetchall():
                raise CommandError(
                    f"command {command.id} exists", where=str(self.path), mend="take another id"
                )
            marks = listed(["?"] * len(COMMAND_COLUMNS))
            session.execute(
                f"INSERT INTO store.commands ({listed(COMMAND_COLUMNS)}) VALUES ({marks})",
                command_row(command),
            )

    def update_command(self, command: Command) -> None:
        """See `Store.update_command`."""
        changes = ", ".join(f"{name} = ?" for name in COMMAND_COLUMNS)
        with self._writing() as session, _transaction(session):
            query = f"UPDATE store.commands SET {changes} WHERE id = ?"
            if not _changed(session.execute(query, [*command_row(command), command.id])):
                raise CommandError(
                    f"there is no command {command.id}", where=str(self.path), mend="add it first"
                )

    def commands(self) -> list[Command]:
        """See `Store.commands`."""
        query = f"SELECT {listed(COMMAND_COLUMNS)} FROM store.commands ORDER BY id"
        return [command_of(row) for row in self._fetch(query)]

    def size_bytes(self) -> int:
        """See `Store.size_bytes`."""
        files = (self.path, self.path.with_name(self.path.name + ".wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            self._closed = True
            self._drop()

    def _append(self, session: duckdb.DuckDBPyConnection, rows: Rows, stored_at_us: int) -> None:
        if len(rows):
            _insert(session, "readings", to_columns(rows, stored_at_us, self._registers))

    def _keep_conflicts(
        self, session: duckdb.DuckDBPyConnection, later: Rows, stored_at_us: int
    ) -> int:
        if not len(later):
            return 0
        return _insert(
            session,
            "conflicts",
            to_columns(later, stored_at_us, self._registers),
            f"SEMI JOIN store.readings AS kept ON {same_reading('arrivals', 'kept')} "
            f"AND ({differs(self._registers, 'arrivals', 'kept')})",
        )

    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        with self._reading() as cursor:
            return cursor.execute(query).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Hold the session alone; after a failure of the database, let go of it."""
        with self._lock:
            session = self._open()
            try:
                with duckdb_session.translated(self.path):
                    yield session
            except CommandError:
                raise
            except StoreError:
                self._drop()
                raise

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Read what is committed, beside a writer."""
        with duckdb_session.translated(self.path):
            with self._lock:
                cursor = self._open().cursor()
            try:
                yield cursor
            finally:
                cursor.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._closed:
            raise StoreError("is closed", where=str(self.path), mend="open it again")
        if self._session is None:
            session = duckdb_session.attached(self.path)
            try:
                self._seen = self._seen_by(session)
            except BaseException:
                session.close()
                raise
            self._session = session
        return self._session

    def _seen_by(self, session: duckdb.DuckDBPyConnection) -> Seen:
        found = duckdb_session.registers_of(session, self.path)
        if found != self._registers:
            raise self._refusal(
                f"it has the registers {listed(found)}, not {listed(self._registers)}",
                "name another file, or the scenario it was made with",
            )
        query = "SELECT meter FROM store.readings WHERE profile = ? AND captured_at = ?"

        def load(slot: Slot) -> NDArray[np.uint32]:
            return np.asarray(session.execute(query, slot).fetchnumpy()["meter"], np.uint32)

        stored = session.execute("SELECT DISTINCT profile, captured_at FROM store.readings")
        return Seen(load, stored.fetchall())

    def _drop(self) -> None:
        if self._session is not None:
            # An instance that refuses everything refuses its closing checkpoint too.
            with suppress(duckdb.Error):
                self._session.close()
            self._session = None

    def _refusal(self, message: str, mend: str) -> StoreSchemaError:
        return StoreSchemaError(message, where=str(self.path), mend=mend)


def _create_file(path: Path, registers: Sequence[str]) -> None:
    """Create an empty store that appears at ``path`` whole or not at all."""
    part = path.with_name(path.name + ".creating")
    with duckdb_session.translated(path):
        part.unlink(missing_ok=True)
        part.with_name(part.name + ".wal").unlink(missing_ok=True)
        with duckdb_session.attached(part) as session:
            create_tables(session, registers, duckdb_session.DATABASE)
            session.execute(f"CHECKPOINT {duckdb_session.DATABASE}")
        part.rename(path)


@contextmanager
def _transaction(session: duckdb.DuckDBPyConnection) -> Iterator[None]:
    session.begin()
    try:
        yield
        session.commit()
    except BaseException:
        # A failed commit has rolled back already.
        with suppress(duckdb.Error):
            session.rollback()
        raise


def _append_counters(session: duckdb.DuckDBPyConnection, counters: Mapping[bytes, int]) -> None:
    if not counters:
        return
    titles = np.empty(len(counters), object)
    titles[:] = list(counters)
    values = np.fromiter(counters.values(), np.int64, len(counters))
    _insert(session, "counters", {"system_title": titles, "counter": values})


def _insert(
    session: duckdb.DuckDBPyConnection, table: str, columns: Columns, condition: str = ""
) -> int:
    """Insert ``columns``, called ``arrivals`` in the condition; return how many rows went in."""
    # DuckDB finds the variable by its name in this frame; registering it takes 0.4 ms longer.
    arrivals = dict(columns)  # noqa: F841
    return _changed(
        session.execute(
            f"INSERT INTO store.{table} BY NAME SELECT arrivals.* FROM arrivals {condition}"
        )
    )


def _changed(result: duckdb.DuckDBPyConnection) -> int:
    """Return how many rows an INSERT or UPDATE touched."""
    row = result.fetchone()
    return int(row[0]) if row else 0
