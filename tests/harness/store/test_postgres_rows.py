"""How rows get in: straight into the table where the index has none of them, by the way else."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import psycopg
import pytest

from harness.store.interface import PutResult, Store
from tests.support.stores import Place, push, readings_of, rows_of

STRAIGHT = "COPY readings FROM STDIN (FORMAT BINARY)"
INSERTED = (
    "INSERT INTO readings SELECT * FROM incoming_readings "
    "ON CONFLICT (meter, profile, captured_at) DO NOTHING"
)
UNDONE = ""
NOTE_STATEMENTS = (
    "CREATE TABLE statements (number serial, text text)",
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "INSERT INTO statements (text) VALUES (current_query()); RETURN NULL; END $$",
    "CREATE TRIGGER note BEFORE INSERT ON readings FOR EACH STATEMENT EXECUTE FUNCTION note()",
)


@pytest.fixture
def place(postgres_url: str) -> Place:
    """A store that notes every statement that brings readings in."""
    place = Place(postgres_url)
    place.open().close()
    place.tamper(*NOTE_STATEMENTS)
    return place


@contextmanager
def opened(place: Place) -> Iterator[Store]:
    with closing(place.open()) as store:
        yield store


def statements(place: Place) -> list[str]:
    """Return what was executed, in its order; a serial number without a row was undone."""
    with psycopg.connect(place.address) as connection:
        found = connection.execute(b"SELECT number, text FROM statements").fetchall()
    texts = {int(number): str(text) for number, text in found}
    return [texts.get(number, UNDONE) for number in range(1, max(texts, default=0) + 1)]


def meters_of(place: Place, captured_at_s: int) -> list[int]:
    with closing(place.reader()) as reader:
        return [int(reading[0]) for reading, _ in readings_of(reader.rows(captured_at_s))]


def test_history_goes_straight_into_the_table(place: Place) -> None:
    with opened(place) as store:
        for at in (900, 1800):
            assert store.load(push([1, 2, 3], at), 10) == PutResult(3, 0, 0)
    assert statements(place) == [STRAIGHT, STRAIGHT]
    assert meters_of(place, 1800) == [1, 2, 3]


@pytest.mark.parametrize("others", [[0], [4], [0, 4], [17]])
def test_readings_of_other_meters_are_not_in_the_way(place: Place, others: Sequence[int]) -> None:
    with opened(place) as store:
        store.put(push(others, 900), {}, 5)
        assert store.load(push([1, 2, 3], 900), 10) == PutResult(3, 0, 0)
    assert statements(place) == [INSERTED, STRAIGHT]


@pytest.mark.parametrize("there", [[1], [2], [3], [1, 2, 3]])
def test_where_a_reading_is_there_the_batch_goes_by_way_of_the_index(
    place: Place, there: Sequence[int]
) -> None:
    with opened(place) as store:
        store.put(push(there, 1800), {}, 5)
        batch = rows_of([(m, 1, at, 0, (7, 0), 0) for at in (900, 1800) for m in (1, 2, 3)])
        assert store.load(batch, 10) == PutResult(6 - len(there), len(there), 0)
    assert statements(place) == [INSERTED, INSERTED]


def test_another_profile_of_the_same_meters_is_not_in_the_way(place: Place) -> None:
    with opened(place) as store:
        store.put(rows_of([(2, 2, 900, 0, (7, 0), 0)]), {}, 5)
        assert store.load(push([1, 2, 3], 900), 10) == PutResult(3, 0, 0)
    assert statements(place) == [INSERTED, STRAIGHT]


def test_what_comes_twice_in_one_batch_is_stored_once(place: Place) -> None:
    readings = [(1, 1, 900, 0, (7, 0), 0), (1, 1, 900, 0, (7, 0), 0), (1, 1, 900, 0, (8, 0), 0)]
    with opened(place) as store:
        assert store.load(rows_of(readings), 10) == PutResult(1, 1, 1)
        assert store.conflict_count() == 1
    assert statements(place) == [UNDONE, INSERTED]


def test_what_another_writer_has_not_committed_yet_is_waited_for(place: Place) -> None:
    row = b"INSERT INTO readings VALUES (2, 1, 900, 0, 0, 5, %s, 0)"
    waiting = (
        b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        b"AND wait_event_type = 'Lock'"
    )
    found: list[PutResult] = []
    with opened(place) as store, psycopg.connect(place.address) as other:
        other.execute(row, [7])
        loading = threading.Thread(
            target=lambda: found.append(store.load(push([1, 2, 3], 900), 10)), daemon=True
        )
        loading.start()
        with psycopg.connect(place.address, autocommit=True) as looking:
            while looking.execute(waiting).fetchall() == [(0,)]:
                assert loading.is_alive()
        other.commit()
        loading.join(20)
    assert found == [PutResult(2, 1, 0)]
    assert statements(place)[1:] == [UNDONE, INSERTED]
    assert meters_of(place, 900) == [1, 2, 3]


def test_a_batch_of_nothing_is_nothing(place: Place) -> None:
    with opened(place) as store:
        assert store.load(push([], 900), 10) == PutResult(0, 0, 0)
    assert statements(place) == []


def rows_known(place: Place) -> int:
    """Return how many readings the planner reckons with; -1: it knows nothing of the table."""
    with psycopg.connect(place.address) as connection:
        query = b"SELECT reltuples::bigint FROM pg_class WHERE oid = 'readings'::regclass"
        return int(connection.execute(query).fetchall()[0][0])


def test_the_planner_knows_of_what_was_loaded_once_the_store_is_closed(place: Place) -> None:
    with opened(place) as store:
        store.put(push([1], 900), {}, 5)
    assert rows_known(place) == -1
    with opened(place) as store:
        store.load(push([1], 900), 10)
    assert rows_known(place) == -1, "nothing was new"
    with opened(place) as store:
        store.load(push(range(2, 5_000), 900), 10)
    assert rows_known(place) == 4_999


def test_a_store_whose_connection_is_gone_is_closed_all_the_same(place: Place) -> None:
    with opened(place) as store:
        store.load(push([1], 900), 10)
        place.tamper(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
