"""Any octets at all, on every line a battery or a face listens at: none dies, none hangs."""

from __future__ import annotations

import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from emulator.identity import concentrator_address
from tests.harness.bal.judged.test_dialects import GET
from tests.harness.bal.judged.wire import PATIENCE_S, Wire, jbd_read, jbd_write, record
from tests.harness.bal.test_service import HOME
from tests.support.bal import bal_config, open_layer
from tests.support.batteries import battery_config, open_park
from tests.support.faces import open_face

READ = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 40_000, 2)
SENSE = {
    "v1": (GET, b'{"response": {"voltage"'),
    "v2": (record(2), struct.pack("<I", 64)),
    "sunspec": (READ, struct.pack(">HHHB", 1, 0, 7, 1) + b"\x03\x04SunS"),
    "jbd": (jbd_read(5), b"\xdd\x05\x00\x0f"),
}
"""What makes sense on a line, and how its answer begins."""
WRITES = {
    "v1": b'{"request": "set_current", "name": "home", "current": 1}',
    "v2": record(3, current_ma=1),
    "sunspec": struct.pack(">HHHBBHHB4H", 2, 0, 15, 1, 16, 40_165, 4, 8, 1, 1, 0, 0),
    "jbd": jbd_write(0xF0, bytes(4)),
}
LINES = ["battery jbd", "battery sunspec", "face v1", "face v2", "face sunspec"]


@asynccontextmanager
async def listening(folder: Path, line: str) -> AsyncIterator[tuple[str, int]]:
    """Run what listens; return where."""
    kind, speaks = line.split()
    interface = "jbd" if kind == "face" else speaks
    async with open_park(folder, battery_config(2, category={"interface": interface})) as park:
        if kind == "battery":
            yield concentrator_address(0), park.port
            return
        units: dict[str, Any] = {"units": {1: "home"}} if speaks == "sunspec" else {}
        async with (
            open_layer(bal_config(folder, park, extra=HOME), park.clock) as layer,
            open_face(layer, speaks=speaks, **units) as face,
        ):
            yield "127.0.0.1", face.port
            assert not layer.counts[f"{speaks}: failed"]


def damaged(draw: random.Random, speaks: str) -> bytes:
    """Return octets that once made sense, or never did."""
    octets = bytearray(b"".join(draw.choices([SENSE[speaks][0], WRITES[speaks]], k=3)))
    match draw.randrange(5):
        case 0:
            return draw.randbytes(draw.randint(1, 600))
        case 1:
            del octets[draw.randrange(len(octets)) :]
        case 2:
            for _ in range(draw.randint(1, 8)):
                octets[draw.randrange(len(octets))] = draw.randrange(256)
        case 3:
            at = draw.randrange(len(octets))
            octets[at:at] = draw.randbytes(draw.randint(1, 9))
        case _:
            at = draw.randrange(len(octets))
            del octets[at : at + draw.randint(1, 9)]
    return bytes(octets)


@pytest.mark.parametrize("line", LINES)
async def test_any_octets_are_answered_or_hung_up_on(tmp_path: Path, line: str) -> None:
    draw = random.Random(line)
    speaks = line.split()[1]
    asked, begins = SENSE[speaks]
    async with listening(tmp_path, line) as (host, port):
        for _ in range(150):
            octets = damaged(draw, speaks)
            async with Wire(host, port) as wire:
                with trio.fail_after(PATIENCE_S):
                    await _sent(wire, octets)
                    await wire.rest()
        async with Wire(host, port) as wire:
            await wire.send(asked)
            assert await wire.take(len(begins)) == begins


async def _sent(wire: Wire, octets: bytes) -> None:
    try:
        await wire.send(octets, cut=len(octets) // 2)
        await wire.stream.send_eof()
    except (trio.BrokenResourceError, OSError):
        return  # hung up on already
