"""What crossed the links of chosen concentrators, kept as a capture that Wireshark opens.

One file a shard, ``captures/fleet-<shard>.pcapng``, one packet a message of the protocol, as the
concentrator sent it or as it came out of the link. What no longer has the protocol's framing is
kept too, and says so. The file has a bound; what comes after it is counted and not kept.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Final

import trio

from emulator.dialects import Dialects
from emulator.fleet_config import Capture
from emulator.tally import Tally
from netem.shaper import ShapedStream
from protocols import pcapng
from protocols.errors import ProtocolError
from protocols.plugin import PacketReader

FOLDER: Final = "captures"
UNFRAMED: Final = "the stream has lost its framing: octets as they came"


class Captures:
    """The capture of one shard. Makes nothing unless a concentrator is to be captured.

    Args:
        path: the file; its folder is made.
        chosen: the scenario's words.
        dialects: who speaks what.
        tally: told of packets that were kept, and of those that were not.
    """

    def __init__(self, path: Path, chosen: Capture, dialects: Dialects, tally: Tally) -> None:
        self._chosen = range(chosen.concentrators)
        self._room = chosen.octets_max
        self._dialects = dialects
        self._tally = tally
        if not self._chosen:
            return
        path.parent.mkdir(exist_ok=True)
        self._file = path.open("wb", buffering=0)
        self._keep(pcapng.section())

    def tap(self, number: int, stream: ShapedStream) -> None:
        """Keep what crosses ``stream`` from now on, if the concentrator is one of the chosen."""
        if number in self._chosen:
            stream.tap = _Tap(self, stream, self._dialects, number).take

    def close(self) -> None:
        """Close the file."""
        if self._chosen:
            self._file.close()

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
        self._room -= len(octets)
        if self._file.write(octets) != len(octets):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class _Tap:
    """Both directions of one connection."""

    def __init__(
        self, captures: Captures, stream: ShapedStream, dialects: Dialects, number: int
    ) -> None:
        plugin = dialects.plugin(number)
        raw = stream.raw
        assert isinstance(raw, trio.SocketStream), "a fleet dials and accepts sockets only"
        near, far = raw.socket.getsockname(), raw.socket.getpeername()
        self._captures = captures
        self._port = plugin.captured_port
        self._ends = {"up": (near, far), "down": (far, near)}
        self._readers: dict[str, PacketReader | None] = {
            direction: plugin.packet_reader() for direction in self._ends
        }

    def take(self, direction: str, octets: bytes) -> None:
        reader = self._readers[direction]
        if reader is None:
            self._note(direction, octets, UNFRAMED)
            return
        try:
            for packet in reader.feed(octets):
                self._note(direction, packet)
        except ProtocolError as error:
            self._readers[direction] = None
            self._note(direction, octets, f"{UNFRAMED}: {error}")

    def _note(self, direction: str, octets: bytes, comment: str = "") -> None:
        source, destination = self._ends[direction]
        if octets:
            self._captures.note(
                pcapng.Packet(
                    time.time_ns(), source, destination, self._port, octets, comment=comment
                )
            )
