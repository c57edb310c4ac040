"""Before a run its stores are filled, each by a process of its own that ends in order."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from harness.errors import ExitCode
from harness.preload.config import PreloadConfig
from harness.run.preloading import preload
from harness.run.preparation import Prepared, prepare
from harness.run.processes import ProcessFailedError
from harness.scenario import Scenario
from harness.store.opening import open_reader
from harness.store.rows import Via
from tests.support.recorded_run import SCENARIO

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
    with trio.fail_after(60), pytest.RaisesGroup(ProcessFailedError) as caught:
        await preload(run, [str(tmp_path / "store.duckdb")])
    (error,) = caught.value.exceptions
    assert isinstance(error, ProcessFailedError)
    assert error.exit_code is ExitCode.ENVIRONMENT
    assert "preload-0.log says why" in str(error)
    last = json.loads((run.folder.logs / "preload-0.log").read_text().splitlines()[-1])
    assert "store.duckdb" in last["error"]


@pytest.mark.parametrize("how", ["signal", "orphaned"])
def test_a_filling_ends_between_transactions_and_the_next_one_fills_the_rest(
    how: str, tmp_path: Path
) -> None:
    run = prepared(tmp_path, 400, LARGE)
    store = tmp_path / "store.duckdb"
    config = PreloadConfig(run=run.folder.path, store_url=str(store), shard=0, shards=1)
    file = tmp_path / "config.json"
    file.write_text(config.model_dump_json())
    child = subprocess.Popen(
        [sys.executable, "-m", "harness.preload", str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == f"ready {400 * run.grid.meters}\n".encode()
        if how == "signal":
            child.send_signal(signal.SIGTERM)
        else:
            child.stdin.close()
        assert child.wait(60) == ExitCode.INTERRUPTED
    with closing(open_reader(str(store))) as reader:
        assert 0 < reader.count() < 400 * run.grid.meters
