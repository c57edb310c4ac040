"""Every table of one meter, as octets, made on demand out of the model.

Fixed tables are made once for each schema; ST64 part by part, as most of it is never asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, Final

from protocols.c12.meter.event_log import (
    EVENT_LOG,
    decode_header,
    encode_event_log,
    encode_header,
    encode_status_log,
    log_layout,
)
from protocols.c12.meter.history import History
from protocols.c12.meter.lists import ListMark
from protocols.c12.meter.load_profile import LoadProfileList
from protocols.c12.meter.mode_status import MODE_STATUS, encode_mode_status
from protocols.c12.meter.profile_status import STATUS
from protocols.c12.meter.refusal import RefusedError
from protocols.c12.meter.registers import RegisterTables
from protocols.c12.meter.schema import (
    CONTROL_LOG,
    STANDARD_EVENTS,
    STANDARD_PROCEDURES,
    STATUS_LOG,
    WRITABLE_TABLES,
    MeterSchema,
)
from protocols.c12.meter.view import CLOCK_PERIOD_S, MeterView
from protocols.c12.services import ResponseCode
from protocols.c12.tables.logs import HISTORY_LOG, events_identification, log_control
from protocols.c12.tables.registry import encode_dimensions
from protocols.plugin import CommandKind
from protocols.readings import EventSource

LOAD_PROFILE: Final = 64
COMMAND_CODES: Final = {
    CommandKind.DISCONNECT: 1,
    CommandKind.RECONNECT: 2,
    CommandKind.SEGMENT: 3,
    CommandKind.TARIFF: 4,
    CommandKind.TIME: 5,
}
"""The kinds in the control log."""
DAY_S: Final = 86_400
EPOCH_WEEKDAY: Final = 4
"""1970-01-01 was a Thursday; day 0 is Sunday."""


class MeterTables:
    """The tables of the meter that ``view`` shows."""

    def __init__(self, view: MeterView) -> None:
        self.view = view
        self.schema = view.schema
        self.profile = LoadProfileList(view)

    @cached_property
    def registers(self) -> RegisterTables:
        """Decade 2."""
        return RegisterTables(self.view)

    @cached_property
    def history(self) -> History:
        """ST74."""
        return History(self.schema, self.view.state)

    def whole(self, table: int) -> bytes:
        """Return a table that the meter has. Raises `RefusedError`: it cannot be told yet."""
        if table == LOAD_PROFILE:
            return self.profile.read(0, self.profile.size)
        maker = _MAKERS.get(table)
        return fixed_tables(self.schema)[table] if maker is None else maker(self)

    def lasting_size(self, table: int) -> int | None:
        """Return the octets of a table that is best told part by part; ``None`` for all others."""
        if table == LOAD_PROFILE:
            return self.profile.size
        return log_layout(self.schema).whole.size if table == EVENT_LOG else None

    def part(self, table: int, offset: int, count: int) -> bytes:
        """Return octets of a table, all within it. Raises `RefusedError`."""
        if table == LOAD_PROFILE:
            return self.profile.read(offset, count)
        if table == EVENT_LOG and offset + count <= log_layout(self.schema).header_size:
            return self._event_header()[offset : offset + count]
        return self.whole(table)[offset : offset + count]

    def reset_events(self) -> None:
        """Let no entry of the event log be valid; sequence numbers go on."""
        self._keep_events(0, 0)

    def mark_events_read(self, count: int) -> bool:
        """Let ``count`` more events be read; False: there are not so many unread ones."""
        header = decode_header(self.schema, self._event_header())
        if count <= header.unread:
            self._keep_events(header.valid, header.unread - count)
        return count <= header.unread

    def _keep_events(self, valid: int, unread: int) -> None:
        newest = decode_header(self.schema, self._event_header()).sequence
        mark = ListMark(newest, valid, unread)
        self.view.state.written[EVENT_LOG] = encode_header(self.schema, newest, valid, mark)

    def _event_log(self) -> bytes:
        events = self.view.events(EventSource.LOG)
        return encode_event_log(self.schema, events, self._events_mark())

    def _event_header(self) -> bytes:
        """Return ST76 down to its entries."""
        mark = self._events_mark()
        if mark is not None:
            return self._made_header(mark)
        return self.view.remembered(EVENT_LOG, self._made_header)

    def _made_header(self, mark: ListMark | None = None) -> bytes:
        events = self.view.events(EventSource.LOG)
        newest = int(events.sequence[-1]) if len(events) else 0
        return encode_header(self.schema, newest, len(events), mark)

    def _events_mark(self) -> ListMark | None:
        kept = self.view.state.written.get(EVENT_LOG)
        return None if kept is None else decode_header(self.schema, kept)

    def _identification(self) -> bytes:
        settings = self.schema.settings
        return self.schema.encode(
            1,
            {
                "manufacturer": settings.manufacturer,
                "model": settings.model,
                "hardware_version": 1,
                "hardware_revision": 0,
                "firmware_version": 1,
                "firmware_revision": 0,
                "serial_number": self.view.name.decode("ascii"),
            },
        )

    def _status(self) -> bytes:
        state = self.view.state
        return encode_mode_status(self.schema, state.mode, state.status_bits)

    def _device_identification(self) -> bytes:
        kept = self.view.state.written.get(5)
        if kept is not None:
            return kept
        return self.schema.encode(5, {"identification": self.view.name.decode("ascii")})

    def _utility_information(self) -> bytes:
        kept = self.view.state.written.get(6)
        return bytes(self.schema.declaration(6).sizeof()) if kept is None else kept

    def _remembered(self, table: int) -> bytes:
        kept = self.view.state.written.get(table)
        if kept is None:
            raise RefusedError(ResponseCode.DATA_NOT_READY)
        return kept

    def _clock(self) -> dict[str, Any]:
        now_s = self.view.clock_s()
        day = (now_s // DAY_S + EPOCH_WEEKDAY) % 7
        return {"clock": now_s, "qualifier": {"day_of_week": day, "universal_time": True}}

    def _clock_state(self) -> dict[str, Any]:
        rate = self.view.model.active_rate(self.view.number)
        return {**self._clock(), "status": {"tier": rate - 1}}

    def _control_log(self) -> bytes:
        entries = [
            {
                "kind": COMMAND_CODES[one.command.kind],
                "parameter": one.command.parameter,
                "time": one.at_s % CLOCK_PERIOD_S,
                "counter": one.counter,
            }
            for one in self.view.model.control_log(self.view.number)
        ]
        return self.schema.encode(CONTROL_LOG, {"entries": entries})

    def _status_log(self) -> bytes:
        def made() -> bytes:
            return encode_status_log(self.schema, self.view.events(EventSource.STATUS))

        return self.view.remembered(STATUS_LOG, made)


_MAKERS: Final[dict[int, Callable[[MeterTables], bytes]]] = {
    1: MeterTables._identification,
    MODE_STATUS: MeterTables._status,
    5: MeterTables._device_identification,
    6: MeterTables._utility_information,
    7: lambda tables: tables._remembered(7),
    8: lambda tables: tables._remembered(8),
    23: lambda tables: tables.schema.encode(23, tables.registers.current()),
    25: lambda tables: tables.registers.previous_reset_octets(),
    28: lambda tables: tables.schema.encode(28, tables.registers.present()),
    52: lambda tables: tables.schema.encode(52, tables._clock()),
    55: lambda tables: tables.schema.encode(55, tables._clock_state()),
    STATUS: lambda tables: tables.profile.status_octets(),
    HISTORY_LOG: lambda tables: tables.history.octets(),
    EVENT_LOG: MeterTables._event_log,
    CONTROL_LOG: MeterTables._control_log,
    STATUS_LOG: MeterTables._status_log,
}
"""How the tables that are a meter's own are made."""


@lru_cache(maxsize=64)
def fixed_tables(schema: MeterSchema) -> dict[int, bytes]:
    """Return the tables that are the same for all meters of a schema, by number."""
    configuration, dimensions = schema.configuration, schema.dimensions
    tables = encode_dimensions(dimensions, configuration)
    channels = len(schema.registers)
    tables[0] = configuration.encode()
    tables[12] = schema.encode(12, {"entries": list(schema.units)})
    tables[15] = schema.encode(15, {"entries": [{"multiplier": 1, "offset": 0}]})
    source = {"unit": True, "constants": True}
    tables[16] = schema.encode(16, {"entries": [source] * (channels + 1)})
    tables[22] = schema.encode(
        22,
        {
            "summations": list(schema.plan.totals),
            "demands": [channels],
            "maximum_demands": {0},
            "coincident_values": [],
            "coincident_demands": [],
        },
    )
    logged = {"standard_events": STANDARD_EVENTS}
    history = {"standard_tables": WRITABLE_TABLES, "standard_procedures": STANDARD_PROCEDURES}
    tables[72] = events_identification(STANDARD_EVENTS, (), configuration, dimensions)
    tables[73] = log_control(73, history, configuration, dimensions)
    tables[75] = log_control(75, logged, configuration, dimensions)
    return tables
