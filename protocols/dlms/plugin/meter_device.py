"""The logical device of one meter behind a concentrator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from protocols.dlms.apdu import ActionResult, DataAccessResult
from protocols.dlms.cosem import classes, objects
from protocols.dlms.cosem.base import ActionOutcome, Caller, CosemObject, Method, Readable
from protocols.dlms.cosem.disconnect import ControlState
from protocols.dlms.cosem.profile import profile_generic, select
from protocols.dlms.data import (
    Data,
    array,
    boolean,
    double_long_unsigned,
    enum,
    integer,
    structure,
    unsigned,
)
from protocols.dlms.plugin import addresses, control_log
from protocols.dlms.plugin.addresses import switch_name
from protocols.dlms.plugin.interval_buffer import IntervalBuffer, columns_of, load_profile
from protocols.plugin import Command, CommandKind, ConcentratorModel, RegisterDescription

SEGMENTS: Final = range(9)
"""0 is the breaker, 1 to 8 are consumption segments."""
RATES: Final = (1, 2)
CONTROL_MODE: Final = 4
"""Remote disconnect and remote reconnect, nothing by hand (Blue Book 4.5.8)."""
CLOCK_RANGE_S: Final = range(1 << 32)
"""What a meter's clock may be set to: POSIX seconds from 1970 to 2106."""


class MeterDevice:
    """Makes the objects of meter ``meter``, counted within the concentrator."""

    def __init__(self, model: ConcentratorModel, meter: int) -> None:
        self._model = model
        self._meter = meter
        self._columns = columns_of(model.registers)[1:]

    def builders(self) -> Mapping[bytes, Callable[[], CosemObject]]:
        """Return what makes each of its objects."""
        return {
            addresses.CLOCK: self._clock,
            addresses.READING_STATUS: lambda: objects.data(addresses.READING_STATUS, self._status),
            **{
                register.logical_name: partial(self._register, index, register)
                for index, register in enumerate(self._model.registers)
            },
            addresses.LOAD_PROFILE: lambda: load_profile(self._model, self._alone(), self._columns),
            **{switch_name(segment): partial(self._switch, segment) for segment in SEGMENTS},
            addresses.TARIFF_SCRIPTS: self._scripts,
            addresses.ACTIVE_RATE: lambda: objects.data(
                addresses.ACTIVE_RATE, lambda: unsigned(self._model.active_rate(self._meter))
            ),
            addresses.CONTROL_LOG: self._control_log,
        }

    def _alone(self) -> range:
        return range(self._meter, self._meter + 1)

    def _execute(self, command: Command, caller: Caller) -> bool:
        return self._model.execute(self._meter, command, caller.invocation_counter or 0)

    def _action(self, command: Command, caller: Caller) -> ActionResult:
        done = self._execute(command, caller)
        return ActionResult.SUCCESS if done else ActionResult.OTHER_REASON

    def _clock(self) -> CosemObject:
        return objects.clock(
            addresses.CLOCK,
            now_s=lambda: self._model.meter_clock_s(self._meter),
            set_time=self._set_time,
        )

    def _set_time(self, posix_s: float, caller: Caller) -> DataAccessResult:
        command = Command(CommandKind.TIME, int(posix_s))
        if command.parameter in CLOCK_RANGE_S and self._execute(command, caller):
            return DataAccessResult.SUCCESS
        return DataAccessResult.OTHER_REASON

    def _register(self, index: int, register: RegisterDescription) -> CosemObject:
        def value() -> Readable:
            latest = IntervalBuffer(self._model, self._alone(), self._columns).latest()
            if latest is None:
                return DataAccessResult.TEMPORARY_FAILURE
            return double_long_unsigned(int(latest.values[0, index]))

        scaler_unit = structure(integer(register.scaler), enum(register.unit))
        return CosemObject(classes.REGISTER, register.logical_name, {2: value, 3: scaler_unit})

    def _status(self) -> Readable:
        latest = IntervalBuffer(self._model, self._alone(), self._columns).latest()
        if latest is None:
            return DataAccessResult.TEMPORARY_FAILURE
        return unsigned(int(latest.status[0]))

    def _switch(self, segment: int) -> CosemObject:
        """Return the disconnect control of the breaker or of a consumption segment.

        Unlike `cosem.disconnect`, a command that finds the switch where it wants it is carried
        out and logged all the same: every command has its line in the control log.
        """

        def closed() -> bool:
            return self._model.is_connected(self._meter, segment)

        def state() -> Data:
            return enum(ControlState.CONNECTED if closed() else ControlState.DISCONNECTED)

        return CosemObject(
            classes.DISCONNECT_CONTROL,
            switch_name(segment),
            values={2: lambda: boolean(closed()), 3: state, 4: enum(CONTROL_MODE)},
            methods={1: self._switching(segment, 0), 2: self._switching(segment, 1)},
        )

    def _switching(self, segment: int, closed: int) -> Method:
        if segment:
            command = Command(CommandKind.SEGMENT, segment << 1 | closed)
        else:
            command = Command(CommandKind.RECONNECT if closed else CommandKind.DISCONNECT)
        return lambda _parameters, caller: ActionOutcome(self._action(command, caller))

    def _scripts(self) -> CosemObject:
        return objects.script_table(
            addresses.TARIFF_SCRIPTS,
            {
                rate: objects.Script(
                    array(
                        [
                            objects.script_action(
                                1, addresses.ACTIVE_RATE, 2, unsigned(rate), execute=False
                            )
                        ]
                    ),
                    partial(self._action, Command(CommandKind.TARIFF, rate)),
                )
                for rate in RATES
            },
        )

    def _control_log(self) -> CosemObject:
        log = self._model.control_log(self._meter)
        return profile_generic(
            addresses.CONTROL_LOG,
            capture_objects=control_log.COLUMNS,
            rows=lambda selection: select(control_log.log_rows(log), selection),
            entries_in_use=lambda: len(log),
            profile_entries=len(log),
            capture_period_s=0,
        )
