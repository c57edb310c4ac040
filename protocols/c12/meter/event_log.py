"""The event log (ST76) and the status log (manufacturer table 2): events to octets and back.

An entry's place follows from its sequence number, which counts from 1: element ``sequence mod
entries``. Entries carry the low 16 bits of it; with the number of the newest one, which the header
has in full, the others follow as long as the log holds fewer than 65,536.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.lists import ListMark, entries_since
from protocols.c12.meter.schema import STATUS_LOG, MeterSchema
from protocols.errors import CodecError
from protocols.lowering import FixedLayout, lower_to_dtype
from protocols.readings import EVENT_TYPES, EventBatch, EventSource

CODEC: Final = "ST76"
EVENT_LOG: Final = 76
CIRCULAR: Final = 0b100
"""LIST_STATUS: ascending, no overflow, a circular list."""
STATUS_BITS: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class LogLayout:
    """ST76: the octets of its header, and the type of its entries."""

    whole: FixedLayout
    header_size: int
    entry: np.dtype[Any]

    @property
    def header(self) -> np.dtype[Any]:
        """The header as a row of its own."""
        fields = dict(self.whole.dtype.fields or {})
        kept = {name: field for name, field in fields.items() if name != "entries"}
        return np.dtype(
            {
                "names": list(kept),
                "formats": [field[0] for field in kept.values()],
                "offsets": [field[1] for field in kept.values()],
                "itemsize": self.header_size,
            }
        )


@lru_cache(maxsize=64)
def log_layout(schema: MeterSchema) -> LogLayout:
    """Return the layout of ST76."""
    whole = lower_to_dtype(schema.declaration(EVENT_LOG, columns=True), CODEC)
    entry, header_size = dict(whole.dtype.fields or {})["entries"][:2]
    return LogLayout(whole, header_size, entry.base)


def encode_event_log(
    schema: MeterSchema, events: EventBatch, mark: ListMark | None = None
) -> bytes:
    """Return ST76 with ``events`` of one meter, ascending, no more than there is room for."""
    rows = np.zeros(schema.settings.event_entries, log_layout(schema).entry)
    rows[_elements(schema, events.sequence)] = entry_rows(schema, events)
    newest = int(events.sequence[-1]) if len(events) else 0
    return encode_header(schema, newest, len(events), mark) + rows.tobytes()


def encode_header(
    schema: MeterSchema, newest: int, held: int, mark: ListMark | None = None
) -> bytes:
    """Return the header of ST76: ``held`` entries up to sequence number ``newest``, 0 for none."""
    valid, unread = entries_since(mark, newest, held)
    header = np.zeros(1, log_layout(schema).header)
    header["flags"] = CIRCULAR
    header["valid_entries"] = valid
    header["last_entry_element"] = newest % schema.settings.event_entries
    header["last_entry_sequence"] = newest
    header["unread_entries"] = unread
    return header.tobytes()


def decode_header(schema: MeterSchema, octets: bytes) -> ListMark:
    """Return how the log stands. Raises `CodecError`: too short, or more valid than fit."""
    layout = log_layout(schema)
    if len(octets) < layout.header_size:
        raise CodecError(f"{len(octets)} octets", codec=CODEC, path="header")
    row = np.frombuffer(octets, layout.header, 1)[0]
    if int(row["valid_entries"]) > schema.settings.event_entries:
        raise CodecError(f"{row['valid_entries']}", codec=CODEC, path="valid_entries")
    return ListMark(
        int(row["last_entry_sequence"]), int(row["valid_entries"]), int(row["unread_entries"])
    )


def entry_rows(schema: MeterSchema, events: EventBatch) -> NDArray[Any]:
    """Return log entries as rows of ST76, (n,)."""
    rows = np.zeros(len(events), log_layout(schema).entry)
    rows["time"] = events.raised_at_s
    rows["sequence"] = events.sequence & np.uint32(0xFFFF)
    rows["event"] = events.code
    order = schema.configuration.byte_order.value
    rows["argument"] = events.argument.astype(f"{order}u4").view("V4")
    return rows


def decode_entries(schema: MeterSchema, octets: bytes, newest: int, name: bytes) -> EventBatch:
    """Return the events in whole entries of the meter ``name``, in their order.

    ``newest`` is the sequence number of the newest entry of the log; entries that were never
    filled, or have been filled anew since it was read, are left out.

    Raises:
        CodecError: not whole entries.
    """
    layout = log_layout(schema)
    count, rest = divmod(len(octets), layout.entry.itemsize)
    if rest:
        raise CodecError(f"{rest} octets after {count} entries", codec=CODEC, path="entries")
    rows = np.frombuffer(octets, layout.entry, count)
    age = (newest - rows["sequence"].astype(np.int64)) & 0xFFFF
    known = (age < schema.settings.event_entries) & (age < newest)
    rows, sequence = rows[known], newest - age[known]
    order = schema.configuration.byte_order.value
    argument = np.ascontiguousarray(rows["argument"]).view(f"{order}u4")
    return event_batch(
        name, EventSource.LOG, rows["event"] & 0xFFF, sequence, rows["time"], argument
    )


def entry_offsets(schema: MeterSchema, sequence: NDArray[Any]) -> NDArray[np.int64]:
    """Return at which octets of ST76 the entries with these sequence numbers begin, (n,)."""
    layout = log_layout(schema)
    return layout.header_size + _elements(schema, sequence) * layout.entry.itemsize


def encode_status_log(schema: MeterSchema, events: EventBatch) -> bytes:
    """Return the status log: the bits that each capture was the first to show."""
    times = np.unique(events.sequence)[-schema.settings.status_entries :]
    entries = [
        {"time": int(time), "bits": status_word(events.code[events.sequence == time])}
        for time in times
    ]
    return schema.encode(STATUS_LOG, {"entries": entries})


def decode_status_log(schema: MeterSchema, octets: bytes, name: bytes) -> EventBatch:
    """Return the events of a status log, of the meter ``name``. Raises `CodecError`."""
    entries = schema.decode(STATUS_LOG, octets)["entries"]
    return EventBatch.concatenate(
        [status_events(name, entry["bits"], entry["time"]) for entry in entries]
    )


def status_events(name: bytes, word: int, captured_at_s: int) -> EventBatch:
    """Return an event for every bit of ``word`` that the capture was the first to show."""
    bits = np.array([bit for bit in range(STATUS_BITS) if word >> bit & 1], np.uint16)
    return event_batch(name, EventSource.STATUS, bits, captured_at_s, captured_at_s, 0)


def status_word(bits: NDArray[np.uint16]) -> int:
    """Return the first status word with these bits set; those beyond it are left out."""
    return sum(1 << int(bit) for bit in np.unique(bits) if bit < STATUS_BITS)


def came_with(
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


def event_batch(
    name: bytes,
    source: EventSource,
    code: NDArray[Any],
    sequence: Any,  # noqa: ANN401 - a column, or one for all
    raised_at_s: Any,  # noqa: ANN401
    argument: Any,  # noqa: ANN401
) -> EventBatch:
    """Return events of one meter; what is no column is the same for all."""
    columns = (name, source, code, sequence, raised_at_s, argument)
    return EventBatch(
        *(
            np.broadcast_to(np.asarray(column), len(code)).astype(dtype)
            for column, dtype in zip(columns, EVENT_TYPES.values(), strict=True)
        )
    )


def _elements(schema: MeterSchema, sequence: NDArray[Any]) -> NDArray[np.int64]:
    return sequence.astype(np.int64) % schema.settings.event_entries
