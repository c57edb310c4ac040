"""The plain objects of a device, made from values and small callables.

Each function returns one `CosemObject`; clause numbers are the Blue Book's (IEC 62056-6-2).
A value may be a constant `Data`, pre-encoded octets (`Encoded`) or a callable that gives either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from protocols.dlms.apdu import ActionResult, DataAccessResult
from protocols.dlms.clock import ClockStatus, decode_date_time, encode_date_time
from protocols.dlms.cosem import classes
from protocols.dlms.cosem.access import Level
from protocols.dlms.cosem.base import (
    ActionOutcome,
    Caller,
    CosemObject,
    Method,
    Reader,
    Value,
    Writer,
)
from protocols.dlms.cosem.profile import CaptureObject
from protocols.dlms.data import (
    Data,
    DataType,
    array,
    boolean,
    enum,
    integer,
    long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from protocols.errors import CodecError

NO_DATE: Final = bytes.fromhex("ffffffffffffffffff800000")
"""A daylight-saving rule that never applies: every field not specified."""
UTC_CLOCK_BASE: Final = 1
SHIFT_LIMIT_S: Final = 900


class Unit(IntEnum):
    """Physical units (Blue Book, table "Enumerated values for physical units"), those we use."""

    WATT = 27
    VOLT_AMPERE_REACTIVE = 29
    WATT_HOUR = 30
    VOLT_AMPERE_REACTIVE_HOUR = 32
    AMPERE = 33
    VOLT = 35
    HERTZ = 44
    COUNT = 255


def data(
    logical_name: bytes,
    value: Value | Reader,
    *,
    writer: Writer | None = None,
    visible_from: Level = Level.LOW,
) -> CosemObject:
    """Return a Data object (class 1)."""
    writers = {} if writer is None else {2: writer}
    return CosemObject(
        classes.DATA, logical_name, {2: value}, writers=writers, visible_from=visible_from
    )


def scaler_unit(scaler: int, unit: Unit) -> Data:
    """Return the scaler_unit structure: the value times ten to the ``scaler``, in ``unit``."""
    return structure(integer(scaler), enum(unit))


def register(
    logical_name: bytes, value: Value | Reader, *, scaler: int = 0, unit: Unit = Unit.WATT_HOUR
) -> CosemObject:
    """Return a Register (class 3)."""
    return CosemObject(classes.REGISTER, logical_name, {2: value, 3: scaler_unit(scaler, unit)})


def extended_register(
    logical_name: bytes,
    value: Value | Reader,
    *,
    status: Value | Reader,
    capture_time_s: Callable[[], float],
    scaler: int = 0,
    unit: Unit = Unit.WATT_HOUR,
) -> CosemObject:
    """Return an Extended register (class 4)."""
    values: dict[int, Value | Reader] = {
        2: value,
        3: scaler_unit(scaler, unit),
        4: status,
        5: lambda: octet_string(encode_date_time(capture_time_s())),
    }
    return CosemObject(classes.EXTENDED_REGISTER, logical_name, values)


def clock(
    logical_name: bytes,
    *,
    now_s: Callable[[], float],
    set_time: Callable[[float, Caller], DataAccessResult] | None = None,
    deviation_min: int = 0,
    status: ClockStatus = ClockStatus.VALID,
) -> CosemObject:
    """Return a Clock (class 8) that shows ``now_s`` (POSIX seconds).

    With ``set_time`` the time may be set, and shifted by up to 900 s (method 6).
    """

    def read_time() -> Data:
        return octet_string(encode_date_time(now_s(), deviation_min=deviation_min, status=status))

    values: dict[int, Value | Reader] = {
        2: read_time,
        3: Data(DataType.LONG, deviation_min),
        4: unsigned(status),
        5: octet_string(NO_DATE),
        6: octet_string(NO_DATE),
        7: integer(0),
        8: boolean(False),
        9: enum(UTC_CLOCK_BASE),
    }
    writers: dict[int, Writer] = {}
    methods: dict[int, Method] = {}
    if set_time is not None:
        writers[2] = _time_writer(set_time)
        methods[6] = _time_shifter(now_s, set_time)
    return CosemObject(
        classes.CLOCK, logical_name, values, writers, methods, visible_from=Level.PUBLIC
    )


def _time_writer(set_time: Callable[[float, Caller], DataAccessResult]) -> Writer:
    def write(value: Data, caller: Caller) -> DataAccessResult:
        if not isinstance(value.value, bytes):
            return DataAccessResult.TYPE_UNMATCHED
        try:
            return set_time(decode_date_time(value.value), caller)
        except CodecError:
            return DataAccessResult.TYPE_UNMATCHED

    return write


def _time_shifter(
    now_s: Callable[[], float], set_time: Callable[[float, Caller], DataAccessResult]
) -> Method:
    def shift(parameters: Data, caller: Caller) -> ActionOutcome:
        offset_s = parameters.value
        if parameters.type is not DataType.LONG or not isinstance(offset_s, int):
            return ActionOutcome(ActionResult.TYPE_UNMATCHED)
        if abs(offset_s) > SHIFT_LIMIT_S:  # Blue Book 4.5.1.3.6: -900 <= n <= 900
            return ActionOutcome(ActionResult.OTHER_REASON)
        return ActionOutcome(ActionResult(int(set_time(now_s() + offset_s, caller))))

    return shift


@dataclass(frozen=True, slots=True)
class Script:
    """One script: what the table says it does (an array of action structures), and doing it."""

    actions: Data
    run: Callable[[Caller], ActionResult]


def script_action(
    class_id: int, logical_name: bytes, index: int, parameter: Data, *, execute: bool = True
) -> Data:
    """Return one action specification: method ``index`` (``execute``) or attribute to write."""
    return structure(
        enum(2 if execute else 1),
        long_unsigned(class_id),
        octet_string(logical_name),
        integer(index),
        parameter,
    )


def script_table(logical_name: bytes, scripts: Mapping[int, Script]) -> CosemObject:
    """Return a Script table (class 9); execute with an unknown script is object-undefined."""

    def execute(parameters: Data, caller: Caller) -> ActionOutcome:
        number = parameters.value
        if parameters.type is not DataType.LONG_UNSIGNED or not isinstance(number, int):
            return ActionOutcome(ActionResult.TYPE_UNMATCHED)
        script = scripts.get(number)
        if script is None:
            return ActionOutcome(ActionResult.OBJECT_UNDEFINED)
        return ActionOutcome(script.run(caller))

    def read_scripts() -> Data:
        return array(
            structure(long_unsigned(number), script.actions) for number, script in scripts.items()
        )

    return CosemObject(classes.SCRIPT_TABLE, logical_name, {2: read_scripts}, methods={1: execute})


def sap_assignment(
    logical_name: bytes, devices: Callable[[], Sequence[tuple[int, bytes]]]
) -> CosemObject:
    """Return a SAP assignment (class 17): pairs of SAP and logical device name."""

    def read_list() -> Data:
        return array(structure(long_unsigned(sap), octet_string(name)) for sap, name in devices())

    return CosemObject(
        classes.SAP_ASSIGNMENT, logical_name, {2: read_list}, visible_from=Level.PUBLIC
    )


@dataclass(frozen=True, slots=True)
class PushDestination:
    """Where pushes go: transport service (0 is TCP), address text, message type (0 is A-XDR)."""

    destination: bytes
    transport_service: int = 0
    message: int = 0


def push_setup(
    logical_name: bytes,
    *,
    objects: Sequence[CaptureObject],
    destination: PushDestination,
    randomisation_start_interval_s: int = 0,
    number_of_retries: int = 0,
    repetition_delay_s: int = 0,
    push: Callable[[Caller], ActionResult] | None = None,
) -> CosemObject:
    """Return a Push setup (class 40); ``push`` is the method that starts one."""
    values: dict[int, Value | Reader] = {
        2: array(item.to_data() for item in objects),
        3: structure(
            enum(destination.transport_service),
            octet_string(destination.destination),
            enum(destination.message),
        ),
        4: array(),
        5: long_unsigned(randomisation_start_interval_s),
        6: unsigned(number_of_retries),
        7: long_unsigned(repetition_delay_s),
    }
    methods: dict[int, Method] = {}
    if push is not None:
        start = push
        methods[1] = lambda _parameters, caller: ActionOutcome(start(caller))
    return CosemObject(classes.PUSH_SETUP, logical_name, values, methods=methods)


def security_setup(
    logical_name: bytes,
    *,
    security_policy: int,
    client_system_title: Callable[[], bytes],
    server_system_title: bytes,
) -> CosemObject:
    """Return a Security setup (class 64) of suite 0.

    ``security_policy``: 0 nothing, 1 authenticated, 2 encrypted, 3 both. Activation and key
    transfer are in the table but refused (object-unavailable): keys come with provisioning.
    """
    values: dict[int, Value | Reader] = {
        2: enum(security_policy),
        3: enum(0),
        4: lambda: octet_string(client_system_title()),
        5: octet_string(server_system_title),
    }
    return CosemObject(
        classes.SECURITY_SETUP, logical_name, values, methods={1: _unavailable, 2: _unavailable}
    )


def _unavailable(_parameters: Data, _caller: Caller) -> ActionOutcome:
    return ActionOutcome(ActionResult.OBJECT_UNAVAILABLE)
