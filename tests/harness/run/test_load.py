from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from emulator.clock import ScenarioClock
from emulator.messages import MessageStream
from harness.run.load import Load, LoadFailedError, locust_processes, locust_totals
from tests.support.recorded_run import RecordedFolder


class FakeLocust:
    """The far end of the control socket: hears orders, answers what the test says."""

    def __init__(self, stream: MessageStream, load: Load, lost: list[tuple[int, int]]) -> None:
        self.load = load
        self.lost = lost
        self._stream = stream

    async def order(self) -> Mapping[str, Any]:
        order = await self._stream.receive()
        assert order is not None
        return order

    async def report(self, state: str, **more: Any) -> None:
        await self._stream.send({"state": state, **more})

    async def leave(self) -> None:
        await self._stream.aclose()
        with trio.fail_after(2):
            await self.load.gone.wait()


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[FakeLocust]:
    lost: list[tuple[int, int]] = []
    load = Load(folder / "load.sock", lambda shard, code: lost.append((shard, code)))
    async with trio.open_nursery() as nursery:
        await nursery.start(load.run)
        stream = await trio.open_unix_socket(str(load.path))
        async with stream:
            yield FakeLocust(MessageStream(stream), load, lost)
        nursery.cancel_scope.cancel()


async def test_shards_are_prepared_once_locust_is_there(tmp_path: Path) -> None:
    prepared = RecordedFolder(tmp_path).prepared
    async with connected(tmp_path) as locust:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(locust.load.prepare, prepared)
            await locust.report("load", workers=1)
            assert await locust.order() == {
                "do": "prepare",
                "run": str(prepared.folder.path),
                "shards": 1,
                "slices": 1,
            }
            await locust.report("ready", pids={"0": 4711})
        assert locust.load.pids == {"0": 4711}


async def test_a_locust_that_died_before_it_came_is_not_waited_for(tmp_path: Path) -> None:
    load = Load(tmp_path / "load.sock", lambda shard, code: None)
    load.gone.set()
    with trio.fail_after(2), pytest.raises(LoadFailedError, match="it went away; see its log"):
        await load.prepare(RecordedFolder(tmp_path).prepared)


async def test_the_clock_and_the_orders_go_out_as_they_are(tmp_path: Path) -> None:
    async with connected(tmp_path) as locust:
        await locust.report("load")
        await locust.load.reach("load", timeout_s=2)
        await locust.load.start(ScenarioClock(1.5, 900.0, 60.0))
        assert await locust.order() == {"do": "start", "clock": [1.5, 900.0, 60.0]}
        await locust.load.quiesce()
        assert await locust.order() == {"do": "quiesce"}


async def test_stopping_waits_for_the_last_counts(tmp_path: Path) -> None:
    async with connected(tmp_path) as locust:
        await locust.report("load")
        await locust.load.reach("load", timeout_s=2)
        async with trio.open_nursery() as nursery:

            async def stop() -> None:
                await locust.load.stop(timeout_s=2)

            nursery.start_soon(stop)
            assert await locust.order() == {"do": "stop"}
            assert not locust.load.reached("ended")
            await locust.report("ended")
        assert locust.load.reached("ended")


async def test_a_shard_that_dies_is_told_at_once(tmp_path: Path) -> None:
    async with connected(tmp_path) as locust:
        await locust.report("gone", shard=3, code=-9)
        await locust.report("drained")
        await locust.load.reach("drained", timeout_s=2)
        assert locust.lost == [(3, -9)]


async def test_what_is_not_reported_in_time_fails(tmp_path: Path) -> None:
    async with connected(tmp_path) as locust:
        with pytest.raises(LoadFailedError, match=r"'ready': not within 0\.01 s"):
            await locust.load.reach("ready", timeout_s=0.01)


async def test_a_locust_that_leaves_keeps_nobody_waiting(tmp_path: Path) -> None:
    async with connected(tmp_path) as locust:
        await locust.report("load")
        await locust.load.reach("load", timeout_s=2)
        await locust.leave()
        with trio.fail_after(1), pytest.raises(LoadFailedError, match="it went away"):
            await locust.load.reach("ended", timeout_s=60)
        with pytest.raises(LoadFailedError, match="quiesce was not delivered"):
            await locust.load.quiesce()


def arguments(command: list[str], option: str) -> str:
    return command[command.index(option) + 1]


def commands(folder: RecordedFolder) -> dict[str, list[str]]:
    processes = locust_processes(
        folder.prepared, Path("/c.sock"), ui_port=None, ended=lambda process, status: None
    )
    return {process.name: process._command for process in processes}


def test_one_local_locust_by_default(tmp_path: Path) -> None:
    (command,) = commands(RecordedFolder(tmp_path)).values()
    assert arguments(command, "--users") == "1"
    assert "--headless" in command
    assert "--master" not in command


def test_a_master_waits_for_its_workers_on_loopback(tmp_path: Path) -> None:
    folder = RecordedFolder(tmp_path, {"load": {"workers": 3, "users": 5}})
    found = commands(folder)
    assert list(found) == ["locust", "locust-worker-0", "locust-worker-1", "locust-worker-2"]
    master, worker = found["locust"], found["locust-worker-2"]
    # Five users on three shards: two slices each, or one shard would get fewer.
    assert (folder.prepared.fleet.shards, arguments(master, "--users")) == (3, "6")
    assert arguments(master, "--expect-workers") == "3"
    assert arguments(master, "--master-bind-host") == "127.0.0.1"
    assert arguments(worker, "--master-port") == arguments(master, "--master-bind-port")


def test_no_worker_without_a_shard(tmp_path: Path) -> None:
    found = commands(RecordedFolder(tmp_path, {"load": {"workers": 50}}))
    assert len(found) == 1 + 6


def test_totals_are_what_locust_counted_by_name(tmp_path: Path) -> None:
    assert locust_totals(tmp_path) == {}
    entry = {"name": "push over lte", "num_requests": 12, "num_failures": 2, "method": "DLMS"}
    (tmp_path / "locust.json").write_text(json.dumps([entry]))
    expected = {"push over lte: requests": 12, "push over lte: failures": 2}
    assert locust_totals(tmp_path) == expected
