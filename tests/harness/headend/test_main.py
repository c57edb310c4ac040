"""The process of a head-end shard: it says when it is ready, and ends in order."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from emulator.messages import MessageStream
from tests.support.push_fleet import ROOT, HeadEndLives, KillRun, small_run

pytestmark = pytest.mark.slow


@asynccontextmanager
async def prepared(tmp_path: Path, **changes: object) -> AsyncIterator[KillRun]:
    """Prepare a run; whatever happens, no process of it is left behind."""
    run = KillRun(small_run(tmp_path, stations=2, steps=2), str(tmp_path / "store.duckdb"))
    run.head_end.config = run.head_end.config.model_copy(update=changes)
    try:
        yield run
    finally:
        with trio.CancelScope(shield=True):
            await run.head_end.kill()


async def asked(head_end: HeadEndLives, question: str) -> Any:
    """Return the answer to a question over the control socket."""
    async with await trio.open_unix_socket(head_end.config.control_socket) as stream:
        messages = MessageStream(stream)
        await messages.send({"ask": question})
        answer = await messages.receive()
        assert answer is not None
        return answer["answer"]


async def status_of(head_end: HeadEndLives) -> dict[str, Any]:
    status: dict[str, Any] = await asked(head_end, "status")
    return status


def log_of(head_end: HeadEndLives) -> list[dict[str, str]]:
    """Return the lines of the log; anything that is no line of ours fails."""
    return [json.loads(line) for line in (head_end.folder / "headend.log").read_text().splitlines()]


async def test_it_takes_pushes_and_ends_when_told(tmp_path: Path) -> None:
    async with prepared(tmp_path) as run:
        life = await run.head_end.live()
        await run.fleet.run()
        assert (await status_of(run.head_end))["counts"]["pushes acknowledged"] == 4
        assert await asked(run.head_end, "stop") == {}
        assert await life.wait() == 0
        events = [line["event"] for line in log_of(run.head_end)]
        assert events.count("connection ended") == 2
        assert "stopping" in events
        text = (run.head_end.folder / "headend.log").read_text()
    session_key = run.prepared.provisioning / "concentrators.json"
    for line in json.loads(session_key.read_text()):
        assert line["encryption_key"] not in text
        assert line["secret"] not in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_everything_stored(tmp_path: Path, number: int) -> None:
    async with prepared(tmp_path, group_commit_s=0.5) as run:
        life = await run.head_end.live()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.fleet.push, 0, run.fleet.readings(0, 0))
            while not (await status_of(run.head_end))["counts"].get("pushes received"):
                await trio.lowlevel.checkpoint()
            life.send_signal(number)
        assert await life.wait() == 0
        reader = run.reader()
        assert reader.count() == len(run.fleet.readings(0, 0))
        reader.close()


async def test_it_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    async with prepared(tmp_path) as run:
        life = await run.head_end.live()
        assert life.stdin is not None
        await life.stdin.aclose()
        assert await life.wait() == 0


async def test_it_leaves_no_complaint_after_it_froze_the_collector(tmp_path: Path) -> None:
    # DuckDB complains on standard error about what is not torn down at exit.
    async with prepared(tmp_path, freeze_after_s=0.0) as run:
        await run.head_end.live()
        await run.fleet.run()
        await run.head_end.stop()
        assert log_of(run.head_end)[-1]["event"] == "stopping"


def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.headend", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_a_configuration_that_is_none_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"shard": 0}')
    for path in ("bad.json", "missing.json"):
        found = ended(str(tmp_path / path))
        assert found.returncode == 4
        assert found.stdout == ""
        assert json.loads(found.stderr.splitlines()[-1])["event"] == "head-end ends"


async def test_a_store_that_is_taken_is_named(tmp_path: Path) -> None:
    async with prepared(tmp_path) as run:
        await run.head_end.live()
        found = ended(str(run.head_end.folder / "life-0.json"))
        assert found.returncode == 4
        assert "is open already" in json.loads(found.stderr.splitlines()[-1])["error"]
