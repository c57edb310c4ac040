"""The captured messages of a recorded run: found, ordered, decoded.

They lie in ``captures/``: what was asked for (``fleet-<shard>.pcapng``), what was kept because
something failed (``kept.pcapng``), and, of a run that was cut off, rings that nobody sorted
(``rings-<shard>.bin``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

import construct

from emulator.capture_rings import Kept, Note, read_rings
from emulator.capturing import FOLDER, Framer
from emulator.dialects import Dialects
from harness.check.recorded import RecordedRun
from harness.explain.decoded import Captured, Decoded, Decoder
from harness.provisioning import Provisioning
from protocols import pcapng
from protocols.errors import ProtocolError
from protocols.pcapng import Packet

KEPT_FILE: Final = "kept.pcapng"
TEST_KEYS: Final = "TEST KEYS"


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a capture and what it says."""

    captured: Captured
    decoded: Decoded


class RunCaptures:
    """All that was captured of a run. Raises `OSError` or `ValueError`: no usable provisioning."""

    def __init__(self, run: RecordedRun) -> None:
        self._run = run
        self.folder = run.folder.path / FOLDER
        self._known = Provisioning.load(run.folder.path / "provisioning")
        self.dialects = Dialects(run.fleet, run.grid)

    @property
    def files(self) -> list[Path]:
        """The captures, in order of their names."""
        return sorted([*self.folder.glob("*.pcapng"), *self.folder.glob("rings-*.bin")])

    def address(self, concentrator: int) -> str:
        """Return the address that a concentrator had in the run."""
        return self._known.concentrators[concentrator].address

    def of(self, concentrator: int) -> list[Said]:
        """Return what a concentrator said and heard, in order of time. Raises `OSError`."""
        found = [
            message
            for path in self.files
            for message in (
                self._unsorted(path, concentrator)
                if path.suffix == ".bin"
                else self._messages(path, concentrator)
            )
        ]
        found.sort(key=lambda message: message.packet.at_ns)
        decoder = self._decoder(self.dialects.name(concentrator))
        if decoder is None:
            return [Said(it, Decoded((), problem="no decoder for this protocol")) for it in found]
        return [Said(message, decoder.decode(message)) for message in found]

    def _decoder(self, protocol: str) -> Decoder | None:
        # Loaded where they decode: every run looks through its captures, few decode any.
        match protocol:
            case "dlms":
                from harness.explain.dlms import DlmsDecoder

                shared = [it.credentials for it in self._known.concentrators]
                return DlmsDecoder(shared if self._may_open else (), self._head_ends)
            case "c12":
                from harness.explain.c12 import C12Decoder

                keys = self._node_keys if self._may_open else {}
                return C12Decoder(keys, self.dialects.options(0))
        return None

    @property
    def _may_open(self) -> bool:
        return self._known.shared.keys.startswith(TEST_KEYS)

    @property
    def _head_ends(self) -> list[bytes]:
        titles = self._known.shared.head_end_system_titles
        return [bytes.fromhex(title.partition("/")[0]) for title in titles]

    @cached_property
    def _node_keys(self) -> Mapping[bytes, bytes]:
        relays = [it.credentials for it in self._known.concentrators]
        nodes = [self._known.nodes.credentials(at) for at in range(len(self._known.nodes.meters))]
        return {it.system_title: it.encryption_key for it in (*relays, *nodes)}

    def _messages(self, path: Path, concentrator: int) -> Iterator[Captured]:
        address = self.address(concentrator)
        for frame, packet in _packets_with(path.read_bytes(), address):
            if address in (packet.source[0], packet.destination[0]):
                up = packet.source[0] == address
                yield Captured(path.name, frame, packet, concentrator, up)

    def _unsorted(self, path: Path, concentrator: int) -> Iterator[Captured]:
        frame, address = 0, self.address(concentrator)
        for kept in _readable(path):
            if kept.concentrator == concentrator:
                for packet in framed(kept, self.dialects):
                    frame += 1
                    up = packet.source[0] == address
                    yield Captured(path.name, frame, packet, concentrator, up)


def framed(kept: Kept, dialects: Dialects, comment: str = "") -> Iterator[Packet]:
    """Yield the messages in a ring, as packets of a capture."""
    plugin, framers = dialects.plugin(kept.concentrator), dict[int, Framer]()
    for note in kept.notes:
        framer = _framer(framers, note) or Framer(plugin, note.ends.near, note.ends.far)
        framers[note.ends.connection] = framer
        yield from framer.packets(note.at_ns, note.direction, note.octets, comment)


def _framer(framers: Mapping[int, Framer], note: Note) -> Framer | None:
    return framers.get(note.ends.connection)


def _readable(path: Path) -> Iterator[Kept]:
    """Yield the rings of a file as far as they can be read."""
    try:
        yield from read_rings(path)
    except (OSError, ProtocolError):
        return


def _packets_with(octets: bytes, address: str) -> Iterator[tuple[int, Packet]]:
    """Yield the packets in which an address occurs, with their frame numbers.

    Others are passed over unread: a full capture holds tens of thousands. What is cut off ends it.
    """
    wanted = IPv4Address(address).packed
    packets = (block for is_packet, block in pcapng.blocks(octets) if is_packet)
    for frame, block in enumerate(packets, start=1):
        if wanted in block:
            try:
                (packet,) = pcapng.read(block)
            except construct.ConstructError:
                return
            yield frame, packet
