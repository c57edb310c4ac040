"""The history log (ST74): what was written to a meter, and what it was made to do.

Unlike the event log, which follows from the model, this one is remembered: it is kept as the
table's own octets among the tables that were written.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from protocols.c12.meter.schema import MeterSchema
from protocols.plugin import MeterState

HISTORY_LOG: Final = 74


class HistoryCode(IntEnum):
    """Codes of entries (C12.19 event codes)."""

    TIME_CHANGED = 4
    PROCEDURE_INVOKED = 9
    TABLE_WRITTEN = 10
    LOG_CLEARED = 18
    DEMAND_RESET = 20
    SELF_READ = 21
    TEST_MODE_STARTED = 32
    TEST_MODE_ENDED = 33


class History:
    """The history log of the meter that ``state`` is of."""

    def __init__(self, schema: MeterSchema, state: MeterState) -> None:
        self._schema = schema
        self._state = state

    def octets(self) -> bytes:
        """Return ST74."""
        return self._state.written.get(HISTORY_LOG) or self._schema.encode(HISTORY_LOG, self._new())

    def add(self, code: HistoryCode, argument: int, *, at_s: int, user: int) -> None:
        """Append an entry; ``argument`` (u32) says of what, ``user`` (u16) by whom."""
        values = self._values()
        room = len(values["entries"])
        sequence = values["last_entry_sequence"] + 1
        element = (sequence - 1) % room
        order = "little" if self._schema.configuration.byte_order.is_little else "big"
        values["entries"][element] = {
            "time": at_s,
            "sequence": sequence & 0xFFFF,
            "user": user,
            "event": {"number": code},
            "argument": argument.to_bytes(4, order),  # type: ignore[arg-type]
        }
        values["last_entry_sequence"] = sequence
        values["last_entry_element"] = element
        values["valid_entries"] = min(room, values["valid_entries"] + 1)
        values["unread_entries"] = min(room, values["unread_entries"] + 1)
        self._keep(values)

    def clear(self) -> None:
        """Let no entry be valid; sequence numbers go on."""
        values = self._values()
        self._keep(values | {"valid_entries": 0, "unread_entries": 0})

    def mark_read(self, count: int) -> bool:
        """Let ``count`` more entries be read; False: there are not so many unread ones."""
        values = self._values()
        if count > values["unread_entries"]:
            return False
        self._keep(values | {"unread_entries": values["unread_entries"] - count})
        return True

    def _values(self) -> dict[str, Any]:
        return self._schema.decode(HISTORY_LOG, self.octets())

    def _keep(self, values: dict[str, Any]) -> None:
        self._state.written[HISTORY_LOG] = self._schema.encode(HISTORY_LOG, values)

    def _new(self) -> dict[str, Any]:
        blank = {"time": 0, "sequence": 0, "user": 0, "event": {}, "argument": bytes(4)}
        return {
            "flags": {"circular": True},
            "valid_entries": 0,
            "last_entry_element": 0,
            "last_entry_sequence": 0,
            "unread_entries": 0,
            "entries": [blank] * self._schema.settings.history_entries,
        }
