"""Whole runs that several acceptance tests look at; each is made once."""

from __future__ import annotations

import pytest

from tests.support.command_line import WholeRun, run_scenario, small_scenario
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def duckdb_run(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """A run on the embedded store. Look, but change only copies."""
    return run_scenario(small_scenario(tmp_path_factory.mktemp("duckdb")))


@pytest.fixture(scope="session")
def postgres_run(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> WholeRun:
    """The same run on PostgreSQL."""
    store = f'[target.store]\nkind = "postgresql"\nurl = "{postgres_server.new_database()}"\n'
    return run_scenario(small_scenario(tmp_path_factory.mktemp("postgresql"), more=store))
