"""Pulling many meters in one message each: the reads that nearly always are all it takes.

Where a block lies follows from its time (`blocks`), so the blocks of a short range are asked for
together with the lists that say how they stand (ST63, the header of ST76, the status log). The
lists prove the guess: where one does not fit, the meter is asked again in the general way
(`MeterFetch`). Entries of the event log are asked for only where the header shows some that may
belong to the range: `EventsSeen` remembers those that are too old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.blocks import Captures, block_layout, decode_blocks
from protocols.c12.meter.event_log import (
    EVENT_LOG,
    came_with,
    decode_entries,
    decode_header,
    decode_status_log,
    log_layout,
)
from protocols.c12.meter.fetching import BLOCKS_MEMBER, ENTRIES_MEMBER, is_placed_by_time
from protocols.c12.meter.lists import ListMark
from protocols.c12.meter.load_profile import DATA as LOAD_PROFILE
from protocols.c12.meter.profile_status import STATUS, decode_status
from protocols.c12.meter.reads import Element, reads_of
from protocols.c12.meter.schema import STATUS_LOG, MeterSchema
from protocols.c12.services import FullRead, OffsetRead, Request
from protocols.c12.tables.load_profile import ProfileStatus
from protocols.readings import EventBatch, ReadingBatch

OCTETS_AHEAD: Final = 1_664
"""Blocks that are asked for on a guess; their answer stays within one APDU of 2,048 octets."""
METERS_REMEMBERED: Final = 1 << 17
NO_STATUS_LOG: Final = b"\0\0"
"""A status log without entries."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An event log of which ``mark`` was the header: the newest time in it, POSIX seconds."""

    mark: ListMark
    latest_s: int


class EventsSeen:
    """What was seen of meters' event logs, by device name; the first ones seen are forgotten."""

    def __init__(self) -> None:
        self._seen: dict[bytes, Seen] = {}

    def get(self, name: bytes) -> Seen | None:
        """Return what was seen of the meter ``name``."""
        return self._seen.get(name)

    def keep(self, name: bytes, seen: Seen) -> None:
        """Remember what was seen of the meter ``name``."""
        if name not in self._seen and len(self._seen) >= METERS_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        self._seen[name] = seen


@dataclass(frozen=True, slots=True, eq=False)
class DirectBlocks:
    """What a meter answered: whole blocks, valid from sequence number ``first`` to ``last``.

    ``events`` may have come with them, or with other captures.
    """

    name: bytes
    octets: bytes
    first: int
    last: int
    events: EventBatch | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """Readings of several meters, and events with them, and the number of the meter of each."""

    readings: ReadingBatch
    owner: NDArray[np.intp]
    of_events: NDArray[np.intp]


class DirectFetch:
    """The captures of many meters in [from_s, to_s], POSIX seconds, and the events with them.

    ``requests`` are the same for all meters; for the answers of each there is a `MeterAnswer`.
    """

    def __init__(self, schema: MeterSchema, from_s: int, to_s: int, seen: EventsSeen) -> None:
        self.schema = schema
        self.from_s, self.to_s = from_s, to_s
        self.seen = seen
        self._statuses: dict[bytes, ProfileStatus] = {}
        self._headers: dict[bytes, ListMark] = {}
        header_size = log_layout(schema).header_size
        blocks = list(self._block_reads())
        self.block_reads = len(blocks)
        self.requests: tuple[Request, ...] = (
            FullRead(STATUS),
            *blocks,
            OffsetRead(EVENT_LOG, 0, header_size),
            FullRead(STATUS_LOG),
        )

    @property
    def worthwhile(self) -> bool:
        """Whether it is few blocks that the range may have."""
        period_s, size = self.schema.period_s, block_layout(self.schema).size
        blocks = self.to_s // period_s - self.from_s // period_s + 1
        return 0 < blocks <= min(self.schema.settings.blocks, OCTETS_AHEAD // size)

    def status(self, octets: bytes) -> ProfileStatus:
        """Return what an ST63 says; most meters' say the same. Raises `CodecError`."""
        found = self._statuses.get(octets)
        if found is None:
            found = self._statuses[octets] = decode_status(self.schema, octets)
        return found

    def header(self, octets: bytes) -> ListMark:
        """Return what a header of ST76 says. Raises `CodecError`."""
        found = self._headers.get(octets)
        if found is None:
            found = self._headers[octets] = decode_header(self.schema, octets)
        return found

    def gathered(self, concentrator: bytes, answers: Mapping[int, DirectBlocks]) -> Gathered:
        """Return what ``answers`` hold, by number.

        Raises:
            CodecError: not whole blocks, or a reading that is no unsigned 32-bit number.
        """
        captures, place = self._captures(list(answers.values()))
        numbers = np.fromiter(answers, np.intp, len(answers))
        names = np.array([answer.name for answer in answers.values()], "S16")
        events, of_events = [], []
        for at, (number, answer) in enumerate(answers.items()):
            if answer.events is not None:
                own = np.sort(captures.captured_at_s[place == at])
                events.append(
                    answer.events.take(came_with(answer.events, own, self.schema.period_s))
                )
                of_events += [number] * len(events[-1])
        readings = ReadingBatch(
            concentrator,
            names[place],
            captures.captured_at_s,
            captures.status,
            captures.values,
            EventBatch.concatenate(events),
        )
        return Gathered(readings, numbers[place], np.array(of_events, np.intp))

    def _captures(self, answers: Sequence[DirectBlocks]) -> tuple[Captures, NDArray[np.intp]]:
        """Return the captures that are wanted, and at which place the answer of each is."""
        octets = b"".join([answer.octets for answer in answers])
        layout = block_layout(self.schema)
        captures = decode_blocks(self.schema, octets)
        counts = [len(answer.octets) // layout.size for answer in answers]
        owner = np.repeat(np.arange(len(answers)), counts)
        owner = owner[layout.view(octets, len(owner))["end_time"] != 0]
        times = captures.captured_at_s
        sequence = times // self.schema.period_s
        first, last = np.array([(it.first, it.last) for it in answers], np.int64).reshape(-1, 2).T
        wanted = (times >= self.from_s) & (times <= self.to_s)
        wanted &= (sequence >= first[owner]) & (sequence <= last[owner])
        rows = np.flatnonzero(wanted)
        taken = Captures(times[rows], captures.status[rows], captures.values[rows])
        return taken, owner[rows]

    def _block_reads(self) -> Iterator[Request]:
        if not self.worthwhile:
            return iter(())
        period_s, blocks = self.schema.period_s, self.schema.settings.blocks
        size = block_layout(self.schema).size
        first, last = self.from_s // period_s, self.to_s // period_s
        return reads_of(
            LOAD_PROFILE, Element(BLOCKS_MEMBER, 0, size), first, last, blocks, OCTETS_AHEAD
        )


class MeterAnswer:
    """The answers of the meter ``name`` to the requests of a `DirectFetch`, and what is missing.

    Raises:
        CodecError: an answer that is none.
    """

    def __init__(self, fetch: DirectFetch, name: bytes, data: Sequence[bytes]) -> None:
        self._fetch = fetch
        self._name = name
        self._blocks = b"".join(data[1:-2])
        self._status = fetch.status(data[0])
        self._mark = fetch.header(data[-2])
        self._status_log = data[-1]
        self._entries = EventBatch.empty()

    @property
    def fits(self) -> bool:
        """Whether the blocks lie where they were taken to."""
        status = self._status
        return not status.valid_blocks or is_placed_by_time(status, self._fetch.schema)

    def entry_requests(self, max_read: int) -> list[Request]:
        """Return reads of the entries of ST76 that may belong to the range."""
        mark, seen = self._mark, self._fetch.seen.get(self._name)
        if not mark.valid or not any(self._blocks):
            return []
        first = mark.sequence - mark.valid + 1
        too_old_s = self._fetch.from_s - self._fetch.schema.period_s
        if seen is not None and seen.latest_s <= too_old_s:
            new = mark.sequence - seen.mark.sequence
            if new >= 0 and mark.valid <= seen.mark.valid + new:
                first = max(first, seen.mark.sequence + 1)
        layout = log_layout(self._fetch.schema)
        element = Element(ENTRIES_MEMBER, layout.header_size, layout.entry.itemsize)
        room = self._fetch.schema.settings.event_entries
        return list(reads_of(EVENT_LOG, element, first, mark.sequence, room, max_read))

    def take_entries(self, data: Sequence[bytes]) -> None:
        """Take the answers to `entry_requests`. Raises `CodecError`."""
        entries = b"".join(data)
        mark, name = self._mark, self._name
        self._entries = decode_entries(self._fetch.schema, entries, mark.sequence, name)
        seen = self._fetch.seen.get(name)
        latest_s = 0 if seen is None else seen.latest_s
        if len(self._entries):
            latest_s = max(latest_s, int(self._entries.raised_at_s.max()))
        self._fetch.seen.keep(name, Seen(mark, latest_s))

    def result(self) -> DirectBlocks:
        """Return what the meter answered. Raises `CodecError`."""
        events = self._entries
        if self._status_log != NO_STATUS_LOG:
            risen = decode_status_log(self._fetch.schema, self._status_log, self._name)
            events = EventBatch.concatenate([events, risen])
        newest = self._status.last_block_sequence
        first = newest - self._status.valid_blocks + 1
        return DirectBlocks(
            self._name, self._blocks, first, newest, events if len(events) else None
        )
