"""What somebody's own head-end stored, read back."""

from __future__ import annotations

from harness.check.recorded import RecordedRun
from harness.scenario import External
from harness.store.interface import StoredReader


def open_read_back(run: RecordedRun, target: External) -> StoredReader:
    """Open what a foreign head-end stored, as the scenario says. Raises `StoreError`."""
    raise NotImplementedError
