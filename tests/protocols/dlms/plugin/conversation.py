"""A head-end and a concentrator in memory, joined by octets; counters outlive connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from protocols.dlms.plugin import DlmsPlugin
from protocols.plugin import (
    Closed,
    Credentials,
    Opened,
    Outcome,
    PollSession,
    ServedSession,
    SessionOptions,
)
from tests.support.concentrator_model import (
    CREDENTIALS,
    HEAD_END,
    MemoryConcentrator,
    MemoryCounters,
)


def whole(octets: bytes) -> Iterable[bytes]:
    return (octets,)


@dataclass
class Place:
    """What outlives connections on both sides."""

    model: MemoryConcentrator = field(default_factory=MemoryConcentrator)
    options: SessionOptions = field(default_factory=SessionOptions)
    head_end: Credentials = CREDENTIALS
    concentrator: Credentials = CREDENTIALS
    head_end_counters: MemoryCounters = field(default_factory=MemoryCounters)
    device_counters: MemoryCounters = field(default_factory=MemoryCounters)
    plugin: DlmsPlugin = field(default_factory=DlmsPlugin)

    def poll(self) -> PollSession:
        return self.plugin.poll_session(
            self.head_end, HEAD_END, self.head_end_counters, self.options, lambda n: b"C" * n
        )

    def served(self) -> ServedSession:
        session = self.plugin.served_session(
            self.model, self.concentrator, self.device_counters, self.options, lambda n: b"S" * n
        )
        session.handle_deadline(0.0)
        return session

    def connect(self, split: Callable[[bytes], Iterable[bytes]] = whole) -> Connection:
        return Connection(self.poll(), self.served(), split)

    def opened(self, split: Callable[[bytes], Iterable[bytes]] = whole) -> Connection:
        connection = self.connect(split)
        connection.poll.open(now=0.0)
        assert connection.outcome() == Opened()
        return connection


@dataclass
class Connection:
    """One connection; remembers what was said on it."""

    poll: PollSession
    served: ServedSession
    split: Callable[[bytes], Iterable[bytes]] = whole
    requests: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    def outcome(self, now: float = 1.0) -> Outcome | None:
        """Carry octets both ways until nobody has any; return the outcome."""
        while request := self.poll.data_to_send():
            self.requests.append(request)
            for part in self.split(request):
                self.served.receive_data(part, now=now)
            self.answer(now)
        return self.poll.outcome()

    def answer(self, now: float = 1.0) -> None:
        answer = self.served.data_to_send()
        self.answers.append(answer)
        for part in self.split(answer):
            self.poll.receive_data(part, now=now)

    def close(self) -> None:
        self.poll.close(now=2.0)
        assert self.outcome() == Closed()
