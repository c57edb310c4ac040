"""The load profile of one meter: ST63, and ST64 part by part, out of the model's captures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from protocols.c12.meter.blocks import block_layout, encode_blocks
from protocols.c12.meter.lists import ListMark, entries_since
from protocols.c12.meter.profile_status import (
    SEQUENCES,
    STATUS,
    decode_status,
    encode_status,
)
from protocols.c12.meter.relay_captures import Column
from protocols.c12.meter.view import MeterView
from protocols.c12.tables.load_profile import ProfileStatus
from protocols.plugin import MeterMode

DATA: Final = 64
SHARED_BLOCKS: Final = 32
"""Blocks in a run up to which those of all meters are made together: others will ask, too."""


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
        view = self._view
        if view.state.mode is not MeterMode.TEST and STATUS not in view.state.written:
            return view.captures.status_octets(view.number)
        return encode_status(self._schema, self.status())

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
        parts: list[bytes] = []
        at = first
        for elements, from_s, to_s in self._runs(first, last):
            parts.append(bytes((elements.start - at) * size))
            parts.append(self._run(elements, from_s, to_s, whole))
            at = elements.stop
        parts.append(bytes((last - at) * size))
        return b"".join(parts)[offset - first * size :][:count]

    def _run(self, elements: range, from_s: int, to_s: int, whole: range) -> bytes:
        """Return the blocks of ``elements``, and hand over those of ``whole`` among them."""
        if len(elements) <= SHARED_BLOCKS:
            columns = self._view.columns(from_s, len(elements))
            if columns is not None:
                return self._shared(columns, elements, whole)
        size = block_layout(self._schema).size
        octets = np.zeros((len(elements), size), np.uint8)
        readings, previous = self._view.with_previous(from_s, to_s)
        places = (readings.captured_at_s - from_s) // self._schema.period_s
        octets[places] = encode_blocks(self._schema, readings, previous)
        rows = elements.start + places
        handed = (rows >= whole.start) & (rows < whole.stop)
        self._view.handed.add(readings, np.flatnonzero(handed).tolist())
        return octets.tobytes()

    def _shared(self, columns: Sequence[Column], elements: range, whole: range) -> bytes:
        number, size = self._view.number, block_layout(self._schema).size
        parts = []
        for element, column in zip(elements, columns, strict=True):
            row = column.rows[number]
            if row < 0:
                parts.append(bytes(size))
                continue
            parts.append(column.octets[row * size : (row + 1) * size])
            if element in whole:
                self._view.handed.add(column.readings, (row,))
        return b"".join(parts)

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
        status = decode_status(self._schema, kept)
        return ListMark(status.last_block_sequence, status.valid_blocks, status.unread_blocks)

    def _keep(self, valid: int, unread: int) -> None:
        sequence = self.status().last_block_sequence
        status = ProfileStatus(valid, sequence % self._blocks, sequence, 1, unread)
        self._view.state.written[STATUS] = encode_status(self._schema, status)
