"""The history log (ST74): what was written to a meter, and what it was made to do.

Unlike the event log, which follows from the model, this one is remembered: it is kept as the
table's own octets among the tables that were written.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

from protocols.c12.meter.schema import MeterSchema
from protocols.c12.tables.logs import HISTORY_LOG, LogEntry, LogImage, decode_log, encode_log
from protocols.plugin import MeterState


class HistoryCode(IntEnum):
    """Codes of entries (C12.19 event codes)."""

    TIME_CHANGED = 4
    PROCEDURE_INVOKED = 9
    TABLE_WRITTEN = 10
    LOG_CLEARED = 18
    DEMAND_RESET = 20
    TEST_MODE_STARTED = 32
    TEST_MODE_STOPPED = 33


class History:
    """The history log of the meter that ``state`` is of."""

    def __init__(self, schema: MeterSchema, state: MeterState) -> None:
        self._schema = schema
        self._state = state

    def octets(self) -> bytes:
        """Return ST74."""
        kept = self._state.written.get(HISTORY_LOG)
        return self._encoded(LogImage(())) if kept is None else kept

    def add(self, code: HistoryCode, argument: int, *, at_s: int, user: int) -> None:
        """Append an entry; ``argument`` (u32) says of what, ``user`` (u16) by whom."""
        image = self._image()
        newest = image.entries[-1].sequence if image.entries else 0
        order = "little" if self._schema.configuration.byte_order.is_little else "big"
        octets = (argument & 0xFFFF_FFFF).to_bytes(4, order)  # type: ignore[arg-type]
        entry = LogEntry(newest + 1, at_s, code, user, octets)
        self._keep(replace(image, entries=(*image.entries, entry), unread=image.unread + 1))

    def clear(self, *, at_s: int, user: int) -> None:
        """Let nothing be left but an entry that says so; sequence numbers go on."""
        self.add(HistoryCode.LOG_CLEARED, HISTORY_LOG, at_s=at_s, user=user)
        self._keep(replace(self._image(), entries=self._image().entries[-1:], unread=1))

    def mark_read(self, count: int) -> bool:
        """Let ``count`` more entries be read; False: there are not so many unread ones."""
        image = self._image()
        if count <= image.unread:
            self._keep(replace(image, unread=image.unread - count))
        return count <= image.unread

    def _image(self) -> LogImage:
        schema = self._schema
        return decode_log(HISTORY_LOG, self.octets(), schema.configuration, schema.dimensions)

    def _keep(self, image: LogImage) -> None:
        self._state.written[HISTORY_LOG] = self._encoded(image)

    def _encoded(self, image: LogImage) -> bytes:
        schema = self._schema
        return encode_log(HISTORY_LOG, image, schema.configuration, schema.dimensions)
