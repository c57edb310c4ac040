"""A head-end's receiving side: notification host, master relay and authentication host in one.

Every APDU goes through the checks of `Channel`, which refuses and answers what fails them. What is
left of one call is gathered by concentrator: its pushes in one `Received`, its registrations in one
`Registering`, whose answers wait until the caller has made them durable. Everything else is
answered at once.

Time is not given to this session. Where the rules want it (the window of vectors, segments that
never come) it is the vector that the answer will go out under, which is the second it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from protocols.c12.acse import AuthenticationValue
from protocols.c12.association.channel import Channel, Node
from protocols.c12.association.events import Opened
from protocols.c12.association.events import Refused as ChannelRefused
from protocols.c12.association.refusals import Refusal, RefusalKind
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.framing import ApduReader, Oversized
from protocols.c12.initialization_vectors import ReplayRule
from protocols.c12.options import ServerOptions
from protocols.c12.plugin.naming import element_of, key_id_of, name_of
from protocols.c12.plugin.options import C12Options
from protocols.c12.plugin.writes import PushDecoder, Pushed, Unfit
from protocols.c12.relay import answer_resolve, answer_trace, grant
from protocols.c12.relay.network import RELAY
from protocols.c12.services import (
    Deregister,
    Dialect,
    Identify,
    Register,
    Resolve,
    Response,
    ResponseCode,
    ServiceCode,
    Trace,
    UnknownServiceError,
    decode_request,
    encode_response,
    ok,
)
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError, LocalProtocolError
from protocols.plugin import (
    Counters,
    Credentials,
    NodeRegistration,
    NodeTable,
    PeerLookup,
    Received,
    Refused,
    Registering,
)

Item: TypeAlias = Received | Registering | Refused
_WRITES: Final = range(ServiceCode.FULL_WRITE, ServiceCode.OFFSET_WRITE + 1)
_OK: Final = encode_response(ok())
_IDENTITY: Final = ServerOptions().identity


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """A message that passed the checks; ``vector`` is what its answer goes out under."""

    opened: Opened
    peer: Credentials
    vector: int

    @property
    def title(self) -> bytes:
        """What its sender is called."""
        return self.peer.system_title

    @property
    def behind(self) -> bytes:
        """What the concentrator is called that the sender is behind, or is."""
        return self.peer.behind or self.title

    @property
    def services(self) -> tuple[bytes, ...]:
        """Its services."""
        return self.opened.message.epsem.services

    @property
    def response(self) -> ResponseControl:
        """When it wants an answer."""
        return self.opened.message.epsem.control.response


_Waiting: TypeAlias = tuple[_Request, tuple[bytes, ...]]
"""A request, and the services of its answer."""


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """The answers that wait for something durable: requests, and the services of each answer."""

    session: object
    waiting: list[_Waiting]


@dataclass(slots=True)
class _Gathered:
    """What one concentrator's nodes said in one call."""

    pushes: list[_Request] = field(default_factory=list)
    registers: list[tuple[_Request, Register]] = field(default_factory=list)
    deregisters: list[_Request] = field(default_factory=list)


class _Accepted:
    """The vectors accepted until the last call, and during this one."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.now: dict[bytes, int] = {}

    def last_accepted(self, peer: bytes) -> int | None:
        """Return the last vector accepted from ``peer``, the octets of its absolute title."""
        here = self.now.get(peer)
        return self._counters.last_accepted(element_of(ApTitle(peer))) if here is None else here

    def accept(self, peer: bytes, counter: int) -> None:
        """Remember that ``counter`` was accepted from ``peer``."""
        self.now[peer] = counter


class _Stamps:
    """Vectors for answers, and so the time: one for each request, taken when first asked for."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._peer = b""
        self._stamp: int | None = None
        self.latest = 0

    def begin(self, peer: bytes) -> None:
        """Go on to a request of ``peer``."""
        self._peer, self._stamp = peer, None

    def utc_s(self) -> int:
        """Return the vector of the answer, POSIX seconds."""
        if self._stamp is None:
            self._stamp = self._counters.stamp(self._peer)
            self.latest = max(self.latest, self._stamp)
        return self._stamp

    def take(self, now_s: int) -> int:
        """Return the vector of the answer."""
        return self.utc_s()


class C12ReceiveSession:
    """A head-end's receiving side of one connection.

    Args:
        peers: nodes and concentrators by title.
        own_title: the head-end's.
        counters: vectors accepted, and to send under.
        options: how messages are protected and checked.
        nodes: the registration table.
    """

    def __init__(
        self,
        peers: PeerLookup,
        own_title: bytes,
        counters: Counters,
        options: C12Options,
        nodes: NodeTable,
    ) -> None:
        self._peers = peers
        self._own_title = own_title
        self._counters = counters
        self._options = options
        self._nodes = nodes
        self._decoder = PushDecoder(options.schema)
        self._reader = ApduReader()
        self._accepted = _Accepted(counters)
        self._stamps = _Stamps(counters)
        self._problems: list[Refused] = []
        own = ApTitle.decode(own_title).absolute()
        node = Node(own, self._key, self._stamps, self._accepted, self._stamps.utc_s)
        self._channel = Channel(node, options.channel)

    def receive_data(self, data: bytes) -> Sequence[Item]:
        """Take octets of the concentrator; return what arrived with them.

        Raises:
            CodecError: the stream lost its framing.
        """
        gathered: dict[bytes, _Gathered] = {}
        self._accepted.now.clear()
        self._reader.feed(data)
        while (apdu := self._reader.next_apdu()) is not None:
            if isinstance(apdu, Oversized):
                self._channel.receive_oversized(apdu)
            else:
                self._receive(apdu, gathered)
        items: list[Item] = []
        for behind, found in gathered.items():
            items += self._registering(behind, found)
            items += self._received(behind, found.pushes)
        return [*self._refused(), *items]

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once: answers that wait for nothing durable."""
        return b"".join(self._channel.data_to_send())

    def receive_eof(self) -> Sequence[Refused]:
        """Take the end of the stream; return what it cut off."""
        if not self._reader.is_cut:
            return []
        detail = f"{self._reader.buffered} octets of an APDU"
        return [Refused("truncated", detail)]

    def confirm(self, received: Received | Registering) -> bytes:
        """Return the octets that confirm pushes or registrations, each protected as it was.

        Raises:
            LocalProtocolError: nobody asked for that, or it came to another session.
        """
        answers = received.token
        if not isinstance(answers, _Answers) or answers.session is not self:
            raise LocalProtocolError("a push that another session received")
        if not received.wants_confirmation:
            raise LocalProtocolError("nobody asked for a confirmation")
        return b"".join(self._sealed(request, services) for request, services in answers.waiting)

    def _key(self, title: ApTitle, _key_id: int | None) -> bytes | None:
        known = self._peers(element_of(title))
        return None if known is None else known.encryption_key

    def _receive(self, octets: bytes, gathered: dict[bytes, _Gathered]) -> None:
        try:
            sealed = self._channel.receive(octets, float(self._stamps.latest))
            if sealed is None:
                return
            header, control = sealed.header, sealed.control
            if header.is_response:
                raise Refusal(RefusalKind.UNEXPECTED_RESPONSE, "nothing was asked", header, control)
            peer = header.calling and self._peers(element_of(header.calling))
            if not peer:
                raise Refusal(RefusalKind.UNKNOWN_TITLE, str(header.calling), header, control)
            self._stamps.begin(peer.system_title)
            opened = self._channel.open(sealed)
            self._channel.accept(opened)
            vector = 0 if opened.security is SecurityMode.CLEAR else self._stamps.utc_s()
            request = _Request(opened, peer, vector)
            self._sort(request, gathered.setdefault(request.behind, _Gathered()))
        except Refusal as refusal:
            self._channel.refuse(refusal)

    def _sort(self, request: _Request, gathered: _Gathered) -> None:
        """Answer a request, or gather it if its answer waits for something durable."""
        services = request.services
        if not services:
            self._refuse(
                request,
                Unfit(ResponseCode.INAPPROPRIATE_ACTION_REQUESTED, "malformed service", "none"),
            )
        elif services[0][:1] and services[0][0] in _WRITES:
            if self._may_push(request):
                gathered.pushes.append(request)
        else:
            self._serve(request, gathered)

    def _may_push(self, request: _Request) -> bool:
        if not request.peer.behind or name_of(request.title) is None:
            what = "a relay has no tables"
            code = ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
            self._refuse(request, Unfit(code, "no meter", what))
            return False
        refuses = self._options.unregistered == "refuse" and self._options.register
        if refuses and not self._nodes.is_registered(request.title):
            code = ResponseCode.NETWORK_NOT_REACHABLE
            self._refuse(request, Unfit(code, "not registered", "a push"))
            return False
        return True

    def _serve(self, request: _Request, gathered: _Gathered) -> None:
        """Serve what is no push; of several services in a message all must be of the network."""
        try:
            asked = [decode_request(service, Dialect.C12_22) for service in request.services]
        except UnknownServiceError as exc:
            code = ResponseCode.SERVICE_NOT_SUPPORTED
            self._refuse(request, Unfit(code, "unknown service", str(exc)))
            return
        except CodecError as exc:
            code = ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
            self._refuse(request, Unfit(code, "malformed service", str(exc)))
            return
        match asked:
            case [Register() as register] if self._is_own(request, register.title):
                gathered.registers.append((request, register))
            case [Deregister(title=title)] if self._is_own(request, title):
                gathered.deregisters.append(request)
            case [Register() | Deregister()]:
                code = ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
                self._refuse(request, Unfit(code, "another node's registration", ""))
            case _:
                self._answer(request, [self._network(service) for service in asked])

    def _is_own(self, request: _Request, title: bytes) -> bool:
        """Tell whether ``title`` is the sender's own, in whatever form."""
        try:
            return element_of(ApTitle.decode(title)) == request.title
        except CodecError:
            return False

    def _network(self, service: object) -> Response:
        match service:
            case Identify():
                return ok(_IDENTITY)
            case Resolve():
                return answer_resolve(
                    service, lambda title: self._nodes.address_of(element_of(title))
                )
            case Trace():
                return answer_trace(service, self._own_title)
            case _:
                return Response(ResponseCode.SERVICE_NOT_SUPPORTED)

    def _registering(self, behind: bytes, gathered: _Gathered) -> list[Item]:
        admitted = self._nodes.admits(len(gathered.registers)) if gathered.registers else 0
        for request, _ in gathered.registers[admitted:]:
            code = ResponseCode.NETWORK_NOT_REACHABLE
            self._refuse(request, Unfit(code, "registration not admitted", "too many"))
        taken = gathered.registers[:admitted]
        if not taken and not gathered.deregisters:
            return []
        nodes: list[NodeRegistration] = []
        waiting: list[_Waiting] = []
        for request, register in taken:
            body = grant(register, self._options.registration_period_s)
            is_relay = bool(register.node_type & RELAY)
            nodes.append(NodeRegistration(request.title, register.address, body.period_s, is_relay))
            waiting.append((request, (encode_response(ok(body)),)))
        for request in gathered.deregisters:
            nodes.append(NodeRegistration(request.title, b"", 0, not request.peer.behind))
            waiting.append((request, (_OK,)))
        counters = self._counters_of([request for request, _ in waiting])
        wanted = [it for it in waiting if it[0].response is ResponseControl.ALWAYS]
        token = _Answers(self, wanted)
        return [Registering(behind, tuple(nodes), counters, token, bool(wanted))]

    def _received(self, behind: bytes, requests: list[_Request]) -> list[Item]:
        if not requests:
            return []
        readings, unfit = self._decoder.decode(
            name_of(behind) or b"",
            [Pushed(name_of(it.title) or b"", it.services) for it in requests],
        )
        for number, problem in unfit.items():
            self._refuse(requests[number], problem)
        taken = [it for number, it in enumerate(requests) if number not in unfit]
        if not taken:
            return []
        wanted: list[_Waiting] = [
            (it, (_OK,) * len(it.services)) for it in taken if it.response is ResponseControl.ALWAYS
        ]
        token = _Answers(self, wanted)
        return [Received(behind, readings, self._counters_of(taken), bool(wanted), token)]

    def _counters_of(self, requests: list[_Request]) -> dict[bytes, int]:
        """Return the vectors to remember, where the rule needs memory; the last of each sender."""
        if self._options.replay is not ReplayRule.STRICT:
            return {}
        return {
            it.title: it.opened.authentication.vector
            for it in requests
            if it.opened.authentication is not None
        }

    def _refuse(self, request: _Request, problem: Unfit) -> None:
        """Answer with an error, protected as the request was, and count it."""
        self._problems.append(Refused(problem.cause, problem.detail, request.title))
        self._answer(request, [Response(problem.code)])

    def _answer(self, request: _Request, responses: list[Response]) -> None:
        """Answer at once; the vector is remembered, though it will come back with no rows."""
        if request.opened.authentication is not None:
            self._counters.accept(request.title, request.opened.authentication.vector)
        failed = any(response.code is not ResponseCode.OK for response in responses)
        control = request.response
        if control is ResponseControl.ALWAYS or (
            failed and control is ResponseControl.ON_EXCEPTION
        ):
            services = tuple(encode_response(response) for response in responses)
            self._channel.send_whole(self._sealed(request, services))

    def _sealed(self, request: _Request, services: tuple[bytes, ...]) -> bytes:
        opened = request.opened
        asked = opened.message.epsem.control
        own = None
        if opened.authentication is not None:
            key_id = opened.authentication.key_id
            own = AuthenticationValue(
                request.vector, key_id_of(request.title) if key_id is None else key_id
            )
        header = self._channel.answer_header(opened.message.header, own)
        control = Control(asked.security, recovery=asked.recovery, proxy=asked.proxy)
        return self._channel.seal(header, Epsem(services, control))

    def _refused(self) -> list[Refused]:
        found, self._problems = self._problems, []
        while (event := self._channel.next_event()) is not None:
            if isinstance(event, ChannelRefused):
                title = None if event.peer is None else element_of(event.peer)
                found.append(Refused(event.kind.value, event.detail, title))
        return found
