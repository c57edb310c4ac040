"""A head-end and a relay in memory, joined by octets; counters outlive connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from protocols.c12.plugin.naming import title_of
from protocols.c12.plugin.polling import C12PollSession
from protocols.c12.plugin.serving import C12ServedSession
from protocols.plugin import Credentials, Outcome, SessionOptions
from tests.support.c12_meter_model import CAPTURED, AnsiConcentrator
from tests.support.concentrator_model import NAME, STEP_S, MemoryCounters

HEAD_END: Final = title_of(b"MSH0000000000001")
LOGICAL_NAMES: Final = " ".join(
    "{}-{}:{}.{}.{}.{}".format(*register.logical_name) for register in CAPTURED
)
PARTICULAR: Final = {"capture_period_s": STEP_S, "logical_names": LOGICAL_NAMES}


def whole(octets: bytes) -> Iterable[bytes]:
    return (octets,)


def options(**particular: object) -> SessionOptions:
    """Return the options of a run of ANSI meters that capture `CAPTURED`."""
    return SessionOptions(particular={**PARTICULAR, **particular})


def credentials(model: AnsiConcentrator) -> Credentials:
    """Return what the relay and its meters share with the head-end."""
    meters = tuple(
        Credentials(title_of(name), bytes([number + 1]) * 16, b"", b"secret%d" % number, name)
        for number, name in enumerate(model.meter_names.tolist())
    )
    return Credentials(title_of(NAME), bytes(range(16)), b"", b"relay", NAME, meters)


@dataclass
class Place:
    """What outlives connections on both sides."""

    model: AnsiConcentrator = field(default_factory=AnsiConcentrator)
    options: SessionOptions = field(default_factory=options)
    head_end_counters: MemoryCounters = field(default_factory=MemoryCounters)
    device_counters: MemoryCounters = field(default_factory=MemoryCounters)

    def __post_init__(self) -> None:
        self.device = self.head_end = credentials(self.model)

    def rekey(self, meter: int) -> None:
        """Let the head-end have a wrong key of one meter."""
        meters = list(self.head_end.members)
        meters[meter] = replace(meters[meter], encryption_key=bytes(16))
        self.head_end = replace(self.head_end, members=tuple(meters))

    def poll(self) -> C12PollSession:
        return C12PollSession(self.head_end, HEAD_END, self.head_end_counters, self.options, bytes)

    def served(self) -> C12ServedSession:
        session = C12ServedSession(
            self.model, self.device, self.device_counters, self.options, bytes
        )
        session.handle_deadline(0.0)
        return session

    def connect(self, split: Callable[[bytes], Iterable[bytes]] = whole) -> Connection:
        return Connection(self.poll(), self.served(), split)


@dataclass
class Connection:
    """One connection; remembers what was said on it."""

    poll: C12PollSession
    served: C12ServedSession
    split: Callable[[bytes], Iterable[bytes]] = whole
    requests: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    def outcome(self, now: float = 1.0) -> Outcome | None:
        """Carry octets both ways until nobody has any; return the outcome."""
        while request := self.poll.data_to_send():
            self.ask(request, now)
            self.answer(now)
        return self.poll.outcome()

    def ask(self, request: bytes, now: float = 1.0) -> None:
        """Carry a request to the relay."""
        self.requests.append(request)
        for part in self.split(request):
            self.served.receive_data(part, now=now)

    def answer(self, now: float = 1.0) -> None:
        """Carry what the relay has to say to the head-end."""
        answer = self.served.data_to_send()
        self.answers.append(answer)
        for part in self.split(answer):
            self.poll.receive_data(part, now=now)
