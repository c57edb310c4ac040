"""What a meter pushes: its readings and events as writes of tables, and the head-end's inverse.

A push writes where the meter itself would show it: the blocks of the captures to ST64 at their own
offsets; the header and the new entries of the event log to ST76; and after the block of a capture
that first showed status bits, ST3 with just these bits. So a status event is told by the word and
by the block before it. Runs of blocks that lie side by side are one write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.blocks import (
    block_layout,
    block_offsets,
    decode_blocks,
    encode_blocks,
)
from protocols.c12.meter.event_log import (
    EVENT_LOG,
    decode_entries,
    decode_header,
    encode_header,
    entry_offsets,
    entry_rows,
    log_layout,
    status_events,
    status_word,
)
from protocols.c12.meter.load_profile import DATA as LOAD_PROFILE
from protocols.c12.meter.mode_status import (
    MODE_STATUS,
    decode_status_bits,
    encode_mode_status,
)
from protocols.c12.meter.schema import MeterSchema
from protocols.c12.services import (
    Dialect,
    FullWrite,
    OffsetWrite,
    encode_request,
    table_checksums,
)
from protocols.errors import CodecError, LocalProtocolError
from protocols.plugin import MeterMode
from protocols.readings import EventBatch, EventSource, ReadingBatch

CODEC: Final = "C12 notification"
Write: TypeAlias = FullWrite | OffsetWrite
_OFFSET: Final = slice(3, 6)
_DATA_AT: Final = 8


def load_profile_writes(
    schema: MeterSchema, readings: ReadingBatch, previous: NDArray[np.uint32] | None = None
) -> NDArray[np.uint8]:
    """Return the service that writes every reading's block, whichever meter's: (n, octets) uint8.

    ``previous`` is as in `encode_blocks`, which says what is raised. For the many readings that
    bring no events: a whole push of one meter is one row.
    """
    blocks = encode_blocks(schema, readings, previous)
    rows = np.tile(_blank_write(block_layout(schema).size), (len(readings), 1))
    offsets = block_offsets(schema, readings.captured_at_s).astype(">u4")
    rows[:, _OFFSET] = offsets.view(np.uint8).reshape(-1, 4)[:, 1:]
    rows[:, _DATA_AT:-1] = blocks
    rows[:, -1] = table_checksums(blocks)
    return rows


def notification_writes(
    schema: MeterSchema, readings: ReadingBatch, previous: NDArray[np.uint32] | None = None
) -> list[Write]:
    """Return the writes that push readings of one meter, ascending in time, and their events.

    ``previous`` is as in `encode_blocks`, which says what else is raised.

    Raises:
        LocalProtocolError: a status event without the reading that it came with.
    """
    events = readings.events
    risen = events.take(events.source == EventSource.STATUS)
    times = readings.captured_at_s
    if not np.isin(risen.sequence, times).all():
        raise LocalProtocolError("a status event of another capture")
    writes: list[Write] = []
    blocks = encode_blocks(schema, readings, previous)
    offsets = block_offsets(schema, times)
    first = 0
    showing = np.flatnonzero(np.isin(times, risen.sequence)).tolist()
    for last in dict.fromkeys([*showing, len(times) - 1] if len(times) else []):
        part = slice(first, last + 1)
        writes += _runs(LOAD_PROFILE, offsets[part], blocks[part])
        writes += event_writes(schema, risen.take(risen.sequence == times[last]))
        first = part.stop
    return writes + event_writes(schema, events.take(events.source == EventSource.LOG))


def event_writes(schema: MeterSchema, events: EventBatch) -> list[Write]:
    """Return the writes that come after the block of the one capture that ``events`` came with."""
    shown = events.code[events.source == EventSource.STATUS]
    writes: list[Write] = [_status_write(schema, status_word(shown))] if len(shown) else []
    return [*writes, *_log_writes(schema, events.take(events.source == EventSource.LOG))]


def read_notifications(
    schema: MeterSchema,
    concentrator: bytes,
    pushes: Iterable[tuple[bytes, Sequence[Write]]],
) -> ReadingBatch:
    """Return what pushes bring: for each the device name of its meter, and its writes in order.

    Raises:
        CodecError: a table that no push of ours writes, octets that are no whole blocks or entries,
            entries without the log's header before them, a status without a block before it.
    """
    parts = [_Push(schema, name).take(writes) for name, writes in pushes]
    captures = decode_blocks(schema, b"".join(octets for part in parts for octets in part.blocks))
    counts = [part.count for part in parts]
    if sum(counts) != len(captures.captured_at_s):
        raise CodecError("a block that was never filled", codec=CODEC, path="ST64")
    names = np.array([part.name for part in parts], "S16")
    return ReadingBatch(
        concentrator,
        np.repeat(names, counts),
        captures.captured_at_s,
        captures.status,
        captures.values,
        EventBatch.concatenate([events for part in parts for events in part.events]),
    )


@dataclass(slots=True)
class _Push:
    """One meter's push as it is taken apart."""

    schema: MeterSchema
    name: bytes
    blocks: list[bytes] = field(default_factory=list)
    count: int = 0
    events: list[EventBatch] = field(default_factory=list)
    newest: int | None = None

    def take(self, writes: Sequence[Write]) -> _Push:
        for write in writes:
            match write:
                case OffsetWrite(table=table, data=data) if table == LOAD_PROFILE:
                    self._take_blocks(data)
                case OffsetWrite(table=table, offset=0, data=data) if table == EVENT_LOG:
                    self.newest = decode_header(self.schema, data).sequence
                case OffsetWrite(table=table, data=data) if table == EVENT_LOG:
                    self._take_entries(data)
                case FullWrite(table=table, data=data) if table == MODE_STATUS:
                    self._take_status(data)
                case _:
                    raise CodecError(f"table {write.table}", codec=CODEC, path="table")
        return self

    def _take_blocks(self, data: bytes) -> None:
        count, rest = divmod(len(data), block_layout(self.schema).size)
        if rest:
            raise CodecError(f"{rest} octets after {count} blocks", codec=CODEC, path="ST64")
        self.blocks.append(data)
        self.count += count

    def _take_entries(self, data: bytes) -> None:
        if self.newest is None:
            raise CodecError("entries without their header", codec=CODEC, path="ST76")
        events = decode_entries(self.schema, data, self.newest, self.name)
        if len(events) * log_layout(self.schema).entry.itemsize != len(data):
            raise CodecError("an entry newer than the newest", codec=CODEC, path="ST76")
        self.events.append(events)

    def _take_status(self, data: bytes) -> None:
        if not self.count:
            raise CodecError("a status without a block", codec=CODEC, path="ST3")
        layout = block_layout(self.schema)
        block = layout.view(self.blocks[-1], 1, len(self.blocks[-1]) - layout.size)
        word = decode_status_bits(self.schema, data)
        self.events.append(status_events(self.name, word, int(block["end_time"][0])))


@lru_cache(maxsize=64)
def _blank_write(size: int) -> NDArray[np.uint8]:
    """Return the service that writes one block of zeros at the beginning of ST64."""
    blank = OffsetWrite(LOAD_PROFILE, 0, bytes(size))
    return np.frombuffer(encode_request(blank, Dialect.C12_22), np.uint8)


def _status_write(schema: MeterSchema, word: int) -> Write:
    return FullWrite(MODE_STATUS, encode_mode_status(schema, MeterMode.METERING, word))


def _log_writes(schema: MeterSchema, events: EventBatch) -> Iterator[Write]:
    if not len(events):
        return
    events = events.take(np.argsort(events.sequence, kind="stable"))
    newest = int(events.sequence[-1])
    held = min(newest, schema.settings.event_entries)
    yield OffsetWrite(EVENT_LOG, 0, encode_header(schema, newest, held))
    rows = entry_rows(schema, events)
    octets = rows.view(np.uint8).reshape(len(rows), -1)
    yield from _runs(EVENT_LOG, entry_offsets(schema, events.sequence), octets)


def _runs(table: int, offsets: NDArray[np.int64], rows: NDArray[np.uint8]) -> Iterator[Write]:
    """Return a write for every run of rows that lie side by side in the table."""
    breaks = np.flatnonzero(np.diff(offsets) != rows.shape[1]) + 1
    starts = [0, *breaks.tolist(), len(rows)] if len(rows) else []
    for first, stop in pairwise(starts):
        yield OffsetWrite(table, int(offsets[first]), rows[first:stop].tobytes())
