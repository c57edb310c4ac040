"""The embedded store: one DuckDB file, one writer, no key index.

Theory of operation. DuckDB is quick at appending columns and slow at keeping a key index, so the
tables have none: `Seen` keeps the keys in memory and is told of rows only after their commit. The
rows it calls later arrivals are compared with the table in the same transaction, after the new
ones went in, so duplicates within the batch meet their first arrival there. Counters are appended
and the highest one counts, because an upsert without an index would rewrite the table; when most
of the table is history, the commit that finds it so writes the highest ones only.

After some errors DuckDB refuses the whole instance. After any failed write, therefore, the session
is dropped with what `Seen` knew, and the next call attaches the file anew.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from harness.store import duckdb_session
from harness.store.commands import COMMAND_COLUMNS, Command, command_of, command_row
from harness.store.duckdb_tables import (
    Counters,
    append_counters,
    changed,
    create_missing,
    create_tables,
    insert,
    keep,
)
from harness.store.errors import CommandError, StoreError, StoreSchemaError
from harness.store.interface import (
    AlarmFilter,
    ExportedTable,
    ExportFormat,
    PutResult,
    PutStage,
    Reached,
    unwatched,
)
from harness.store.rows import (
    NO_ALARMS,
    NO_REGISTRATIONS,
    Alarms,
    Registrations,
    Rows,
    StoredAlarms,
    StoredRows,
)
from harness.store.schema import (
    ALARMS,
    REGISTRATIONS,
    YOUNGER,
    Columns,
    alarm_columns,
    alarms_of,
    checked_registers,
    checked_rows,
    from_columns,
    listed,
    quoted,
    readings_table,
    registration_columns,
    registrations_of,
    to_columns,
)
from harness.store.seen import Seen, Slot
from harness.store.seen_alarms import SeenAlarms
from harness.store.sql import LAST_REGISTRATIONS, exported, page_of_alarms
from harness.store.usage import Usage, UsageQuestion
from harness.store.usage_query import usage


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
        self._readings = readings_table(self._registers)
        self._lock = threading.Lock()
        self._session: duckdb.DuckDBPyConnection | None = None
        self._counters = Counters(0, 0)
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
        alarms: Alarms = NO_ALARMS,
        registrations: Registrations = NO_REGISTRATIONS,
    ) -> PutResult:
        """See `Store.put`."""
        columns = to_columns(checked_rows(rows, self._registers), stored_at_us, self._registers)
        with self._writing() as session:
            first = self._seen.first_arrivals(rows)
            first_alarms = self._seen_alarms.first_arrivals(alarms)
            with _transaction(session):
                stored = keep(session, self._readings, columns, first)
                raised = keep(session, ALARMS, alarm_columns(alarms, stored_at_us), first_alarms)
                if len(registrations):
                    insert(session, REGISTRATIONS.name, registration_columns(registrations))
                reached(PutStage.ROWS_WRITTEN)
                kept = append_counters(session, counters, self._counters)
                reached(PutStage.COUNTERS_WRITTEN)
            self._counters = kept
            self._seen.add(rows if first.all() else rows.take(first))
            self._seen_alarms.add(alarms.take(first_alarms))
        return PutResult(*stored, *raised, len(registrations))

    def load(self, rows: Rows, stored_at_us: int) -> PutResult:
        """See `Store.load`."""
        return self.put(rows, {}, stored_at_us)

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

    def usage(self, question: UsageQuestion) -> Usage:
        """See `Store.usage`."""
        with self._reading() as cursor:

            def fetch(query: str, names: Sequence[str]) -> Columns:
                found: Columns = cursor.execute(query).fetchnumpy()
                return found

            return usage(fetch, question, self._registers, "store.")

    def export(
        self,
        path: Path,
        *,
        file_format: ExportFormat,
        from_s: int,
        to_s: int,
        what: ExportedTable = "readings",
    ) -> Path:
        """See `Store.export`."""
        part = path.with_name(path.name + ".part")
        rows = exported(what, from_s, to_s, "store.")
        query = f"COPY ({rows}) TO {quoted(part)} (FORMAT {file_format})"
        with self._reading() as cursor, duckdb_session.translated(path):
            cursor.execute(query)
            part.replace(path)
        return path

    def forget(self, before_s: int) -> int:
        """See `Store.forget`."""
        with self._writing() as session:
            with _transaction(session):
                dropped = sum(
                    changed(
                        session.execute(
                            f"DELETE FROM store.{name} WHERE captured_at < ?", [before_s]
                        )
                    )
                    for name in self._readings.names
                )
            self._seen.forget(before_s)
        return dropped

    def conflict_count(self) -> int:
        """See `Store.conflict_count`."""
        return int(self._fetch("SELECT count(*) FROM store.conflicts")[0][0])

    def alarms(self, wanted: AlarmFilter, count: int) -> StoredAlarms:
        """See `Store.alarms`."""
        return alarms_of(self._columns(page_of_alarms(wanted, count, "store.")))

    def alarm_conflict_count(self) -> int:
        """See `Store.alarm_conflict_count`."""
        return int(self._fetch("SELECT count(*) FROM store.alarm_conflicts")[0][0])

    def last_registrations(self) -> Registrations:
        """See `Store.last_registrations`."""
        return registrations_of(self._columns(LAST_REGISTRATIONS.format("store.")))

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
            if not changed(session.execute(query, [*command_row(command), command.id])):
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

    def _columns(self, query: str) -> Columns:
        with self._reading() as cursor:
            columns: Columns = cursor.execute(query).fetchnumpy()
            return columns

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
        create_missing(session, YOUNGER, duckdb_session.DATABASE)
        self._seen_alarms = _seen_alarms_by(session)
        self._counters = Counters.of(session)
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


def _seen_alarms_by(session: duckdb.DuckDBPyConnection) -> SeenAlarms:
    # A tampered store may have an alarm twice; once in memory is what counts.
    query = f"SELECT DISTINCT ON ({listed(ALARMS.key)}) * FROM store.{ALARMS.name}"
    return SeenAlarms(alarms_of(session.execute(query).fetchnumpy()).alarms)
