"""A relay's pushing side: it registers all its nodes and writes their readings, pipelined.

Theory of operation. Every message is one `Task` of one node: a registration, or a part of a push.
A task waits in one of four places: in the node, until that is registered; in ``_later``, until its
time has come; in ``_queue``, to be sent; in the `Exchange`, to be answered. A message gets its
initialization vector when it leaves, so vectors ascend on the wire whatever was tried again. A new
connection voids all four; registrations stay.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Final

from protocols.c12.framing import ApduReader, Oversized
from protocols.c12.plugin.options import C12Options
from protocols.c12.plugin.push_encoding import PushEncoder
from protocols.c12.plugin.uplink_exchange import Exchange, Kind, Task, UplinkNode
from protocols.c12.relay import registration_of
from protocols.c12.relay.membership import retry_delay_s
from protocols.c12.services import (
    Dialect,
    RegisterBody,
    Response,
    ResponseCode,
    encode_request,
)
from protocols.errors import CodecError
from protocols.plugin import Counters, Credentials
from protocols.readings import ReadingBatch

UNDER_WAY_MAX: Final = 256
"""Messages sent and not yet answered."""
ATTEMPTS_MAX: Final = 6
"""Of one part of a push over one connection."""
TOGETHER: Final = 0.05
"""Nodes register with others a little before their time: this part of a period."""
TOGETHER_S: Final = 0.25
"""Refused ones, too, so that not every attempt travels alone; half the shortest delay."""
_NOT_NOW: Final = frozenset(
    {ResponseCode.DEVICE_BUSY, ResponseCode.DATA_NOT_READY, ResponseCode.DATA_LOCKED}
)
_NOT_REGISTERED: Final = frozenset(
    {ResponseCode.NETWORK_NOT_REACHABLE, ResponseCode.UNKNOWN_APPLICATION_TITLE}
)


class C12PushSession:
    """A relay's pushing side, for all its connections.

    Raises `LocalProtocolError` where the options make no sense.
    """

    def __init__(self, credentials: Credentials, counters: Counters, options: C12Options) -> None:
        self.deadline: float | None = None
        self._options = options
        self._relay = UplinkNode.of(-1, credentials)
        self._nodes = [UplinkNode.of(*each) for each in enumerate(credentials.members)]
        self._encoder = PushEncoder(options.schema, [it.name for it in credentials.members])
        self._exchange = Exchange(counters, options)
        self._order = count()
        self._happened: Counter[str] = Counter()
        self._attention_at: float | None = None
        self._begin()

    def _begin(self) -> None:
        self._reader = ApduReader()
        self._queue: deque[Task] = deque()
        self._later: list[tuple[float, int, Task]] = []
        self._waiting: dict[int, UplinkNode] = {}
        self._parts: dict[int, int] = {}
        self._confirmed: list[int] = []
        self._exchange.void()
        for node in self._everybody():
            node.waiting.clear()
            node.membership.under_way = False
        self._schedule()

    @property
    def attention_at(self) -> float | None:
        """When the next node wants to register."""
        return self._attention_at

    @property
    def idle(self) -> bool:
        """Whether it waits for no answer and has nothing to send, now or later."""
        return not (self._queue or self._exchange or self._later or self._waiting)

    def connected(self, *, now: float) -> None:
        """Begin anew; registrations hold."""
        self._begin()

    def restarted(self) -> None:
        """Forget registrations, and what was pushed."""
        self._encoder.restarted()
        for node in self._everybody():
            node.membership.forget()
        self._begin()

    def attend(self, *, now: float) -> None:
        """Register the nodes whose time has come."""
        if not self._options.register:
            return
        soon = now + TOGETHER * self._options.registration_period_s
        for node in self._everybody():
            membership = node.membership
            is_renewal = membership.is_registered(now) and not membership.attempt
            if membership.due_at <= (soon if is_renewal else now):
                self._register(node)
        self._schedule()

    def push(self, readings: ReadingBatch, number: int, *, now: float) -> None:
        """Begin to push ``readings``; ``number`` comes back once all of them are confirmed.

        Raises:
            LocalProtocolError, CodecError: see `PushEncoder.encode`.
        """
        apart = self._encoder.encode(readings)
        self._join(self._relay, now)
        for index, apdus in apart:
            for services in apdus:
                self._start(Task(self._nodes[index], Kind.PUSH, services, number), now)
        if self._options.confirmed:
            self._parts[number] = sum(len(apdus) for _, apdus in apart)
        self._schedule()

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once: as much as may be under way."""
        octets = []
        while self._queue and len(self._exchange) < UNDER_WAY_MAX:
            octets.append(self._exchange.message(self._queue.popleft()))
        return b"".join(octets)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the head-end.

        Raises:
            CodecError: the stream lost its framing.
        """
        self._reader.feed(data)
        while (apdu := self._reader.next_apdu()) is not None:
            if isinstance(apdu, Oversized):
                self._exchange.refusals.append("oversized")
            elif (answer := self._exchange.take(apdu)) is not None:
                self._answered(*answer, now)
        self._schedule()

    def handle_deadline(self, now: float) -> None:
        """Try again what was to be tried again now."""
        while self._later and self._later[0][0] <= now:
            self._start(heapq.heappop(self._later)[2], now)
        waiting = [it for it in self._waiting.values() if not it.membership.under_way]
        if any(node.membership.due_at <= now for node in waiting):
            for node in waiting:
                if node.membership.due_at <= now + TOGETHER_S:
                    self._register(node)
        self._schedule()

    def confirmed(self) -> Sequence[int]:
        """Return, once, the numbers of the pushes confirmed since the last call."""
        numbers, self._confirmed = self._confirmed, []
        return numbers

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which answers were refused since the last call."""
        causes = list(self._exchange.refusals)
        self._exchange.refusals.clear()
        return causes

    def happened(self) -> Mapping[str, int]:
        """Return, once, how often nodes registered and messages were tried again."""
        happened, self._happened = self._happened, Counter()
        return happened

    def _everybody(self) -> Iterator[UplinkNode]:
        yield self._relay
        yield from self._nodes

    def _start(self, task: Task, now: float) -> None:
        """Queue a message, once its node is registered."""
        node = task.node
        if not self._options.register or node.membership.is_registered(now):
            self._queue.append(task)
            return
        node.waiting.append(task)
        self._waiting[node.index] = node
        self._join(node, now)

    def _join(self, node: UplinkNode, now: float) -> None:
        """Register a node that is not registered, unless it was just refused."""
        membership = node.membership
        if not self._options.register or membership.is_registered(now):
            return
        if membership.due_at <= now or not membership.attempt:
            self._register(node)

    def _register(self, node: UplinkNode) -> None:
        if node.membership.under_way:
            return
        node.membership.under_way = True
        request = registration_of(
            node.title,
            is_relay=node is self._relay,
            device_class=self._options.schema.configuration.device_class,
            period_s=self._options.registration_period_s,
        )
        service = encode_request(request, Dialect.C12_22)
        self._queue.append(Task(node, Kind.REGISTRATION, (service,)))

    def _answered(self, task: Task, response: Response, now: float) -> None:
        if task.kind is Kind.REGISTRATION:
            self._registration_answered(task.node, response, now)
        elif response.code is ResponseCode.OK:
            self._done(task.push)
        else:
            self._push_refused(task, response.code, now)

    def _done(self, number: int) -> None:
        self._parts[number] -= 1
        if not self._parts[number]:
            del self._parts[number]
            self._confirmed.append(number)

    def _push_refused(self, task: Task, code: ResponseCode, now: float) -> None:
        self._happened[f"notification.refused: {code.abbreviation}"] += 1
        task.attempt += 1
        if task.attempt >= ATTEMPTS_MAX:
            self._happened["notifications given up"] += 1
            return
        self._happened["notifications retried"] += 1
        if code in _NOT_NOW:
            self._put_off(task, now + retry_delay_s(task.node.title, task.attempt - 1))
            return
        if code in _NOT_REGISTERED:
            task.node.membership.expelled(now)
        self._start(task, now)

    def _put_off(self, task: Task, until: float) -> None:
        heapq.heappush(self._later, (until, next(self._order), task))

    def _registration_answered(self, node: UplinkNode, response: Response, now: float) -> None:
        body = _granted(response)
        if body is None:
            self._happened[f"registration.refused: {response.code.abbreviation}"] += 1
            self._happened["registrations retried"] += 1
            node.membership.refused(node.title, now)
            return
        again = node.membership.is_registered(now)
        self._happened["nodes registered again" if again else "nodes registered"] += 1
        node.membership.granted(self._relay.title, body.period_s, now)
        node.joining = None
        self._waiting.pop(node.index, None)
        for task in node.waiting:
            if body.delay_s:
                self._put_off(task, now + body.delay_s)
            else:
                self._queue.append(task)
        node.waiting.clear()

    def _schedule(self) -> None:
        """Work out when the time is wanted, and when a connection."""
        times = [self._later[0][0]] if self._later else []
        times += _due(self._waiting.values())
        self.deadline = min(times, default=None)
        if self._options.register:
            self._attention_at = min(_due(self._everybody()), default=None)


def _granted(response: Response) -> RegisterBody | None:
    """Return what a registration was granted; ``None``: nothing, or for no time."""
    if response.code is not ResponseCode.OK:
        return None
    try:
        body = RegisterBody.decode(response.body)
    except CodecError:
        return None
    return body if body.period_s else None


def _due(nodes: Iterable[UplinkNode]) -> list[float]:
    """Return when each of these wants to register that is not about to."""
    return [node.membership.due_at for node in nodes if not node.membership.under_way]
