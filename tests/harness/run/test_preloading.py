"""Before a run its stores are filled, each by a process of its own that ends in order."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import trio

from harness.errors import ExitCode, causes
from harness.preload.config import PreloadConfig
from harness.preload.written import read_written
from harness.run import preloading
from harness.run.preloading import NoRoomError, preload
from harness.run.preparation import Prepared, prepare
from harness.run.processes import ProcessFailedError
from harness.run.progress import Filled
from harness.run.reference import ReferenceTarget
from harness.scenario import Reference, Scenario
from harness.store.opening import open_reader
from harness.store.room import octets_of
from harness.store.rows import Via
from reports import text
from tests.support.recorded_run import SCENARIO
from tests.support.stores import Place

pytestmark = pytest.mark.slow
PRELOADED = 6


LARGE: Mapping[str, Any] = {
    "transformer_stations": 20,
    "sizes": [{"name": "large", "meters": [200, 200], "share": "100 %"}],
}


def prepared(
    folder: Path, preloaded: int = PRELOADED, grid: Mapping[str, Any] = SCENARIO["grid"]
) -> Prepared:
    behaviour = {**SCENARIO["behaviour"], "preloaded": preloaded}
    scenario = Scenario.model_validate({**SCENARIO, "grid": grid, "behaviour": behaviour})
    return prepare(scenario, scenario_file=Path("none.toml"), out=folder / "runs")


async def test_every_shard_gets_the_history_of_its_own_meters(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    stores = [str(tmp_path / f"{number}.duckdb") for number in range(2)]
    with trio.fail_after(60):
        await preload(run, stores)
    owners = []
    for store in stores:
        with closing(open_reader(store)) as reader:
            assert len(reader.slots()) == PRELOADED
            rows = reader.rows(run.fleet.first_s - 900).rows
            expected = run.truth.registers(rows.meter.astype(np.int64), -1)[0]
            assert np.array_equal(rows.values, expected)
            assert (rows.via == Via.PRELOADED).all()
            assert reader.count() == PRELOADED * len(rows)
            owners += rows.meter.tolist()
    assert owners == list(range(run.grid.meters))
    log = (run.folder.logs / "preload-0.log").read_text().splitlines()
    assert json.loads(log[-1])["event"] == "preloaded"


async def test_shards_that_share_a_database_fill_it_together(
    tmp_path: Path, postgres_url: str
) -> None:
    run = prepared(tmp_path)
    with trio.fail_after(60):
        await preload(run, [postgres_url] * 3)
    with closing(open_reader(postgres_url)) as reader:
        assert reader.count() == PRELOADED * run.grid.meters
        rows = reader.rows(run.fleet.first_s - 900).rows
        assert rows.meter.tolist() == list(range(run.grid.meters))
        assert np.array_equal(rows.values, run.truth.block(0, run.grid.meters, -1)[0])
    for log in run.folder.logs.glob("preload-*.log"):
        assert postgres_url not in log.read_text()


async def test_a_run_without_history_starts_no_process(tmp_path: Path) -> None:
    run = prepared(tmp_path, 0)
    await preload(run, [str(tmp_path / "store.duckdb")])
    assert not (tmp_path / "store.duckdb").exists()
    assert not (run.folder.path / "preload").exists()


async def test_a_store_that_cannot_be_filled_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "store.duckdb").write_text("no database")
    run = prepared(tmp_path)
    with (
        trio.fail_after(60),
        pytest.RaisesGroup(ProcessFailedError, flatten_subgroups=True) as caught,
    ):
        await preload(run, [str(tmp_path / "store.duckdb")])
    (error,) = causes(caught.value)
    assert isinstance(error, ProcessFailedError)
    assert error.exit_code is ExitCode.ENVIRONMENT
    assert "preload-0.log says why" in str(error)
    last = json.loads((run.folder.logs / "preload-0.log").read_text().splitlines()[-1])
    assert "store.duckdb" in last["error"]


@pytest.mark.parametrize("every_s", [0.01, 1000.0])
async def test_it_says_how_far_it_is_from_nothing_to_everything(
    every_s: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preloading, "SHOW_EVERY_S", every_s)
    run = prepared(tmp_path)
    shown: list[Filled] = []
    with trio.fail_after(60):
        await preload(
            run, [str(tmp_path / f"{number}.duckdb") for number in range(2)], shown.append
        )
    assert shown[0].readings == 0
    assert shown[-1].readings == PRELOADED * run.grid.meters
    assert {filled.of for filled in shown} == {PRELOADED * run.grid.meters}
    assert [filled.readings for filled in shown] == sorted(filled.readings for filled in shown)
    assert shown[-1].for_s > 0
    assert (len(shown) == 2) == (every_s == 1000.0)


def free(monkeypatch: pytest.MonkeyPatch, octets: int) -> None:
    """Let every disk have so much room."""
    usage = shutil.disk_usage("/")._replace(free=octets)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)


async def test_the_head_end_of_a_run_tells_how_far_its_stores_are_filled(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    assert isinstance(run.scenario.target, Reference)
    shown: list[Filled] = []
    with tempfile.TemporaryDirectory() as sockets, trio.fail_after(60):
        target = ReferenceTarget(
            run,
            run.scenario.target,
            0.0,
            Path(sockets),
            lambda what, shard, number: None,
            filled=shown.append,
        )
        async with trio.open_nursery() as nursery:
            await target.start(nursery)
            await target.stop()
    assert [filled.readings for filled in (shown[0], shown[-1])] == [0, PRELOADED * run.grid.meters]


def written(folder: Path) -> set[str]:
    """Return the names of the stores in a folder, and of the logs of whoever filled them."""
    found = [*folder.glob("*.duckdb"), *folder.glob("runs/latest/logs/preload-*")]
    return {file.name for file in found}


@pytest.mark.parametrize("shards", [1, 2])
async def test_history_that_would_not_fit_is_refused_before_anything_is_written(
    shards: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(tmp_path)
    stores = [str(tmp_path / f"{number}.duckdb") for number in range(shards)]
    readings = PRELOADED * run.grid.meters
    needed = 3 * octets_of(stores[0], readings, len(run.truth.profile.names))
    free(monkeypatch, needed - 1)
    with pytest.raises(NoRoomError) as caught:
        await preload(run, stores)
    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    where = f"{shards - 1}.duckdb"
    for part in (f"{readings:,} readings need", text.octets(needed), where, "1 B more", "--out"):
        assert part in str(caught.value)
    assert not written(tmp_path)
    free(monkeypatch, needed)
    with trio.fail_after(60):
        await preload(run, stores)
    assert len(written(tmp_path)) == 2 * shards


async def test_a_database_without_room_is_told_from_one_that_cannot_be_seen(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(tmp_path)
    free(monkeypatch, 0)
    with pytest.raises(NoRoomError, match="or target") as caught:
        await preload(run, [postgres_url] * 3)
    assert str(urlsplit(postgres_url).password) not in str(caught.value)
    # Nobody home: whoever fills the store says so, and not the look for room.
    away = postgres_url.replace(f":{urlsplit(postgres_url).port}/", ":1/")
    with trio.fail_after(60), pytest.RaisesGroup(ProcessFailedError, flatten_subgroups=True):
        await preload(run, [away])


@contextmanager
def filling(run: Prepared, address: str, file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that fills a store, begun when this begins; it is dead afterwards."""
    config = PreloadConfig(
        run=run.folder.path,
        store_url=address,
        shard=0,
        shards=1,
        progress=file.with_suffix(".written"),
    )
    file.write_text(config.model_dump_json())
    with subprocess.Popen(
        [sys.executable, "-m", "harness.preload", str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        try:
            assert child.stdout is not None
            readings = run.fleet.behaviour.preloaded * run.grid.meters
            assert child.stdout.readline() == f"ready {readings}\n".encode()
            yield child
        finally:
            child.kill()


@pytest.mark.parametrize("how", ["signal", "orphaned"])
def test_a_filling_ends_between_transactions_and_the_next_one_fills_the_rest(
    how: str, tmp_path: Path
) -> None:
    run = prepared(tmp_path, 400, LARGE)
    store = tmp_path / "store.duckdb"
    with filling(run, str(store), tmp_path / "config.json") as child:
        if how == "signal":
            child.send_signal(signal.SIGTERM)
        else:
            assert child.stdin is not None
            child.stdin.close()
        assert child.wait(60) == ExitCode.INTERRUPTED
    with closing(open_reader(str(store))) as reader:
        assert 0 < reader.count() < 400 * run.grid.meters


@pytest.mark.parametrize("back_end", ["duckdb", "postgresql"])
def test_a_filling_that_is_killed_and_begun_again_stores_everything_once(
    back_end: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = prepared(tmp_path, 200, LARGE)
    address = (
        str(tmp_path / "store.duckdb")
        if back_end == "duckdb"
        else request.getfixturevalue("postgres_url")
    )
    file = tmp_path / "config.json"
    told = file.with_suffix(".written")
    with filling(run, address, file) as child:
        while not (durable := read_written(told)):
            assert child.poll() is None
        child.kill()
        assert child.wait(60) == -signal.SIGKILL
    Place(address).settle()
    with closing(open_reader(address)) as reader:
        assert durable <= reader.count() < 200 * run.grid.meters
    with filling(run, address, file) as child:
        assert child.wait(60) == ExitCode.PASSED
    with closing(open_reader(address)) as reader:
        assert reader.count() == 200 * run.grid.meters
        assert not len(reader.conflicts())
        for ago in (1, 2, 100, 199, 200):
            rows = reader.rows(run.fleet.first_s - 900 * ago).rows
            assert rows.meter.tolist() == list(range(run.grid.meters))
            assert np.array_equal(rows.values, run.truth.block(0, run.grid.meters, -ago)[0])
