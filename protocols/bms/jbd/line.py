"""One end of a JBD line: frames in, damage counted, and a frame that stops given up on.

An end that waits for the rest of a damaged length would swallow up to 262 octets of good frames.
A sender writes a frame in one go, so a silence of ``silence_s`` in the middle of one ends it.
"""

from __future__ import annotations

from collections import Counter
from typing import Generic

from protocols.bms.jbd.faults import FAULT_OF_DAMAGE, Fault
from protocols.bms.jbd.reader import Damaged, FrameReader, FrameT


class Line(Generic[FrameT]):
    """Reads one direction. ``deadline``: when a frame under way is given up on, or ``None``."""

    def __init__(self, kind: type[FrameT], faults: Counter[Fault], silence_s: float) -> None:
        self.deadline: float | None = None
        self._reader = FrameReader(kind)
        self._faults = faults
        self._silence_s = silence_s

    def receive_data(self, data: bytes, now: float) -> list[FrameT]:
        """Take octets; return the frames that are whole now."""
        self._reader.feed(data)
        frames = self._drain()
        self.deadline = now + self._silence_s if self._reader.buffered else None
        return frames

    def handle_deadline(self, now: float) -> list[FrameT]:
        """Be told the time; return frames that lay behind one that stopped."""
        if self.deadline is None or now < self.deadline:
            return []
        return self.receive_eof()

    def receive_eof(self) -> list[FrameT]:
        """Nothing more comes for what is under way; return frames that lay behind it."""
        self.deadline = None
        frames: list[FrameT] = []
        while (damaged := self._reader.give_up()) is not None:
            self._count(damaged)
            frames += self._drain()
        return frames

    def _drain(self) -> list[FrameT]:
        frames: list[FrameT] = []
        while (item := self._reader.next_frame()) is not None:
            if isinstance(item, Damaged):
                self._count(item)
            else:
                frames.append(item)
        return frames

    def _count(self, damaged: Damaged) -> None:
        self._faults[FAULT_OF_DAMAGE[damaged.damage]] += 1
