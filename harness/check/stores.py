"""The stores of a recorded run, opened for reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.check.recorded import RecordedRun
from harness.read_back import open_read_back
from harness.scenario import External
from harness.scenario.target import PostgreSqlStore
from harness.store.interface import EventReader, StoredReader
from harness.store.opening import duckdb_path, is_postgres, open_reader
from harness.store.rows import NO_REGISTRATIONS, Registrations

OPTIONS: Final = "options="


@dataclass(frozen=True, slots=True)
class StoredEvents:
    """What a store holds besides readings and alarms.

    ``alarm_conflicts`` counts the conflicting arrivals of alarms that it kept aside.
    """

    alarm_conflicts: int
    registrations: Registrations


NO_EVENTS: Final = StoredEvents(0, NO_REGISTRATIONS)


def stored_events(reader: StoredReader) -> StoredEvents:
    """Return what a reader tells; of a foreign store nothing is known. Raises `StoreError`."""
    if not isinstance(reader, EventReader):
        return NO_EVENTS
    return StoredEvents(len(reader.alarm_conflicts()), reader.registrations())


@contextmanager
def open_stores(run: RecordedRun) -> Iterator[StoredReader]:
    """Open what the target of a run stored, for the length of a ``with``. Raises `StoreError`."""
    target = run.scenario.target
    if isinstance(target, External):
        reader = open_read_back(run, target)
    else:
        # Shards of one database share its address.
        reader = open_reader(*dict.fromkeys(store_addresses(run)))
    with closing(reader):
        yield reader


def store_addresses(run: RecordedRun) -> list[str | Path]:
    """Return where the reference stores of a run are now."""
    return [_address(run, address) for address in run.facts.stores]


def stores_size_bytes(run: RecordedRun) -> int:
    """Return the size of the embedded stores on disk; 0 for stores elsewhere."""
    files = [path for path in store_addresses(run) if isinstance(path, Path)]
    return sum(path.stat().st_size for path in files if path.is_file())


def _address(run: RecordedRun, address: str) -> str | Path:
    if not is_postgres(address):
        return run.folder.path / duckdb_path(address)
    store = getattr(run.scenario.target, "store", None)
    if not isinstance(store, PostgreSqlStore):
        return address
    # The record has the schema of the run and no password; the scenario has both or needs none.
    schema = address.rpartition(OPTIONS)[2]
    return f"{store.url}{'&' if '?' in store.url else '?'}{OPTIONS}{schema}"
