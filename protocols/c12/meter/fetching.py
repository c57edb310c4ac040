"""Pulling a meter: which reads fetch its captures of some time, and what their answers hold.

First the lists are asked how they stand (ST63, the header of ST76, the status log), then for the
blocks and entries themselves. Where a block lies follows from its sequence number, which is that of
its time (`blocks`), so nothing needs to be searched for. A list may move on between the two: what
an element holds by then tells its own time, and is left out when it was captured after the lists
were asked, because the events that came with it are not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.blocks import Captures, block_layout, decode_blocks
from protocols.c12.meter.event_log import (
    EVENT_LOG,
    decode_entries,
    decode_header,
    decode_status_log,
    log_layout,
)
from protocols.c12.meter.load_profile import DATA as LOAD_PROFILE
from protocols.c12.meter.profile_status import SEQUENCES, decode_status
from protocols.c12.meter.profile_status import STATUS as LOAD_PROFILE_STATUS
from protocols.c12.meter.schema import STATUS_LOG, MeterSchema
from protocols.c12.services import FullRead, IndexRead, OffsetRead, Request
from protocols.c12.tables.load_profile import ProfileStatus
from protocols.errors import CodecError
from protocols.readings import EventBatch, EventSource, ReadingBatch

MAX_READ: Final = 0xFFFF
"""Octets one offset read can ask for."""
BLOCKS_MEMBER, ENTRIES_MEMBER = 0, 5
"""The index of the array in ST64 and in ST76."""


class MeterFetch:
    """The captures of one meter in [from_s, to_s], POSIX seconds, and the events with them.

    Ask what `requests` says, give the data of the answers to `answered` in their order, and so on
    until `requests` says nothing; then `result` is there.

    Args:
        schema: what the meter's tables look like.
        name: its device name.
        max_read: octets that one read may ask for (at least one block).
        by_index: use index reads rather than offset reads.
        with_events: fetch events as well.
    """

    def __init__(
        self,
        schema: MeterSchema,
        name: bytes,
        from_s: int,
        to_s: int,
        *,
        max_read: int = MAX_READ,
        by_index: bool = False,
        with_events: bool = True,
    ) -> None:
        self._schema = schema
        self._name = name
        self._from_s, self._to_s = from_s, to_s
        self._max_read = max_read
        self._by_index = by_index
        self._with_events = with_events
        self._newest_event = self._newest_block = 0
        self._pending = self._about_lists()
        self._block_reads: int | None = None
        self._status_events = EventBatch.empty()
        self._captures = Captures(
            np.zeros(0, np.int64),
            np.zeros(0, np.uint8),
            np.zeros((0, len(schema.registers)), np.uint32),
        )
        self._events = EventBatch.empty()

    def requests(self) -> Sequence[Request]:
        """Return what to ask next, all of it at once; nothing when all is there."""
        return self._pending

    def answered(self, data: Sequence[bytes]) -> None:
        """Take the data of the answers to `requests`, in their order.

        Raises:
            CodecError: what came is not what was asked for.
        """
        if len(data) != len(self._pending):
            raise CodecError(f"{len(data)} answers to {len(self._pending)}", codec="C12 fetch")
        if self._block_reads is None:
            self._pending = self._about_entries(data)
        else:
            self._take(data, self._block_reads)
            self._pending = []

    def result(self, concentrator: bytes) -> ReadingBatch:
        """Return what was fetched, ascending in time; events that came with these captures only."""
        captures = self._captures
        events = EventBatch.concatenate([self._events, self._status_events])
        return ReadingBatch(
            concentrator,
            np.full(len(captures.captured_at_s), self._name, "S16"),
            captures.captured_at_s,
            captures.status,
            captures.values,
            events.take(_came_with(events, captures.captured_at_s, self._schema.period_s)),
        )

    def _about_lists(self) -> list[Request]:
        lists: list[Request] = [FullRead(LOAD_PROFILE_STATUS)]
        if self._with_events:
            header_size = log_layout(self._schema).header_size
            lists += [OffsetRead(EVENT_LOG, 0, header_size), FullRead(STATUS_LOG)]
        return lists

    def _about_entries(self, data: Sequence[bytes]) -> list[Request]:
        status = decode_status(self._schema, data[0])
        self._newest_block = status.last_block_sequence
        reads = list(self._block_requests(status))
        self._block_reads = len(reads)
        if self._with_events:
            header = decode_header(self._schema, data[1])
            self._newest_event = header.sequence
            self._status_events = decode_status_log(self._schema, data[2], self._name)
            if reads:
                reads += self._entry_requests(header.sequence, header.valid)
        return reads

    def _block_requests(self, status: ProfileStatus) -> Iterator[Request]:
        """Return reads of the valid blocks whose times may be in the range.

        A sequence number is a time in whole periods: where captures do not lie on whole periods,
        the block before the first may be one of them.
        """
        newest = status.last_block_sequence
        period_s, blocks = self._schema.period_s, self._schema.settings.blocks
        first = max(self._from_s // period_s, newest - status.valid_blocks + 1)
        last = min(self._to_s // period_s, newest)
        return self._reads(LOAD_PROFILE, first, last, blocks)

    def _entry_requests(self, newest: int, valid: int) -> Iterator[Request]:
        entries = self._schema.settings.event_entries
        return self._reads(EVENT_LOG, newest - valid + 1, newest, entries)

    def _reads(self, table: int, first: int, last: int, room: int) -> Iterator[Request]:
        """Return reads of the elements with sequence numbers ``first`` to ``last``."""
        member, start, size = self._array(table)
        most = max(1, self._max_read // size)
        while first <= last:
            element = first % SEQUENCES % room
            count = min(last - first + 1, room - element, most)
            if self._by_index:
                yield IndexRead(table, (member, element), count)
            else:
                yield OffsetRead(table, start + element * size, count * size)
            first += count

    def _array(self, table: int) -> tuple[int, int, int]:
        """Return of a list's array the member index, the offset, and the octets of an element."""
        if table == LOAD_PROFILE:
            return BLOCKS_MEMBER, 0, block_layout(self._schema).size
        layout = log_layout(self._schema)
        return ENTRIES_MEMBER, layout.header_size, layout.entry.itemsize

    def _take(self, data: Sequence[bytes], block_reads: int) -> None:
        captures = decode_blocks(self._schema, b"".join(data[:block_reads]))
        times = captures.captured_at_s
        wanted = (times >= self._from_s) & (times <= self._to_s)
        wanted &= times // self._schema.period_s <= self._newest_block
        self._captures = Captures(times[wanted], captures.status[wanted], captures.values[wanted])
        entries = b"".join(data[block_reads:])
        self._events = decode_entries(self._schema, entries, self._newest_event, self._name)


def _came_with(
    events: EventBatch, captured_at_s: NDArray[np.int64], period_s: int
) -> NDArray[np.bool_]:
    """Tell which events came with one of these captures, ascending: those of its interval."""
    if not len(captured_at_s):
        return np.zeros(len(events), np.bool_)
    at = np.searchsorted(captured_at_s, events.raised_at_s)
    next_s = captured_at_s[np.minimum(at, len(captured_at_s) - 1)]
    came = (events.raised_at_s <= next_s) & (next_s - events.raised_at_s < period_s)
    status = events.source == EventSource.STATUS
    return np.asarray(np.where(status, np.isin(events.sequence, captured_at_s), came))
