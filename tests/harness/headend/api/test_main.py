"""The process of the API in front of a real head-end shard, as a run starts it."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import trio

from emulator.identity import meter_name
from harness.errors import ExitCode
from harness.run.api import ApiProcess
from harness.scenario.target import Api
from tests.support.push_fleet import ROOT, KillRun, small_run

pytestmark = pytest.mark.slow


class Running:
    """An API process and the shard behind it."""

    def __init__(self, run: KillRun, api: ApiProcess) -> None:
        self.run = run
        self.api = api
        self.said: list[str] = []
        self.started: list[tuple[str, int]] = []
        self.noted: list[str] = []
        self.token = ""

    async def get(self, path: str, **query: Any) -> httpx2.Response:
        """Ask the API something, with the token."""
        return await self.request("GET", path, params=query)

    async def request(self, method: str, path: str, **details: Any) -> httpx2.Response:
        """Send the API a request, with the token."""
        base = self.said[0].split()[2].removesuffix("/docs,")
        headers = {"Authorization": f"Bearer {self.token}"}
        ask = partial(httpx2.request, method, base + path, headers=headers, **details)
        return await trio.to_thread.run_sync(ask)


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """Run a shard and an API; whatever happens, no process is left behind."""
    run = KillRun(small_run(tmp_path, stations=2, steps=2), str(tmp_path / "store.duckdb"))
    (run.prepared.folder.path / "headend").mkdir(exist_ok=True)
    said: list[str] = []
    started: list[tuple[str, int]] = []
    noted: list[str] = []
    api = ApiProcess(
        run.prepared,
        Api(),
        0.0,
        started=lambda name, pid: started.append((name, pid)),
        note=noted.append,
        say=said.append,
    )
    both = Running(run, api)
    both.said, both.started, both.noted = said, started, noted
    try:
        await run.head_end.live()
        async with trio.open_nursery() as nursery:
            sockets = [run.head_end.config.control_socket]
            await api.start(nursery, sockets, shared_store=False)
            both.token = api.token_file.read_text().strip()
            yield both
            await api.stop()
    finally:
        with trio.CancelScope(shield=True):
            await run.head_end.kill()


async def test_it_tells_what_a_real_shard_has(tmp_path: Path) -> None:
    async with running(tmp_path) as both:
        await both.run.fleet.run()
        name = meter_name(0).decode()
        readings = (await both.get("/readings", meter=name)).json()
        devices = (await both.get("/devices")).json()
        status = (await both.get("/status")).json()
        gaps = (await both.get("/gaps")).json()
        metrics = await both.get("/metrics")
        exported = await both.get("/export", format="csv")
        meters = both.run.prepared.grid.meters
    assert len(readings["readings"]) == 2
    assert set(readings["readings"][0]["values"]) == set(status["registers"])
    assert [device["number"] for device in devices["devices"]] == [0, 1]
    assert status["shards"][0]["commits"]["rows_stored"] == meters * 2
    assert gaps == {"gaps": [], "missing": 0, "next": None}
    assert f'meterstorm_headend_rows_stored_total{{shard="0"}} {meters * 2}.0' in metrics.text
    assert len(exported.text.splitlines()) == 1 + meters * 2


async def test_a_command_is_in_the_journal_of_a_real_shard(tmp_path: Path) -> None:
    async with running(tmp_path) as both:
        order = {"meter": 0, "kind": "tariff", "parameter": 2}
        taken = await both.request("POST", "/commands", json=order)
        assert taken.status_code == 202
        told = (await both.get(taken.headers["location"])).json()
        listed = (await both.get("/commands")).json()
    assert (told["kind"], told["parameter"]) == ("tariff", 2)
    assert [command["id"] for command in listed["commands"]] == [taken.json()["id"]]


async def test_a_run_is_told_where_it_is_and_the_token_stays_in_its_file(tmp_path: Path) -> None:
    async with running(tmp_path) as both:
        token_file = both.api.token_file
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
        assert both.started == [("api", both.api.pid)]
        assert str(token_file) in both.said[0]
        assert both.token not in both.said[0]
        assert both.token not in " ".join(psutil.Process(both.api.pid).cmdline())
        await both.get("/devices")
        folder = both.run.prepared.folder.path
        kept = [path for path in folder.rglob("*") if path.is_file() and path != token_file]
        assert not [path for path in kept if both.token.encode() in path.read_bytes()]
    assert not token_file.exists()
    assert both.noted == []


async def test_shards_come_and_go_behind_it(tmp_path: Path) -> None:
    async with running(tmp_path) as both:
        await both.run.head_end.kill()
        away = await both.get("/readings", meter="0")
        assert away.status_code == 503
        assert (await both.get("/health")).json() == {"status": "ok"}
        await both.run.head_end.live()
        assert (await both.get("/readings", meter="0")).status_code == 200


async def test_its_death_is_noted_and_ends_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as both:
        os.kill(both.api.pid, signal.SIGKILL)
        while not both.noted:
            await trio.lowlevel.checkpoint()
        assert f"status {-signal.SIGKILL}" in both.noted[0]


def started(config: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness.headend.api", str(config)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A configuration that starts; nobody listens on its control socket."""
    prepared = small_run(tmp_path, stations=1, steps=1)
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("0123456789abcdef\n")
    file = tmp_path / "api.json"
    told = {
        "token_file": str(token),
        "control_sockets": [str(tmp_path / "nobody.sock")],
        "provisioning": str(prepared.provisioning),
        "exports": str(tmp_path / "exports"),
        "shared_store": False,
        "realtime_offset_s": 0.0,
    }
    file.write_text(json.dumps(told))
    return file


@pytest.mark.parametrize("way", ["SIGTERM", "SIGINT", "no parent"])
def test_it_ends_in_order(config_file: Path, way: str) -> None:
    with started(config_file) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().startswith("ready ")
        if way == "no parent":
            process.stdin.close()
        else:
            process.send_signal(signal.Signals[way])
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("changes", "mode", "reason"),
    [
        ({}, 0o640, "chmod 600"),
        ({"port": 70_000}, 0o600, "port"),
        ({"provisioning": "/nowhere"}, 0o600, "/nowhere"),
        ({"control_sockets": ["a", "b"]}, 0o600, "1 concentrators for 2 shards"),
    ],
)
def test_it_says_why_it_cannot_start(
    config_file: Path, changes: dict[str, Any], mode: int, reason: str
) -> None:
    told = json.loads(config_file.read_text()) | changes
    config_file.write_text(json.dumps(told))
    Path(told["token_file"]).chmod(mode)
    with started(config_file) as process:
        output, log = process.communicate(timeout=30)
    assert process.returncode == ExitCode.ENVIRONMENT
    assert output == ""
    assert reason in log.splitlines()[-1]
    assert "0123456789abcdef" not in log
