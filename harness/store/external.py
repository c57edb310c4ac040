"""Reading what somebody else's head-end stored, through a mapping of its columns.

Whatever the source (a query on PostgreSQL, SQLite or a DuckDB file, or a folder of Parquet or CSV
files), its rows are brought once into the tables of a store in memory, and read like one of ours.
Rows of meters nobody provisioned, or whose time or values cannot be read, are not dropped in
silence: they are counted, and the check that judges the run has to look.
"""

from __future__ import annotations

import csv
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from harness.store import duckdb_session, postgres_session
from harness.store.duckdb_reader import DuckDbReader
from harness.store.duckdb_tables import create_tables
from harness.store.errors import StoreError, StoreSchemaError
from harness.store.opening import duckdb_path, is_postgres
from harness.store.postgres_export import copy_csv
from harness.store.schema import FIXED, checked_registers, listed, quoted

MeterNumbers = Callable[[list[str]], NDArray[np.int64]]
"""From the names a foreign system uses to meter numbers, -1 for a name that is not ours."""

_FILES: Final = {"parquet": "read_parquet", "csv": "read_csv"}


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Which columns of a foreign table hold a reading. Names are taken as they are.

    Attributes:
        meter: the meter's name or number, any type.
        captured_at: the capture time: a timestamp (without a zone it is UTC), ISO 8601 text, or
            POSIX seconds.
        registers: foreign column per register name, in the order of `Rows.values`; whole numbers.
        status: profile status; None reads as 0.
        stored_at: time of storing, like ``captured_at``; None reads as 0.
        profile: capture profile number of all rows.
    """

    meter: str
    captured_at: str
    registers: Mapping[str, str]
    status: str | None = None
    stored_at: str | None = None
    profile: int = 1


Mapper = Callable[[Sequence[str]], ColumnMapping]
"""From the columns that are there to their meaning."""


@dataclass(frozen=True, slots=True)
class ExternalStore:
    """What was read from a foreign store.

    Attributes:
        reader: the rows of known meters; close it after use.
        unknown: rows of meters that are not ours.
        unknown_names: up to ten of their names, sorted.
        unreadable: rows whose time or values could not be read.
    """

    reader: DuckDbReader
    unknown: int
    unknown_names: list[str] = field(default_factory=list)
    unreadable: int = 0


def read_external(
    source: str | Path,
    mapping: ColumnMapping | Mapper,
    numbers: MeterNumbers,
    *,
    query: str | None = None,
    files: str | None = None,
) -> ExternalStore:
    """Read a foreign store.

    Args:
        source: ``postgresql://...``, ``sqlite:///absolute/path``, ``duckdb:///absolute/path``, or
            a folder of Parquet or CSV files.
        mapping: where a reading is in its rows, or what tells it from the columns there are.
        numbers: meter numbers of its names.
        query: what to read; needed for all but a folder.
        files: "parquet" or "csv": which files of a folder; left out, those that are there.

    Raises:
        StoreError: the source cannot be read, or lacks a column.
        ValueError: a query for a folder or none for a database, or a mapping to no register.
    """
    is_folder = "://" not in str(source)
    if is_folder == (query is not None):
        raise ValueError("a database needs a query, and a folder takes none")
    where = postgres_session.redacted(str(source))
    session = duckdb_session.in_memory()
    try:
        with duckdb_session.translated(where):
            _fetch(session, source, query, files)
            return _mapped(session, _chosen(session, mapping, where), numbers, where)
    except BaseException:
        session.close()
        raise


def _fetch(
    session: duckdb.DuckDBPyConnection, source: str | Path, query: str | None, files: str | None
) -> None:
    """Create the table ``foreign_rows`` with everything the source has, as it is."""
    if query is None:
        _load(session, _folder(Path(source), files))
    elif is_postgres(source):
        with tempfile.TemporaryDirectory() as name, postgres_session.translated(str(source)):
            file = Path(name) / "rows.csv"
            with postgres_session.connected(str(source)) as server:
                copy_csv(server, query, file)
            _load(session, f"read_csv({quoted(file)}, all_varchar=true)")
    elif str(source).startswith("sqlite:///"):
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "rows.csv"
            _sqlite_csv(Path(str(source).removeprefix("sqlite://")), query, file)
            _load(session, f"read_csv({quoted(file)}, all_varchar=true)")
    else:
        duckdb_session.attach(session, duckdb_path(source), "theirs", read_only=True)
        session.execute("USE theirs")
        session.execute(f"CREATE TABLE memory.foreign_rows AS {query}")
        session.execute("USE memory")


def _load(session: duckdb.DuckDBPyConnection, table: str) -> None:
    session.execute(f"CREATE TABLE foreign_rows AS FROM {table}")


def _folder(folder: Path, files: str | None) -> str:
    for ending, function in _FILES.items():
        if files in (None, ending) and any(folder.glob(f"*.{ending}")):
            # CSV as text: a guess that "0012" is a number would lose the name.
            text = ", all_varchar=true" if function == "read_csv" else ""
            return f"{function}({quoted(folder / f'*.{ending}')}, union_by_name=true{text})"
    wanted = " or ".join(f".{ending}" for ending in _FILES if files in (None, ending))
    raise StoreSchemaError(
        f"there are no {wanted} files", where=str(folder), mend="name the export's folder"
    )


def _sqlite_csv(path: Path, query: str, file: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database,
            file.open("w", newline="") as output,
        ):
            rows = database.execute(query)
            writer = csv.writer(output)
            writer.writerow([column[0] for column in rows.description])
            writer.writerows(rows)
    except sqlite3.Error as error:
        mend = "check the path and the query"
        raise StoreError(str(error), where=str(path), mend=mend) from error


def _mapped(
    session: duckdb.DuckDBPyConnection, mapping: ColumnMapping, numbers: MeterNumbers, where: str
) -> ExternalStore:
    """Fill the tables of a store from ``foreign_rows``."""
    create_tables(session, tuple(mapping.registers), "memory")
    strangers = _number_meters(session, mapping, numbers)
    session.execute(f"CREATE TABLE arrived AS {_readings(mapping)}")
    readable = " AND ".join(f"{name} IS NOT NULL" for name in (*FIXED, *mapping.registers))
    session.execute(f"INSERT INTO readings BY NAME SELECT * FROM arrived WHERE {readable}")
    unknown, unreadable = session.execute(
        "SELECT count(*) FILTER (meter IS NULL), "
        f"count(*) FILTER (meter IS NOT NULL AND NOT ({readable})) FROM arrived"
    ).fetchall()[0]
    for table in ("arrived", "foreign_rows"):
        session.execute(f"DROP TABLE {table}")
    reader = DuckDbReader(session, where, tuple(mapping.registers))
    return ExternalStore(reader, int(unknown), strangers[:10], int(unreadable))


def _chosen(
    session: duckdb.DuckDBPyConnection, mapping: ColumnMapping | Mapper, where: str
) -> ColumnMapping:
    """Return the mapping, its columns found to be there."""
    there = [str(row[0]) for row in session.execute("DESCRIBE foreign_rows").fetchall()]
    chosen = mapping if isinstance(mapping, ColumnMapping) else mapping(there)
    checked_registers(tuple(chosen.registers))
    wanted = [chosen.meter, chosen.captured_at, *chosen.registers.values()]
    wanted += [name for name in (chosen.status, chosen.stored_at) if name is not None]
    for name in wanted:
        if name not in there:
            raise StoreSchemaError(
                f"there is no column {name!r}", where=where, mend=f"map one of {listed(there)}"
            )
    return chosen


def _number_meters(
    session: duckdb.DuckDBPyConnection, mapping: ColumnMapping, numbers: MeterNumbers
) -> list[str]:
    """Create the table ``names`` of the meters that are ours; return the names that are not."""
    query = (
        f"SELECT DISTINCT {_column(mapping.meter)}::VARCHAR AS name FROM foreign_rows "
        "WHERE name IS NOT NULL ORDER BY name"
    )
    names = np.array([str(row[0]) for row in session.execute(query).fetchall()], object)
    found = np.asarray(numbers(names.tolist()), np.int64)
    ours = found >= 0
    session.execute("CREATE TEMPORARY TABLE names (name VARCHAR, number UINTEGER)")
    if ours.any():
        session.register("known", {"name": names[ours], "number": found[ours].astype(np.uint32)})
        session.execute("INSERT INTO names BY NAME SELECT * FROM known")
    return [str(name) for name in names[~ours]]


def _readings(mapping: ColumnMapping) -> str:
    """Return the query of all foreign rows as readings, null where something is unreadable."""
    stored_at = _microseconds(mapping.stored_at) if mapping.stored_at else "0"
    status = _whole(mapping.status, 0xFF) if mapping.status else "0"
    registers = (f"{_whole(theirs, 0xFFFF_FFFF)} AS {o}" for o, theirs in mapping.registers.items())
    return (
        f"SELECT names.number AS meter, {mapping.profile:d} AS profile, "
        f"{_microseconds(mapping.captured_at)} // 1000000 AS captured_at, {status} AS status, "
        f"0 AS via, {stored_at} AS stored_at, {', '.join(registers)} FROM foreign_rows "
        f"LEFT JOIN names ON names.name = {_column(mapping.meter)}::VARCHAR"
    )


def _microseconds(name: str) -> str:
    """Return the SQL of a time in POSIX microseconds; text without a zone is UTC."""
    text = f"{_column(name)}::VARCHAR"
    return (
        f"COALESCE(TRY_CAST({text} AS BIGINT) * 1000000, epoch_us(TRY_CAST({text} AS TIMESTAMPTZ)))"
    )


def _whole(name: str, highest: int) -> str:
    """Return the SQL of a whole number 0..highest: rounding would make wrong values right."""
    number = f"TRY_CAST({_column(name)} AS DOUBLE)"
    return (
        f"CASE WHEN {number} = floor({number}) AND {number} BETWEEN 0 AND {highest:d} "
        f"THEN {number}::UINTEGER END"
    )


def _column(name: str) -> str:
    return 'foreign_rows."' + name.replace('"', '""') + '"'
