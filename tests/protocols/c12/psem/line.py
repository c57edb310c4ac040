"""A line between a client and a server in memory: it loses, doubles and changes what it carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from protocols.c12.psem import ClientEvent, PsemClient, PsemServer, ServerEvent
from protocols.c12.services import (
    Authenticate,
    FullRead,
    FullWrite,
    IndexRead,
    Logoff,
    Logon,
    OffsetRead,
    OffsetWrite,
    Request,
    Response,
    ResponseCode,
    Security,
    ok,
    read_response,
)

Carry: TypeAlias = Callable[[bytes], list[bytes]]
"""What becomes of octets on the line."""


def deliver(octets: bytes) -> list[bytes]:
    return [octets]


def lose(_octets: bytes) -> list[bytes]:
    return []


def double(octets: bytes) -> list[bytes]:
    return [octets, octets]


@dataclass(frozen=True)
class Change:
    """Turns bits of one octet."""

    position: int
    bits: int

    def __call__(self, octets: bytes) -> list[bytes]:
        changed = bytearray(octets)
        changed[self.position % len(changed)] ^= self.bits
        return [bytes(changed)]


@dataclass(frozen=True)
class Cut:
    """Loses what is behind ``position``."""

    position: int

    def __call__(self, octets: bytes) -> list[bytes]:
        return [octets[: self.position % len(octets)]]


@dataclass
class Tables:
    """An application with tables, that lets everybody in."""

    tables: dict[int, bytes] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    ended: int = 0
    answers: dict[type, Response] = field(default_factory=dict)

    def handle(self, request: Request, *, now: float) -> Response:
        self.asked.append(request)
        if type(request) in self.answers:
            return self.answers[type(request)]
        match request:
            case Logon() | Security() | Authenticate() | Logoff():
                return ok()
            case FullRead(table) if table in self.tables:
                return read_response(self.tables[table])
            case OffsetRead(table, offset, count) if table in self.tables:
                return read_response(self.tables[table][offset : offset + count])
            case IndexRead(table) if table in self.tables:
                return read_response(self.tables[table][:1])
            case FullWrite(7, data):
                self.tables[8] = data[:3] + b"\x00" + data[3:][::-1]
                return ok()
            case FullWrite(table, data):
                self.tables[table] = data
                return ok()
            case OffsetWrite(table, offset, data) if table in self.tables:
                old = self.tables[table]
                self.tables[table] = old[:offset] + data + old[offset + len(data) :]
                return ok()
            case _:
                return Response(ResponseCode.INAPPROPRIATE_ACTION_REQUESTED)

    def session_ended(self) -> None:
        self.ended += 1


class End(Protocol):
    """Either engine."""

    @property
    def deadline(self) -> float | None: ...
    def receive_data(self, data: bytes, now: float) -> None: ...
    def handle_deadline(self, now: float) -> None: ...
    def data_to_send(self) -> bytes: ...


@dataclass
class Line:
    """Both ends, a clock moved by hand, and what happens to each burst; then all goes well."""

    client: PsemClient
    server: PsemServer
    faults: Iterator[Carry] = field(default_factory=lambda: iter(()))
    now: float = 1000.0
    carried: list[tuple[str, bytes]] = field(default_factory=list)

    def step(self) -> bool:
        """Carry what there is to carry, once each way; say whether there was something."""
        sent = self._carry(">", self.client, self.server)
        return self._carry("<", self.server, self.client) or sent

    def settle(self) -> None:
        """Carry until nothing moves by itself."""
        while self.step():
            pass

    def run(self) -> ClientEvent:
        """Go on, moving the clock where it must, until the client has an event."""
        for _ in range(1000):
            self.settle()
            if (event := self.client.next_event()) is not None:
                return event
            self.wait()
        raise AssertionError("the client waits for ever")

    def wait(self) -> None:
        """Move the clock to the next deadline of either end."""
        due = [end.deadline for end in (self.client, self.server) if end.deadline is not None]
        assert due, "nobody waits for anything"
        self.now = max(self.now, min(due))
        for end in (self.client, self.server):
            end.handle_deadline(self.now)
            assert end.deadline is None or end.deadline > self.now

    def server_events(self) -> list[ServerEvent]:
        events = []
        while (event := self.server.next_event()) is not None:
            events.append(event)
        return events

    def _carry(self, direction: str, sender: End, receiver: End) -> bool:
        octets = sender.data_to_send()
        if not octets:
            return False
        self.carried.append((direction, octets))
        for piece in next(self.faults, deliver)(octets):
            receiver.receive_data(piece, self.now)
        return True
