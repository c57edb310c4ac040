"""The store in a PostgreSQL database: for production, and for several writers at once.

Theory of operation. One unique index is the duplicate filter. A batch is copied in binary into a
temporary table that empties itself at commit, and from there inserted where the index has no such
reading yet. Only if fewer rows went in than were sent are the rest compared with what is stored;
the first arrival of the batch is stored by then, so duplicates within the batch meet it there.
History is copied straight into the table (`harness.store.postgres_rows`).

The index begins with the capture time: readings arrive and are judged slot by slot, so inserts
stay in a few warm pages and one slot is one range of the index.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from harness.store import postgres_session
from harness.store.commands import COMMAND_COLUMNS, Command, command_of, command_row
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
from harness.store.postgres_export import export_query
from harness.store.postgres_rows import append, create_incoming, execute, keep, load
from harness.store.postgres_session import copy_out, redacted, translated
from harness.store.postgres_tables import column_kinds, create_tables
from harness.store.postgres_usage import usage_of
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
from harness.store.sql import LAST_REGISTRATIONS, exported, page_of_alarms
from harness.store.usage import Usage, UsageQuestion

SLOTS: Final = (
    # Jumps from slot to slot along the index instead of reading every row.
    "WITH RECURSIVE slot(at) AS (SELECT min(captured_at) FROM readings UNION ALL "
    "SELECT (SELECT min(captured_at) FROM readings WHERE captured_at > slot.at) "
    "FROM slot WHERE slot.at IS NOT NULL) SELECT at FROM slot WHERE at IS NOT NULL ORDER BY at"
)


class PostgresStore:
    """A `Store` in a PostgreSQL database (or in the schema its URL's search path names)."""

    def __init__(self, url: str, registers: Sequence[str], *, create: bool) -> None:
        """Open the store, or create it if there is none and ``create`` says so.

        Raises:
            StoreUnavailableError: nobody answers.
            StoreSchemaError: there is none, or it has other registers.
            StoreError: the server refuses us.
            ValueError: names that cannot be register columns.
        """
        self.where = redacted(url)
        self._url = url
        self._registers = checked_registers(registers)
        self._readings = readings_table(self._registers)
        self._create = create
        self._lock = threading.Lock()
        self._session: psycopg.Connection | None = None
        self._closed = False
        self._loaded = False
        with self._lock:
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
        with self._holding() as session, session.transaction():
            stored = keep(session, self._readings, columns)
            raised = keep(session, ALARMS, alarm_columns(alarms, stored_at_us))
            append(session, REGISTRATIONS, registration_columns(registrations))
            reached(PutStage.ROWS_WRITTEN)
            _raise_counters(session, counters)
            reached(PutStage.COUNTERS_WRITTEN)
        return PutResult(*stored, *raised, len(registrations))

    def load(self, rows: Rows, stored_at_us: int) -> PutResult:
        """See `Store.load`."""
        columns = to_columns(checked_rows(rows, self._registers), stored_at_us, self._registers)
        with self._holding() as session, session.transaction():
            stored = load(session, self._readings, columns)
        self._loaded = self._loaded or stored[0] > 0
        return PutResult(*stored)

    def counters(self) -> dict[bytes, int]:
        """See `Store.counters`."""
        query = "SELECT system_title, counter FROM counters ORDER BY system_title"
        return {bytes(title): int(counter) for title, counter in self._fetch(query)}

    def slots(self) -> NDArray[np.int64]:
        """See `Store.slots`."""
        return np.array([row[0] for row in self._fetch(SLOTS)], np.int64)

    def present(self, captured_at_s: int, profile: int, meters: range) -> NDArray[np.bool_]:
        """See `Store.present`."""
        query = (
            f"SELECT meter FROM readings WHERE captured_at = {captured_at_s:d} "
            f"AND profile = {profile:d} AND meter >= {meters.start:d} AND meter < {meters.stop:d}"
        )
        with self._holding() as session:
            found = copy_out(session, query, {"meter": "i8"})["meter"]
        present = np.zeros(len(meters), np.bool_)
        present[found.astype(np.int64) - meters.start] = True
        return present

    def readings(self, meter: int, from_s: int, to_s: int) -> StoredRows:
        """See `Store.readings`."""
        query = (
            f"SELECT * FROM readings WHERE meter = {meter:d} AND captured_at >= {from_s:d} "
            f"AND captured_at < {to_s:d} ORDER BY captured_at, profile, stored_at"
        )
        with self._holding() as session:
            columns = copy_out(session, query, column_kinds(self._readings))
        return from_columns(columns, self._registers)

    def usage(self, question: UsageQuestion) -> Usage:
        """See `Store.usage`."""
        # On a connection of its own: a month of all meters must not hold up the writer.
        with translated(self._url), postgres_session.connected(self._url) as session:
            return usage_of(session, self._registers, question)

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
        query = exported(what, from_s, to_s)
        # On a connection of its own: an export of days must not hold up the writer.
        with translated(self._url), postgres_session.connected(self._url) as session:
            return export_query(session, query, path, file_format)

    def forget(self, before_s: int) -> int:
        """See `Store.forget`."""
        old = f"WHERE captured_at < {before_s:d}"
        with self._holding() as session, session.transaction():
            return sum(
                execute(session, f"DELETE FROM {name} {old}") for name in self._readings.names
            )

    def conflict_count(self) -> int:
        """See `Store.conflict_count`."""
        return int(self._fetch("SELECT count(*) FROM conflicts")[0][0])

    def alarms(self, wanted: AlarmFilter, count: int) -> StoredAlarms:
        """See `Store.alarms`."""
        query = page_of_alarms(wanted, count)
        with self._holding() as session:
            return alarms_of(copy_out(session, query, column_kinds(ALARMS)))

    def alarm_conflict_count(self) -> int:
        """See `Store.alarm_conflict_count`."""
        return int(self._fetch("SELECT count(*) FROM alarm_conflicts")[0][0])

    def last_registrations(self) -> Registrations:
        """See `Store.last_registrations`."""
        query = LAST_REGISTRATIONS.format("")
        with self._holding() as session:
            return registrations_of(copy_out(session, query, column_kinds(REGISTRATIONS)))

    def add_command(self, command: Command) -> None:
        """See `Store.add_command`."""
        marks = listed(["%s"] * len(COMMAND_COLUMNS))
        statement = (
            f"INSERT INTO commands ({listed(COMMAND_COLUMNS)}) VALUES ({marks}) "
            "ON CONFLICT DO NOTHING"
        )
        with self._holding() as session:
            if not execute(session, statement, command_row(command)):
                raise CommandError(
                    f"command {command.id} exists", where=self.where, mend="take another id"
                )

    def update_command(self, command: Command) -> None:
        """See `Store.update_command`."""
        changes = ", ".join(f"{name} = %s" for name in COMMAND_COLUMNS)
        statement = f"UPDATE commands SET {changes} WHERE id = %s"
        with self._holding() as session:
            if not execute(session, statement, (*command_row(command), command.id)):
                raise CommandError(
                    f"there is no command {command.id}", where=self.where, mend="add it first"
                )

    def commands(self) -> list[Command]:
        """See `Store.commands`."""
        query = f"SELECT {listed(COMMAND_COLUMNS)} FROM commands ORDER BY id"
        return [command_of(row) for row in self._fetch(query)]

    def size_bytes(self) -> int:
        """See `Store.size_bytes`."""
        tables = [*self._readings.names, "counters", "commands"]
        tables += [name for table in YOUNGER for name in table.names]
        query = (
            "SELECT sum(pg_total_relation_size(to_regclass(name)))::bigint FROM "
            f"unnest(ARRAY[{listed([quoted(name) for name in tables])}]) AS name"
        )
        return int(self._fetch(query)[0][0])

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            self._closed = True
            if self._loaded and self._session is not None:
                # The planner takes a table that was filled a moment ago for an empty one. Where
                # this fails, the server finds out by itself, a minute or so later.
                with suppress(psycopg.Error):
                    self._session.execute(f"ANALYZE {self._readings.name}".encode())
            self._drop()

    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        with self._holding() as session:
            return session.execute(query.encode()).fetchall()

    @contextmanager
    def _holding(self) -> Iterator[psycopg.Connection]:
        """Hold the session alone; after a failure, let go of it, so the next call reconnects."""
        with self._lock:
            try:
                with translated(self._url):
                    yield self._open()
            except CommandError:
                raise
            except StoreError:
                self._drop()
                raise

    def _open(self) -> psycopg.Connection:
        if self._closed:
            raise StoreError("is closed", where=self.where, mend="open it again")
        if self._session is None:
            session = postgres_session.connected(self._url)
            try:
                with translated(self._url):
                    self._prepare(session)
            except BaseException:
                session.close()
                raise
            self._session = session
        return self._session

    def _prepare(self, session: psycopg.Connection) -> None:
        found = postgres_session.registers_of(session, self._url)
        if found not in ((), self._registers):
            raise self._refusal(
                f"it has the registers {listed(found)}, not {listed(self._registers)}"
            )
        if not found and not self._create:
            raise self._refusal("there is no store")
        if self._create or not postgres_session.has_table(session, ALARMS.name):
            create_tables(session, (self._readings, *YOUNGER))
        create_incoming(session, (self._readings, ALARMS))

    def _refusal(self, message: str) -> StoreSchemaError:
        mend = "create a store, or name another database"
        return StoreSchemaError(message, where=self.where, mend=mend)

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def _raise_counters(session: psycopg.Connection, counters: Mapping[bytes, int]) -> None:
    if not counters:
        return
    # Sorted, so that two writers cannot wait for one another.
    titles, values = zip(*sorted(counters.items()), strict=True)
    session.execute(
        "INSERT INTO counters SELECT * FROM unnest(%s::bytea[], %s::bigint[]) "
        "ON CONFLICT (system_title) DO UPDATE "
        "SET counter = GREATEST(counters.counter, excluded.counter)",
        (list(titles), list(values)),
    )
