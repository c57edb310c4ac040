"""Stores for tests: places to put one, rows to put into it, and what must be in it then."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import psycopg

from harness.store.interface import PutResult, Store, StoredReader
from harness.store.opening import open_reader, open_store
from harness.store.rows import (
    Alarms,
    Columnar,
    RegistrationKind,
    Registrations,
    Rows,
    StoredAlarms,
    StoredRows,
    Via,
)

REGISTERS = ("import_wh", "export_wh")

Key = tuple[int, int, int]
"""(meter, profile, captured_at_s)."""

Reading = tuple[int, int, int, int, tuple[int, ...], int]
"""(meter, profile, captured_at_s, status, values, via)."""

Alarm = tuple[int, int, int, int, int, int]
"""(meter, source, code, sequence, raised_at_s, argument)."""

AlarmKey = tuple[int, int, int, int]
"""(meter, source, code, sequence)."""

Change = tuple[int, int, int, int, int]
"""(meter, concentrator, kind, period_s, at_us)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one store is; the file or the database of its own."""

    address: str

    def open(self, registers: Sequence[str] = REGISTERS, *, create: bool = True) -> Store:
        return open_store(self.address, registers, create=create)

    def reader(self) -> StoredReader:
        return open_reader(self.address)

    def settle(self) -> None:
        """Return when no client that was killed has a statement under way any more."""
        if not self.address.startswith("postgresql"):
            return
        others = (
            b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            b"AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        deadline = time.monotonic() + 20
        with psycopg.connect(self.address, autocommit=True) as connection:
            while connection.execute(others).fetchall() != [(0,)]:
                assert time.monotonic() < deadline, "a killed client lives on"

    def tamper(self, *statements: str) -> None:
        """Run SQL behind the store's back; no store may be open in a file."""
        if self.address.startswith("postgresql"):
            with psycopg.connect(self.address) as connection:
                for statement in statements:
                    connection.execute(statement.encode())
        else:
            with duckdb.connect(Path(self.address)) as session:
                for statement in statements:
                    session.execute(statement)


def rows_of(readings: Sequence[Reading], registers: int = len(REGISTERS)) -> Rows:
    """Return readings as rows."""
    if not readings:
        return Rows.empty(registers)
    meter, profile, captured_at_s, status, values, via = zip(*readings, strict=True)
    return Rows(
        meter=np.array(meter, np.uint32),
        profile=np.array(profile, np.uint8),
        captured_at_s=np.array(captured_at_s, np.int64),
        status=np.array(status, np.uint8),
        values=np.array(values, np.uint32),
        via=np.array(via, np.uint8),
    )


def push(meters: Sequence[int], captured_at_s: int, value: int = 7) -> Rows:
    """Return one load reading of each meter, all with the same value."""
    return rows_of([(m, 1, captured_at_s, 0, (value, 0), Via.PUSH) for m in meters])


def alarms_of(alarms: Sequence[Alarm]) -> Alarms:
    """Return alarms as columns."""
    columns = np.array(alarms, np.int64).reshape(-1, len(Alarms.TYPES)).T
    return Alarms(
        **{
            name: column.astype(dtype)
            for (name, dtype), column in zip(Alarms.TYPES.items(), columns, strict=True)
        }
    )


def registrations_of(changes: Sequence[Change]) -> Registrations:
    """Return changes of registrations as columns."""
    columns = np.array(changes, np.int64).reshape(-1, len(Registrations.TYPES)).T
    return Registrations(
        **{
            name: column.astype(dtype)
            for (name, dtype), column in zip(Registrations.TYPES.items(), columns, strict=True)
        }
    )


def registered(meter: int, at_us: int, kind: int = RegistrationKind.REGISTERED) -> Change:
    """Return a change of a meter behind concentrator 0."""
    return meter, 0, kind, 60, at_us


def tuples_of(columns: Columnar) -> list[tuple[int, ...]]:
    """Return alarms or registrations as tuples, in their order."""
    return list(zip(*(getattr(columns, name).tolist() for name in columns.TYPES), strict=True))


def stored_alarms_of(stored: StoredAlarms) -> list[tuple[tuple[int, ...], int]]:
    """Return stored alarms as (alarm, stored_at_us), in their order."""
    return list(zip(tuples_of(stored.alarms), stored.stored_at_us.tolist(), strict=True))


def readings_of(stored: StoredRows) -> list[tuple[Reading, int]]:
    """Return stored rows as (reading, stored_at_us), in their order."""
    rows = stored.rows
    return [
        (
            (
                int(rows.meter[i]),
                int(rows.profile[i]),
                int(rows.captured_at_s[i]),
                int(rows.status[i]),
                tuple(int(value) for value in rows.values[i]),
                int(rows.via[i]),
            ),
            int(stored.stored_at_us[i]),
        )
        for i in range(len(stored))
    ]


@dataclass(slots=True)
class Model:
    """What a store must hold, as a dict."""

    readings: dict[Key, tuple[Reading, int]] = field(default_factory=dict)
    conflicts: list[tuple[Reading, int]] = field(default_factory=list)
    counters: dict[bytes, int] = field(default_factory=dict)
    alarms: dict[AlarmKey, tuple[Alarm, int]] = field(default_factory=dict)
    alarm_conflicts: list[tuple[Alarm, int]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def put(
        self,
        readings: Sequence[Reading],
        counters: Mapping[bytes, int],
        stored_at_us: int,
        alarms: Sequence[Alarm] = (),
        changes: Sequence[Change] = (),
    ) -> PutResult:
        inserted = repeated = conflicting = 0
        for reading in readings:
            kept = self.readings.setdefault(reading[:3], (reading, stored_at_us))
            if kept[0] is reading:
                inserted += 1
            elif kept[0][3:5] == reading[3:5]:
                repeated += 1
            else:
                conflicting += 1
                self.conflicts.append((reading, stored_at_us))
        for title, counter in counters.items():
            self.counters[title] = max(counter, self.counters.get(title, 0))
        self.changes += changes
        raised = self._put_alarms(alarms, stored_at_us)
        return PutResult(inserted, repeated, conflicting, *raised, len(changes))

    def _put_alarms(self, alarms: Sequence[Alarm], stored_at_us: int) -> tuple[int, int, int]:
        inserted = repeated = conflicting = 0
        for alarm in alarms:
            kept = self.alarms.setdefault(alarm[:4], (alarm, stored_at_us))
            if kept[0] is alarm:
                inserted += 1
            elif kept[0] == alarm:
                repeated += 1
            else:
                conflicting += 1
                self.alarm_conflicts.append((alarm, stored_at_us))
        return inserted, repeated, conflicting

    def slots(self) -> list[int]:
        return sorted({key[2] for key in self.readings})

    def slot(self, captured_at_s: int) -> list[tuple[Reading, int]]:
        found = [self.readings[key] for key in self.readings if key[2] == captured_at_s]
        return sorted(found, key=lambda entry: entry[0][:2])
