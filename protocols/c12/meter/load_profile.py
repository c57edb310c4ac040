"""The load profile of one meter: ST63, and ST64 part by part, out of the model's captures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from protocols.c12.meter.blocks import block_layout, encode_blocks
from protocols.c12.meter.lists import ListMark, entries_since
from protocols.c12.meter.view import MeterView
from protocols.c12.tables.load_profile import ProfileStatus, decode_status, encode_status
from protocols.plugin import MeterMode

STATUS: Final = 63
DATA: Final = 64
SEQUENCES: Final = 1 << 32


class LoadProfileList:
    """Set 1 of the meter that ``view`` shows."""

    def __init__(self, view: MeterView) -> None:
        self._view = view
        self._schema = view.schema
        self._blocks = view.schema.settings.blocks

    @property
    def size(self) -> int:
        """The octets of ST64."""
        return self._blocks * block_layout(self._schema).size

    def status(self) -> ProfileStatus:
        """Return what ST63 says."""
        newest_s, held = self._held()
        if newest_s is None:
            return ProfileStatus(0, 0, 0, 0)
        sequence = newest_s // self._schema.period_s
        valid, unread = entries_since(self._mark(), sequence % SEQUENCES, held)
        return ProfileStatus(
            valid_blocks=valid,
            last_block_element=sequence % self._blocks,
            last_block_sequence=sequence % SEQUENCES,
            valid_intervals=1 if valid else 0,
            unread_blocks=unread,
            test_mode=self._view.state.mode is MeterMode.TEST,
        )

    def status_octets(self) -> bytes:
        """Return ST63."""
        return self._encoded(self.status())

    def reset(self) -> None:
        """Let no block be valid; sequence numbers go on."""
        self._keep(0, 0)

    def mark_read(self, count: int) -> bool:
        """Let ``count`` more blocks be read; False: there are not so many unread ones."""
        status = self.status()
        if count <= status.unread_blocks:
            self._keep(status.valid_blocks, status.unread_blocks - count)
        return count <= status.unread_blocks

    def read(self, offset: int, count: int) -> bytes:
        """Return octets of ST64, all within it; tells the model which captures are handed over."""
        size = block_layout(self._schema).size
        first, last = offset // size, -(-(offset + count) // size)
        whole = range(-(-offset // size), (offset + count) // size)
        octets = np.zeros((max(0, last - first), size), np.uint8)
        for elements, from_s, to_s in self._runs(first, last):
            readings, previous = self._view.with_previous(from_s, to_s)
            rows = elements.start + (readings.captured_at_s - from_s) // self._schema.period_s
            octets[rows - first] = encode_blocks(self._schema, readings, previous)
            handed = (rows >= whole.start) & (rows < whole.stop)
            self._view.hand_over(readings, handed)
        return octets.tobytes()[offset - first * size :][:count]

    def _runs(self, first: int, last: int) -> Iterator[tuple[range, int, int]]:
        """Return which elements of ``first`` .. ``last - 1`` hold captures, with their times.

        A run is ascending in time: elements up to the newest one's, then those that it has not
        reached again.
        """
        newest_s, held = self._held()
        if newest_s is None:
            return
        newest = newest_s // self._schema.period_s % self._blocks
        for start, stop, round_size in (
            (0, newest + 1, 0),
            (newest + 1, self._blocks, self._blocks),
        ):
            oldest = newest + round_size - held + 1
            elements = range(max(first, start, oldest), min(last, stop))
            if elements:
                age = newest + round_size - elements.start
                from_s = newest_s - age * self._schema.period_s
                yield elements, from_s, from_s + (len(elements) - 1) * self._schema.period_s

    def _held(self) -> tuple[int | None, int]:
        """Return the time of the newest capture, and how many blocks there are up to it."""
        newest_s = self._view.newest_s()
        if newest_s is None:
            return None, 0
        oldest_s, _ = self._view.window(newest_s)
        return newest_s, (newest_s - oldest_s) // self._schema.period_s + 1

    def _mark(self) -> ListMark | None:
        kept = self._view.state.written.get(STATUS)
        if kept is None:
            return None
        status = decode_status(kept, self._schema.configuration)[1]
        return ListMark(status.last_block_sequence, status.valid_blocks, status.unread_blocks)

    def _keep(self, valid: int, unread: int) -> None:
        sequence = self.status().last_block_sequence
        self._view.state.written[STATUS] = self._encoded(
            ProfileStatus(valid, sequence % self._blocks, sequence, 1, unread)
        )

    def _encoded(self, status: ProfileStatus) -> bytes:
        return encode_status({1: status}, self._schema.configuration)
