"""The four kinds of session, and what comes out of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from protocols.plugin.values import Command, Execution
from protocols.readings import ReadingBatch


class Session(Protocol):
    """What every conversation over one connection has."""

    deadline: float | None

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the peer."""

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once."""

    def handle_deadline(self, now: float) -> None:
        """Be told the time once ``deadline`` has come."""


class PacketReader(Protocol):
    """Cuts one direction of a connection into the packets that a capture shows."""

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Take octets of the stream, in any split; return the packets that are whole now.

        Raises `ProtocolError`: the stream has lost its framing.
        """


class PushSession(Session, Protocol):
    """A concentrator's pushing side; it outlives connections.

    What it knows of its head-end, such as who is registered there, stays when a connection breaks.
    """

    @property
    def attention_at(self) -> float | None:
        """When it wants a connection though nothing is to be pushed; ``None``: it does not."""

    @property
    def idle(self) -> bool:
        """Whether it waits for no answer and has nothing to send."""

    def connected(self, *, now: float) -> None:
        """Be told that a new connection stands: what was under way on the last one is void."""

    def restarted(self) -> None:
        """Be told that the device has lost power: it forgets what only its memory held."""

    def attend(self, *, now: float) -> None:
        """Begin what ``attention_at`` was about."""

    def push(self, readings: ReadingBatch, number: int, *, now: float) -> None:
        """Begin to push ``readings``; ``number`` comes back once they are confirmed."""

    def confirmed(self) -> Sequence[int]:
        """Return, once, the numbers of the pushes that were confirmed since the last call."""

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which answers were refused since the last call."""

    def happened(self) -> Mapping[str, int]:
        """Return, once, what else happened since the last call and how often, for counters."""


class ServedSession(Session, Protocol):
    """A concentrator's side of a connection that a client opened."""

    def receive_eof(self) -> None:
        """Take the end of the client's stream; what it cut off is among the refusals."""

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which requests were refused since the last call."""


@dataclass(frozen=True, slots=True)
class Received:
    """A push that arrived whole and genuine, not yet accepted.

    The caller makes ``readings`` and ``counters`` durable, accepts the counters, then confirms.
    ``counters`` are the counters it came under, by what their senders are called on the wire.
    ``wants_confirmation`` says whether the pusher waits for that.
    """

    system_title: bytes
    readings: ReadingBatch
    counters: Mapping[bytes, int]
    wants_confirmation: bool
    token: object


@dataclass(frozen=True, slots=True)
class NodeRegistration:
    """One node that wants to be known, or no longer (``period_s`` 0).

    ``address`` is the native address it is reached at; ``is_relay`` tells a relay from a meter.
    """

    title: bytes
    address: bytes
    period_s: int
    is_relay: bool = False


@dataclass(frozen=True, slots=True)
class Registering:
    """Registrations that arrived genuine and were admitted; to be made durable, then confirmed."""

    system_title: bytes
    nodes: tuple[NodeRegistration, ...]
    counters: Mapping[bytes, int]
    token: object
    wants_confirmation: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that arrived and was refused: a short cause for counters, and the detail."""

    cause: str
    detail: str
    system_title: bytes | None = None


class ReceiveSession(Protocol):
    """A head-end's side of a connection on which a concentrator pushes."""

    def receive_data(self, data: bytes) -> Sequence[Received | Registering | Refused]:
        """Take octets of the concentrator; return what arrived with them."""

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once: answers that wait for nothing durable."""

    def receive_eof(self) -> Sequence[Refused]:
        """Take the end of the stream; return what it cut off."""

    def confirm(self, received: Received | Registering) -> bytes:
        """Return the octets that confirm a push, or registrations."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The association stands."""


@dataclass(frozen=True, slots=True)
class ReadDone:
    """Readings of the interval buffer: all that was asked for, but of meters ``left_out``.

    These are counted by cause; nothing came of them, where a protocol asks each meter by itself.
    """

    readings: ReadingBatch
    left_out: Mapping[str, int] = field(default_factory=dict)


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

    def read(
        self, from_s: int, to_s: int, *, meters: Sequence[int] | None = None, now: float
    ) -> None:
        """Ask for the interval buffer by range, bounds included. Outcome: `ReadDone`.

        ``meters`` (within the concentrator) are those that are wanted, all of them when left out;
        where a protocol reads a concentrator's buffer as a whole, more may come.
        """

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
