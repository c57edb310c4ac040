"""A battery on a pseudo-terminal, opened as a serial port is."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import trio

from emulator.batteries.device import IDLE_S
from emulator.batteries.jbd import LINE_SILENCE_S, JbdSession
from emulator.batteries.terminal import serve_terminal
from protocols.bms.jbd import DEVICE_NAME, REGULATOR, Answered, JbdClient, Written
from tests.support.batteries import Bench

PATIENCE_S = 20.0


async def asked(path: str, client: JbdClient) -> object:
    """Return what comes of a request on a terminal that is opened for it alone."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    async with trio.lowlevel.FdStream(descriptor) as port:
        with trio.fail_after(PATIENCE_S):
            await port.send_all(client.data_to_send())
            while (event := client.next_event()) is None:
                client.receive_data(bytes(await port.receive_some()), now=0.0)
    return event


async def test_a_terminal_outlives_its_clients(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made: list[JbdSession] = []

    def line() -> JbdSession:
        now = trio.current_time()
        made.append(JbdSession(bench.battery, bench.now_ms, now, LINE_SILENCE_S))
        return made[-1]

    async with trio.open_nursery() as nursery:
        terminal = await nursery.start(partial(serve_terminal, line))
        for current_ma in (1_000, 2_000):
            client = JbdClient()
            client.write(REGULATOR, current_ma, now=0.0)
            assert await asked(terminal.path, client) == Written(REGULATOR)
            assert bench.battery.set_ma == current_ma
        client.read(DEVICE_NAME, now=0.0)
        assert await asked(terminal.path, client) == Answered(DEVICE_NAME, "battery-0000001")
        nursery.cancel_scope.cancel()
    bench.record.close()
    assert len(made) == 1
    with pytest.raises(OSError, match="No such"):
        await asked(terminal.path, client)


async def test_a_line_that_nobody_uses_makes_room_for_a_new_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    second = trio.Event()
    made: list[JbdSession] = []

    def line() -> JbdSession:
        # The first has been silent for so long when it is made.
        began = trio.current_time() - (0 if made else IDLE_S)
        made.append(JbdSession(bench.battery, bench.now_ms, began))
        if len(made) == 2:
            second.set()
        return made[-1]

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_terminal, line))
        with trio.fail_after(PATIENCE_S):
            await second.wait()
        nursery.cancel_scope.cancel()
    bench.record.close()
