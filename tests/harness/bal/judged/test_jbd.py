"""Emulated JBD batteries under a host of hostile octets, over TCP and a pseudo-terminal."""

from __future__ import annotations

import os
import struct
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import pytest
import trio

from emulator.batteries.jbd import LINE_SILENCE_S, JbdSession
from emulator.batteries.terminal import serve_terminal
from emulator.identity import concentrator_address
from tests.harness.bal.judged.wire import Jbd, jbd_read, jbd_write
from tests.support.batteries import Bench, battery_config, open_park

LINES = pytest.mark.parametrize("over", ["tcp", "terminal"])
NAME = b"\x05\x00battery-0000001"
REFUSED = 0x80
E1, F0 = 0xE1, 0xF0


class _Serial(Jbd):
    """A host at a terminal device."""

    def __init__(self, path: str) -> None:
        super().__init__("", 0)
        self._path = path

    async def __aenter__(self) -> _Serial:
        descriptor = os.open(self._path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(descriptor)
        self.stream = trio.lowlevel.FdStream(descriptor)  # type: ignore[assignment]
        return self


@asynccontextmanager
async def connected(folder: Path, over: str) -> AsyncIterator[Jbd]:
    if over == "tcp":
        async with (
            open_park(folder, battery_config(1)) as park,
            Jbd(concentrator_address(0), park.port) as host,
        ):
            yield host
        return
    bench = Bench(folder)

    def session() -> JbdSession:
        return JbdSession(bench.battery, bench.now_ms, trio.current_time(), LINE_SILENCE_S)

    async with trio.open_nursery() as nursery:
        terminal = await nursery.start(serve_terminal, session)
        async with _Serial(terminal.path) as host:
            yield host
        nursery.cancel_scope.cancel()
    bench.record.close()


def test_requests_are_those_of_the_vendor() -> None:
    assert [jbd_read(number).hex() for number in (3, 4, 5)] == [
        "dda50300fffd77",
        "dda50400fffc77",
        "dda50500fffb77",
    ]
    assert [jbd_write(E1, bytes([0, mask])).hex() for mask in (1, 2, 3)] == [
        "dd5ae1020001ff1c77",
        "dd5ae1020002ff1b77",
        "dd5ae1020003ff1a77",
    ]


@LINES
async def test_every_field_of_register_03_is_one_that_a_host_can_read(
    tmp_path: Path, over: str
) -> None:
    async with connected(tmp_path, over) as host:
        told = (await host.ask(jbd_read(3)))[2:]
        fields = struct.unpack(">HhHHHHHHHBBBBB", told[:23])
        volts, amperes, left, full, cycles, made, low, high, errors, _, percent, fet, cells, ntc = (
            fields
        )
        assert (amperes, left, full, percent, fet) == (0, 5_500, 11_000, 50, 3)
        assert (cycles, low, high, errors, cells, ntc) == (0, 0, 0, 0, 16, 2)
        assert len(told) == 23 + 2 * ntc
        assert 16 * 250 <= volts <= 16 * 365
        assert date(2000 + (made >> 9), made >> 5 & 15, made & 31) < date(2026, 1, 1)


@LINES
async def test_masks_disable_and_status_says_what_conducts(tmp_path: Path, over: str) -> None:
    async with connected(tmp_path, over) as host:
        for mask, conducts, locked in ((1, 2, 1), (2, 1, 1), (3, 0, 1), (0, 3, 0)):
            assert await host.ask(jbd_write(E1, bytes([0, mask]))) == bytes([E1, 0])
            told = (await host.ask(jbd_read(3)))[2:]
            assert (told[20], told[16] >> 4) == (conducts, locked)


@LINES
@pytest.mark.parametrize("register", [E1, F0, 3, 0, 0x77])
@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0\4", b"\1\0", b"\xff" * 3, b"\x7f" * 4, b"x" * 255]
)
async def test_what_cannot_be_written_is_refused(
    tmp_path: Path, over: str, register: int, data: bytes
) -> None:
    async with connected(tmp_path, over) as host:
        assert await host.ask(jbd_write(register, data)) == bytes([register, REFUSED])
        assert await host.ask(jbd_read(5)) == NAME


@LINES
async def test_the_sign_of_a_current_is_the_same_in_both_directions(
    tmp_path: Path, over: str
) -> None:
    async with connected(tmp_path, over) as host:
        for milliamperes in (-1_000, 1_000):  # negative discharges
            assert await host.ask(jbd_write(F0, struct.pack(">i", milliamperes))) == bytes([F0, 0])
            told = (await host.ask(jbd_read(3)))[2:]
            assert struct.unpack(">h", told[2:4]) == (milliamperes // 10,)


@LINES
@pytest.mark.parametrize("junk", ["00ff12", "dd", "7777", "dddddd", "dda603", "a55a", "4a756e6b"])
async def test_garbage_before_a_frame_holds_up_nothing(
    tmp_path: Path, over: str, junk: str
) -> None:
    async with connected(tmp_path, over) as host:
        assert await host.ask(bytes.fromhex(junk) + jbd_read(5)) == NAME


@LINES
@pytest.mark.parametrize("cut", range(1, 7))
async def test_a_read_that_stopped_holds_up_no_later_one(
    tmp_path: Path, over: str, cut: int
) -> None:
    async with connected(tmp_path, over) as host:
        assert await host.ask(jbd_read(3)[:cut] + jbd_read(5)) == NAME


@LINES
@pytest.mark.parametrize("cut", range(1, 7))
async def test_a_request_in_two_parts_and_two_in_one_are_answered(
    tmp_path: Path, over: str, cut: int
) -> None:
    async with connected(tmp_path, over) as host:
        await host.send(jbd_read(5), cut=cut)
        assert await host.frame() == NAME
        await host.send(jbd_write(E1, b"\0\0") + jbd_read(5))
        assert await host.frame() == bytes([E1, 0])
        assert await host.frame() == NAME


@LINES
@pytest.mark.parametrize("bad", ["dda50500000077", "dda50500fffb78", "dd5ae1020001ff1c76"])
async def test_a_damaged_request_has_no_answer_and_the_next_one_has(
    tmp_path: Path, over: str, bad: str
) -> None:
    damaged = bytes.fromhex(bad)
    async with connected(tmp_path, over) as host:
        assert await host.ask(damaged + jbd_read(5)) == NAME
        assert (await host.ask(jbd_read(3)))[22] == 3
