"""What writing ST7 makes a meter do, and what ST8 then says of it.

Procedures are carried out at once, so that the answer to the write is also the end of them; only a
cold or a warm start is merely accepted. What the model has a command for goes to
`ConcentratorModel.execute` under the counter of the request, which makes it count exactly once.

Choices where the public sources have no layout: lists are numbered as in `ListNumber`; direct load
control (21) takes the control point (UINT8: 0 the breaker, 1 to 8 consumption segments) and the
level of load that it lets through in percent (UINT8: 0 or 100); in the answer to a remote reset (9)
a bit is set where the action was carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from protocols.c12.meter.clearance import Clearance
from protocols.c12.meter.history import HistoryCode
from protocols.c12.meter.schema import SET_TARIFF, SWITCH_SEGMENT
from protocols.c12.meter.tables import DAY_S, MeterTables
from protocols.c12.meter.view import CLOCK_PERIOD_S
from protocols.c12.tables.configuration import MANUFACTURER_BASE
from protocols.c12.tables.procedures import (
    ProcedureResult,
    ResponseSelector,
    decode_parameters,
    encode_response,
)
from protocols.errors import CodecError
from protocols.plugin import Command, CommandKind, MeterMode

INITIATE: Final = 7
RESPONSE: Final = 8
UPDATE_LAST_READ: Final = 5
SEGMENTS: Final = range(1, 9)
RATES: Final = range(1, 3)
OPEN, CLOSED = 0, 100
"""Percent of the load that a control point lets through."""


class ListNumber(IntEnum):
    """The lists that procedures 4 and 5 know."""

    EVENT_LOG = 1
    LOAD_PROFILE_1 = 3
    HISTORY_LOG = 7
    ALL = 255


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf: user number, clearance, and the counter of the request."""

    user: int
    clearance: Clearance
    counter: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """RESULT_CODE and RESP_DATA_RCD of ST8."""

    result: ProcedureResult
    data: bytes = b""


COMPLETED: Final = Outcome(ProcedureResult.COMPLETED)
ACCEPTED: Final = Outcome(ProcedureResult.ACCEPTED)
INVALID: Final = Outcome(ProcedureResult.INVALID_PARAMETER)
CONFLICT: Final = Outcome(ProcedureResult.CONFLICT)
TIMING: Final = Outcome(ProcedureResult.TIMING_CONSTRAINT)
_Handler = Callable[[dict[str, Any], Caller], Outcome]


class Procedures:
    """The procedures of the meter that ``tables`` are of."""

    def __init__(self, tables: MeterTables) -> None:
        self._tables = tables
        self._schema = tables.schema
        self._view = tables.view
        self._handlers: dict[int, _Handler] = {
            0: self._cold_start,
            1: self._warm_start,
            3: self._clear_data,
            4: self._reset_list,
            UPDATE_LAST_READ: self._update_last_read,
            6: self._change_mode,
            7: self._clear_status,
            9: self._remote_reset,
            10: self._set_clock,
            21: self._direct_load_control,
            SET_TARIFF: self._set_tariff,
            SWITCH_SEGMENT: self._switch_segment,
        }

    def initiate(self, data: bytes, caller: Caller) -> None:
        """Run what ``data``, written to ST7, asks for, and answer in ST8.

        Raises `CodecError`: not a table 7.
        """
        request = self._schema.decode(INITIATE, data)
        number = request["procedure"]["number"]
        if request["procedure"]["manufacturer"]:
            number += MANUFACTURER_BASE
        selector = request["procedure"]["selector"]
        if selector > max(ResponseSelector):
            outcome = INVALID
        else:
            outcome = self._run(number, request["parameters"], caller)
        written = self._view.state.written
        written[INITIATE] = data
        if _is_posted(selector, outcome):
            values = {name: request[name] for name in ("procedure", "sequence")}
            answer = {**values, "result": outcome.result, "data": outcome.data}
            written[RESPONSE] = self._schema.encode(RESPONSE, answer)

    def _run(self, number: int, parameters: bytes, caller: Caller) -> Outcome:
        handler = self._handlers.get(number)
        if handler is None:
            return Outcome(ProcedureResult.UNRECOGNIZED)
        needed = Clearance.READ if number == UPDATE_LAST_READ else Clearance.FULL
        if caller.clearance < needed:
            return Outcome(ProcedureResult.NO_AUTHORIZATION)
        try:
            values = self._parameters(number, parameters)
        except CodecError:
            return INVALID
        outcome = handler(values, caller)
        # Saying what was read leaves no trace, or there would always be something unread.
        if outcome.result <= ProcedureResult.ACCEPTED and needed is Clearance.FULL:
            self._log(HistoryCode.PROCEDURE_INVOKED, number, caller)
        return outcome

    def _parameters(self, number: int, octets: bytes) -> dict[str, Any]:
        if number >= MANUFACTURER_BASE:
            return {"octets": octets}
        return decode_parameters(number, octets, self._schema.configuration)

    def _log(self, code: HistoryCode, argument: int, caller: Caller) -> None:
        now_s = self._view.clock_s()
        self._tables.history.add(code, argument, at_s=now_s, user=caller.user)

    def _cold_start(self, _parameters: dict[str, Any], caller: Caller) -> Outcome:
        state = self._view.state
        state.status_bits = 0
        state.written.clear()
        return self._warm_start({}, caller)

    def _warm_start(self, _parameters: dict[str, Any], _caller: Caller) -> Outcome:
        state = self._view.state
        state.mode, state.told_mode = MeterMode.METERING, False
        return ACCEPTED

    def _clear_data(self, _parameters: dict[str, Any], caller: Caller) -> Outcome:
        """Clear the lists and the maxima; never while the meter meters. Registers go on."""
        if self._view.state.mode is MeterMode.METERING:
            return CONFLICT
        self._reset_demands(caller)
        return self._reset_list({"list": ListNumber.ALL}, caller)

    def _reset_list(self, parameters: dict[str, Any], caller: Caller) -> Outcome:
        number = parameters["list"]
        if number not in set(ListNumber):
            return INVALID
        if number in (ListNumber.EVENT_LOG, ListNumber.ALL):
            self._tables.reset_events()
        if number in (ListNumber.LOAD_PROFILE_1, ListNumber.ALL):
            self._tables.profile.reset()
        if number in (ListNumber.HISTORY_LOG, ListNumber.ALL):
            self._tables.history.clear(at_s=self._view.clock_s(), user=caller.user)
        return COMPLETED

    def _update_last_read(self, parameters: dict[str, Any], _caller: Caller) -> Outcome:
        lists: dict[int, Callable[[int], bool]] = {
            ListNumber.EVENT_LOG: self._tables.mark_events_read,
            ListNumber.LOAD_PROFILE_1: self._tables.profile.mark_read,
            ListNumber.HISTORY_LOG: self._tables.history.mark_read,
        }
        mark = lists.get(parameters["list"])
        return COMPLETED if mark is not None and mark(parameters["entries"]) else INVALID

    def _change_mode(self, parameters: dict[str, Any], caller: Caller) -> Outcome:
        """Change to the mode whose bit, as in ST3, is set."""
        modes = {1 << mode: mode for mode in MeterMode}
        mode = modes.get(parameters["mode"])
        if mode is None:
            return INVALID
        state, before = self._view.state, self._view.state.mode
        state.mode, state.told_mode = mode, mode is not MeterMode.METERING
        if mode is not before and MeterMode.TEST in (mode, before):
            started = mode is MeterMode.TEST
            code = HistoryCode.TEST_MODE_STARTED if started else HistoryCode.TEST_MODE_STOPPED
            self._log(code, mode, caller)
        return COMPLETED

    def _clear_status(self, _parameters: dict[str, Any], _caller: Caller) -> Outcome:
        self._view.state.status_bits = 0
        return COMPLETED

    def _remote_reset(self, parameters: dict[str, Any], caller: Caller) -> Outcome:
        """Reset the demands, once an interval at most; there are no self-reads and no seasons."""
        actions = parameters["actions"]
        if not actions["demand_reset"]:
            return CONFLICT if any(actions.values()) else INVALID
        last = self._tables.registers.last_reset().at_s
        if last and self._view.clock_s() // self._schema.period_s <= last // self._schema.period_s:
            return TIMING
        self._reset_demands(caller)
        done = {"actions": {"demand_reset": True}}
        return Outcome(
            ProcedureResult.COMPLETED, encode_response(9, done, self._schema.configuration)
        )

    def _reset_demands(self, caller: Caller) -> None:
        self._tables.registers.reset_demands(self._view.clock_s())
        self._log(HistoryCode.DEMAND_RESET, 0, caller)

    def _set_clock(self, parameters: dict[str, Any], caller: Caller) -> Outcome:
        mask, before_s = parameters["mask"], self._view.clock_s()
        if not any(mask.values()) or parameters["clock"] is None:
            return INVALID
        date_s = parameters["clock"] if mask["set_date"] else before_s
        time_s = parameters["clock"] if mask["set_time"] else before_s
        after_s = date_s // DAY_S * DAY_S + time_s % DAY_S
        if after_s >= CLOCK_PERIOD_S:
            return INVALID
        if mask["set_date"] or mask["set_time"]:
            if not self._execute(Command(CommandKind.TIME, after_s), caller):
                return CONFLICT
            self._log(HistoryCode.TIME_CHANGED, before_s, caller)
        times = {"before": before_s, "after": after_s}
        return Outcome(
            ProcedureResult.COMPLETED, encode_response(10, times, self._schema.configuration)
        )

    def _direct_load_control(self, parameters: dict[str, Any], caller: Caller) -> Outcome:
        octets = parameters["octets"]
        if len(octets) != 2 or octets[1] not in (OPEN, CLOSED):
            return INVALID
        return self._switch(octets[0], octets[1] == CLOSED, caller)

    def _switch_segment(self, parameters: dict[str, Any], caller: Caller) -> Outcome:
        octets = parameters["octets"]
        if len(octets) != 2 or octets[0] not in SEGMENTS or octets[1] > 1:
            return INVALID
        return self._switch(octets[0], bool(octets[1]), caller)

    def _switch(self, point: int, closed: bool, caller: Caller) -> Outcome:
        if point == 0:
            command = Command(CommandKind.RECONNECT if closed else CommandKind.DISCONNECT)
        elif point in SEGMENTS:
            command = Command(CommandKind.SEGMENT, point << 1 | closed)
        else:
            return INVALID
        return COMPLETED if self._execute(command, caller) else CONFLICT

    def _set_tariff(self, parameters: dict[str, Any], caller: Caller) -> Outcome:
        octets = parameters["octets"]
        if len(octets) != 1 or octets[0] not in RATES:
            return INVALID
        done = self._execute(Command(CommandKind.TARIFF, octets[0]), caller)
        return COMPLETED if done else CONFLICT

    def _execute(self, command: Command, caller: Caller) -> bool:
        return self._view.model.execute(self._view.number, command, caller.counter)


def _is_posted(selector: int, outcome: Outcome) -> bool:
    """Tell whether ST8 gets an answer; a selector that is not known is answered in any case."""
    if selector == ResponseSelector.ON_EXCEPTION:
        return outcome.result > ProcedureResult.ACCEPTED
    return selector != ResponseSelector.NEVER
