"""Reading a foreign system's store through a mapping of columns."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from harness.store.errors import StoreError, StoreSchemaError
from harness.store.external import ColumnMapping, read_external
from tests.support.stores import readings_of

MAPPING = ColumnMapping(
    meter="Meter ID",
    captured_at="time",
    registers={"import_wh": "A+", "export_wh": "A-"},
    stored_at="received",
)
SLOT_S = 1_704_067_200  # 2024-01-01T00:00:00Z
RECEIVED_US = SLOT_S * 1_000_000 + 1_500_000

TABLE = (
    'CREATE TABLE theirs ("Meter ID" {text}, time {time}, "A+" {number}, "A-" {number}, '
    "received {time})"
)
ROWS = [
    ("MST0000000000002", "2024-01-01 01:00:00+01:00", 4_294_967_295, 0, "2024-01-01 00:00:01.5Z"),
    ("MST0000000000001", "2024-01-01T00:00:00Z", 5, 6, "2024-01-01T00:00:01.500Z"),
    ("MST0000000000001", "2024-01-01T00:15:00Z", 7, 8, "2024-01-01T00:00:01.5Z"),
    ("somebody else's", "2024-01-01T00:15:00Z", 7, 8, "2024-01-01T00:00:01.5Z"),
]
EXPECTED = [
    ((0, 1, SLOT_S, 0, (5, 6), 0), RECEIVED_US),
    ((1, 1, SLOT_S, 0, (4_294_967_295, 0), 0), RECEIVED_US),
]


def numbers(names: list[str]) -> NDArray[np.int64]:
    """Logical device names are numbered from one; the others are not ours."""
    return np.array([int(name[3:]) - 1 if name.startswith("MST") else -1 for name in names])


def check(source: str | Path, query: str | None = None) -> None:
    found = read_external(source, MAPPING, numbers, query=query)
    with closing(found.reader) as reader:
        assert readings_of(reader.rows(SLOT_S)) == EXPECTED
        assert reader.slots().tolist() == [SLOT_S, SLOT_S + 900]
        assert reader.count() == 3
        assert reader.registers == ("import_wh", "export_wh")
        assert len(reader.conflicts()) == 0
        assert reader.commands() == []
    assert (found.unknown, found.unknown_names) == (1, ["somebody else's"])
    assert found.unreadable == 0


def write_file(folder: Path, name: str, time: str = "VARCHAR", number: str = "UBIGINT") -> None:
    with duckdb.connect() as session:
        session.execute("SET TimeZone = 'UTC'")
        session.execute(TABLE.format(text="VARCHAR", time=time, number=number))
        session.executemany("INSERT INTO theirs VALUES (?, ?, ?, ?, ?)", ROWS)
        kind = name.rpartition(".")[2]
        session.execute(f"COPY theirs TO '{folder / name}' (FORMAT {kind})")


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
@pytest.mark.parametrize("time", ["VARCHAR", "TIMESTAMPTZ"])
@pytest.mark.parametrize("number", ["UBIGINT", "DECIMAL(13,3)"])
def test_a_folder_of_files(tmp_path: Path, name: str, time: str, number: str) -> None:
    write_file(tmp_path, name, time, number)
    check(tmp_path)


def test_files_of_a_folder_are_one_store(tmp_path: Path) -> None:
    write_file(tmp_path, "one.csv")
    write_file(tmp_path, "two.csv")
    with closing(read_external(tmp_path, MAPPING, numbers).reader) as reader:
        assert reader.rows(SLOT_S).rows.meter.tolist() == [0, 0, 1, 1]


def test_a_duckdb_file(tmp_path: Path) -> None:
    path = tmp_path / "theirs.duckdb"
    with duckdb.connect(path) as session:
        session.execute(TABLE.format(text="VARCHAR", time="VARCHAR", number="UBIGINT"))
        session.executemany("INSERT INTO theirs VALUES (?, ?, ?, ?, ?)", ROWS)
    check(f"duckdb://{path}", "SELECT * FROM theirs")


def test_a_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "theirs.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(TABLE.format(text="TEXT", time="TEXT", number="INTEGER"))
        database.executemany("INSERT INTO theirs VALUES (?, ?, ?, ?, ?)", ROWS)
    check(f"sqlite://{path}", "SELECT * FROM theirs")


@pytest.mark.parametrize("time", ["text", "timestamptz"])
def test_a_postgresql_database(postgres_url: str, time: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        table = TABLE.format(text="text", time=time, number="numeric")
        connection.execute(table.encode())
        connection.cursor().executemany("INSERT INTO theirs VALUES (%s, %s, %s, %s, %s)", ROWS)
    check(postgres_url, "SELECT * FROM theirs")


def csv_folder(tmp_path: Path, *lines: str) -> Path:
    (tmp_path / "rows.csv").write_text("Meter ID,time,A+,A-,received\n" + "\n".join(lines) + "\n")
    return tmp_path


def test_posix_seconds_are_a_time_and_one_without_a_zone_is_utc(tmp_path: Path) -> None:
    folder = csv_folder(
        tmp_path,
        f"MST0000000000001,{SLOT_S},1,2,{SLOT_S}",
        "MST0000000000002,2024-01-01 00:00:00,1,2,2024-01-01",
    )
    with closing(read_external(folder, MAPPING, numbers).reader) as reader:
        found = reader.rows(SLOT_S)
        assert found.rows.meter.tolist() == [0, 1]
        assert found.stored_at_us.tolist() == [SLOT_S * 1_000_000] * 2


@pytest.mark.parametrize(
    "line",
    [
        "MST0000000000001,yesterday,1,2,0",
        "MST0000000000001,,1,2,0",
        f"MST0000000000001,{SLOT_S},1.5,2,0",
        f"MST0000000000001,{SLOT_S},-1,2,0",
        f"MST0000000000001,{SLOT_S},4294967296,2,0",
        f"MST0000000000001,{SLOT_S},x,2,0",
        f"MST0000000000001,{SLOT_S},,2,0",
        f"MST0000000000001,{SLOT_S},nan,2,0",
    ],
)
def test_what_cannot_be_read_is_counted_and_not_rounded(tmp_path: Path, line: str) -> None:
    found = read_external(csv_folder(tmp_path, line), MAPPING, numbers)
    with closing(found.reader) as reader:
        assert reader.count() == 0
    assert (found.unreadable, found.unknown) == (1, 0)


def test_a_row_without_a_meter_is_unknown(tmp_path: Path) -> None:
    found = read_external(csv_folder(tmp_path, f",{SLOT_S},1,2,0"), MAPPING, numbers)
    found.reader.close()
    assert (found.unknown, found.unknown_names) == (1, [])


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    mapping = ColumnMapping(meter="Meter", captured_at="time", registers={"a": "A+"})
    with pytest.raises(StoreSchemaError, match="no column 'Meter'; map one of Meter ID, time"):
        read_external(csv_folder(tmp_path, "a,b,c,d,e"), mapping, numbers)


def test_an_empty_folder_and_missing_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreSchemaError, match=str(tmp_path)):
        read_external(tmp_path, MAPPING, numbers)
    for source in (
        f"sqlite://{tmp_path}/no",
        f"duckdb://{tmp_path}/no",
        "postgresql://127.0.0.1:1/",
    ):
        with pytest.raises(StoreError, match=r"/no|127\.0\.0\.1:1"):
            read_external(source, MAPPING, numbers, query="SELECT 1")


def test_a_query_that_fails_is_an_error_of_the_store(tmp_path: Path, postgres_url: str) -> None:
    path = tmp_path / "theirs.sqlite"
    sqlite3.connect(path).close()
    for source in (f"sqlite://{path}", postgres_url):
        with pytest.raises(StoreError, match="theirs"):
            read_external(source, MAPPING, numbers, query="SELECT * FROM theirs")


def test_a_database_needs_a_query_and_a_folder_takes_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="query"):
        read_external(tmp_path, MAPPING, numbers, query="SELECT 1")
    with pytest.raises(ValueError, match="query"):
        read_external("postgresql://127.0.0.1/db", MAPPING, numbers)
