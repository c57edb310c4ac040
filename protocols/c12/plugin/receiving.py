"""A head-end's receiving side: notification host, master relay and authentication host in one.

Every APDU goes through the checks of `Channel`, which refuses and answers what fails them. What is
left of one call is gathered by concentrator: its pushes in one `Received`, its registrations in one
`Registering`, whose answers wait until the caller has made them durable. Everything else is
answered at once.

Time is not given to this session. Where the rules want it (the window of vectors, segments that
never come) it is the vector that the answer will go out under, which is the second it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, TypeAlias

from protocols.c12.acse import AuthenticationValue, Header
from protocols.c12.association.channel import Channel, Node
from protocols.c12.association.events import Refused as ChannelRefused
from protocols.c12.association.refusals import Refusal, RefusalKind
from protocols.c12.eax_prime import for_key
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.framing import ApduReader, Oversized
from protocols.c12.initialization_vectors import ReplayRule
from protocols.c12.message import MessageTemplate, Sealed
from protocols.c12.options import ServerOptions
from protocols.c12.plugin.inbound import (
    AcceptedHere,
    Answers,
    AnswerVectors,
    Gathered,
    Inbound,
    Waiting,
)
from protocols.c12.plugin.naming import element_of, name_of
from protocols.c12.plugin.options import C12Options
from protocols.c12.plugin.push_decoding import PushDecoder, Pushed, Unfit
from protocols.c12.relay import answer_resolve, answer_trace, grant
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
from protocols.c12.titles import NODES_REMEMBERED, ApTitle
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
        self._accepted = AcceptedHere(counters)
        self._stamps = AnswerVectors(counters)
        self._problems: list[Refused] = []
        own = ApTitle.decode(own_title).absolute()
        node = Node(own, self._key, self._stamps, self._accepted, self._stamps.utc_s)
        self._channel = Channel(node, options.channel)

    def receive_data(self, data: bytes) -> Sequence[Item]:
        """Take octets of the concentrator; return what arrived with them.

        Raises:
            CodecError: the stream lost its framing.
        """
        gathered: dict[bytes, Gathered] = {}
        self._accepted.now.clear()
        self._give_up_segments(self._stamps.elapsed_s)
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
        self._give_up_segments(math.inf)
        if self._reader.is_cut:
            detail = f"{self._reader.buffered} octets of an APDU"
            self._problems.append(Refused("truncated", detail))
        return self._refused()

    def confirm(self, received: Received | Registering) -> bytes:
        """Return the octets that confirm pushes or registrations, each protected as it was.

        Raises:
            LocalProtocolError: nobody asked for that, or it came to another session.
        """
        answers = received.token
        if not isinstance(answers, Answers) or answers.session is not self:
            raise LocalProtocolError("a push that another session received")
        if not received.wants_confirmation:
            raise LocalProtocolError("nobody asked for a confirmation")
        return b"".join(self._sealed(request, services) for request, services in answers.waiting)

    def _give_up_segments(self, now: float) -> None:
        for refusal in self._channel.expired(now):
            self._channel.count(refusal)

    def _key(self, title: ApTitle, _key_id: int | None) -> bytes | None:
        known = self._peers(element_of(title))
        return None if known is None else known.encryption_key

    def _receive(self, octets: bytes, gathered: dict[bytes, Gathered]) -> None:
        try:
            sealed = self._channel.receive(octets, self._stamps.elapsed_s)
            if sealed is None:
                return
            header, control = sealed.header, sealed.control
            if header.is_response:
                raise Refusal(RefusalKind.UNEXPECTED_RESPONSE, "nothing was asked", header, control)
            peer = header.calling and self._peers(element_of(header.calling))
            if not peer:
                raise Refusal(RefusalKind.UNKNOWN_TITLE, str(header.calling), header, control)
            self._stamps.begin(peer.system_title)
            request = self._checked(sealed, peer)
            if request is not None:
                self._sort(request, gathered.setdefault(request.behind, Gathered()))
        except Refusal as refusal:
            self._channel.refuse(refusal)

    def _checked(self, sealed: Sealed, peer: Credentials) -> Inbound | None:
        """Return a request that passed the checks. Raises `Refusal`.

        ``None``: there is no vector for its answer just now, and its sender was told to come again.
        """
        vector = 0
        try:
            opened = self._channel.open(sealed)
            if opened.security is not SecurityMode.CLEAR:
                vector = self._stamps.utc_s()
        except LocalProtocolError as error:
            self._problems.append(Refused("no vector left", str(error), peer.system_title))
            if sealed.control.response is not ResponseControl.NEVER:
                busy = encode_response(Response(ResponseCode.DEVICE_BUSY))
                self._channel.send(self._channel.answer_header(sealed.header), Epsem((busy,)))
            return None
        self._channel.accept(opened)
        return Inbound(opened, peer, vector)

    def _sort(self, request: Inbound, gathered: Gathered) -> None:
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

    def _may_push(self, request: Inbound) -> bool:
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

    def _serve(self, request: Inbound, gathered: Gathered) -> None:
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
                gathered.registrations.append((request, register))
            case [Deregister() as deregister] if self._is_own(request, deregister.title):
                gathered.registrations.append((request, deregister))
            case [Register() | Deregister()]:
                code = ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
                self._refuse(request, Unfit(code, "another node's registration", ""))
            case _:
                self._answer(request, [self._network(service) for service in asked])

    def _is_own(self, request: Inbound, title: bytes) -> bool:
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

    def _registering(self, behind: bytes, gathered: Gathered) -> list[Item]:
        room = sum(isinstance(asked, Register) for _, asked in gathered.registrations)
        room = self._nodes.admits(room) if room else 0
        nodes: list[NodeRegistration] = []
        waiting: list[Waiting] = []
        for request, asked in gathered.registrations:
            is_relay = not request.peer.behind
            if isinstance(asked, Deregister):
                nodes.append(NodeRegistration(request.title, b"", 0, is_relay))
                waiting.append((request, (_OK,)))
            elif room:
                room -= 1
                body = grant(asked, self._options.registration_period_s)
                nodes.append(
                    NodeRegistration(request.title, asked.address, body.period_s, is_relay)
                )
                waiting.append((request, (encode_response(ok(body)),)))
            else:
                code = ResponseCode.NETWORK_NOT_REACHABLE
                self._refuse(request, Unfit(code, "registration not admitted", "too many"))
        if not waiting:
            return []
        counters = self._counters_of([request for request, _ in waiting])
        wanted = [it for it in waiting if it[0].response is ResponseControl.ALWAYS]
        return [Registering(behind, tuple(nodes), counters, Answers(self, wanted), bool(wanted))]

    def _received(self, behind: bytes, requests: list[Inbound]) -> list[Item]:
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
        wanted: list[Waiting] = [
            (it, (_OK,) * len(it.services)) for it in taken if it.response is ResponseControl.ALWAYS
        ]
        token = Answers(self, wanted)
        return [Received(behind, readings, self._counters_of(taken), bool(wanted), token)]

    def _counters_of(self, requests: list[Inbound]) -> dict[bytes, int]:
        """Return the vectors to remember, where the rule needs memory: the last of each sender."""
        if self._options.replay is not ReplayRule.STRICT:
            return {}
        return {
            it.title: it.opened.authentication.vector
            for it in requests
            if it.opened.authentication is not None
        }

    def _refuse(self, request: Inbound, problem: Unfit) -> None:
        """Answer with an error, protected as the request was, and count it."""
        self._problems.append(Refused(problem.cause, problem.detail, request.title))
        self._answer(request, [Response(problem.code)])

    def _answer(self, request: Inbound, responses: list[Response]) -> None:
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

    def _sealed(self, request: Inbound, services: tuple[bytes, ...]) -> bytes:
        opened = request.opened
        asked = opened.message.epsem.control
        own = None
        if opened.authentication is not None:
            own = AuthenticationValue(0, opened.authentication.key_id)
        header = self._channel.answer_header(opened.message.header)
        control = Control(asked.security, recovery=asked.recovery, proxy=asked.proxy)
        is_clear = asked.security is SecurityMode.CLEAR
        return _template(header.called, header.calling, own, control).build(
            services,
            header.calling_invocation,
            None if own is None else request.vector,
            None if is_clear else for_key(request.peer.encryption_key),
            answers=header.called_invocation,
        )

    def _refused(self) -> list[Refused]:
        found, self._problems = self._problems, []
        while (event := self._channel.next_event()) is not None:
            if isinstance(event, ChannelRefused):
                title = None if event.peer is None else element_of(event.peer)
                found.append(Refused(event.kind.value, event.detail, title))
        return found


@lru_cache(NODES_REMEMBERED)
def _template(
    called: ApTitle | None,
    calling: ApTitle | None,
    own: AuthenticationValue | None,
    control: Control,
) -> MessageTemplate:
    """Return what all answers to one node have in common."""
    return MessageTemplate(Header(called, calling, b"\0", authentication=own), control)
