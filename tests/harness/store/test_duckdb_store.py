"""What is particular to the embedded store: one file, one writer, a disk that can fill up."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from harness.store import duckdb_tables
from harness.store.duckdb_store import DuckDbStore
from harness.store.errors import StoreError, StoreLockedError, StoreSchemaError
from harness.store.interface import PutResult, PutStage
from harness.store.opening import open_reader, open_store
from tests.support.stores import REGISTERS, push, readings_of

ROOT = Path(__file__).parents[3]

FULL_DISK = """
import os, resource, signal, sys
from harness.store.errors import StoreFullError
from harness.store.opening import open_store
from tests.support.stores import REGISTERS, push

store = open_store(sys.argv[1], REGISTERS, create=True)
store.put(push(range(10), 900), {}, 10)
# A limit on the size of files, below what the next put writes, is a full disk without root.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(sys.argv[1] + ".wal") + 20, hard))
meters = range(int(sys.argv[2]))
try:
    store.put(push(meters, 1800), {b"12345678": 5}, 20)
except StoreFullError as error:
    assert sys.argv[1] in str(error) and "free disk space" in str(error), str(error)
else:
    raise SystemExit("the disk should have been full")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert store.counters() == {}
assert store.slots().tolist() == [900]
result = store.put(push(meters, 1800), {b"12345678": 5}, 20)
assert (result.inserted, result.repeated) == (len(meters), 0), result
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "it's a store.duckdb"


# Few rows fail when they are committed, many already when they are written.
@pytest.mark.parametrize("meters", [5, 200_000])
def test_a_full_disk_is_said_and_nothing_is_lost_when_room_is_made(path: Path, meters: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(meters)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    with closing(open_reader(path)) as reader:
        assert reader.count() == 10 + meters


def test_a_session_that_refuses_everything_is_replaced(path: Path) -> None:
    with closing(DuckDbStore(path, REGISTERS, create=True)) as store:
        store.put(push([1], 900), {}, 10)
        assert store._session is not None
        store._session.close()
        with pytest.raises(StoreError):
            store.put(push([2], 900), {}, 20)
        assert store.put(push([1, 2], 900), {}, 20) == PutResult(1, 1, 0)


def test_counters_do_not_pile_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_tables, "COUNTERS_KEPT", 20)
    nothing = push([], 900)
    with closing(DuckDbStore(path, REGISTERS, create=True)) as store:
        for counter in range(40):
            store.put(nothing, {b"one": counter, b"\x00two": 100 - counter}, 10)
            assert len(store._fetch("SELECT * FROM store.counters")) <= 22
        assert store.counters() == {b"one": 39, b"\x00two": 100}
    with closing(DuckDbStore(path, REGISTERS, create=False)) as store:
        assert store.counters() == {b"one": 39, b"\x00two": 100}


def test_many_titles_are_not_compacted_again_and_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_tables, "COUNTERS_KEPT", 2)
    titles = {f"title {number}".encode(): 1 for number in range(10)}
    sizes = []
    with closing(DuckDbStore(path, REGISTERS, create=True)) as store:
        for _ in range(8):
            store.put(push([], 900), titles, 10)
            sizes.append(len(store._fetch("SELECT * FROM store.counters")))
    assert sizes == [10, 20, 30, 40, 10, 20, 30, 40]


def test_a_put_undone_while_counters_are_compacted_loses_none(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_tables, "COUNTERS_KEPT", 2)

    def stop(stage: PutStage) -> None:
        if stage is PutStage.COUNTERS_WRITTEN:
            raise ArithmeticError

    nothing = push([], 900)
    with closing(DuckDbStore(path, REGISTERS, create=True)) as store:
        store.put(nothing, {b"one": 1, b"two": 2}, 10)
        with pytest.raises(ArithmeticError):
            store.put(nothing, {b"one": 7, b"two": 7}, 10, stop)
        assert store.counters() == {b"one": 1, b"two": 2}
        store.put(nothing, {b"one": 5}, 10)
        assert store.counters() == {b"one": 5, b"two": 2}


def test_a_second_writer_in_this_process_is_refused(path: Path) -> None:
    with (
        closing(open_store(path, REGISTERS, create=True)) as store,
        pytest.raises(StoreLockedError, match="open already"),
    ):
        open_store(path, REGISTERS, create=True)
    store.close()
    open_store(path, REGISTERS, create=False).close()


def test_a_second_process_can_neither_write_nor_read_meanwhile(path: Path) -> None:
    script = """
import sys
from harness.store.errors import StoreLockedError
from harness.store.opening import open_reader, open_store
for opening in (lambda: open_store(sys.argv[1], ["a"], create=True),
                lambda: open_reader(sys.argv[1])):
    try:
        opening()
    except StoreLockedError as error:
        assert sys.argv[1] in str(error)
    else:
        raise SystemExit("should have been locked")
"""
    with closing(open_store(path, REGISTERS, create=True)):
        done = subprocess.run(
            [sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr


def test_a_file_that_is_no_store_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreSchemaError, match="not a valid DuckDB"):
        open_store(path, REGISTERS, create=True)
    assert path.read_bytes() == b"not a database" * 1000


def test_a_database_without_readings_is_refused(path: Path) -> None:
    with duckdb.connect(path) as session:
        session.execute("CREATE TABLE readings (something INTEGER)")
    with pytest.raises(StoreSchemaError, match="no readings of ours"):
        open_store(path, REGISTERS, create=True)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="missing/store"):
        open_store(tmp_path / "missing" / "store.duckdb", REGISTERS, create=True)


def test_what_a_killed_creation_left_is_replaced(path: Path) -> None:
    path.with_name(path.name + ".creating").write_bytes(b"half a file")
    with closing(open_store(path, REGISTERS, create=True)) as store:
        assert store.put(push([1], 900), {}, 10) == PutResult(1, 0, 0)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_shards_are_read_as_one_store(tmp_path: Path) -> None:
    paths = [tmp_path / f"shard_{i}.duckdb" for i in range(3)]
    for number, path in enumerate(paths):
        with closing(open_store(path, REGISTERS, create=True)) as store:
            store.put(push([9 - number], 900 * (number + 1)), {}, number)
            store.put(push([9 - number], 900), {}, number)
    with closing(open_reader(*paths)) as reader:
        assert reader.slots().tolist() == [900, 1800, 2700]
        assert [reading[0] for reading, _ in readings_of(reader.rows(900))] == [7, 8, 9]
        assert reader.count() == 5


def test_shards_of_other_registers_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "one.duckdb", tmp_path / "other.duckdb"]
    open_store(paths[0], REGISTERS, create=True).close()
    open_store(paths[1], ["volts"], create=True).close()
    with pytest.raises(StoreSchemaError, match=r"other\.duckdb.* volts"):
        open_reader(*paths)


@pytest.mark.parametrize(
    "names", [[], ["a", "a"], ["meter"], ["a b"], ["a; DROP TABLE readings"], ["A"]]
)
def test_names_that_cannot_be_columns_are_refused(path: Path, names: list[str]) -> None:
    with pytest.raises(ValueError, match="register"):
        DuckDbStore(path, names, create=True)
    assert not path.exists()
