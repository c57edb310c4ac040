"""C12.18 packets a second, beside termineter's on the same octets where that is installed.

A read of ST1, its answer, and an answer with 512 octets of table data.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from rich.console import Console

from protocols.c12.psem.crc import CRC_SIZE, packet_crc
from protocols.c12.psem.packet import PACKET, Packet
from protocols.c12.psem.reader import PacketReader
from protocols.c12.services import Dialect, FullRead, encode_request, encode_response, read_response
from protocols.lowering.codec import plain
from tests.bench.measuring import Line, show, timed

BUDGET_S: Final = 0.4
PAYLOADS: Final = (
    encode_request(FullRead(1), Dialect.C12_18),
    encode_response(read_response(bytes(range(32)))),
    encode_response(read_response(bytes(range(256)) * 2)),
)
STREAM: Final = 100
line = partial(timed, units=len(PAYLOADS), budget_s=BUDGET_S)


def main(console: Console) -> None:
    """Print the figures."""
    packets, octets = check()
    stream = b"".join(octets) * STREAM
    decoding = [
        line("construct", lambda: [read_by_construct(each) for each in octets]),
        line("lowered to struct code", lambda: [Packet.decode(each) for each in octets]),
        timed(
            "the same, out of a stream",
            lambda: read_stream(stream),
            len(octets) * STREAM,
            BUDGET_S,
        ),
    ]
    encoding = [
        line("construct", lambda: [by_construct(payload) for payload in PAYLOADS]),
        line("lowered to struct code", lambda: [packet.encode() for packet in packets]),
    ]
    judge = termineter_lines(octets)
    sizes = ", ".join(f"{len(each)}" for each in octets)
    for what, lines, one in zip(("decode", "encode"), (decoding, encoding), judge, strict=True):
        title = f"C12.18 packets, {what} ({sizes} octets)"
        everyone = [one, *lines] if one else lines
        show(console, title, everyone, unit="packet", base=everyone[0])


def check() -> tuple[list[Packet], list[bytes]]:
    """Return the packets and their octets, after all ways were found equal."""
    packets = [Packet(payload) for payload in PAYLOADS]
    octets = [packet.encode() for packet in packets]
    assert octets == [by_construct(payload) for payload in PAYLOADS]
    assert [Packet.decode(each) for each in octets] == packets
    assert [read_by_construct(each) for each in octets] == list(PAYLOADS)
    assert read_stream(b"".join(octets) * STREAM) == packets * STREAM
    return packets, octets


def by_construct(payload: bytes) -> bytes:
    """Return a packet as the declaration builds it."""
    values = {"identity": 0, "control": 0, "sequence": 0, "data": payload, "crc": 0}
    octets: bytes = PACKET.build(values)[:-CRC_SIZE]
    return octets + packet_crc(octets).to_bytes(CRC_SIZE, "little")


def read_by_construct(octets: bytes) -> bytes:
    """Return the data of a packet as the declaration parses it."""
    values = plain(PACKET.parse(octets))
    assert values["crc"] == packet_crc(octets[:-CRC_SIZE])
    data: bytes = values["data"]
    return data


def read_stream(octets: bytes) -> list[object]:
    """Return what the reader cuts out of a stream that comes in pieces of 256 octets."""
    reader, found = PacketReader(max_packet_size=1024), list[object]()
    for start in range(0, len(octets), 256):
        reader.feed(octets[start : start + 256])
        while (token := reader.next_token()) is not None:
            found.append(token)
    return found


def termineter_lines(octets: list[bytes]) -> tuple[Line | None, Line | None]:
    """Return termineter's decoding and encoding, after it read and wrote what we do."""
    if importlib.util.find_spec("c1218") is None:
        return None, None
    packet: Callable[..., Any] = importlib.import_module("c1218.data").C1218Packet
    parse = packet.from_bytes  # type: ignore[attr-defined]
    assert [parse(each).data for each in octets] == list(PAYLOADS)
    assert [packet(payload).build() for payload in PAYLOADS] == octets
    return (
        line("termineter", lambda: [parse(each) for each in octets]),
        line("termineter", lambda: [packet(payload).build() for payload in PAYLOADS]),
    )
