"""Serial lines, judged against emulated batteries on pseudo-terminals."""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from emulator.batteries.jbd import LINE_SILENCE_S, JbdSession
from emulator.batteries.terminal import serve_terminal
from harness.bal.config import BalConfig, Endpoint
from harness.bal.drivers import (
    DRIVERS,
    Driver,
    DriverError,
    DriverRefusedError,
    Line,
    Memory,
    open_driver,
)
from harness.bal.drivers.jbd import JbdDriver
from harness.bal.drivers.terminal import TerminalError, open_terminal
from harness.bal.journal import Fate, Order
from harness.bal.keeper import Keeper
from harness.bal.model.values import Nameplate, Reading
from tests.harness.bal.test_service import set_current
from tests.support.bal import open_layer, settled
from tests.support.batteries import AH, HOUR_MS, Bench, HandClock

PLATE = Nameplate.of(
    voltage_mv=51_200, max_charge_ma=40_000, max_discharge_ma=60_000, capacity_mah=110_000
)
PATIENCE_S = 20.0
QUIET_S = 0.05
BROKEN_S = 0.2
"""How long an answer may take where none comes."""


def session_of(bench: Bench) -> JbdSession:
    return JbdSession(bench.battery, bench.now_ms, trio.current_time(), LINE_SILENCE_S)


def late_answer(bench: Bench) -> bytes:
    """Return what a battery says now to one who asks how it is, and who is gone by then."""
    session = session_of(bench)
    session.receive_data(bytes.fromhex("dda50300fffd77"), now=trio.current_time())
    return session.data_to_send()


@asynccontextmanager
async def emulated(bench: Bench) -> AsyncIterator[str]:
    """Give the device of an emulated battery."""
    async with trio.open_nursery() as nursery:
        terminal = await nursery.start(partial(serve_terminal, partial(session_of, bench)))
        with trio.fail_after(PATIENCE_S):
            yield terminal.path
        nursery.cancel_scope.cancel()
    bench.record.close()


@dataclass
class Wire:
    """The far end of a pseudo-terminal, on which a battery answers octet by octet."""

    path: str
    stream: trio.lowlevel.FdStream
    asked: list[bytes] = field(default_factory=list)
    mute: set[int] = field(default_factory=set)
    """Which requests go without an answer."""

    async def serve(self, session: JbdSession) -> None:
        while data := bytes(await self.stream.receive_some()):
            session.receive_data(data, now=trio.current_time())
            if not (answer := session.data_to_send()):
                continue
            self.asked.append(data)
            for octet in answer if len(self.asked) - 1 not in self.mute else b"":
                await self.stream.send_all(bytes((octet,)))
                await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def wired() -> AsyncIterator[Wire]:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    try:
        async with trio.lowlevel.FdStream(ours) as stream:
            with trio.fail_after(PATIENCE_S):
                yield Wire(os.ttyname(theirs), stream)
    finally:
        os.close(theirs)


@asynccontextmanager
async def driven(path: str, timeout_s: float = PATIENCE_S) -> AsyncIterator[JbdDriver]:
    """Give a driver on a line that begins quickly."""
    async with await open_terminal(path, quiet_s=QUIET_S) as stream:
        endpoint = Endpoint(driver="jbd", device=path)
        yield JbdDriver(Line("b", PLATE, stream, lambda: 7, endpoint, timeout_s, Memory()))


def opened(path: str, timeout_s: float = PATIENCE_S) -> AbstractAsyncContextManager[Driver]:
    endpoint = Endpoint(driver="jbd", device=path)
    return open_driver(
        "b", PLATE, endpoint, lambda: 7, timeout_s=timeout_s, makers=DRIVERS, memory=Memory()
    )


async def test_a_battery_at_a_serial_port_is_read_commanded_and_refuses(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with emulated(bench) as path, driven(path) as driver:
        values = (await driver.read()).values
        assert (values.charge_ma_ms, values.capacity_ma_ms) == (55 * AH, 110 * AH)
        await driver.send(12_340, 12_340)
        assert bench.battery.set_ma == 12_340
        assert await driver.in_force(12_340)
        with pytest.raises(DriverRefusedError):
            await driver.send(60_001, 60_001)
        assert bench.battery.set_ma == 12_340


async def test_the_line_is_raw_9600_8n1() -> None:
    async with wired() as wire:
        before = os.open(wire.path, os.O_RDWR | os.O_NOCTTY)
        async with await open_terminal(wire.path, quiet_s=QUIET_S):
            iflag, oflag, cflag, lflag, ispeed, ospeed, _ = termios.tcgetattr(before)
        os.close(before)
    assert (iflag, oflag, lflag) == (0, 0, 0)
    assert (ispeed, ospeed) == (termios.B9600, termios.B9600)
    assert cflag & termios.CSIZE == termios.CS8
    assert cflag & termios.CLOCAL
    assert cflag & termios.CREAD
    assert not cflag & (termios.PARENB | termios.CSTOPB | termios.CRTSCTS)


async def test_an_answer_may_come_octet_by_octet(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with wired() as wire, trio.open_nursery() as nursery:
        nursery.start_soon(wire.serve, session_of(bench))
        async with driven(wire.path) as driver:
            assert (await driver.read()).values.charge_ma_ms == 55 * AH
            # 13, 10, 17 and 19 are signs that a terminal which is not raw would change or keep.
            for current_ma in (13, 10, 17, 19, -26):
                await driver.send(current_ma, current_ma)
                assert await driver.in_force(current_ma)
        nursery.cancel_scope.cancel()
    bench.record.close()


async def test_what_an_earlier_line_left_is_not_taken_for_an_answer(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    left = late_answer(bench)
    bench.battery.set_current(30_000, 0)
    bench.at_ms = HOUR_MS
    async with wired() as wire, trio.open_nursery() as nursery:
        await wire.stream.send_all(left)
        begun: list[trio.lowlevel.FdStream] = []

        async def begin() -> None:
            begun.append(await open_terminal(wire.path, quiet_s=QUIET_S))

        async with trio.open_nursery() as opening:
            opening.start_soon(begin)
            await trio.testing.wait_all_tasks_blocked()
            await wire.stream.send_all(left)
        nursery.start_soon(wire.serve, session_of(bench))
        (stream,) = begun
        async with stream:
            endpoint = Endpoint(driver="jbd", device=wire.path)
            line = Line("b", PLATE, stream, lambda: 7, endpoint, 1.0, Memory())
            assert (await JbdDriver(line).read()).values.charge_ma_ms == 25 * AH
        nursery.cancel_scope.cancel()
    bench.record.close()


async def test_a_dead_line_is_named_with_its_mend() -> None:
    async with wired() as wire, driven(wire.path, BROKEN_S) as driver:
        with pytest.raises(DriverError, match=rf'"b": timeout: {wire.path}: .*wires sit') as dead:
            await driver.read()
    assert dead.value.cause == "timeout"


async def test_an_adapter_that_is_pulled_out_ends_the_line() -> None:
    async with wired() as wire, driven(wire.path) as driver:
        await wire.stream.aclose()
        with pytest.raises(DriverError, match=r"transport_closed|connection broken") as gone:
            await driver.read()
        assert wire.path in str(gone.value)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("/dev/ttyNONE99", "No such file or directory; plug its adapter in, or correct the path"),
        ("/dev/null", "it is no serial port; name one, such as /dev/ttyUSB0"),
        ("/dev/tty", "it is no serial port; name one"),
        ("/etc/hostname", "it is no serial port; name one"),
    ],
)
async def test_what_cannot_be_opened_is_named_with_its_mend(device: str, words: str) -> None:
    with pytest.raises(DriverError, match=f'"b": no connection: {device}: .*{words}'):
        async with opened(device):
            pass


async def test_nobody_else_may_have_the_line() -> None:
    async with wired() as wire, driven(wire.path):
        with pytest.raises(TerminalError, match="end what else uses it"):
            await open_terminal(wire.path, quiet_s=QUIET_S)


async def test_a_line_that_is_never_silent_is_given_up() -> None:
    async with wired() as wire, trio.open_nursery() as nursery:

        async def babble() -> None:
            while True:
                await wire.stream.send_all(b"\xff")
                await trio.testing.wait_all_tasks_blocked(0.001)

        nursery.start_soon(babble)
        with pytest.raises(DriverError, match=rf"{wire.path}: not ready within {BROKEN_S} s"):
            async with opened(wire.path, BROKEN_S):
                pass
        nursery.cancel_scope.cancel()


@dataclass
class Heard:
    """Listens to a keeper."""

    told: list[str] = field(default_factory=list)
    read: trio.Event = field(default_factory=trio.Event)

    def was_read(self, name: str, reading: Reading) -> None:
        self.told.append("read")
        self.read.set()

    def was_learned(self, name: str, what: str) -> None:
        raise AssertionError("nothing is learned of JBD")

    def was_lost(self, name: str, cause: str) -> None:
        self.told.append(cause)

    async def order_leaves(self, order: Order, number: int) -> None:
        raise AssertionError("the number is the current")

    def order_ended(self, order: Order, fate: Fate, sent: int | None = None) -> None:
        self.told.append(str(fate))


@asynccontextmanager
async def kept(path: str, heard: Heard) -> AsyncIterator[Keeper]:
    keeper = Keeper(
        "b",
        PLATE,
        Endpoint(driver="jbd", device=path),
        heard,
        lambda: 7,
        timeout_s=1.0,
        retry_s=0.01,
        limit=trio.CapacityLimiter(1),
        makers=DRIVERS,
        memory=Memory(),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.run)
        yield keeper
        nursery.cancel_scope.cancel()


async def test_a_line_that_goes_dead_is_opened_anew_and_nothing_is_told_twice(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    heard = Heard()
    # The battery takes the second request, a current; its answer is lost.
    async with wired() as wire, trio.open_nursery() as nursery:
        wire.mute = {1}
        nursery.start_soon(wire.serve, session_of(bench))
        async with kept(wire.path, heard) as keeper:
            await keeper.read().wait()
            keeper.order(Order(1, 1, "b", 5_000))
            await keeper.rest()
        nursery.cancel_scope.cancel()
    bench.record.close()
    assert heard.told == ["read", "in force"]
    assert len(wire.asked) == 3
    assert bench.battery.set_ma == 5_000


async def test_a_battery_is_back_once_its_line_lives_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    heard = Heard()
    async with wired() as wire, trio.open_nursery() as nursery:
        wire.mute = {0}
        nursery.start_soon(wire.serve, session_of(bench))
        async with kept(wire.path, heard) as keeper:
            await keeper.read().wait()
            assert heard.told == ["timeout"]
            # Nobody waits for it meanwhile; it is looked for all the same.
            assert keeper.read().is_set()
            await heard.read.wait()
            assert not keeper.read().is_set()
        nursery.cancel_scope.cancel()
    bench.record.close()
    assert heard.told == ["timeout", "read"]


async def test_a_layer_reaches_a_battery_at_a_serial_port_by_its_interface(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with emulated(bench) as path:
        topology = tmp_path / "topology.toml"
        topology.write_text(
            f'[[battery]]\nname = "cellar"\ninterface = "jbd://{path}"\nvoltage_mv = 51200\n'
            "capacity_mah = 110000\nmax_charge_ma = 40000\nmax_discharge_ma = 60000\n"
        )
        config = BalConfig(
            control_socket=tmp_path / "bal.sock",
            journal=tmp_path / "journal.sqlite",
            topology=topology,
            group_commit_s=0.0,
        )
        async with open_layer(config, HandClock()) as layer:
            await layer.command(*set_current("cellar", 9_000))
            await settled(layer)
            assert (await layer.status("cellar")).current.charge_ma_ms == 55 * AH
    assert bench.battery.set_ma == 9_000
