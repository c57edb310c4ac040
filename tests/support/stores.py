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
from harness.store.rows import Rows, StoredRows, Via

REGISTERS = ("import_wh", "export_wh")

Key = tuple[int, int, int]
"""(meter, profile, captured_at_s)."""

Reading = tuple[int, int, int, int, tuple[int, ...], int]
"""(meter, profile, captured_at_s, status, values, via)."""


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

    def put(
        self, readings: Sequence[Reading], counters: Mapping[bytes, int], stored_at_us: int
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
        return PutResult(inserted, repeated, conflicting)

    def slots(self) -> list[int]:
        return sorted({key[2] for key in self.readings})

    def slot(self, captured_at_s: int) -> list[tuple[Reading, int]]:
        found = [self.readings[key] for key in self.readings if key[2] == captured_at_s]
        return sorted(found, key=lambda entry: entry[0][:2])
