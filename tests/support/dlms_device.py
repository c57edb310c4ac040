"""A small logical device with one object of every kind, and both engines joined in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from protocols.dlms.apdu import (
    ActionResult,
    CosemAttributeDescriptor,
    DataAccessResult,
    MechanismName,
)
from protocols.dlms.ciphering import Envelope, ReceiveCounters, SecurityContext
from protocols.dlms.client import ClientEvent, ClientSession, ClientSettings
from protocols.dlms.clock import encode_date_time
from protocols.dlms.cosem import objects
from protocols.dlms.cosem.base import Caller, CosemObject
from protocols.dlms.cosem.device import LogicalDevice
from protocols.dlms.cosem.disconnect import ControlState, disconnect_control
from protocols.dlms.cosem.profile import CaptureObject, Row, Selection, profile_generic, select
from protocols.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    integer,
    octet_string,
    unsigned,
)
from protocols.dlms.security import SecurityKeys, SendCounter
from protocols.dlms.server import (
    DEFAULT_POLICIES,
    ClientPolicy,
    Credentials,
    ServerEvent,
    ServerSession,
)

FIRST_S: Final = 1_700_000_100
STEP_S: Final = 900
KEYS: Final = SecurityKeys(bytes(range(16)), bytes(range(0xD0, 0xE0)))
SERVER_TITLE: Final = b"MSC\0\0\0\0\1"
CLIENT_TITLE: Final = b"MSH\0\0\0\0\1"
SECRET: Final = b"12345678"

CLOCK: Final = bytes.fromhex("0000010000ff")
REGISTER: Final = bytes.fromhex("0100010800ff")
EXTENDED: Final = bytes.fromhex("0100010600ff")
PROFILE: Final = bytes.fromhex("0100630100ff")
DISCONNECT: Final = bytes.fromhex("0000600300ff")  # 0-0:96.3.0
DISCONNECT_CONTROL: Final = bytes.fromhex("000060030aff")
SCRIPTS: Final = bytes.fromhex("00000a006aff")
NOTE: Final = bytes.fromhex("0000600101ff")
SAPS: Final = bytes.fromhex("0000290000ff")
PUSH: Final = bytes.fromhex("0007190900ff")
SECURITY: Final = bytes.fromhex("00002b0000ff")

COLUMNS: Final = (
    CaptureObject(1, NOTE, 2),
    CaptureObject(8, CLOCK, 2),
    CaptureObject(3, REGISTER, 2),
)
"""The clock is the second column on purpose: range reads must not expect it first."""


def captured_rows(count: int) -> list[Row]:
    """Return ``count`` rows of the profile, one step apart."""
    return [
        (
            unsigned(0),
            octet_string(encode_date_time(FIRST_S + i * STEP_S)),
            double_long_unsigned(1000 + i),
        )
        for i in range(count)
    ]


@dataclass
class Premises:
    """The state behind the device: what tests look at after they did something to it."""

    now_s: float = FIRST_S
    state: ControlState = ControlState.CONNECTED
    note: Data = field(default_factory=lambda: octet_string(b"a note"))
    script: int = 0
    changes: list[ControlState] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)
    rows: list[Row] = field(default_factory=lambda: captured_rows(96))

    def change(self, state: ControlState, caller: Caller) -> None:
        self.state = state
        self.changes.append(state)
        self.callers.append(caller)

    def set_time(self, posix_s: float, caller: Caller) -> DataAccessResult:
        self.now_s = posix_s
        self.callers.append(caller)
        return DataAccessResult.SUCCESS

    def write_note(self, value: Data, caller: Caller) -> DataAccessResult:
        self.note = value
        self.callers.append(caller)
        return DataAccessResult.SUCCESS

    def run(self, number: int) -> Callable[[Caller], ActionResult]:
        def execute(_caller: Caller) -> ActionResult:
            self.script = number
            return ActionResult.SUCCESS

        return execute

    def select(self, selection: Selection) -> list[Row]:
        return select(self.rows, selection)

    def device(self, sap: int = 1, name: bytes = b"MST0000000000001") -> LogicalDevice:
        switch = objects.script_action(3, REGISTER, 1, integer(1))
        items: list[CosemObject] = [
            objects.clock(CLOCK, now_s=lambda: self.now_s, set_time=self.set_time),
            objects.register(REGISTER, lambda: double_long_unsigned(123_456)),
            objects.extended_register(
                EXTENDED,
                lambda: double_long_unsigned(42),
                status=unsigned(0),
                capture_time_s=lambda: FIRST_S,
                unit=objects.Unit.WATT,
            ),
            objects.data(NOTE, lambda: self.note, writer=self.write_note),
            profile_generic(
                PROFILE,
                capture_objects=COLUMNS,
                rows=self.select,
                entries_in_use=lambda: len(self.rows),
                profile_entries=960,
                capture_period_s=STEP_S,
                sort_object=COLUMNS[1],
            ),
            disconnect_control(
                DISCONNECT_CONTROL, state=lambda: self.state, change=self.change, mode=4
            ),
            objects.script_table(
                SCRIPTS,
                {n: objects.Script(array([switch]), self.run(n)) for n in (1, 2)},
            ),
            objects.sap_assignment(SAPS, lambda: [(1, b"MSC0000000000001"), (sap, name)]),
            objects.push_setup(
                PUSH,
                objects=COLUMNS,
                destination=objects.PushDestination(b"127.0.0.1:4059"),
            ),
            objects.security_setup(
                SECURITY,
                security_policy=3,
                client_system_title=lambda: CLIENT_TITLE,
                server_system_title=SERVER_TITLE,
            ),
        ]
        return LogicalDevice(name, sap, {item.logical_name: item for item in items})


def security(title: bytes, keys: SecurityKeys = KEYS, next_counter: int = 1) -> SecurityContext:
    """Return a security context with counters of its own."""
    return SecurityContext(title, keys, SendCounter(next_counter), ReceiveCounters())


def server(
    device: LogicalDevice,
    *,
    context: SecurityContext | None = None,
    policies: Mapping[int, ClientPolicy] = DEFAULT_POLICIES,
    max_transfer_size: int = 1 << 20,
    now: float = 0.0,
) -> ServerSession:
    """Return a server for one device, its challenges made of one octet."""
    return ServerSession(
        lambda sap: device if sap == device.sap else None,
        credentials=Credentials(SECRET, context or security(SERVER_TITLE)),
        random_bytes=lambda size: b"S" * size,
        now=now,
        policies=policies,
        max_transfer_size=max_transfer_size,
    )


def client(settings: ClientSettings) -> ClientSession:
    """Return a client whose challenges are made of one octet."""
    return ClientSession(settings, random_bytes=lambda size: b"C" * size)


PUBLIC: Final = ClientSettings(16, 1)
LLS: Final = ClientSettings(1, 1, mechanism=MechanismName.LLS, secret=SECRET)


def gmac(
    envelope: Envelope = Envelope.PLAIN, context: SecurityContext | None = None
) -> ClientSettings:
    """Return the settings of a client that proves itself by GMAC."""
    return ClientSettings(
        1,
        1,
        mechanism=MechanismName.HLS_GMAC,
        security=context or security(CLIENT_TITLE),
        envelope=envelope,
    )


Split: TypeAlias = Callable[[bytes], Iterable[bytes]]


def whole(data: bytes) -> Iterable[bytes]:
    """Deliver everything at once."""
    return (data,) if data else ()


@dataclass
class Wire:
    """Both engines joined; keeps what each reported."""

    client: ClientSession
    server: ServerSession
    split: Split = whole
    now: float = 0.0
    client_events: list[ClientEvent] = field(default_factory=list)
    server_events: list[ServerEvent] = field(default_factory=list)

    def run(self) -> list[ClientEvent]:
        """Carry octets both ways until nobody has any; return what the client reported."""
        before = len(self.client_events)
        while (to_server := self.client.data_to_send()) or self._answer():
            for part in self.split(to_server):
                self.server.receive_data(part, self.now)
            self._answer()
            self._collect()
        self._collect()
        return self.client_events[before:]

    def _answer(self) -> bool:
        answered = False
        while to_client := self.server.data_to_send():
            answered = True
            for part in self.split(to_client):
                self.client.receive_data(part, self.now)
        return answered

    def _collect(self) -> None:
        while (reported := self.client.next_event()) is not None:
            self.client_events.append(reported)
        while (served := self.server.next_event()) is not None:
            self.server_events.append(served)


def attribute(item: CosemObject, number: int) -> CosemAttributeDescriptor:
    """Return the descriptor of one attribute of ``item``."""
    return CosemAttributeDescriptor(item.class_id, item.logical_name, number)
