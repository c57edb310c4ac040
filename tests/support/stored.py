"""A store of hand-made rows, for the ledger's tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.store.commands import Command
from harness.store.rows import Rows, StoredRows


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row of a store."""

    meter: int
    captured_at_s: int
    stored_at_us: int
    status: int
    values: tuple[int, ...]
    profile: int = 1

    def altered(self, register: int = 0) -> StoredRow:
        """Return the row with one register changed by one."""
        values = list(self.values)
        values[register] ^= 1
        return replace(self, values=tuple(values))


class HandMadeReader:
    """A `StoredReader` of given rows."""

    def __init__(
        self,
        rows: Sequence[StoredRow],
        registers: Sequence[str],
        journal: Sequence[Command] = (),
    ) -> None:
        self._rows = sorted(rows, key=lambda r: (r.meter, r.profile, r.stored_at_us, r.values))
        self._registers = tuple(registers)
        self._journal = list(journal)

    @property
    def registers(self) -> tuple[str, ...]:
        return self._registers

    def slots(self) -> NDArray[np.int64]:
        return np.array(sorted({row.captured_at_s for row in self._rows}), np.int64)

    def rows(self, captured_at_s: int) -> StoredRows:
        chosen = [row for row in self._rows if row.captured_at_s == captured_at_s]
        values = np.array([row.values for row in chosen], np.uint32)
        rows = Rows(
            meter=np.array([row.meter for row in chosen], np.uint32),
            profile=np.array([row.profile for row in chosen], np.uint8),
            captured_at_s=np.array([row.captured_at_s for row in chosen], np.int64),
            status=np.array([row.status for row in chosen], np.uint8),
            values=values.reshape(len(chosen), len(self._registers)),
            via=np.zeros(len(chosen), np.uint8),
        )
        return StoredRows(rows, np.array([row.stored_at_us for row in chosen], np.int64))

    def conflicts(self) -> StoredRows:
        return StoredRows(Rows.empty(len(self._registers)), np.zeros(0, np.int64))

    def count(self) -> int:
        return len(self._rows)

    def commands(self) -> list[Command]:
        return self._journal

    def close(self) -> None:
        pass
