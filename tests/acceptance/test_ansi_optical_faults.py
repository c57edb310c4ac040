"""What is wrong on a meter's optical port is answered as C12.18 has it, and the session goes on.

Raw octets of the line over the TCP port of an emulated meter; the answers are taken apart here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import pytest
import trio

from emulator.optical import meter_line, serve_optical_tcp
from protocols.c12.psem import Control, Fault, Packet, PsemServer
from protocols.c12.services import (
    Dialect,
    FullRead,
    Identify,
    Logon,
    OffsetRead,
    Request,
    Response,
    ResponseCode,
    decode_response,
    encode_request,
)
from tests.support.ansi_faults import flipped
from tests.support.fleets import clock_at, open_site
from tests.support.push_fleet import small_run

ACK, NAK = b"\x06", b"\x15"
SILENCE_S: Final = 0.15
END_S: Final = 20.0
Code = ResponseCode


@dataclass
class Line:
    """A client's end of a line that does as it is told, right or wrong."""

    stream: trio.SocketStream
    toggle: bool = False

    def packet(self, request: Request, *, toggle: bool | None = None) -> bytes:
        """Return the packet of a request, under the next toggle bit unless told otherwise."""
        self.toggle = not self.toggle if toggle is None else toggle
        data = encode_request(request, Dialect.C12_18)
        return Packet(data, Control(toggle=self.toggle)).encode()

    async def say(self, octets: bytes) -> bytes:
        """Send octets; return all that comes before there is silence."""
        await self.stream.send_all(octets)
        heard = b""
        while True:
            with trio.move_on_after(SILENCE_S) as silence:
                data = await self.stream.receive_some(1024)
                assert data, "the port was closed"
                heard += data
            if silence.cancelled_caught:
                return heard

    async def ask(self, request: Request) -> ResponseCode:
        """Return the code of the answer, which is acknowledged, to a request said rightly."""
        return (await self.answered(await self.say(self.packet(request)))).code

    async def answered(self, heard: bytes) -> Response:
        """Return the response behind the acknowledgement in what was heard; acknowledge it."""
        assert heard[:1] == ACK
        await self.stream.send_all(ACK)
        return decode_response(Packet.decode(heard[1:]).data)


async def bad_crc(line: Line) -> None:
    octets = line.packet(FullRead(1))
    assert await line.say(flipped(octets, -1)) == NAK
    assert (await line.answered(await line.say(octets))).code is Code.OK


async def repeated_packet(line: Line) -> None:
    octets = line.packet(FullRead(1))
    assert (await line.answered(await line.say(octets))).code is Code.OK
    assert await line.say(octets) == ACK


async def wrong_toggle(line: Line) -> None:
    # New by its CRC and old by its toggle bit: no repetition, as the standard has it.
    octets = line.packet(FullRead(1), toggle=line.toggle)
    assert (await line.answered(await line.say(octets))).code is Code.OK


async def no_such_table(line: Line) -> None:
    assert await line.ask(FullRead(999)) is Code.INAPPROPRIATE_ACTION_REQUESTED


async def offset_past_the_end(line: Line) -> None:
    assert await line.ask(OffsetRead(1, 1_000, 8)) is Code.OPERATION_NOT_POSSIBLE


async def packet_lost(line: Line) -> None:
    # The second of three packets: the first and the last do not belong together.
    first, last = (
        Packet(b"\x30", Control(multiple=True, first=n == 2, toggle=n == 2), n).encode()
        for n in (2, 0)
    )
    line.toggle = True
    assert await line.say(first) == ACK
    assert await line.say(last) == NAK


async def answer_not_acknowledged(line: Line) -> None:
    heard = await line.say(line.packet(FullRead(1)))
    assert await line.say(NAK) == heard[1:]
    await line.stream.send_all(ACK)


async def oversized_packet(line: Line) -> None:
    assert await line.say(Packet(bytes(4_000), Control(toggle=not line.toggle)).encode()) == NAK


async def garbage(line: Line) -> None:
    assert await line.say(b"\x55") == b""


Do: TypeAlias = Callable[[Line], Awaitable[None]]
CASES: Final[dict[str, tuple[Do, Fault | None]]] = {
    "bad CRC": (bad_crc, Fault.BAD_CRC),
    "packet repeated": (repeated_packet, Fault.DUPLICATE),
    "wrong toggle": (wrong_toggle, Fault.WRONG_TOGGLE),
    "no such table": (no_such_table, None),
    "offset past the end": (offset_past_the_end, None),
    "packet of a message lost": (packet_lost, Fault.WRONG_SEQUENCE),
    "answer not acknowledged": (answer_not_acknowledged, Fault.NOT_ACKNOWLEDGED),
    "oversized packet": (oversized_packet, Fault.OVERSIZED_PACKET),
    "garbage": (garbage, Fault.GARBAGE),
}


@dataclass
class Lines:
    """Makes the meter's ends of lines, and remembers them."""

    make: Callable[[], PsemServer]
    made: list[PsemServer] = field(default_factory=list)

    def __call__(self) -> PsemServer:
        self.made.append(self.make())
        return self.made[-1]


@pytest.mark.parametrize("name", CASES)
async def test_an_optical_port_answers_what_is_wrong(name: str, tmp_path: Path) -> None:
    do, fault = CASES[name]
    config = small_run(tmp_path, stations=1, steps=4, protocol="c12").fleet
    config = config.model_copy(update={"head_ends": ()})
    async with open_site(tmp_path / "site", config, clock_at(config, 3.5)) as site:
        lines = Lines(meter_line(site.shard.concentrators, config, 0, 0))
        with trio.fail_after(END_S):
            async with trio.open_nursery() as nursery:
                port = await nursery.start(serve_optical_tcp, lines)
                number = int(port.url.rpartition(":")[2])
                async with await trio.open_tcp_stream("127.0.0.1", number) as stream:
                    line = Line(stream)
                    for request in (Identify(), Logon(2, b"0000".ljust(10), None)):
                        assert await line.ask(request) is Code.OK
                    await do(line)
                    assert await line.ask(FullRead(1)) is Code.OK
                nursery.cancel_scope.cancel()
    (end,) = lines.made
    counted = {one for one in end.faults if one is not Fault.TRANSPORT_CLOSED}
    # What follows the head of a packet that is none is garbage besides, and the next request cuts
    # short what a lost packet has left begun.
    assert counted <= {fault, Fault.GARBAGE, Fault.INTERRUPTED_MESSAGE}
    assert fault is None or end.faults[fault] == 1
