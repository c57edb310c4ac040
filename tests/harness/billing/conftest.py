"""A place for a book, on either back end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.postgres import PostgresServer


@pytest.fixture(params=["duckdb", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store or book may be."""
    if request.param == "duckdb":
        return str(tmp_path / "book.duckdb")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()
