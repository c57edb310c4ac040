"""The process of some batteries, obeyed, orphaned and killed over a real socket pair."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from emulator.batteries.config import BATTERIES_FILE, BatteryFleetConfig, record_path
from emulator.batteries.record import Begun, Ended, Entry, Executed, read_record
from emulator.identity import concentrator_address
from emulator.messages import MessageStream
from protocols.framing import Message
from tests.support.batteries import FIRST_S, battery_config

pytestmark = pytest.mark.slow
PATIENCE_S = 30.0
ONE_AMPERE_OUT = bytes.fromhex("dd5af004fffffc18fbfa77")
"""Register F0, -1,000 mA on the wire; the checksum is that of F0, 04, FF, FF, FC and 18."""
DONE = bytes.fromhex("ddf00000000077")


@dataclass
class Child:
    """A battery process, and this end of its socket."""

    folder: Path
    process: subprocess.Popen[bytes]
    parent: MessageStream
    port: int = 0

    async def tell(self, **order: object) -> None:
        await self.parent.send(order)

    async def ask(self, **order: object) -> Message:
        await self.parent.send(order)
        return await self.next()

    async def start(self) -> None:
        await self.tell(do="start", clock=[time.monotonic(), float(FIRST_S), 1.0])
        await self.ask(do="status")

    async def next(self) -> Message:
        message = await self.parent.receive()
        assert message is not None, "the process closed: see its standard error"
        return message

    async def ended(self) -> int:
        return await trio.to_thread.run_sync(self.process.wait, PATIENCE_S)

    async def set_one_ampere(self, number: int) -> None:
        stream = await trio.open_tcp_stream(concentrator_address(number), self.port)
        async with stream:
            await stream.send_all(ONE_AMPERE_OUT)
            answer = b""
            while len(answer) < len(DONE):
                answer += await stream.receive_some()
            assert answer == DONE

    @property
    def entries(self) -> list[Entry]:
        return list(read_record(record_path(self.folder, 0)))


def spawn(folder: Path, theirs: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "emulator.batteries", str(folder), "0", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
    )


@asynccontextmanager
async def child(folder: Path, config: BatteryFleetConfig) -> AsyncIterator[Child]:
    """Run a process of batteries; it is ready, and gone at the end."""
    (folder / BATTERIES_FILE).write_text(config.model_dump_json())
    ours, theirs = socket.socketpair()
    with theirs:
        process = spawn(folder, theirs)
    parent = MessageStream(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
    try:
        with trio.fail_after(PATIENCE_S):
            batteries = Child(folder, process, parent)
            ready = await batteries.next()
            assert ready["state"] == "ready"
            batteries.port = ready["port"]
            yield batteries
    finally:
        await parent.aclose()
        process.kill()
        process.wait()


async def test_a_whole_life(tmp_path: Path) -> None:
    async with child(tmp_path, battery_config(3)) as batteries:
        await batteries.start()
        await batteries.set_one_ampere(2)
        status = await batteries.ask(do="status")
        assert (status["batteries"], status["commands"]) == (3, 1)
        assert status["counts"]["connections accepted"] == 1
        batteries.process.send_signal(signal.SIGINT)  # is for whoever started it
        stopped = await batteries.ask(do="stop")
        assert (stopped["state"], stopped["commands"]) == ("stopped", 1)
        assert await batteries.ended() == 0
    kinds = [type(entry) for entry in batteries.entries]
    assert kinds == [Begun, Begun, Begun, Executed, Ended, Ended, Ended]
    last = batteries.entries[-1]
    assert isinstance(last, Ended)
    assert (last.commands, last.changed.current_ma) == (1, 1_000)


async def test_a_terminal_is_opened_when_it_is_ordered(tmp_path: Path) -> None:
    async with child(tmp_path, battery_config(2)) as batteries:
        await batteries.start()
        opened = await batteries.ask(do="terminal", battery=1)
        port = os.open(opened["path"], os.O_RDWR | os.O_NOCTTY)
        async with trio.lowlevel.FdStream(port) as line:
            await line.send_all(ONE_AMPERE_OUT)
            assert await line.receive_some() != b""
        assert (await batteries.ask(do="status"))["commands"] == 1
        refused = await batteries.ask(do="terminal", battery=2)
        assert refused["error"] == "battery 2 has no serial line here"


async def test_a_process_whose_parent_vanishes_ends_with_its_record_complete(
    tmp_path: Path,
) -> None:
    async with child(tmp_path, battery_config(1)) as batteries:
        await batteries.start()
        await batteries.parent.aclose()
        assert await batteries.ended() == 0
    assert [type(entry) for entry in batteries.entries] == [Begun, Ended]


async def test_what_was_answered_is_on_record_after_sigkill(tmp_path: Path) -> None:
    async with child(tmp_path, battery_config(1)) as batteries:
        await batteries.start()
        await batteries.set_one_ampere(0)
        batteries.process.kill()
        assert await batteries.ended() == -signal.SIGKILL
    assert [type(entry) for entry in batteries.entries] == [Begun, Executed]


async def test_an_order_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    async with child(tmp_path, battery_config(1)) as batteries:
        await batteries.tell(do="dance")
        assert await batteries.parent.receive() is None
        assert await batteries.ended() == 1


async def test_without_the_lab_it_was_told_of_it_does_not_live_on_loopback(tmp_path: Path) -> None:
    """It must not answer where nothing delays it."""
    config = battery_config(link="packet")
    (tmp_path / BATTERIES_FILE).write_text(config.model_dump_json())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = spawn(tmp_path, theirs)
        assert await trio.to_thread.run_sync(process.wait, PATIENCE_S) == 1
