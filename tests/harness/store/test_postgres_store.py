"""What is particular to PostgreSQL: a server that goes away, other writers, secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from harness.store.errors import (
    StoreError,
    StoreFullError,
    StoreSchemaError,
    StoreUnavailableError,
)
from harness.store.interface import PutResult
from harness.store.opening import open_reader, open_store
from harness.store.postgres_session import translated
from tests.support.postgres import PostgresServer, find_binaries, running_server
from tests.support.stores import REGISTERS, Place, push


@pytest.fixture
def mortal_server() -> Iterator[PostgresServer]:
    """A server of this test's own, to be stopped and started."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server binaries: install the package postgresql")
    with running_server(binaries) as server:
        yield server


def test_a_store_outlives_its_server(mortal_server: PostgresServer) -> None:
    with closing(open_store(mortal_server.new_database(), REGISTERS, create=True)) as store:
        assert store.put(push([1], 900), {b"MSC": 1}, 10) == PutResult(1, 0, 0)
        mortal_server.stop(at_once=True)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="repeat"):
                store.put(push([1, 2], 900), {b"MSC": 2}, 20)
        mortal_server.start()
        assert store.put(push([1, 2], 900), {b"MSC": 2}, 20) == PutResult(1, 1, 0)
        assert store.counters() == {b"MSC": 2}


def test_a_connection_cut_under_way_is_made_anew(postgres_url: str) -> None:
    with closing(open_store(postgres_url, REGISTERS, create=True)) as store:
        store.put(push([1], 900), {}, 10)
        Place(postgres_url).tamper(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with pytest.raises(StoreUnavailableError):
            store.put(push([1], 900), {}, 20)
        assert store.put(push([1], 900), {}, 20) == PutResult(0, 1, 0)


def test_several_writers_share_a_database(postgres_url: str) -> None:
    with (
        closing(open_store(postgres_url, REGISTERS, create=True)) as one,
        closing(open_store(postgres_url, REGISTERS, create=True)) as other,
    ):
        assert one.put(push([1], 900), {b"MSC": 5}, 10) == PutResult(1, 0, 0)
        assert other.put(push([1, 2], 900), {b"MSC": 4}, 20) == PutResult(1, 1, 0)
        assert one.put(push([2], 900, value=8), {}, 30) == PutResult(0, 0, 1)
        assert other.counters() == {b"MSC": 5}
        assert other.conflict_count() == 1


def test_a_doubled_row_keeps_a_writer_from_opening(postgres_url: str) -> None:
    with closing(open_store(postgres_url, REGISTERS, create=True)) as store:
        store.put(push([1], 900), {}, 10)
    Place(postgres_url).tamper(
        "DROP INDEX readings_once", "INSERT INTO readings SELECT * FROM readings"
    )
    with pytest.raises(StoreError, match="readings_once"):
        open_store(postgres_url, REGISTERS, create=True)
    with (
        closing(open_store(postgres_url, REGISTERS, create=False)) as store,
        pytest.raises(StoreError, match="ON CONFLICT"),
    ):
        store.put(push([1], 900), {}, 10)


def test_each_schema_is_a_store_of_its_own(postgres_url: str) -> None:
    Place(postgres_url).tamper("CREATE SCHEMA one", "CREATE SCHEMA other")
    urls = [f"{postgres_url}?options=-csearch_path%3D{name}" for name in ("one", "other")]
    for number, url in enumerate(urls):
        with closing(open_store(url, REGISTERS, create=True)) as store:
            store.put(push(range(number + 1), 900), {}, 10)
    with closing(open_reader(urls[0])) as reader:
        assert reader.count() == 1


def test_a_foreign_table_of_that_name_is_refused(postgres_url: str) -> None:
    Place(postgres_url).tamper("CREATE TABLE readings (meter bigint, value bigint)")
    with pytest.raises(StoreSchemaError, match="not ours"):
        open_store(postgres_url, REGISTERS, create=True)


def test_an_empty_database_is_no_store_to_read(postgres_url: str) -> None:
    with pytest.raises(StoreSchemaError, match="no store"):
        open_reader(postgres_url)


def test_a_server_without_room_is_said(postgres_url: str) -> None:
    with closing(open_store(postgres_url, REGISTERS, create=True)) as store:
        # The server says so itself; what a full disk would make it say is raised by a trigger.
        Place(postgres_url).tamper(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$",
            "CREATE TRIGGER full_disk BEFORE INSERT ON readings EXECUTE FUNCTION full_disk()",
        )
        with pytest.raises(StoreFullError, match="free disk space"):
            store.put(push([1], 900), {b"MSC": 1}, 10)
        Place(postgres_url).tamper("DROP TRIGGER full_disk ON readings")
        assert store.counters() == {}
        assert store.put(push([1], 900), {}, 10) == PutResult(1, 0, 0)


def test_passwords_appear_in_no_error(
    postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = postgres_server.url()
    secret = url.split(":")[2].partition("@")[0]
    nobody_home = url.replace(f":{postgres_server.port}/", ":1/")
    wrong = f"postgresql://meterstorm:wr0ng-{secret}@127.0.0.1:{postgres_server.port}/postgres"
    broken = f"{url}?password={secret}&nonsense"
    for address in (nobody_home, wrong, broken, f"{url}_not_there"):
        with pytest.raises(StoreError) as caught:
            open_store(address, REGISTERS, create=True)
        error: BaseException | None = caught.value
        while error is not None:
            assert secret not in str(error)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        assert "127.0.0.1" in caught.value.where
    assert secret not in caplog.text


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("53100", StoreFullError),
        ("57P01", StoreUnavailableError),
        ("53300", StoreUnavailableError),
        ("40P01", StoreUnavailableError),
        ("42P01", StoreSchemaError),
        ("22003", StoreError),
    ],
)
def test_the_servers_states_become_our_errors(
    postgres_url: str, state: str, expected: type[StoreError]
) -> None:
    with (
        pytest.raises(StoreError) as caught,
        translated(postgres_url),
        psycopg.connect(postgres_url) as connection,
    ):
        connection.execute(
            f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{state}'; END $$".encode()
        )
    assert type(caught.value) is expected
