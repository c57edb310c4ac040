"""What every reader of the tables does alike; a back end adds how to run a query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.store.commands import COMMAND_COLUMNS, Command, command_of
from harness.store.rows import Registrations, StoredAlarms, StoredRows
from harness.store.schema import (
    ALARMS,
    REGISTRATIONS,
    Columns,
    Table,
    alarms_of,
    from_columns,
    listed,
    readings_table,
    registrations_of,
)
from harness.store.sql import BY_RAISING


class SqlReader(ABC):
    """A `StoredReader` and `EventReader` of tables that answer SQL."""

    slots_query = "SELECT DISTINCT captured_at FROM readings ORDER BY captured_at"

    def __init__(self, registers: Sequence[str]) -> None:
        """Read tables with these register columns."""
        self._registers = tuple(registers)

    @property
    def registers(self) -> tuple[str, ...]:
        """Names of the register columns."""
        return self._registers

    def slots(self) -> NDArray[np.int64]:
        """See `StoredReader.slots`."""
        return np.array([row[0] for row in self._fetch(self.slots_query)], np.int64)

    def rows(self, captured_at_s: int) -> StoredRows:
        """See `StoredReader.rows`."""
        return self._stored(
            f"SELECT * FROM readings WHERE captured_at = {captured_at_s:d} "
            f"ORDER BY meter, profile, stored_at, {listed(self._registers)}"
        )

    def conflicts(self) -> StoredRows:
        """See `StoredReader.conflicts`."""
        return self._stored(
            "SELECT * FROM conflicts ORDER BY captured_at, meter, profile, stored_at, "
            f"{listed(self._registers)}"
        )

    def count(self) -> int:
        """See `StoredReader.count`."""
        return int(self._fetch("SELECT count(*) FROM readings")[0][0])

    def commands(self) -> list[Command]:
        """See `StoredReader.commands`."""
        query = f"SELECT {listed(COMMAND_COLUMNS)} FROM commands ORDER BY id"
        return [command_of(row) for row in self._fetch(query)]

    def alarms(self) -> StoredAlarms:
        """See `EventReader.alarms`."""
        return self._alarms(ALARMS.name)

    def alarm_conflicts(self) -> StoredAlarms:
        """See `EventReader.alarm_conflicts`."""
        return self._alarms(ALARMS.conflicts)

    def registrations(self) -> Registrations:
        """See `EventReader.registrations`."""
        query = "SELECT * FROM registrations ORDER BY happened_at, concentrator, meter, kind"
        return registrations_of(self._columns(REGISTRATIONS, query))

    def _stored(self, query: str) -> StoredRows:
        columns = self._columns(readings_table(self._registers), query)
        return from_columns(columns, self._registers)

    def _alarms(self, table: str) -> StoredAlarms:
        return alarms_of(self._columns(ALARMS, f"SELECT * FROM {table} ORDER BY {BY_RAISING}"))

    @abstractmethod
    def _columns(self, table: Table, query: str) -> Columns:
        """Run a query for all columns of a table; a table not there has no rows."""

    @abstractmethod
    def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query for a few rows. Raises `StoreError`."""

    @abstractmethod
    def close(self) -> None:
        """See `StoredReader.close`."""
