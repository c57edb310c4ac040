"""The process of a battery layer: killed in the middle of its work, and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from emulator.messages import MessageStream
from harness.bal.config import BalConfig
from harness.bal.faces.config import DialectFace
from harness.bal.happenings import FORGET, SET_CURRENT
from harness.bal.journal import read_journal
from harness.check.batteries import account_of_batteries
from harness.run.preparation import free_ports
from netem.draws import mix_one, stream_key
from protocols.batteries import Answered, GetStatus, Status
from tests.support.bal import PATIENCE_S, aggregate, bal_config
from tests.support.batteries import Park, battery_config, open_park
from tests.support.command_line import ROOT
from tests.support.faces import Asker

BATTERIES = 6
HOMES = aggregate("home-1", (0, 1)) + aggregate("home-2", (2, 3)) + aggregate("home-3", (4, 5))


class Layer:
    """A process of the layer, as somebody who asks it sees it."""

    def __init__(self, process: trio.Process, socket: Path) -> None:
        self.process = process
        self._socket = socket

    async def ask(self, question: str, **details: Any) -> dict[str, Any]:
        """Return the whole answer. Raises `trio.BrokenResourceError`: it is gone."""
        try:
            stream = await trio.open_unix_socket(str(self._socket))
        except OSError as error:
            raise trio.BrokenResourceError from error
        async with stream:
            messages = MessageStream(stream)
            await messages.send({"ask": question, **details})
            answer = await messages.receive()
        if answer is None:
            raise trio.BrokenResourceError("no answer")
        return dict(answer)

    async def set_current(self, command: str, name: str, current_ma: int) -> dict[str, Any]:
        details = {"name": name, "current_ma": current_ma}
        return await self.ask("command", kind=SET_CURRENT, details=details, id=command)


@asynccontextmanager
async def running(config: BalConfig, park: Park) -> AsyncIterator[Layer]:
    """Run the layer; it is killed with the block, unless it has ended by itself."""
    file = config.control_socket.with_suffix(".json")
    file.write_text(config.model_dump_json())
    async with trio.open_nursery() as nursery:
        run = partial(
            trio.run_process,
            [sys.executable, "-m", "harness.bal", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            check=False,
            deliver_cancel=_kill,
        )
        process = await nursery.start(run)
        with trio.fail_after(PATIENCE_S):
            assert await process.stdout.receive_some() == b"ready\n"
            layer = Layer(process, config.control_socket)
            clock = [park.clock.monotonic_s, park.clock.scenario_s, park.clock.rate]
            assert await layer.ask("clock", triple=clock) == {"answer": {}}
            yield layer
        nursery.cancel_scope.cancel()


async def _kill(process: trio.Process) -> None:
    process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "interface"), [(0, "jbd"), (1, "jbd"), (2, "sunspec")])
async def test_a_kill_loses_no_accepted_command_and_executes_none_twice(
    tmp_path: Path, seed: int, interface: str
) -> None:
    key = stream_key(seed, "kills")
    accepted: list[str] = []
    fleet = battery_config(BATTERIES, category={"interface": interface})
    async with open_park(tmp_path, fleet) as park:
        config = bal_config(tmp_path, park, extra=HOMES)
        number = 0
        for _ in range(3):
            async with running(config, park) as layer, trio.open_nursery() as nursery:
                # Somewhere among the next commands, while they are under way.
                until = number + 3 + mix_one(key, number) % 10
                while number < until:
                    number += 1
                    nursery.start_soon(_command, layer, key, number, accepted)
                    if mix_one(key, number) % 3:
                        await trio.testing.wait_all_tasks_blocked(0.001)
                os.kill(layer.process.pid, signal.SIGKILL)
        async with running(config, park) as layer:
            status = await layer.ask("status", name="home-1")
            assert status["answer"]["sources_online"] == 2
            await layer.set_current("last", "home-1", 1_234)
            await layer.ask("stop")
            assert await layer.process.wait() == 0
    events, orders = read_journal(config.journal)
    commands = {event.command for event in events if event.command}
    assert set(accepted) <= commands, f"seed {seed}"
    account = account_of_batteries(park.entries, orders)
    assert account.sound, f"seed {seed}: {account}"
    assert account.commands > 0


async def _command(layer: Layer, key: int, number: int, accepted: list[str]) -> None:
    draw = mix_one(key, 1_000_000 + number)
    current_ma = (draw >> 8) % 20_001 - 10_000
    try:
        answer = await layer.set_current(f"command-{number}", f"home-{1 + draw % 3}", current_ma)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return
    assert "answer" in answer, answer
    accepted.append(f"command-{number}")


async def test_questions_that_cannot_be_answered_say_why(tmp_path: Path) -> None:
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        running(bal_config(tmp_path, park), park) as layer,
    ):
        assert (await layer.ask("status", name="x"))["kind"] == "UnknownBatteryError"
        assert (await layer.ask("nonsense"))["kind"] == "unknown"
        assert (await layer.ask("command", kind="read", details={}))["kind"] == "invalid"
        assert (await layer.ask("command", kind=FORGET, details={}))["kind"] == "unknown"
        wrong = await layer.ask("command", kind=FORGET, details={"before_ms": "x"})
        assert wrong["kind"] == "invalid"
        forgotten = await layer.ask("command", kind=FORGET, details={"before_ms": 10**15})
        assert forgotten == {"answer": {}}
        over = await layer.set_current("c", "battery-0000001", 10**9)
        assert over["kind"] == "CurrentOutOfRangeError"
        assert "battery-0000001" in over["error"]


def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    config = BalConfig(control_socket=tmp_path / "s", journal=tmp_path / "no" / "journal.sqlite")
    ended = started(tmp_path, config)
    assert ended.returncode == 4
    assert "journal.sqlite" in ended.stderr.splitlines()[-1]


async def test_a_process_shows_its_faces_once_it_has_a_clock(tmp_path: Path) -> None:
    first, second = free_ports(2)
    faces = (
        {"speaks": "v1", "port": first},
        {"speaks": "sunspec", "port": second, "units": {"5": "home-1"}},
    )
    async with open_park(tmp_path, battery_config(BATTERIES)) as park:
        config = bal_config(tmp_path, park, extra=HOMES, faces=faces)
        async with (
            running(config, park),
            await trio.open_tcp_stream("127.0.0.1", first) as stream,
            await trio.open_tcp_stream("127.0.0.1", second) as modbus,
        ):
            told = await Asker(stream, "v1").ask(GetStatus("home-1"))
            assert isinstance(told, Answered)
            assert isinstance(told.reply, Status)
            assert told.reply.capacity_mah == 220_000
            # The mark of a register map, asked of unit 5.
            await modbus.send_all(bytes.fromhex("0001 0000 0006 05 03 9c40 0002"))
            assert (await modbus.receive_some(100))[-4:] == b"SunS"


def test_a_face_whose_port_is_taken_ends_the_process_and_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        face = DialectFace(speaks="v2", port=taken.getsockname()[1])
        config = BalConfig(
            control_socket=tmp_path / "s", journal=tmp_path / "journal.sqlite", faces=(face,)
        )
        ended = started(tmp_path, config)
    assert ended.returncode == 4
    assert "in use" in ended.stderr.splitlines()[-1]


def started(folder: Path, config: BalConfig) -> subprocess.CompletedProcess[str]:
    """Start a process that is to end by itself, and return how it did."""
    (folder / "bal.json").write_text(config.model_dump_json())
    return subprocess.run(
        [sys.executable, "-m", "harness.bal", str(folder / "bal.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
