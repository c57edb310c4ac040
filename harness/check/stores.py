"""The stores of a recorded run, opened for reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from harness.check.recorded import RecordedRun
from harness.read_back import open_read_back
from harness.scenario import External
from harness.store.interface import StoredReader
from harness.store.opening import duckdb_path, is_postgres, open_reader


@contextmanager
def open_stores(run: RecordedRun) -> Iterator[StoredReader]:
    """Open what the target of a run stored, for the length of a ``with``. Raises `StoreError`."""
    target = run.scenario.target
    if isinstance(target, External):
        reader = open_read_back(run, target)
    else:
        # Shards of one database share its address.
        reader = open_reader(*dict.fromkeys(run.facts.stores))
    with closing(reader):
        yield reader


def stores_size_bytes(run: RecordedRun) -> int:
    """Return the size of the embedded stores on disk; 0 for stores elsewhere."""
    files = [duckdb_path(address) for address in run.facts.stores if not is_postgres(address)]
    return sum(path.stat().st_size for path in files if path.is_file())
