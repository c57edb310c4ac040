"""A relay that pushes and a head-end that takes it, in memory; time is told by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from protocols.c12.acse import AeQualifier, AuthenticationValue, Header
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.framing import ApduReader
from protocols.c12.message import Message, encode_message, read_message
from protocols.c12.plugin import C12Plugin
from protocols.c12.plugin.pushing import C12PushSession
from protocols.c12.plugin.receiving import C12ReceiveSession
from protocols.c12.services import Dialect, Request, Response, decode_response, encode_request
from protocols.c12.titles import ApTitle
from protocols.plugin import Credentials, Received, Refused, Registering, SessionOptions
from protocols.readings import EVENT_TYPES, EventBatch, ReadingBatch
from tests.support.c12_meter_model import CAPTURED, AnsiConcentrator
from tests.support.concentrator_model import MemoryCounters, same

PLUGIN: Final = C12Plugin()
RELAY_NAME: Final = b"MSC0000000000008"
RELAY: Final = PLUGIN.title_of(RELAY_NAME)
HEAD_END: Final = PLUGIN.title_of(b"MSH0000000000001")
PERIOD_S: Final = 1_000
PARTICULAR: Final[dict[str, object]] = {
    "logical_names": " ".join(
        "{}-{}:{}.{}.{}.{}".format(*register.logical_name) for register in CAPTURED
    ),
    "registration_period_s": PERIOD_S,
}
OPTIONS: Final = SessionOptions(particular=PARTICULAR)
Item = Received | Registering | Refused


def options(
    *, protection: str = "ciphered", confirmed: bool = True, **particular: object
) -> SessionOptions:
    """Return the options of these tests, with changes."""
    return replace(
        OPTIONS, protection=protection, confirmed=confirmed, particular=PARTICULAR | particular
    )


def relay_with(meters: Sequence[bytes]) -> Credentials:
    """Return the credentials of a relay with these meters behind it; every key is another."""
    members = [
        Credentials(PLUGIN.title_of(name), bytes([number + 1]) * 16, b"", b"", name, (), RELAY)
        for number, name in enumerate(meters)
    ]
    return Credentials(RELAY, bytes(16), b"", b"", RELAY_NAME, members)


@dataclass
class Table:
    """A registration table: who is in it, and how many more are admitted."""

    titles: set[bytes] = field(default_factory=set)
    room: int = 1_000_000
    address: bytes | None = b"\x7f\x01\x00\x01\x04\x81"

    def is_registered(self, title: bytes) -> bool:
        return title in self.titles

    def admits(self, count: int) -> int:
        taken = min(count, self.room)
        self.room -= taken
        return taken

    def address_of(self, title: bytes) -> bytes | None:
        return self.address if title in self.titles else None


@dataclass
class World:
    """Both ends, and everything that outlives a connection between them."""

    options: SessionOptions = OPTIONS
    model: AnsiConcentrator = field(default_factory=AnsiConcentrator)
    relay_counters: MemoryCounters = field(default_factory=MemoryCounters)
    head_end_counters: MemoryCounters = field(default_factory=MemoryCounters)
    table: Table = field(default_factory=Table)
    happened: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    registering: list[Registering] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.credentials = relay_with(self.model.meter_names.tolist())
        self.known = {it.system_title: it for it in (self.credentials, *self.credentials.members)}
        self.pusher = self.push_session()
        self.receiver = self.receive_session()

    def push_session(self) -> C12PushSession:
        return PLUGIN.push_session(self.credentials, self.relay_counters, self.options)

    def receive_session(self) -> C12ReceiveSession:
        return PLUGIN.receive_session(
            self.known.get, HEAD_END, self.head_end_counters, self.options, self.table
        )

    def take(self, octets: bytes) -> bytes:
        """Let the head-end take octets and store them, as its listener does; return its answer."""
        items = list(self.receiver.receive_data(octets))
        answer = self.receiver.data_to_send()
        for item in items:
            if isinstance(item, Refused):
                self.refused.append(item)
                continue
            for title, counter in item.counters.items():
                self.head_end_counters.accept(title, counter)
            if isinstance(item, Registering):
                self.registering.append(item)
                self.table.titles |= {node.title for node in item.nodes if node.period_s}
                self.table.titles -= {node.title for node in item.nodes if not node.period_s}
            else:
                self.received.append(item)
            if item.wants_confirmation:
                answer += self.receiver.confirm(item)
        return answer

    def reconnect(self, now: float = 0.0) -> None:
        """Let the connection break, and another one stand."""
        self.receiver = self.receive_session()
        self.pusher.connected(now=now)

    def converse(self, now: float = 0.0, rounds: int = 100) -> list[int]:
        """Converse until the relay has nothing to say at ``now``; return what was confirmed."""
        numbers: list[int] = []
        for _ in range(rounds):
            octets = self.pusher.data_to_send()
            if not octets:
                break
            self.pusher.receive_data(self.take(octets), now=now)
            numbers += self.pusher.confirmed()
        self.happened.update(self.pusher.happened())
        return numbers

    def register_all(self, now: float = 0.0) -> None:
        self.pusher.attend(now=now)
        self.converse(now)
        self.happened.clear()
        self.registering.clear()

    def causes(self) -> list[str]:
        return [item.cause for item in self.refused]

    def asked(
        self,
        node: int,
        request: Request | tuple[bytes, ...],
        *,
        vector: int,
        key: bytes | None = None,
        calling: bytes | None = None,
        called: bytes = HEAD_END,
        response: ResponseControl = ResponseControl.ALWAYS,
        invocation: bytes = b"\x77",
        security: SecurityMode = SecurityMode.CIPHERED,
    ) -> bytes:
        """Return the message of a node (-1: the relay) that asks for something, as it likes."""
        who = self.credentials if node < 0 else self.credentials.members[node]
        if not isinstance(request, tuple):
            request = (encode_request(request, Dialect.C12_22),)
        header = Header(
            ApTitle.decode(called),
            ApTitle.decode(calling or who.system_title),
            invocation,
            qualifier=AeQualifier.NOTIFICATION,
            authentication=AuthenticationValue(vector, 7),
        )
        message = Message(header, Epsem(request, Control(security, response)))
        return encode_message(message, key or who.encryption_key)

    def answers(self, octets: bytes) -> list[tuple[Header, tuple[Response, ...]]]:
        """Return the answers in octets, opened with the keys of those they are for."""
        found = []
        for apdu in apdus(octets):
            sealed = read_message(apdu)
            assert sealed.header.called is not None
            known = self.known.get(sealed.header.called.encode())
            services = sealed.open(known and known.encryption_key).epsem.services
            found.append((sealed.header, tuple(map(decode_response, services))))
        return found


def apdus(octets: bytes) -> list[bytes]:
    """Return the APDUs in octets."""
    reader = ApduReader()
    reader.feed(octets)
    found = []
    while (apdu := reader.next_apdu()) is not None:
        assert isinstance(apdu, bytes)
        found.append(apdu)
    assert not reader.is_cut
    return found


def joined(batches: Iterable[ReadingBatch]) -> ReadingBatch:
    """Return batches of one concentrator as one."""
    parts = list(batches)
    return ReadingBatch(
        parts[0].concentrator,
        np.concatenate([part.meter_ids for part in parts]),
        np.concatenate([part.captured_at_s for part in parts]),
        np.concatenate([part.status for part in parts]),
        np.concatenate([part.values for part in parts]),
        EventBatch.concatenate([part.events for part in parts]),
    )


def ordered(batch: ReadingBatch) -> ReadingBatch:
    """Return readings by meter and time, and events by meter, source, sequence and code."""
    rows = np.lexsort((batch.captured_at_s, batch.meter_ids))
    events = batch.events
    by = (events.code, events.sequence, events.source, events.meter_ids)
    return ReadingBatch(
        batch.concentrator,
        batch.meter_ids[rows],
        batch.captured_at_s[rows],
        batch.status[rows],
        batch.values[rows],
        events.take(np.lexsort(by)),
    )


def exactly(left: ReadingBatch, right: ReadingBatch) -> bool:
    """Tell whether two batches hold the same readings and events in the same order."""
    return same(left, right) and all(
        np.array_equal(getattr(left.events, name), getattr(right.events, name))
        and getattr(left.events, name).dtype == getattr(right.events, name).dtype
        for name in EVENT_TYPES
    )
