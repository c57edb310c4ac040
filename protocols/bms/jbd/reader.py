"""Finds JBD frames on a line: any split, noise between them, and after damage the next good one.

Damage is reported, never raised: one bad frame says nothing about those after it. From a frame that
turns out to be none, only its first octet is thrown away, because its length may be what is wrong
and the next frame may lie inside. A request to read has no data, so one that announces some is a
cut one with the next behind it, and nothing is waited for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Generic, Protocol, Self, TypeVar

from protocols.bms.jbd.frame import HEADER_SIZE, OVERHEAD, START, trailer_problem


class Frame(Protocol):
    """A kind of frame: what its second and third octet may be, and how it is made.

    ``EMPTY`` are the second octets of frames without data.
    """

    FIRST: ClassVar[frozenset[int]]
    SECOND: ClassVar[frozenset[int]]
    EMPTY: ClassVar[frozenset[int]]

    @classmethod
    def of(cls, first: int, second: int, data: bytes) -> Self:
        """Return the frame of these fields."""


FrameT = TypeVar("FrameT", bound=Frame)


class Damage(Enum):
    """What can be wrong with octets of a line."""

    GARBAGE = "octets that begin no frame"
    BAD_CHECKSUM = "a frame with a wrong checksum"
    BAD_END = "a frame that does not end with 77"
    TRUNCATED = "a frame that stopped"


@dataclass(frozen=True, slots=True)
class Damaged:
    """``octets`` that were given up on."""

    damage: Damage
    octets: bytes


class FrameReader(Generic[FrameT]):
    """Cuts a line into frames of one direction; holds fewer than 262 octets once drained."""

    def __init__(self, kind: type[FrameT]) -> None:
        self._kind = kind
        self._buffer = bytearray()
        self._offset = 0

    @property
    def buffered(self) -> int:
        """How many octets wait for the rest of their frame."""
        return len(self._buffer) - self._offset

    def feed(self, data: bytes) -> None:
        """Append octets of the line, in any split."""
        del self._buffer[: self._offset]
        self._offset = 0
        self._buffer += data

    def next_frame(self) -> FrameT | Damaged | None:
        """Return the next whole frame or what was damaged; ``None``: more octets are needed."""
        garbage = self._garbage()
        if garbage:
            return self._drop(garbage, Damage.GARBAGE)
        start = self._offset
        if self.buffered < HEADER_SIZE:
            return None
        end = start + OVERHEAD + self._buffer[start + HEADER_SIZE - 1]
        if len(self._buffer) < end:
            return None
        frame = bytes(self._buffer[start:end])
        problem = trailer_problem(frame)
        if problem:
            return self._drop(1, Damage.BAD_END if problem == "end" else Damage.BAD_CHECKSUM)
        self._consume(len(frame))
        return self._kind.of(frame[1], frame[2], frame[HEADER_SIZE:-3])

    def give_up(self) -> Damaged | None:
        """The rest of the frame under way will not come: throw its first octet away, if any.

        Call `next_frame` again, for a whole one may have waited behind it.
        """
        return self._drop(1, Damage.TRUNCATED) if self.buffered else None

    def _garbage(self) -> int:
        """How many octets lie before what may begin a frame."""
        buffer, start = self._buffer, self._offset
        while (start := buffer.find(START, start)) >= 0:
            if self._may_begin(buffer[start + 1 : start + HEADER_SIZE]):
                return start - self._offset
            start += 1
        return self.buffered

    def _may_begin(self, header: bytearray) -> bool:
        """Whether a frame may have these octets, or fewer yet, behind its start."""
        kind, second, third, length = self._kind, header[:1], header[1:2], header[2:]
        if not kind.FIRST.issuperset(second) or not kind.SECOND.issuperset(third):
            return False
        return not (any(length) and kind.EMPTY.issuperset(second))

    def _drop(self, count: int, damage: Damage) -> Damaged:
        octets = bytes(self._buffer[self._offset : self._offset + count])
        self._consume(count)
        return Damaged(damage, octets)

    def _consume(self, count: int) -> None:
        self._offset += count
        if self._offset == len(self._buffer):
            # An idle line holds no memory: there are thousands of them.
            self._buffer.clear()
            self._offset = 0
