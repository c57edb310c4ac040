"""What crossed the links last, in memory, so that a failure can be looked at afterwards.

Every concentrator that is not captured anyway has a ring: the newest octets of its connections, in
both directions, as they were handed over. A note costs its octets and `NOTE_OCTETS`; a ring is
bounded, and so is what all rings of a shard may take: who comes when that is used up has none.

When something failed over a link (a push that was refused or not confirmed in time, a connection
that broke in the middle of one, or that could not be had), the ring is written to
``captures/rings-<shard>.bin`` and begins anew; an outage that breaks a connection on which nothing
was under way is no failure. When the shard ends, so are all others, because only the ledger knows
whose readings are lost or wrong, and it speaks after the shard is gone. The run then keeps what
matters as a capture that Wireshark opens, and removes the file. Octets are cut into messages only
there: while the fleet lives, a note is a line in a list.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import trio
from pydantic import BaseModel, ConfigDict

from emulator.tally import Tally
from netem.shaper import ShapedStream
from protocols.framing import MessageReader, encode_message

WANTED_FILE: Final = "captures.json"
NOTE_OCTETS: Final = 200
"""What a note takes in memory beside its octets."""
RING_OCTETS_MAX: Final = 64 * 1024
RING_OCTETS_MIN: Final = 8 * 1024
RINGS_OCTETS: Final = 32 * 1024 * 1024
BROKEN_OCTETS_MAX: Final = 128 * 1024
"""Of one concentrator's broken connections: one that fails all day must not fill the disk."""

Address: TypeAlias = tuple[str, int]


class WantedCaptures(BaseModel):
    """What a run was told to capture beside its scenario; ``captures.json`` in the run directory.

    ``rings_octets`` bounds the rings of one shard in memory, and what it writes of broken
    connections; 0: there are no rings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    everybody: bool = False
    numbers: tuple[int, ...] = ()
    """Concentrators whose octets are kept from the first to the last."""
    ring_octets: int = RING_OCTETS_MAX
    rings_octets: int = 0

    @classmethod
    def load(cls, folder: Path) -> WantedCaptures:
        """Read what was wanted; nothing where there is no file. Raises `OSError`, `ValueError`."""
        path = folder / WANTED_FILE
        return cls.model_validate_json(path.read_bytes()) if path.is_file() else cls()


class Ends(NamedTuple):
    """One connection: which of its concentrator's, the concentrator's address and its peer's."""

    connection: int
    near: Address
    far: Address


class Note(NamedTuple):
    """Octets that were handed to a link (``up``) or came out of it (``down``)."""

    at_ns: int
    ends: Ends
    direction: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """One ring as it was written: whose it was, whether something had failed, its notes."""

    concentrator: int
    broken: bool
    notes: tuple[Note, ...]


class Ring:
    """The newest notes of one concentrator, within ``octets_max``."""

    def __init__(self, octets_max: int) -> None:
        self.notes: deque[Note] = deque()
        self.written = 0
        """Octets of it that were written to the file."""
        self.connections = 0
        self._max = octets_max
        self._octets = 0
        self.failed = False
        """Whether something failed over the link since its first note."""

    def opened(self, stream: ShapedStream) -> Ends:
        """Remember a new connection and return its ends."""
        raw = stream.raw
        assert isinstance(raw, trio.SocketStream), "a fleet dials and accepts sockets only"
        near, far = raw.socket.getsockname(), raw.socket.getpeername()
        self.connections += 1
        return Ends(self.connections, (near[0], near[1]), (far[0], far[1]))

    def note(self, note: Note) -> None:
        """Keep a note; the oldest make room for it."""
        self.notes.append(note)
        self._octets += NOTE_OCTETS + len(note.octets)
        while self._octets > self._max:
            self._forget_a_turn()

    def take(self) -> tuple[Note, ...]:
        """Return all notes, and begin anew."""
        notes = tuple(self.notes)
        self.notes.clear()
        self._octets = 0
        self.failed = False
        return notes

    def _forget_a_turn(self) -> None:
        """Forget the oldest note, and what came out of the link as a part of the same answer.

        What is handed to a link begins with a message; what comes out of it may be any part of one.
        """
        gone = self._popped()
        while self.notes and self.notes[0].direction == "down" == gone.direction:
            if self.notes[0].ends != gone.ends:
                return
            gone = self._popped()

    def _popped(self) -> Note:
        note = self.notes.popleft()
        self._octets -= NOTE_OCTETS + len(note.octets)
        return note


class Rings:
    """The rings of one shard.

    Args:
        path: the file they are written to; made when there is something to write.
        wanted: how large they may be.
        tally: told of concentrators that have no ring, and of what could not be written.
    """

    def __init__(self, path: Path, wanted: WantedCaptures, tally: Tally) -> None:
        self._path = path
        self._ring_octets = wanted.ring_octets
        self._rings_max = wanted.rings_octets // max(1, wanted.ring_octets)
        self._room = wanted.rings_octets
        self._tally = tally
        self._rings: dict[int, Ring] = {}

    def tap(self, number: int, stream: ShapedStream) -> None:
        """Note what crosses ``stream`` from now on, while there is room for a ring."""
        ring = self._rings.get(number)
        if ring is None:
            if len(self._rings) >= self._rings_max:
                self._tally.count("connections without a ring")
                return
            ring = self._rings[number] = Ring(self._ring_octets)
        if ring.failed:
            self._keep_failed(number, ring)
        ends = ring.opened(stream)
        stream.tap = lambda direction, octets: ring.note(
            Note(time.time_ns(), ends, direction, octets)
        )

    def failed(self, number: int) -> None:
        """Have what crossed the link of a concentrator until now kept: something failed over it.

        It is written when the link is used next: those that fail together come back one by one.
        """
        ring = self._rings.get(number)
        if ring is not None and ring.notes:
            ring.failed = True

    def close(self) -> None:
        """Write what all rings hold: the ledger will say which of it matters."""
        for number, ring in self._rings.items():
            if ring.failed:
                self._keep_failed(number, ring)
            elif ring.notes:
                self._write(number, ring.take(), broken=False)

    def _keep_failed(self, number: int, ring: Ring) -> None:
        notes = ring.take()
        size = sum(len(note.octets) for note in notes)
        if ring.written + size > BROKEN_OCTETS_MAX or size > self._room:
            self._tally.count("broken connections not captured: there is no room")
            return
        ring.written += size
        self._room -= size
        self._write(number, notes, broken=True)

    def _write(self, number: int, notes: tuple[Note, ...], *, broken: bool) -> None:
        frame = encode_message({"concentrator": number, "broken": broken, "notes": notes})
        try:
            self._path.parent.mkdir(exist_ok=True)
            with self._path.open("ab") as file:
                file.write(frame)
        except OSError:
            # The fleet must not fail for it.
            self._tally.count("rings not written")
            return
        self._tally.count("rings written")


def read_rings(path: Path) -> Iterator[Kept]:
    """Yield the rings of a file in their order; one that was cut short ends them.

    Raises:
        OSError: it cannot be read.
        CodecError: it is no file of rings.
    """
    reader = MessageReader()
    with path.open("rb") as file:
        while octets := file.read(1 << 20):
            reader.feed(octets)
            while (message := reader.next_message()) is not None:
                yield Kept(
                    message["concentrator"],
                    message["broken"],
                    tuple(_note(*fields) for fields in message["notes"]),
                )


def _note(at_ns: int, ends: list[object], direction: str, octets: bytes) -> Note:
    connection, near, far = ends
    return Note(at_ns, Ends(connection, tuple(near), tuple(far)), direction, octets)  # type: ignore[arg-type]
