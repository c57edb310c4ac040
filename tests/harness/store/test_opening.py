"""Addresses of stores."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from harness.store.opening import duckdb_path, open_reader, open_store
from harness.store.postgres_session import redacted
from tests.support.stores import REGISTERS


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("duckdb:///runs/latest/store.duckdb", "/runs/latest/store.duckdb"),
        ("duckdb:///with%20space", "/with space"),
        ("store.duckdb", "store.duckdb"),
        (Path("/runs/store.duckdb"), "/runs/store.duckdb"),
    ],
)
def test_a_file_is_named_by_url_or_path(address: str | Path, path: str) -> None:
    assert duckdb_path(address) == Path(path)


@pytest.mark.parametrize("address", ["mysql://host/db", "duckdb://relative/store", "http://x"])
def test_an_address_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="duckdb:///path or postgresql://"):
        open_store(address, REGISTERS, create=True)


def test_a_url_opens_the_file_it_names(tmp_path: Path) -> None:
    with closing(open_store(f"duckdb://{tmp_path}/x.duckdb", REGISTERS, create=True)) as store:
        assert store.registers == REGISTERS
    with closing(open_reader(tmp_path / "x.duckdb")) as reader:
        assert reader.registers == REGISTERS


def test_a_reader_needs_files_or_one_database() -> None:
    with pytest.raises(ValueError, match="at least one file"):
        open_reader()
    with pytest.raises(ValueError, match="name it alone"):
        open_reader("postgresql://host/a", "postgresql://host/b")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db?password=secret", "postgresql://host/db?password=***"),
        ("postgresql://me:s%40cret@[::1]:5432/db", "postgresql://me:***@[::1]:5432/db"),
        ("postgresql://me:a:b@c@host/db?x=1", "postgresql://me:***@host/db?x=1"),
        ("postgresql:///db?sslpassword=secret&x=1", "postgresql:///db?sslpassword=***&x=1"),
        ("duckdb:///runs/store.duckdb", "duckdb:///runs/store.duckdb"),
    ],
)
def test_urls_are_shown_without_their_password(url: str, shown: str) -> None:
    assert redacted(url) == shown
