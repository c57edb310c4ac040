"""Head-ends that are not ours: one that polls and writes CSV, and ours as if it were foreign."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from harness.headend.config import HeadEndConfig
from harness.run.preparation import free_ports
from tests.support.command_line import ROOT, WholeRun, finish, start, whole_run
from tests.support.gurux import gurux_is_installed

pytestmark = pytest.mark.slow

PATIENCE_S: Final = 60.0

PULLED: Final = """\
name = "foreign-poller"
seed = 5
speed = 1
link = "none"
[grid]
transformer_stations = 3
meters = 8
sizes = [{ name = "small", meters = [2, 4], share = "100 %" }]
[behaviour]
mode = "pull"
steps = 2
step = "10 s"
[security]
authentication = "lls"
push = "clear"
[target]
kind = "external"
settle = "2 s"
[target.read_back]
kind = "files"
folder = "theirs"
columns = { meter = "device_id", captured_at = "timestamp", stored_at = "received", \
import_wh = "a_plus_wh", export_wh = "a_minus_wh" }
[target.watch]
logs = [{ file = "poller.log", count = "MSC" }]
"""

PUSHED: Final = """\
name = "foreign-head-end"
seed = 6
speed = 450
link = "none"
[grid]
transformer_stations = 10
meters = 100
sizes = [{{ name = "small", meters = [5, 15], share = "100 %" }}]
[behaviour]
mode = "push"
steps = 3
[target]
kind = "external"
push = {{ host = "127.0.0.1", port = {port} }}
settle = "6 s"
[target.read_back]
kind = "sql"
url = "duckdb://{store}"
query = "SELECT * REPLACE (printf('MST%013d', meter::BIGINT + 1) AS meter, \
make_timestamp(stored_at) AS stored_at) FROM readings"
[probes]
replay = 2
[checks]
"readings.late" = "<= 50 %"
"""


def wait_for_json(path: Path, key: str) -> Any:
    """Return what a JSON file says of ``key`` once it is there and says anything."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            said = json.loads(path.read_text()).get(key)
        except (FileNotFoundError, ValueError):
            said = None
        if said is not None:
            return said
        time.sleep(0.05)
    raise TimeoutError(f"{path} does not say {key}")


@contextmanager
def ending(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """Let nothing outlive its test."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def poller(folder: Path) -> Iterator[None]:
    """A head-end made of gurux-dlms, at work."""
    (folder / "theirs").mkdir()
    command = [sys.executable, "-m", "tests.support.gurux_poller"]
    command += [str(folder / "runs"), str(folder / "theirs" / "readings.csv")]
    with (
        (folder / "poller.log").open("w") as log,
        ending(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)),
    ):
        yield


@pytest.mark.skipif(not gurux_is_installed(), reason="gurux-dlms is not installed")
def test_a_poller_that_writes_csv_passes(tmp_path: Path) -> None:
    (tmp_path / "pulled.toml").write_text(PULLED)
    with poller(tmp_path):
        process = start("harness.cli", "run", "pulled.toml", "--out", "runs", cwd=tmp_path)
        run = whole_run(finish(process), tmp_path)
    assert run.status == 0, run.output
    readings = run.verdict.readings
    assert readings.owed == readings.stored == readings.correct == 16
    assert readings.late is not None
    assert (run.path / "provisioning" / "expected.csv").is_file()


def foreign_head_end(run: Path, port: int, store: Path) -> HeadEndConfig:
    """Return the configuration of our head-end, from nothing but what a run exports."""
    shared = json.loads((run / "provisioning" / "head-end.json").read_text())
    return HeadEndConfig(
        shard=0,
        listen_port=port,
        control_socket=store.with_suffix(".sock"),
        provisioning=run / "provisioning",
        store_url=f"duckdb://{store}",
        realtime_offset_s=time.time() - time.monotonic(),
        protocol=shared["protocol"],
        authentication=shared["authentication"],
        protection=shared["protection"],
        confirmed=shared["confirmed"],
        mode=shared["mode"],
    )


def run_beside_foreign_head_end(folder: Path) -> WholeRun:
    (port,), store = free_ports(1), folder / "theirs.duckdb"
    (folder / "pushed.toml").write_text(PUSHED.format(port=port, store=store))
    process = start("harness.cli", "run", "pushed.toml", "--out", "runs", cwd=folder)
    with ending(process):
        latest = folder / "runs" / "latest"
        wait_for_json(latest / "provisioning" / "head-end.json", "keys")
        config = folder / "theirs.json"
        config.write_text(foreign_head_end(latest.resolve(), port, store).model_dump_json())
        with ending(start("harness.headend", str(config), cwd=folder)) as head_end:
            # Its store can be read once it has closed it: while the run lets it settle.
            wait_for_json(latest / "run.json", "drain_began_s")
            head_end.terminate()
            assert finish(head_end).status == 0
        return whole_run(finish(process), folder)


def test_our_head_end_passes_as_if_it_were_foreign(tmp_path: Path) -> None:
    run = run_beside_foreign_head_end(tmp_path)
    assert run.status == 0, run.output
    readings = run.verdict.readings
    assert readings.owed == readings.acknowledged == readings.stored == readings.correct == 300
    replays = json.loads((run.path / "replays.json").read_text())
    assert (replays["tried"], replays["accepted"]) == (2, 0)
    assert "replays.accepted" in {check.name for check in run.verdict.checks}
    assert run.facts["stores"] == []
