"""A layer killed while other systems command it through its faces: what was confirmed, happened."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from harness.bal.happenings import SCHEDULE, SET_CURRENT
from harness.bal.journal import read_journal
from harness.bal.tls import TlsFiles, client_context
from harness.check.batteries import account_of_batteries
from harness.run.preparation import free_ports
from netem.draws import mix_one, stream_key
from protocols.batteries import Answered, Connect, Done, SetCurrent
from protocols.sunspec import PowerSet, StatusRead
from tests.harness.bal.faces.test_sunspec import Host
from tests.harness.bal.test_process import BATTERIES, HOMES, running
from tests.support.bal import bal_config
from tests.support.batteries import FIRST_S, battery_config, open_park
from tests.support.faces import Asker, Authority

LIVES = 3
CALLERS = 3
FOREVER_MS = 4_000_000_000_000
ENDED = (trio.BrokenResourceError, trio.ClosedResourceError, OSError, AssertionError)
"""What a caller sees of a layer that is killed."""


@dataclass
class Callers:
    """Who commands one face, each a home of its own; no two commands are of the same current.

    Attributes:
        confirmed: the currents that the layer said were done.
        asked: of how many commands.
    """

    speaks: str
    port: int
    tls: TlsFiles | None
    key: int
    confirmed: list[int] = field(default_factory=list)
    asked: int = 0
    busy: trio.Event = field(default_factory=trio.Event)
    until: int = 0

    async def call(self, number: int) -> None:
        """Command one home until the layer is gone."""
        try:
            async with self._connected() as stream:
                if self.speaks == "sunspec":
                    await self._set_powers(Host(stream, 1 + number))
                else:
                    await self._set_currents(Asker(stream, self.speaks), f"home-{1 + number}")
        except ENDED:
            return

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        raw = await trio.open_tcp_stream("127.0.0.1", self.port)
        stream: trio.abc.Stream = raw
        if self.tls is not None:
            context = client_context(self.tls)
            stream = trio.SSLStream(
                raw, context, server_hostname="127.0.0.1", https_compatible=True
            )
        try:
            yield stream
        finally:
            await trio.aclose_forcefully(stream)

    def _next(self) -> int:
        """Return a current that nobody has commanded before; note that one more is on its way."""
        self.asked += 1
        if self.asked >= self.until:
            self.busy.set()
        # 3 % apart, so that a current made of a power is not taken for another.
        size = round(300 * 1.03 ** (self.asked % 120))
        return size if mix_one(self.key, self.asked) % 2 else -size

    async def _set_currents(self, asker: Asker, home: str) -> None:
        window = () if self.speaks == "v1" else (FIRST_S * 1_000, FOREVER_MS)
        if self.speaks == "v3":
            assert isinstance(await asker.ask(Connect(home)), Answered)
        while True:
            current_ma = self._next()
            match await asker.ask(SetCurrent(home, current_ma, *window)):
                case Answered(_, Done()):
                    self.confirmed.append(current_ma)
                case _:
                    return

    async def _set_powers(self, host: Host) -> None:
        await host.ask("find")
        read = await host.ask("read_status")
        assert isinstance(read, StatusRead)
        voltage_mv = read.status.voltage_mv
        assert voltage_mv, "batteries tell their voltage"
        while True:
            current_ma = self._next()
            if isinstance(await host.ask("set_power", current_ma * voltage_mv // 1_000), PowerSet):
                self.confirmed.append(current_ma)


@pytest.mark.slow
@pytest.mark.parametrize("speaks", ["v1", "v2", "v3", "sunspec"])
async def test_what_a_face_confirmed_is_not_lost_by_a_kill_and_executed_once(
    tmp_path: Path, speaks: str
) -> None:
    (port,) = free_ports(1)
    face: dict[str, Any] = {"speaks": speaks, "port": port}
    tls = None
    if speaks == "sunspec":
        face["units"] = {number: f"home-{number}" for number in range(1, 1 + CALLERS)}
    elif speaks == "v3":
        authority = Authority(tmp_path)
        face["tls"] = authority.files("node").model_dump()
        tls = authority.files("client")
    key = stream_key(11, f"kills of {speaks}")
    callers = Callers(speaks, port, tls, key)
    async with open_park(tmp_path, battery_config(BATTERIES)) as park:
        config = bal_config(tmp_path, park, extra=HOMES, faces=(face,))
        for life in range(LIVES):
            # Somewhere among the next commands, while others are under way.
            callers.until, callers.busy = callers.asked + 4 + mix_one(key, life) % 9, trio.Event()
            async with running(config, park) as layer, trio.open_nursery() as nursery:
                for number in range(CALLERS):
                    nursery.start_soon(callers.call, number)
                await callers.busy.wait()
                os.kill(layer.process.pid, signal.SIGKILL)
        async with running(config, park) as layer:
            for number in range(1, 1 + CALLERS):
                status = await layer.ask("status", name=f"home-{number}")
                assert status["answer"]["sources_online"] == 2
                await layer.set_current(f"last-{number}", f"home-{number}", number)
            await layer.ask("stop")
            assert await layer.process.wait() == 0
    events, orders = read_journal(config.journal)
    happened = Counter(
        event.details["current_ma"]
        for event in events
        if event.kind in (SET_CURRENT, SCHEDULE) and str(event.command).startswith(speaks)
    )
    assert len(callers.confirmed) >= LIVES
    for current_ma in callers.confirmed:
        # A current made of a power is cut to whole milliamperes.
        near = range(current_ma - 1, current_ma + 2) if speaks == "sunspec" else (current_ma,)
        assert sum(happened[one] for one in near) == 1, current_ma
    assert happened.total() <= callers.asked
    account = account_of_batteries(park.entries, orders)
    assert account.sound, account
    assert account.commands > 0
