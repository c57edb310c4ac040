"""Fixtures that tests of several packages share."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.postgres import PostgresServer, find_binaries, running_server

# A shared machine stalls now and then; a slow example is no wrong one.
hypothesis.settings.register_profile("meterstorm", deadline=None, print_blob=True)
hypothesis.settings.load_profile("meterstorm")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server, one per test process."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server binaries: install the package postgresql")
    with running_server(binaries) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """URL of an empty PostgreSQL database."""
    return postgres_server.new_database()
