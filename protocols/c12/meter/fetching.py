"""Pulling a meter: which reads fetch its captures of some time, and what their answers hold.

First the lists are asked how they stand (ST63, the header of ST76, the status log), then for the
blocks and entries themselves. Where a block lies follows from its sequence number, which is that of
its time (`blocks`), so nothing needs to be searched for. A meter that numbers its blocks otherwise,
or has another number of them, is asked for its newest block first, whose time says where the others
lie. A list may move on between the two: what an element holds by then tells its own time, and is
left out when it was captured after the lists were asked, because the events that came with it are
not known.

A meter need not have the status log, which is no standard table: its data is then empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from protocols.c12.meter.blocks import Captures, block_layout, decode_blocks
from protocols.c12.meter.event_log import (
    EVENT_LOG,
    came_with,
    decode_entries,
    decode_header,
    decode_status_log,
    log_layout,
)
from protocols.c12.meter.lists import ListMark
from protocols.c12.meter.load_profile import DATA as LOAD_PROFILE
from protocols.c12.meter.profile_status import STATUS as LOAD_PROFILE_STATUS
from protocols.c12.meter.profile_status import decode_status
from protocols.c12.meter.reads import Element, reads_of
from protocols.c12.meter.schema import STATUS_LOG, MeterSchema
from protocols.c12.services import FullRead, OffsetRead, Request
from protocols.c12.tables.load_profile import ProfileStatus
from protocols.errors import CodecError
from protocols.readings import EventBatch, ReadingBatch

MAX_READ: Final = 0xFFFF
"""Octets one offset read can ask for."""
YEAR_2000_S: Final = 946_684_800
"""A number that counts blocks from 1 on is not taken for a time: it takes 30 years to get there."""
LOAD_PROFILE_SIZES: Final = 61
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
        self._pending = self._about_lists()
        self._take_next: Callable[[Sequence[bytes]], list[Request]] = self._take_lists
        self._profile = ProfileStatus(0, 0, 0, 0)
        self._log = ListMark(0, 0, 0)
        self._newest_block = self._shift = 0
        self._blocks = schema.settings.blocks
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
        self._pending = self._take_next(data)

    @staticmethod
    def may_lack(request: Request) -> bool:
        """Return whether a meter may do without what ``request`` asks for."""
        return request == FullRead(STATUS_LOG)

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
            events.take(came_with(events, captures.captured_at_s, self._schema.period_s)),
        )

    def _about_lists(self) -> list[Request]:
        lists: list[Request] = [FullRead(LOAD_PROFILE_STATUS)]
        if self._with_events:
            header_size = log_layout(self._schema).header_size
            lists += [OffsetRead(EVENT_LOG, 0, header_size), FullRead(STATUS_LOG)]
        return lists

    def _take_lists(self, data: Sequence[bytes]) -> list[Request]:
        schema = self._schema
        self._profile = status = decode_status(schema, data[0])
        self._newest_block = status.last_block_sequence
        if self._with_events:
            self._log = decode_header(schema, data[1])
            if data[2]:
                self._status_events = decode_status_log(schema, data[2], self._name)
        if not status.valid_blocks or is_placed_by_time(status, schema):
            return self._about_entries()
        if status.descending or status.intervals_descending:
            raise CodecError("a list in descending order", codec="ST63", path="flags")
        self._take_next = self._take_newest
        last = status.last_block_element
        newest = reads_of(
            LOAD_PROFILE, self._block, last, last, last + 1, 1, by_index=self._by_index
        )
        return [FullRead(LOAD_PROFILE_SIZES), *newest]

    def _take_newest(self, data: Sequence[bytes]) -> list[Request]:
        """Learn from the newest block which of them belongs to which time."""
        schema = self._schema
        sizes = schema.decode(LOAD_PROFILE_SIZES, data[0])
        self._blocks = sizes["set_1"]["blocks"]
        newest = decode_blocks(schema, data[1]).captured_at_s
        if not len(newest) or not self._blocks:
            return []
        self._newest_block = int(newest[0]) // schema.period_s
        self._shift = self._profile.last_block_element - self._newest_block
        return self._about_entries()

    def _about_entries(self) -> list[Request]:
        reads = list(self._block_requests())
        block_reads = len(reads)

        def take(data: Sequence[bytes]) -> list[Request]:
            self._take(data, block_reads)
            return []

        self._take_next = take
        if self._with_events and reads:
            reads += self._entry_requests()
        return reads

    def _block_requests(self) -> Iterator[Request]:
        """Return reads of the valid blocks whose times may be in the range.

        A sequence number is a time in whole periods: where captures do not lie on whole periods,
        the block before the first may be one of them.
        """
        newest, period_s = self._newest_block, self._schema.period_s
        first = max(self._from_s // period_s, newest - self._profile.valid_blocks + 1)
        last = min(self._to_s // period_s, newest)
        return reads_of(
            LOAD_PROFILE,
            self._block,
            first + self._shift,
            last + self._shift,
            self._blocks,
            self._max_read,
            by_index=self._by_index,
        )

    @property
    def _block(self) -> Element:
        return Element(BLOCKS_MEMBER, 0, block_layout(self._schema).size)

    def _entry_requests(self) -> Iterator[Request]:
        layout, log = log_layout(self._schema), self._log
        return reads_of(
            EVENT_LOG,
            Element(ENTRIES_MEMBER, layout.header_size, layout.entry.itemsize),
            log.sequence - log.valid + 1,
            log.sequence,
            self._schema.settings.event_entries,
            self._max_read,
            by_index=self._by_index,
        )

    def _take(self, data: Sequence[bytes], block_reads: int) -> None:
        captures = decode_blocks(self._schema, b"".join(data[:block_reads]))
        times = captures.captured_at_s
        wanted = (times >= self._from_s) & (times <= self._to_s)
        wanted &= times // self._schema.period_s <= self._newest_block
        self._captures = Captures(times[wanted], captures.status[wanted], captures.values[wanted])
        entries = b"".join(data[block_reads:])
        self._events = decode_entries(self._schema, entries, self._log.sequence, self._name)


def is_placed_by_time(status: ProfileStatus, schema: MeterSchema) -> bool:
    """Return whether a meter's newest block lies where its time says, as our own meters' do."""
    ascending = status.circular and not (status.descending or status.intervals_descending)
    sequence = status.last_block_sequence
    in_place = status.last_block_element == sequence % schema.settings.blocks
    return ascending and in_place and sequence * schema.period_s >= YEAR_2000_S
