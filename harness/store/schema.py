"""The tables every back end has, and the way between columns in memory and theirs.

One wide table ``readings``: the fixed columns, then one column per register. Beside it ``alarms``.
Both have a table of the same columns for arrivals that are in conflict. ``registrations`` only
grows. The names are part of the contract: whoever reads a store with SQL relies on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.store.rows import Alarms, Registrations, Rows, StoredAlarms, StoredRows

Columns = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        name: its name.
        types: the columns in their order, each with the name of its dtype.
        key: the columns that identify a row; empty where a row is just one more.
        compared: the columns in which a later arrival may be in conflict with the first.
        conflicts: the table where such arrivals are kept, of the same columns; "" for none.
    """

    name: str
    types: Mapping[str, str]
    key: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    conflicts: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The table, and that of its conflicts if it has one."""
        return tuple(filter(None, (self.name, self.conflicts)))

    def same(self, one: str, other: str) -> str:
        """Return the SQL condition under which two rows have the same key."""
        return " AND ".join(f"{one}.{name} = {other}.{name}" for name in self.key)

    def differs(self, one: str, other: str) -> str:
        """Return the SQL condition under which two arrivals of one key are in conflict."""
        return " OR ".join(f"{one}.{name} <> {other}.{name}" for name in self.compared)


_FIXED_TYPES: Final = {
    "meter": "u4",
    "profile": "u1",
    "captured_at": "i8",
    "status": "u1",
    "via": "u1",
    "stored_at": "i8",
}
FIXED: Final = tuple(_FIXED_TYPES)
"""Units: ``captured_at`` POSIX seconds (UTC), ``stored_at`` POSIX microseconds (UTC)."""

ALARMS: Final = Table(
    "alarms",
    {
        "meter": "u4",
        "source": "u1",
        "code": "u2",
        "sequence": "u4",
        "raised_at": "i8",
        "argument": "u4",
        "stored_at": "i8",
    },
    key=("meter", "source", "code", "sequence"),
    compared=("raised_at", "argument"),
    conflicts="alarm_conflicts",
)
"""Units: ``raised_at`` POSIX seconds (UTC), ``stored_at`` POSIX microseconds (UTC)."""

REGISTRATIONS: Final = Table(
    "registrations",
    {"meter": "u4", "concentrator": "u4", "kind": "u1", "period_s": "u4", "happened_at": "i8"},
)
"""Units: ``period_s`` seconds, ``happened_at`` POSIX microseconds (UTC)."""

YOUNGER: Final = (ALARMS, REGISTRATIONS)
"""Tables that stores of earlier versions lack."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


def readings_table(registers: Sequence[str]) -> Table:
    """Return the table of readings with these registers."""
    return Table(
        "readings",
        _FIXED_TYPES | dict.fromkeys(registers, "u4"),
        key=("meter", "profile", "captured_at"),
        compared=("status", *registers),
        conflicts="conflicts",
    )


def checked_registers(registers: Sequence[str]) -> tuple[str, ...]:
    """Return the register names if they can be columns.

    Raises:
        ValueError: no name, a name twice, or one that is no lower-case SQL name of its own.
    """
    for name in registers:
        if not _NAME.fullmatch(name) or name in FIXED:
            raise ValueError(f"{name!r} cannot be the name of a register column")
    if not registers or len(set(registers)) != len(registers):
        raise ValueError(f"register names must be distinct and at least one: {registers!r}")
    return tuple(registers)


def checked_rows(rows: Rows, registers: Sequence[str]) -> Rows:
    """Return ``rows`` if they carry one value per register.

    Raises:
        ValueError: they carry another number.
    """
    if rows.values.shape[1] != len(registers):
        raise ValueError(f"{rows.values.shape[1]} values a row for {len(registers)} registers")
    return rows


def to_columns(rows: Rows, stored_at_us: int, registers: Sequence[str]) -> Columns:
    """Return the table columns of ``rows``, all stored at one time."""
    columns: dict[str, NDArray[np.generic]] = {
        "meter": rows.meter,
        "profile": rows.profile,
        "captured_at": rows.captured_at_s,
        "status": rows.status,
        "via": rows.via,
        "stored_at": np.full(len(rows), stored_at_us, np.int64),
    }
    columns.update({name: rows.values[:, i] for i, name in enumerate(registers)})
    return columns


def from_columns(columns: Columns, registers: Sequence[str]) -> StoredRows:
    """Return the rows that table columns of any integer type hold."""
    values = np.empty((len(columns["meter"]), len(registers)), np.uint32)
    for i, name in enumerate(registers):
        values[:, i] = columns[name]
    rows = Rows(
        meter=np.asarray(columns["meter"], np.uint32),
        profile=np.asarray(columns["profile"], np.uint8),
        captured_at_s=np.asarray(columns["captured_at"], np.int64),
        status=np.asarray(columns["status"], np.uint8),
        values=values,
        via=np.asarray(columns["via"], np.uint8),
    )
    return StoredRows(rows, np.asarray(columns["stored_at"], np.int64))


def alarm_columns(alarms: Alarms, stored_at_us: int) -> Columns:
    """Return the table columns of ``alarms``, all stored at one time."""
    return {
        "meter": alarms.meter,
        "source": alarms.source,
        "code": alarms.code,
        "sequence": alarms.sequence,
        "raised_at": alarms.raised_at_s,
        "argument": alarms.argument,
        "stored_at": np.full(len(alarms), stored_at_us, np.int64),
    }


def alarms_of(columns: Columns) -> StoredAlarms:
    """Return the alarms that table columns of any integer type hold."""
    alarms = Alarms(
        meter=np.asarray(columns["meter"], np.uint32),
        source=np.asarray(columns["source"], np.uint8),
        code=np.asarray(columns["code"], np.uint16),
        sequence=np.asarray(columns["sequence"], np.uint32),
        raised_at_s=np.asarray(columns["raised_at"], np.int64),
        argument=np.asarray(columns["argument"], np.uint32),
    )
    return StoredAlarms(alarms, np.asarray(columns["stored_at"], np.int64))


def registration_columns(registrations: Registrations) -> Columns:
    """Return the table columns of ``registrations``."""
    return {
        "meter": registrations.meter,
        "concentrator": registrations.concentrator,
        "kind": registrations.kind,
        "period_s": registrations.period_s,
        "happened_at": registrations.at_us,
    }


def registrations_of(columns: Columns) -> Registrations:
    """Return the changes of registrations that table columns of any integer type hold."""
    return Registrations(
        meter=np.asarray(columns["meter"], np.uint32),
        concentrator=np.asarray(columns["concentrator"], np.uint32),
        kind=np.asarray(columns["kind"], np.uint8),
        period_s=np.asarray(columns["period_s"], np.uint32),
        at_us=np.asarray(columns["happened_at"], np.int64),
    )


def listed(names: Sequence[str], prefix: str = "") -> str:
    """Return column names as SQL: ``a, b``, or ``p.a, p.b`` with the prefix ``p.``."""
    return ", ".join(prefix + name for name in names)


def quoted(text: str | Path) -> str:
    """Return ``text`` as an SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"
