"""A relay's pushing side: it registers all its nodes and writes their readings, pipelined.

Theory of operation. Every message is one `_Task` of one node: a registration, or a part of a push.
A task waits in one of four places: in the node, until that is registered; in ``_later``, until its
time has come; in ``_queue``, to be sent; in ``_under_way``, by invocation id, to be answered. A
message gets its initialization vector when it leaves, so vectors ascend on the wire whatever was
tried again. A new connection voids all four; registrations stay.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from typing import Final

from protocols.c12 import ber
from protocols.c12.acse import AeQualifier, AuthenticationValue, Header
from protocols.c12.eax_prime import WrongMacError, for_key
from protocols.c12.epsem import Control, ResponseControl, SecurityMode
from protocols.c12.framing import ApduReader, Oversized
from protocols.c12.initialization_vectors import ReplayError, ReplayRule, check_vector
from protocols.c12.message import MessageTemplate, MissingVectorError, Sealed, read_message
from protocols.c12.plugin.naming import key_id_of, title_of
from protocols.c12.plugin.options import C12Options
from protocols.c12.plugin.writes import PushEncoder, Services
from protocols.c12.relay import Membership, registration_of
from protocols.c12.relay.membership import retry_delay_s
from protocols.c12.services import (
    Dialect,
    RegisterBody,
    Response,
    ResponseCode,
    decode_response,
    encode_request,
)
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError
from protocols.plugin import Counters, Credentials
from protocols.readings import ReadingBatch

UNDER_WAY_MAX: Final = 256
ATTEMPTS_MAX: Final = 6
"""Of one part of a push over one connection."""
REFUSALS_MAX: Final = 1024
TOGETHER: Final = 0.05
"""Nodes register with others a little before their time: this part of a period."""
_INVOCATIONS: Final = 0xFFFF_FFFF
_NOT_NOW: Final = frozenset(
    {ResponseCode.DEVICE_BUSY, ResponseCode.DATA_NOT_READY, ResponseCode.DATA_LOCKED}
)
_NOT_REGISTERED: Final = frozenset(
    {ResponseCode.NETWORK_NOT_REACHABLE, ResponseCode.UNKNOWN_APPLICATION_TITLE}
)


class _Kind(Enum):
    REGISTRATION = auto()
    PUSH = auto()


@dataclass(slots=True, eq=False)
class _Node:
    """A node of the relay, or (``index`` -1) the relay itself."""

    index: int
    title: bytes
    name: ApTitle
    key: bytes
    membership: Membership = field(default_factory=Membership)
    template: MessageTemplate | None = None
    waiting: list[_Task] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Task:
    """One message to be sent and answered.

    ``push`` is the number of the push it is part of, ``vector`` what it last went out under.
    """

    node: _Node
    kind: _Kind
    services: Services
    push: int = 0
    attempt: int = 0
    vector: int | None = None


class C12PushSession:
    """A relay's pushing side, for all its connections.

    Raises `LocalProtocolError` where the options make no sense.
    """

    def __init__(self, credentials: Credentials, counters: Counters, options: C12Options) -> None:
        self.deadline: float | None = None
        self._options = options
        self._counters = counters
        self._head_end = ApTitle.decode(title_of(options.head_end))
        self._relay = _node(-1, credentials)
        self._nodes = [_node(index, member) for index, member in enumerate(credentials.members)]
        self._encoder = PushEncoder(options.schema, [it.name for it in credentials.members])
        self._invocation = 0
        self._order = count()
        self._refusals: deque[str] = deque(maxlen=REFUSALS_MAX)
        self._happened: Counter[str] = Counter()
        self._attention_at: float | None = 0.0 if options.register else None
        self._begin()

    def _begin(self) -> None:
        self._reader = ApduReader()
        self._queue: deque[_Task] = deque()
        self._under_way: dict[int, _Task] = {}
        self._later: list[tuple[float, int, _Task]] = []
        self._waiting: dict[int, _Node] = {}
        self._parts: dict[int, int] = {}
        self._confirmed: list[int] = []
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
        return not (self._queue or self._under_way or self._later or self._waiting)

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
            horizon = soon if membership.is_registered(now) and not membership.attempt else now
            if membership.due_at <= horizon:
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
            node = self._nodes[index]
            for services in apdus:
                self._start(_Task(node, _Kind.PUSH, services, number), now)
            self._parts[number] = self._parts.get(number, 0) + len(apdus)
        self._schedule()

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once: as much as may be under way."""
        octets = []
        while self._queue and len(self._under_way) < UNDER_WAY_MAX:
            octets.append(self._message(self._queue.popleft()))
        return b"".join(octets)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the head-end.

        Raises:
            CodecError: the stream lost its framing.
        """
        self._reader.feed(data)
        while (apdu := self._reader.next_apdu()) is not None:
            if isinstance(apdu, Oversized):
                self._refusals.append("oversized")
            else:
                self._take(apdu, now)
        self._schedule()

    def handle_deadline(self, now: float) -> None:
        """Try again what was to be tried again now."""
        while self._later and self._later[0][0] <= now:
            self._start(heapq.heappop(self._later)[2], now)
        for node in self._waiting.values():
            if node.membership.due_at <= now:
                self._register(node)
        self._schedule()

    def confirmed(self) -> Sequence[int]:
        """Return, once, the numbers of the pushes confirmed since the last call."""
        numbers, self._confirmed = self._confirmed, []
        return numbers

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which answers were refused since the last call."""
        causes = list(self._refusals)
        self._refusals.clear()
        return causes

    def happened(self) -> Mapping[str, int]:
        """Return, once, how often nodes registered and messages were tried again."""
        happened, self._happened = self._happened, Counter()
        return happened

    def _everybody(self) -> Iterator[_Node]:
        yield self._relay
        yield from self._nodes

    def _start(self, task: _Task, now: float) -> None:
        """Queue a message, once its node is registered."""
        node = task.node
        if not self._options.register or node.membership.is_registered(now):
            self._queue.append(task)
            return
        node.waiting.append(task)
        self._waiting[node.index] = node
        self._join(node, now)

    def _join(self, node: _Node, now: float) -> None:
        """Register a node that is not registered, unless it was just refused."""
        membership = node.membership
        if not self._options.register or membership.is_registered(now):
            return
        if membership.due_at <= now or not membership.attempt:
            self._register(node)

    def _register(self, node: _Node) -> None:
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
        self._queue.append(_Task(node, _Kind.REGISTRATION, (service,)))

    def _message(self, task: _Task) -> bytes:
        node, protected = task.node, self._options.security is not SecurityMode.CLEAR
        self._invocation = self._invocation % _INVOCATIONS + 1
        if task.kind is _Kind.REGISTRATION or self._options.confirmed:
            self._under_way[self._invocation] = task
        task.vector = self._counters.stamp(node.title) if protected else None
        if task.kind is _Kind.PUSH:
            template = node.template = node.template or self._template(node, task.kind)
        else:
            template = self._template(node, task.kind)
        return template.build(
            task.services,
            ber.unsigned(self._invocation, "calling_invocation"),
            task.vector,
            for_key(node.key) if protected else None,
        )

    def _template(self, node: _Node, kind: _Kind) -> MessageTemplate:
        options, is_push = self._options, kind is _Kind.PUSH
        protected = options.security is not SecurityMode.CLEAR
        header = Header(
            self._head_end,
            node.name,
            b"\0",
            qualifier=AeQualifier.NOTIFICATION if is_push else None,
            authentication=AuthenticationValue(0, key_id_of(node.title)) if protected else None,
        )
        response = options.response_control if is_push else ResponseControl.ALWAYS
        ed_class = options.schema.configuration.device_class if is_push else None
        return MessageTemplate(header, Control(options.security, response), ed_class=ed_class)

    def _take(self, octets: bytes, now: float) -> None:
        """Take one answer; what is none, or not to be believed, is counted and changes nothing."""
        try:
            sealed = read_message(octets)
            invocation = sealed.header.called_invocation
            number = 0 if invocation is None else ber.read_unsigned(invocation, "A4")
            task = self._under_way.get(number)
            if task is None or sealed.header.calling is None:
                self._refusals.append("unexpected response")
                return
            response = self._response(sealed, task)
        except WrongMacError:
            self._refusals.append("wrong MAC")
        except ReplayError:
            self._refusals.append("repeated vector")
        except (CodecError, MissingVectorError):
            self._refusals.append("malformed")
        else:
            if response is not None:
                del self._under_way[number]
                self._answered(task, response, now)

    def _response(self, sealed: Sealed, task: _Task) -> Response | None:
        """Return the answer to ``task``, verified; ``None``: it is not to be believed.

        Raises:
            ReplayError: it came under a vector of another time.
            WrongMacError, MissingVectorError, CodecError: see `Sealed.open`.
        """
        header, node = sealed.header, task.node
        if header.called != node.name and (
            header.called is None or header.called.absolute() != node.name.absolute()
        ):
            self._refusals.append("another node's answer")
            return None
        services = sealed.open(node.key).epsem.services
        responses = [decode_response(service) for service in services]
        failed = [response for response in responses if response.code is not ResponseCode.OK]
        weaker = sealed.control.security < self._options.security
        # An error in clear is believed: who found no key or no way has none to protect it with.
        if not responses or (weaker and not failed):
            self._refusals.append("not protected")
            return None
        if header.authentication is not None and task.vector is not None and not weaker:
            self._check_time(header.authentication.vector, task.vector)
        return failed[0] if failed else responses[0]

    def _check_time(self, vector: int, asked_at: int) -> None:
        """Refuse the answer to another request of the same number: one long ago, or to come.

        Memory could do no more: numbers that were asked and not answered are remembered anyway,
        and do not repeat but after a restart.
        """
        if self._options.replay is not ReplayRule.OFF:
            check_vector(vector, ReplayRule.WINDOW, last=None, now_s=asked_at)

    def _answered(self, task: _Task, response: Response, now: float) -> None:
        if task.kind is _Kind.REGISTRATION:
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

    def _push_refused(self, task: _Task, code: ResponseCode, now: float) -> None:
        self._happened[f"notification.refused: {code.abbreviation}"] += 1
        task.attempt += 1
        if task.attempt >= ATTEMPTS_MAX:
            self._happened["notifications given up"] += 1
            return
        self._happened["notifications retried"] += 1
        if code in _NOT_NOW:
            at = now + retry_delay_s(task.node.title, task.attempt - 1)
            heapq.heappush(self._later, (at, next(self._order), task))
            return
        if code in _NOT_REGISTERED:
            task.node.membership.expelled(now)
        self._start(task, now)

    def _registration_answered(self, node: _Node, response: Response, now: float) -> None:
        membership = node.membership
        try:
            body = RegisterBody.decode(response.body) if response.code is ResponseCode.OK else None
        except CodecError:
            body = None
        if body is None or not body.period_s:
            self._happened[f"registration.refused: {response.code.abbreviation}"] += 1
            self._happened["registrations retried"] += 1
            membership.refused(node.title, now)
            return
        again = membership.is_registered(now)
        self._happened["nodes registered again" if again else "nodes registered"] += 1
        membership.granted(self._relay.title, body.period_s, now)
        self._waiting.pop(node.index, None)
        for task in node.waiting:
            if body.delay_s:
                heapq.heappush(self._later, (now + body.delay_s, next(self._order), task))
            else:
                self._queue.append(task)
        node.waiting.clear()

    def _schedule(self) -> None:
        """Work out when the time is wanted, and when a connection."""
        times = [self._later[0][0]] if self._later else []
        times += [
            node.membership.due_at
            for node in self._waiting.values()
            if not node.membership.under_way
        ]
        self.deadline = min(times, default=None)
        if self._options.register:
            self._attention_at = min(
                (
                    node.membership.due_at
                    for node in self._everybody()
                    if not node.membership.under_way
                ),
                default=None,
            )


def _node(index: int, credentials: Credentials) -> _Node:
    title = credentials.system_title
    return _Node(index, title, ApTitle.decode(title), credentials.encryption_key)
