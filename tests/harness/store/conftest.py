"""Both back ends, for tests that must hold on either."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from tests.support.postgres import PostgresServer
from tests.support.stores import Place


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def new_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Place]:
    """Makes places for new stores of one back end; each is its own."""
    if request.param == "duckdb":
        folder = tmp_path_factory.mktemp("stores")
        numbers = count()
        return lambda: Place(str(folder / f"store_{next(numbers)}.duckdb"))
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return lambda: Place(server.new_database())


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Place:
    """A place for a new store."""
    return new_place()
