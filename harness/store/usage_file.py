"""Usage as two Parquet files, on its way from one process to another."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from harness.store import duckdb_session
from harness.store.rows import Columnar
from harness.store.schema import quoted
from harness.store.usage import Energy, Standing, Usage

_Part = TypeVar("_Part", bound=Columnar)


def write_usage(folder: Path, stem: str, usage: Usage) -> None:
    """Write ``usage`` to two files of ``folder`` whose names begin with ``stem``.

    Raises `StoreError` when the folder cannot be written.
    """
    _write(_file(folder, stem, "energy"), usage.energy)
    _write(_file(folder, stem, "standing"), usage.standing)


def take_usage(folder: Path, stem: str) -> Usage:
    """Return what `write_usage` wrote, and remove the files.

    Raises `StoreError` when they cannot be read.
    """
    return Usage(
        _take(_file(folder, stem, "energy"), Energy),
        _take(_file(folder, stem, "standing"), Standing),
    )


def _file(folder: Path, stem: str, part: str) -> Path:
    return folder / f"{stem}.{part}.parquet"


def _write(path: Path, columns: Columnar) -> None:
    with duckdb_session.translated(path), duckdb_session.in_memory() as session:
        # DuckDB finds the variable by its name in this frame.
        rows = {name: getattr(columns, name) for name in columns.TYPES}  # noqa: F841
        session.execute(f"COPY (FROM rows) TO {quoted(path)} (FORMAT parquet)")


def _take(path: Path, kind: type[_Part]) -> _Part:
    with duckdb_session.translated(path), duckdb_session.in_memory() as session:
        found = session.execute(f"FROM read_parquet({quoted(path)})").fetchnumpy()
        path.unlink()
    return kind(**{name: found[name].astype(dtype) for name, dtype in kind.TYPES.items()})
