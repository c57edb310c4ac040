"""The tables every back end has, and the way between `Rows` and their columns.

One wide table ``readings``: the fixed columns, then one column per register. ``conflicts`` has the
same columns. The names are part of the contract: whoever reads a store with SQL relies on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.store.rows import Rows, StoredRows

Columns = Mapping[str, NDArray[np.generic]]

KEY: Final = ("meter", "profile", "captured_at")
FIXED: Final = (*KEY, "status", "via", "stored_at")
"""Units: ``captured_at`` POSIX seconds (UTC), ``stored_at`` POSIX microseconds (UTC)."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")


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


def listed(names: Sequence[str], prefix: str = "") -> str:
    """Return column names as SQL: ``a, b``, or ``p.a, p.b`` with the prefix ``p.``."""
    return ", ".join(prefix + name for name in names)


def differs(registers: Sequence[str], one: str, other: str) -> str:
    """Return the SQL condition under which two arrivals of one reading are in conflict."""
    return " OR ".join(f"{one}.{name} <> {other}.{name}" for name in ("status", *registers))


def same_reading(one: str, other: str) -> str:
    """Return the SQL condition under which two rows are arrivals of one reading."""
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in KEY)


def quoted(text: str | Path) -> str:
    """Return ``text`` as an SQL string literal."""
    return "'" + str(text).replace("'", "''") + "'"
