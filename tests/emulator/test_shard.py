"""The process of a shard, obeyed and orphaned and killed over a real socket pair."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from emulator.delivery_record import DeliveryRecord, Mark
from emulator.fleet_config import FleetConfig
from emulator.messages import MessageStream
from emulator.run_folder import RunFolder
from emulator.shard import SUMMARY_FILE
from protocols.framing import Message
from tests.support.fleets import Caller, FakeHeadEnd, fleet_config, grid_of

pytestmark = pytest.mark.slow
PATIENCE_S = 30.0
SPEED = 9_000.0


@dataclass
class Child:
    """A shard in its own process, and this end of its socket."""

    config: FleetConfig
    folder: RunFolder
    process: subprocess.Popen[bytes]
    parent: MessageStream

    async def tell(self, **order: object) -> None:
        await self.parent.send(order)

    async def start(self, *, lead_s: float = 0.05) -> None:
        begins = time.monotonic() + lead_s
        await self.tell(do="start", clock=[begins, float(self.config.first_s), SPEED])

    async def next(self) -> Message:
        message = await self.parent.receive()
        assert message is not None, "the shard closed: see its standard error"
        return message

    async def until(self, state: str) -> list[Message]:
        """Return the counts reported until ``state`` is."""
        counts = []
        while (message := await self.next())["state"] != state:
            assert message["state"] == "counts"
            counts.append(message)
        return counts

    async def last_counts(self) -> list[Message]:
        counts = []
        while (message := await self.parent.receive()) is not None:
            counts.append(message)
        return counts

    async def ended(self) -> int:
        return await trio.to_thread.run_sync(self.process.wait, PATIENCE_S)

    @property
    def record(self) -> DeliveryRecord:
        return DeliveryRecord.open(self.folder.shard(0), grid_of(self.config))


def spawn(folder: Path, theirs: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "emulator.shard", str(folder), "0", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
    )


@asynccontextmanager
async def child(folder: Path, head_end: FakeHeadEnd) -> AsyncIterator[Child]:
    """Run a shard that pushes to ``head_end``; it is ready, and gone at the end."""
    run = RunFolder(folder)
    async with trio.open_nursery() as nursery:
        endpoint = await nursery.start(head_end.serve)
        config = head_end.config.model_copy(update={"head_ends": (endpoint,)})
        run.fleet_file.write_text(config.model_dump_json())
        ours, theirs = socket.socketpair()
        with theirs:
            process = spawn(folder, theirs)
        parent = MessageStream(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        try:
            with trio.fail_after(PATIENCE_S):
                shard = Child(config, run, process, parent)
                assert await shard.next() == {"state": "ready"}
                yield shard
        finally:
            await parent.aclose()
            process.kill()
            process.wait()
        nursery.cancel_scope.cancel()


def requests(counts: list[Message]) -> Counter[str]:
    total: Counter[str] = Counter()
    for message in counts:
        for batch in message["batches"]:
            total["requests"] += sum(batch["milliseconds"].values())
            total["failures"] += sum(batch["failures"].values())
    return total


async def test_a_whole_life(tmp_path: Path) -> None:
    config = fleet_config(steps=3, slices=2)
    meters = grid_of(config).meters
    async with child(tmp_path, FakeHeadEnd(config)) as shard:
        await shard.tell(do="begin", slice=0)
        await shard.tell(do="begin", slice=1)
        await shard.start()
        counts = await shard.until("drained")
        assert shard.record.total(Mark.ACKNOWLEDGED) == 3 * meters
        shard.process.send_signal(signal.SIGINT)  # is for whoever started it
        await shard.tell(do="stop")
        counts += await shard.last_counts()
        assert await shard.ended() == 0
    summary = json.loads((shard.folder.shard(0) / SUMMARY_FILE).read_text())
    assert summary["counts"]["readings pushed"] == 3 * meters
    assert requests(counts) == {"requests": summary["counts"]["push.answered"], "failures": 0}
    assert 0 < summary["lag_s_max"] < 5
    assert [item["series"] for item in summary["latencies"]] == ["push"] * len(summary["latencies"])


async def test_who_has_not_begun_or_has_been_ended_is_silent(tmp_path: Path) -> None:
    config = fleet_config(steps=2, slices=3, stations=3)
    head_end = FakeHeadEnd(config)
    async with child(tmp_path, head_end) as shard:
        await shard.tell(do="begin", slice=1)
        await shard.tell(do="begin", slice=2)
        await shard.tell(do="end", slice=2)
        await shard.start()
        await shard.until("drained")
        expected = 2 * len(grid_of(config).meters_of(1))
        assert shard.record.total(Mark.SENT) == len(head_end.readings) == expected


async def test_a_shard_whose_parent_vanishes_ends(tmp_path: Path) -> None:
    async with child(tmp_path, FakeHeadEnd(fleet_config())) as shard:
        await shard.tell(do="begin", slice=0)
        await shard.start()
        await shard.parent.aclose()
        assert await shard.ended() == 0
    assert (shard.folder.shard(0) / SUMMARY_FILE).is_file()


async def test_what_was_marked_survives_sigkill(tmp_path: Path) -> None:
    """The head-end confirms nothing: all that came must be marked as sent, and nothing as more."""
    config = fleet_config(steps=2)
    came = trio.Event()

    async def keeps_silent(caller: Caller) -> None:
        while await caller.next_push() is not None:
            if len(head_end.arrived) == 3:
                came.set()

    head_end = FakeHeadEnd(config, [keeps_silent] * 10)
    async with child(tmp_path, head_end) as shard:
        await shard.tell(do="begin", slice=0)
        await shard.start()
        await came.wait()
        shard.process.kill()
        assert await shard.ended() == -signal.SIGKILL
        assert shard.record.total(Mark.SENT) == len(set(head_end.readings)) > 0
        assert shard.record.total(Mark.ACKNOWLEDGED) == 0


async def test_an_order_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    async with child(tmp_path, FakeHeadEnd(fleet_config())) as shard:
        await shard.tell(do="dance", slice=0)
        assert await shard.last_counts() == []
        assert await shard.ended() == 1
