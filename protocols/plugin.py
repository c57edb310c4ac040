"""What a protocol is to Meterstorm: one plug-in, both roles, no I/O.

A plug-in is registered under the entry point group ``meterstorm.protocols``; its name is what a
scenario writes. The emulator implements `ConcentratorModel` and carries octets between sockets and
`PushSession`/`ServedSession`; the head-end does so with `ReceiveSession`/`PollSession`. Neither
knows a protocol by name, so a vendor adds a proprietary one without touching either
(docs/howto/add-a-protocol.md).

Sessions are sans-IO engines for one connection: octets in, octets out, time as an argument. They
raise only `ProtocolError`s, after which the connection is useless and must be closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Final, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from protocols.readings import ReadingBatch

ENTRY_POINT_GROUP: Final = "meterstorm.protocols"


class CommandKind(StrEnum):
    """What a head-end can ask of a single meter."""

    DISCONNECT = "disconnect"
    RECONNECT = "reconnect"
    SEGMENT = "segment"
    TARIFF = "tariff"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Command:
    """A command to a single meter.

    ``parameter``: for ``segment`` the consumption segment (1..8) shifted left by one, plus 1 to
    close or 0 to open it; for ``tariff`` the rate to activate (1..2); for ``time`` POSIX seconds
    (UTC); otherwise 0.
    """

    kind: CommandKind
    parameter: int = 0


@dataclass(frozen=True, slots=True)
class Execution:
    """One line of a meter's control log: what it was made to do, when, and under which request.

    ``counter`` is the invocation counter of the request that caused it (0 where the request had
    none): it lets a head-end that lost the answer find out whether its command was executed.
    """

    command: Command
    at_s: int
    counter: int


@dataclass(frozen=True, slots=True)
class RegisterDescription:
    """One register of the capture profile: its OBIS code, unit and scaler."""

    name: str
    logical_name: bytes
    unit: int
    scaler: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one concentrator and its head-end share. ``repr`` shows no secret."""

    system_title: bytes
    encryption_key: bytes
    authentication_key: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Credentials(system_title={self.system_title.hex()})"


class Counters(Protocol):
    """Invocation counters that outlive a connection."""

    def next(self) -> int:
        """Return the counter to send under, greater than every one before."""

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last counter accepted from the system title ``peer``."""

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember that ``counter`` was accepted from ``peer``."""


class ConcentratorModel(Protocol):
    """The emulated concentrator behind a session: its meters, clock, buffer and switches.

    Meters are numbered from 0 within the concentrator.
    """

    @property
    def name(self) -> bytes:
        """Its logical device name."""

    @property
    def system_title(self) -> bytes:
        """Its system title, 8 octets."""

    @property
    def registers(self) -> Sequence[RegisterDescription]:
        """The registers of its capture profile, in order."""

    @property
    def capture_period_s(self) -> int:
        """Seconds between two captures."""

    @property
    def meter_names(self) -> NDArray[np.bytes_]:
        """Logical device names of its meters, dtype S16, in order."""

    def clock_s(self) -> float:
        """Return its clock, POSIX seconds (UTC)."""

    def buffer(self, from_s: int, to_s: int, meters: range | None = None) -> ReadingBatch:
        """Return what its interval buffer holds for capture times in [from_s, to_s].

        Ordered by capture time, then meter; of ``meters`` only, where given.
        """

    def buffer_span(self) -> tuple[int, int]:
        """Return oldest and newest capture time that the buffer can hold now, POSIX seconds."""

    def handed_over(self, readings: ReadingBatch) -> None:
        """Be told that these readings of `buffer` are being handed to the link."""

    def is_connected(self, meter: int, segment: int) -> bool:
        """Tell whether a meter's breaker (segment 0) or consumption segment is closed."""

    def active_rate(self, meter: int) -> int:
        """Return the tariff rate that a meter counts in now."""

    def meter_clock_s(self, meter: int) -> float:
        """Return a meter's clock, POSIX seconds (UTC)."""

    def execute(self, meter: int, command: Command, counter: int) -> bool:
        """Carry out a command, once, and log it; False where it makes no sense for the meter."""

    def control_log(self, meter: int) -> Sequence[Execution]:
        """Return a meter's control log, oldest first."""


class PushSession(Protocol):
    """A concentrator's side of a connection on which it pushes."""

    def push(self, readings: ReadingBatch, number: int) -> bytes:
        """Return the octets that push ``readings``; ``number`` comes back in the confirmation."""

    def receive_data(self, data: bytes) -> Sequence[int]:
        """Take octets of the head-end; return the numbers of the pushes they confirm."""

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which answers were refused since the last call."""


class Session(Protocol):
    """What every conversation over one connection has."""

    deadline: float | None

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the peer."""

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once."""

    def handle_deadline(self, now: float) -> None:
        """Be told the time once ``deadline`` has come."""


class ServedSession(Session, Protocol):
    """A concentrator's side of a connection that a client opened."""

    def receive_eof(self) -> None:
        """Take the end of the client's stream; what it cut off is among the refusals."""

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which requests were refused since the last call."""


@dataclass(frozen=True, slots=True)
class Received:
    """A push that arrived whole and genuine, not yet accepted.

    The caller makes ``readings`` and ``counter`` durable, accepts the counter, then confirms.
    ``wants_confirmation`` says whether the pusher waits for that.
    """

    system_title: bytes
    readings: ReadingBatch
    counter: int | None
    wants_confirmation: bool
    token: object


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that arrived and was refused: a short cause for counters, and the detail."""

    cause: str
    detail: str
    system_title: bytes | None = None


class ReceiveSession(Protocol):
    """A head-end's side of a connection on which a concentrator pushes."""

    def receive_data(self, data: bytes) -> Sequence[Received | Refused]:
        """Take octets of the concentrator; return what arrived with them."""

    def receive_eof(self) -> Sequence[Refused]:
        """Take the end of the stream; return what it cut off."""

    def confirm(self, received: Received) -> bytes:
        """Return the octets that confirm a push."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The association stands."""


@dataclass(frozen=True, slots=True)
class ReadDone:
    """Readings of the interval buffer, all that was asked for."""

    readings: ReadingBatch


@dataclass(frozen=True, slots=True)
class LogRead:
    """A meter's control log."""

    executions: tuple[Execution, ...]


@dataclass(frozen=True, slots=True)
class Executed:
    """The meter answered a command: whether it did it, and its result in words."""

    done: bool
    result: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The association was released."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The peer answered, but not with what was asked; the session goes on."""

    reason: str


Outcome: TypeAlias = Opened | ReadDone | LogRead | Executed | Closed | Declined


class PollSession(Session, Protocol):
    """A head-end's side of a connection to a concentrator: one request at a time."""

    def open(self, *, now: float) -> None:
        """Ask for an association. Outcome: `Opened` or `Declined`."""

    def read(self, from_s: int, to_s: int, *, now: float) -> None:
        """Ask for the interval buffer by range, bounds included. Outcome: `ReadDone`."""

    def read_log(self, meter: int, *, now: float) -> None:
        """Ask for a meter's control log. Outcome: `LogRead`."""

    def execute(self, meter: int, command: Command, *, now: float) -> int:
        """Ask a meter to do something; return the counter that the request went out under.

        Outcome: `Executed`.
        """

    def close(self, *, now: float) -> None:
        """Release the association. Outcome: `Closed`."""

    def outcome(self) -> Outcome | None:
        """Return the outcome of the request under way, once it is there."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How the sessions of a run protect what they say.

    ``authentication``: "none", "lls" or "gmac"; ``protection``: "ciphered", "authenticated" or
    "clear"; ``timeout_s``: real seconds a client waits for one answer.
    """

    authentication: str = "gmac"
    protection: str = "ciphered"
    confirmed: bool = True
    timeout_s: float = 30.0


PeerLookup: TypeAlias = Callable[[bytes], Credentials | None]


@runtime_checkable
class ProtocolPlugin(Protocol):
    """Both roles of a protocol."""

    def push_session(
        self, credentials: Credentials, counters: Counters, options: SessionOptions
    ) -> PushSession:
        """Return a concentrator's pushing side of a new connection."""

    def served_session(
        self,
        model: ConcentratorModel,
        credentials: Credentials,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> ServedSession:
        """Return a concentrator's served side of a new connection."""

    def receive_session(
        self, peers: PeerLookup, own_title: bytes, counters: Counters, options: SessionOptions
    ) -> ReceiveSession:
        """Return a head-end's receiving side of a new connection."""

    def poll_session(
        self,
        credentials: Credentials,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> PollSession:
        """Return a head-end's asking side of a new connection."""

    def meter_address(self, meter: int) -> int:
        """Return the address of a meter, which counts within its concentrator, for head-ends.

        In DLMS the wPort of its logical device; for a protocol that addresses meters by name, the
        number itself will do.
        """


def load_protocol(name: str) -> ProtocolPlugin:
    """Return the plug-in registered as ``name``.

    Raises:
        LookupError: there is none; the message lists those there are.
    """
    found = entry_points(group=ENTRY_POINT_GROUP)
    if name not in found.names:
        raise LookupError(f'no protocol "{name}"; installed: {", ".join(sorted(found.names))}')
    return cast("ProtocolPlugin", found[name].load()())
