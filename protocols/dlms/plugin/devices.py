"""The logical devices of a concentrator: its own, and one for every meter behind it.

Objects are made when they are asked for and hold nothing: a shard has thousands of concentrators
with hundreds of meters each, and a client asks for a handful of objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

from protocols.dlms.apdu import ActionResult, DataAccessResult
from protocols.dlms.concentrator_profile import PUSH_SETUP
from protocols.dlms.cosem import classes, objects
from protocols.dlms.cosem.access import (
    INVOKE_ANY,
    AttributeAccess,
    AttributeRights,
    Level,
)
from protocols.dlms.cosem.base import ActionOutcome, Caller, CosemObject, Method, Readable
from protocols.dlms.cosem.device import LOGICAL_DEVICE_NAME, LogicalDevice
from protocols.dlms.cosem.disconnect import ControlState
from protocols.dlms.cosem.profile import CaptureObject, profile_generic, select
from protocols.dlms.data import (
    Data,
    array,
    boolean,
    double_long_unsigned,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from protocols.dlms.plugin import addresses, control_log
from protocols.dlms.plugin.addresses import (
    FIRST_METER_DEVICE,
    LAST_DEVICE,
    MANAGEMENT_DEVICE,
    meter_address,
    switch_name,
)
from protocols.dlms.plugin.interval_buffer import CLOCK_COLUMN, IntervalBuffer, columns_of
from protocols.plugin import Command, CommandKind, ConcentratorModel, RegisterDescription

SEGMENTS: Final = range(9)
"""0 is the breaker, 1 to 8 are consumption segments."""
RATES: Final = (1, 2)
CONTROL_MODE: Final = 4
"""Remote disconnect and remote reconnect, nothing by hand (Blue Book 4.5.8)."""
CLOCK_RANGE_S: Final = range(1 << 32)
"""What a meter's clock may be set to: POSIX seconds from 1970 to 2106."""

Builders: TypeAlias = Mapping[bytes, Callable[[], CosemObject]]


class LazyObjects(Mapping[bytes, CosemObject]):
    """Objects by logical name, made when asked for and changed by ``change``."""

    def __init__(
        self, builders: Builders, change: Callable[[CosemObject], CosemObject] | None
    ) -> None:
        self._builders = builders
        self._change = change

    def __getitem__(self, logical_name: bytes) -> CosemObject:
        """Make one object, or raise `KeyError`."""
        made = self._builders[logical_name]()
        return made if self._change is None else self._change(made)

    def __iter__(self) -> Iterator[bytes]:
        """Go through the logical names, without making anything."""
        return iter(self._builders)

    def __len__(self) -> int:
        """The number of objects."""
        return len(self._builders)


def open_to_all(item: CosemObject) -> CosemObject:
    """Return ``item`` as it is where nobody has to authenticate: whoever asks may do it."""
    everything = AttributeRights(*(AttributeAccess.READ_AND_WRITE,) * 3)
    return replace(
        item,
        visible_from=Level.PUBLIC,
        attribute_rights=dict.fromkeys(item.writers, everything),
        method_rights=dict.fromkeys(item.methods, INVOKE_ANY),
    )


@dataclass(frozen=True, slots=True)
class Security:
    """What the security objects show: policy, own title, and who the client is."""

    policy: int
    system_title: bytes
    client_system_title: Callable[[], bytes]
    last_accepted: Callable[[], int | None]
    """The last invocation counter accepted from the client; ``None`` for no known client."""


class Devices:
    """Finds the logical device behind a wPort of one concentrator.

    With ``guarded`` false (no authentication in this run) every client may do everything.
    """

    def __init__(self, model: ConcentratorModel, security: Security, *, guarded: bool) -> None:
        self._model = model
        self._security = security
        self._change = None if guarded else open_to_all
        self._names = model.meter_names

    def resolve(self, address: int) -> LogicalDevice | None:
        """Return the logical device at ``address`` (wPort), or ``None``."""
        if address == MANAGEMENT_DEVICE:
            return LogicalDevice(self._model.name, address, self._lazy(self._management()))
        meter = address - FIRST_METER_DEVICE
        if not 0 <= meter < len(self._names) or address > LAST_DEVICE:
            return None
        name = bytes(self._names[meter])
        return LogicalDevice(name, address, self._lazy(_Meter(self._model, meter).builders()))

    def _lazy(self, builders: Builders) -> LazyObjects:
        return LazyObjects(builders, self._change)

    def _management(self) -> Builders:
        return {
            addresses.CLOCK: lambda: objects.clock(addresses.CLOCK, now_s=self._model.clock_s),
            addresses.SAP_ASSIGNMENT: lambda: objects.sap_assignment(
                addresses.SAP_ASSIGNMENT, self._saps
            ),
            addresses.METER_LIST: lambda: objects.data(
                addresses.METER_LIST, self._meter_list, visible_from=Level.PUBLIC
            ),
            addresses.LOAD_PROFILE: self._profile,
            PUSH_SETUP: _push_setup,
            addresses.SECURITY_SETUP: self._security_setup,
            addresses.INVOCATION_COUNTER: lambda: objects.data(
                addresses.INVOCATION_COUNTER, self._last_accepted, visible_from=Level.PUBLIC
            ),
        }

    def _saps(self) -> list[tuple[int, bytes]]:
        return [(MANAGEMENT_DEVICE, self._model.name), *self._meters()]

    def _meters(self) -> list[tuple[int, bytes]]:
        addressable = self._names[: LAST_DEVICE - FIRST_METER_DEVICE + 1].tolist()
        return [(meter_address(meter), name) for meter, name in enumerate(addressable)]

    def _meter_list(self) -> Data:
        """Return the list as Elvaco's CMe3100 has it: own name, then names and channels."""
        return structure(
            octet_string(self._model.name),
            array(
                structure(octet_string(name), long_unsigned(address))
                for address, name in self._meters()
            ),
        )

    def _profile(self) -> CosemObject:
        return _load_profile(
            self._model, range(len(self._names)), columns_of(self._model.registers)
        )

    def _security_setup(self) -> CosemObject:
        return objects.security_setup(
            addresses.SECURITY_SETUP,
            security_policy=self._security.policy,
            client_system_title=self._security.client_system_title,
            server_system_title=self._security.system_title,
        )

    def _last_accepted(self) -> Readable:
        counter = self._security.last_accepted()
        if counter is None:
            return DataAccessResult.OBJECT_UNAVAILABLE
        return double_long_unsigned(counter)


class _Meter:
    """The logical device of one meter."""

    def __init__(self, model: ConcentratorModel, meter: int) -> None:
        self._model = model
        self._meter = meter
        self._columns = columns_of(model.registers)[1:]

    def builders(self) -> Builders:
        """Return what makes each of its objects."""
        return {
            addresses.CLOCK: self._clock,
            addresses.READING_STATUS: lambda: objects.data(addresses.READING_STATUS, self._status),
            **{
                register.logical_name: partial(self._register, index, register)
                for index, register in enumerate(self._model.registers)
            },
            addresses.LOAD_PROFILE: lambda: _load_profile(
                self._model, self._alone(), self._columns
            ),
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


def _load_profile(
    model: ConcentratorModel, meters: range, columns: tuple[CaptureObject, ...]
) -> CosemObject:
    buffer = IntervalBuffer(model, meters, columns)
    return profile_generic(
        addresses.LOAD_PROFILE,
        capture_objects=columns,
        rows=buffer,
        entries_in_use=buffer.entries_in_use,
        profile_entries=buffer.capacity(),
        capture_period_s=model.capture_period_s,
        sort_object=CLOCK_COLUMN,
    )


def _push_setup() -> CosemObject:
    """Return the push setup: what a push holds. Where it goes is provisioned, not shown."""
    return objects.push_setup(
        PUSH_SETUP,
        objects=(
            CaptureObject(1, LOGICAL_DEVICE_NAME, 2),
            CaptureObject(40, PUSH_SETUP, 1),
            CaptureObject(7, addresses.LOAD_PROFILE, 2),
        ),
        destination=objects.PushDestination(b""),
    )
