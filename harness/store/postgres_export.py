"""From a PostgreSQL query to a file: CSV by the server, Parquet through DuckDB."""

from __future__ import annotations

from pathlib import Path

import psycopg

from harness.store import duckdb_session
from harness.store.interface import ExportFormat
from harness.store.schema import quoted


def export_query(
    session: psycopg.Connection, query: str, path: Path, file_format: ExportFormat
) -> Path:
    """Write the result of a query to ``path``, whole or not at all, and return it.

    Raises:
        StoreError: the file cannot be written.
        psycopg.Error: the server failed.
    """
    csv = path.with_name(path.name + ".part")
    with duckdb_session.translated(path):
        copy_csv(session, query, csv)
        if file_format == "csv":
            csv.replace(path)
        else:
            _to_parquet(csv, path)
    return path


def copy_csv(session: psycopg.Connection, query: str, path: Path) -> None:
    """Write the result of a query to ``path`` as CSV with a header line."""
    statement = f"COPY ({query}) TO STDOUT (FORMAT CSV, HEADER)"
    with (
        path.open("wb") as file,
        session.cursor() as cursor,
        cursor.copy(statement.encode()) as copy,
    ):
        for chunk in copy:
            file.write(chunk)


def _to_parquet(csv: Path, path: Path) -> None:
    part = path.with_name(path.name + ".parquet.part")
    with duckdb_session.in_memory() as converter:
        converter.execute(
            f"COPY (SELECT * FROM read_csv({quoted(csv)})) TO {quoted(part)} (FORMAT parquet)"
        )
    part.replace(path)
    csv.unlink()
