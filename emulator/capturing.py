"""What crossed the links of chosen concentrators, kept as a capture that Wireshark opens.

One file a shard, ``captures/fleet-<shard>.pcapng``, one packet a message of the protocol, as the
concentrator sent it or as it came out of the link. What no longer has the protocol's framing is
kept too, and says so. The file has a bound; what comes after it is counted and not kept.

Who is chosen is what the scenario says, and what the run was told besides (`capture_rings`). The
links of all others go through rings in memory, for the case that something fails.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Final

import trio

from emulator.capture_rings import Address, Rings, WantedCaptures
from emulator.dialects import Dialects
from emulator.fleet_config import Capture
from emulator.tally import Tally
from netem.shaper import ShapedStream
from protocols import pcapng
from protocols.errors import ProtocolError
from protocols.plugin import PacketReader, ProtocolPlugin

FOLDER: Final = "captures"
UNFRAMED: Final = "the stream has lost its framing: octets as they came"


class Captures:
    """The capture of one shard. Makes nothing unless a concentrator is to be captured.

    Args:
        path: the file; its folder is made. What is wanted beside the scenario lies beside that.
        chosen: the scenario's words.
        dialects: who speaks what.
        tally: told of packets that were kept, and of those that were not.
    """

    def __init__(self, path: Path, chosen: Capture, dialects: Dialects, tally: Tally) -> None:
        wanted = WantedCaptures.load(path.parent.parent)
        self._first = chosen.concentrators
        self._everybody, self._numbers = wanted.everybody, frozenset(wanted.numbers)
        self._room = chosen.octets_max
        self._dialects = dialects
        self._tally = tally
        self._file: FileIO | None = None
        rings_file = path.with_name(path.stem.replace("fleet", "rings") + ".bin")
        self._rings = Rings(rings_file, wanted, tally) if wanted.rings_octets else None
        if not (self._first or self._everybody or self._numbers):
            return
        path.parent.mkdir(exist_ok=True)
        self._file = path.open("wb", buffering=0)
        self._keep(pcapng.section())

    def tap(self, number: int, stream: ShapedStream) -> None:
        """Keep what crosses ``stream`` from now on: all of it, or the newest in a ring."""
        try:
            if number < self._first or self._everybody or number in self._numbers:
                stream.tap = _Tap(self, stream, self._dialects, number).take
            elif self._rings is not None:
                self._rings.tap(number, stream)
        except OSError:
            # Broken already, by the link or by its far end: it has no ends, and nothing crosses it.
            self._tally.count("connections not captured: broken from the start")

    def failed(self, number: int) -> None:
        """Have what crossed the link of a concentrator until now kept: something failed over it."""
        if self._rings is not None:
            self._rings.failed(number)

    def close(self) -> None:
        """Close the file, and write what the rings hold."""
        if self._file is not None:
            self._file.close()
        if self._rings is not None:
            self._rings.close()

    def note(self, packet: pcapng.Packet) -> None:
        """Keep a packet while there is room."""
        octets = pcapng.packet(packet)
        if len(octets) > self._room:
            self._room = 0
            self._tally.count("packets not captured: the file is full")
            return
        try:
            self._keep(octets)
        except OSError:
            # The link that it crossed must not fail for it.
            self._room = 0
            self._tally.count("packets not captured: the file cannot be written")
            return
        self._tally.count("packets captured")

    def _keep(self, octets: bytes) -> None:
        assert self._file is not None, "nobody is captured"
        self._room -= len(octets)
        if self._file.write(octets) != len(octets):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Framer:
    """Cuts both directions of one connection into packets, as a capture shows them."""

    def __init__(self, plugin: ProtocolPlugin, near: Address, far: Address) -> None:
        self._port = plugin.captured_port
        self._ends = {"up": (near, far), "down": (far, near)}
        self._readers: dict[str, PacketReader | None] = {
            direction: plugin.packet_reader() for direction in self._ends
        }

    def packets(
        self, at_ns: int, direction: str, octets: bytes, comment: str = ""
    ) -> Iterator[pcapng.Packet]:
        """Yield the packets that are whole with ``octets``; without framing, the octets."""
        for message, problem in self._messages(direction, octets):
            if message:
                told = "; ".join(text for text in (comment, problem) if text)
                source, destination = self._ends[direction]
                yield pcapng.Packet(at_ns, source, destination, self._port, message, comment=told)

    def _messages(self, direction: str, octets: bytes) -> Iterator[tuple[bytes, str]]:
        reader = self._readers[direction]
        if reader is None:
            yield octets, UNFRAMED
            return
        try:
            for packet in reader.feed(octets):
                yield packet, ""
        except ProtocolError as error:
            self._readers[direction] = None
            yield octets, f"{UNFRAMED}: {error}"


class _Tap:
    """Both directions of one connection, into the file."""

    def __init__(
        self, captures: Captures, stream: ShapedStream, dialects: Dialects, number: int
    ) -> None:
        raw = stream.raw
        assert isinstance(raw, trio.SocketStream), "a fleet dials and accepts sockets only"
        self._captures = captures
        ends = raw.socket.getsockname(), raw.socket.getpeername()
        self._framer = Framer(dialects.plugin(number), *ends)

    def take(self, direction: str, octets: bytes) -> None:
        for packet in self._framer.packets(time.time_ns(), direction, octets):
            self._captures.note(packet)
