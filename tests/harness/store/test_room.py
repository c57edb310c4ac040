"""What readings need is told before they are written, and neither much more nor less than it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psycopg
import pytest

from harness.store.errors import StoreUnavailableError
from harness.store.opening import open_store
from harness.store.room import Room, octets_of, room_of
from harness.store.rows import Rows, Via

METERS = 130_000
"""More than a row group of DuckDB, so that most of them go straight to their place in the file."""
CAPTURES = 4


@pytest.fixture(params=["duckdb", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store may be, of each back end."""
    if request.param == "duckdb":
        return str(tmp_path / "store.duckdb")
    url: str = request.getfixturevalue("postgres_url")
    return url


def fill(address: str, registers: int) -> int:
    """Fill a store with registers that nothing can pack; return the octets it takes."""
    draw = np.random.default_rng(1)
    names = [f"register_{number}" for number in range(registers)]
    with closing(open_store(address, names, create=True)) as store:
        for capture in range(CAPTURES):
            store.load(
                Rows(
                    meter=np.arange(METERS, dtype=np.uint32),
                    profile=np.ones(METERS, np.uint8),
                    captured_at_s=np.full(METERS, 900 * capture),
                    status=np.zeros(METERS, np.uint8),
                    values=draw.integers(0, 2**32, (METERS, registers), np.uint32),
                    via=np.full(METERS, Via.PRELOADED, np.uint8),
                ),
                1,
            )
        return store.size_bytes()


@pytest.mark.parametrize("registers", [4, 8])
def test_the_estimate_is_near_what_a_store_takes(address: str, registers: int) -> None:
    before = room_of(address)
    taken = fill(address, registers)
    told = octets_of(address, METERS * CAPTURES, registers)
    assert 0.9 * taken <= told <= 1.1 * taken
    after = room_of(address)
    assert before is not None
    assert after is not None
    assert before.held < 100_000
    assert after.held <= before.needed(told)
    assert after.needed(told) <= 0.1 * told + after.spare


def test_a_file_that_is_still_to_be_made_is_where_its_folder_is(tmp_path: Path) -> None:
    room = room_of(tmp_path / "store.duckdb")
    assert room is not None
    assert room.where == str(tmp_path / "store.duckdb")
    assert room.device == tmp_path.stat().st_dev
    assert room.held == 0
    assert room.free > 0


def test_a_folder_that_is_not_there_cannot_be_seen(tmp_path: Path) -> None:
    assert room_of(tmp_path / "nowhere" / "store.duckdb") is None


@pytest.mark.parametrize(
    ("octets", "held", "needed"),
    [(0, 0, 0), (10, 0, 30), (100, 0, 150), (100, 30, 120), (100, 100, 50), (100, 200, 50)],
)
def test_what_is_held_already_is_not_needed_again(octets: int, held: int, needed: int) -> None:
    assert Room("here", 1, free=0, held=held, spare=50).needed(octets) == needed


def test_a_servers_folder_is_found_and_no_password_told(postgres_url: str) -> None:
    room = room_of(postgres_url)
    assert room is not None
    assert str(urlsplit(postgres_url).password) not in room.where
    with psycopg.connect(postgres_url) as connection:
        folder = connection.execute(b"SHOW data_directory").fetchall()[0][0]
    assert room.device == Path(folder).stat().st_dev


def test_a_user_who_may_not_know_the_folder_gets_none(postgres_url: str) -> None:
    with ordinary_user(postgres_url) as url:
        assert room_of(url) is None


def test_a_server_that_is_away_is_said(postgres_url: str) -> None:
    port = urlsplit(postgres_url).port
    with pytest.raises(StoreUnavailableError):
        room_of(postgres_url.replace(f":{port}/", ":1/"))


@contextmanager
def ordinary_user(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    name = f"ordinary_{parts.path[1:]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{parts.password}'".encode())
        try:
            yield url.replace(f"//{parts.username}:", f"//{name}:")
        finally:
            connection.execute(f"DROP ROLE {name}".encode())
