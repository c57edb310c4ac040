"""A device's end of a C12.18 or C12.21 line: sessions, one after the other.

Theory of operation
-------------------
The link makes requests whole and gets answers across. The server knows the session's state
(`protocols.c12.psem.states`), answers what is about the link and the session itself, and hands
everything else to the application. Whatever a request holds, there is an answer: a code that
nobody knows gets SERVICE_NOT_SUPPORTED, a body that is not what it must be gets ERROR, a service
out of turn INVALID_SERVICE_SEQUENCE_STATE.

Silence ends a session: the traffic timeout, or as long as the last Wait asked for. So does a packet
that nobody acknowledges. Then everything is as before Identify, and the line stays usable.
Disconnect ends the line (`closed`) once the answer is sent.

The caller feeds octets and sends what comes out::

    server.receive_data(data, now)
    send(server.data_to_send())
    while event := server.next_event(): record(event)
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from protocols.c12.application import Application, SessionState
from protocols.c12.psem.assembly import Message, OversizedMessage
from protocols.c12.psem.faults import Fault
from protocols.c12.psem.link import Link, LinkEvent, LinkFailed
from protocols.c12.psem.packet import MIN_PACKET_SIZE
from protocols.c12.psem.server_options import C12_18_DEVICE, ServerOptions
from protocols.c12.psem.states import AFTER, ALLOWED
from protocols.c12.services import (
    BAUD_RATES,
    Authenticate,
    AuthenticateBody,
    AuthenticationTicket,
    Disconnect,
    Identify,
    IdentifyBody,
    Negotiate,
    NegotiateBody,
    Request,
    Response,
    ResponseCode,
    SizeLimitBody,
    Terminate,
    TimingSetup,
    TimingSetupBody,
    UnknownServiceError,
    Wait,
    decode_request,
    encode_response,
    ok,
)
from protocols.errors import CodecError


@dataclass(frozen=True, slots=True)
class Served:
    """A request was answered; ``request`` is ``None`` when it could not be read."""

    request: Request | None
    code: ResponseCode


@dataclass(frozen=True, slots=True)
class BaudRateChosen:
    """Once what is to be sent is sent, the line runs at ``bits_per_s``."""

    bits_per_s: int


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session is over; ``fault`` says why when nobody ended it in due form."""

    fault: Fault | None


ServerEvent: TypeAlias = Served | BaudRateChosen | SessionEnded
RandomBytes: TypeAlias = Callable[[int], bytes]


class PsemServer:
    """Sans-IO server for one line. Times are seconds of any monotonic clock.

    ``application`` is this line's own; ``random_bytes(n)`` gives tickets.
    """

    def __init__(
        self,
        application: Application,
        *,
        random_bytes: RandomBytes,
        options: ServerOptions = C12_18_DEVICE,
    ) -> None:
        self.state = SessionState.BASE
        self._hanging_up = False
        self._application = application
        self._options = options
        self._random_bytes = random_bytes
        self._faults: Counter[Fault] = Counter()
        self._link = Link(options.link, self._faults)
        self._events: deque[ServerEvent] = deque()
        self._ticket = b""
        self._traffic_deadline: float | None = None
        self._baud_code = options.baud_code

    @property
    def faults(self) -> Mapping[Fault, int]:
        """How often each thing went wrong so far."""
        return MappingProxyType(self._faults)

    @property
    def closed(self) -> bool:
        """Whether the line is to be closed once `data_to_send` is sent."""
        return self._hanging_up and not self._link.sending

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None``: not before something comes."""
        # While an answer is under way the link's retries limit the wait.
        traffic_deadline = None if self._link.sending else self._traffic_deadline
        deadlines = (self._link.deadline, traffic_deadline)
        return (
            None if self.closed else min((at for at in deadlines if at is not None), default=None)
        )

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the line, in any split. Never raises for what they hold."""
        if self.closed:
            return
        self._link.receive_data(data, now)
        self._take_events(now)

    def receive_eof(self) -> None:
        """The transport is gone. Safe to call twice."""
        if not self.closed:
            self._end(Fault.TRANSPORT_CLOSED)
            self._hanging_up = True

    def data_to_send(self) -> bytes:
        """Return octets for the line, once."""
        return self._link.data_to_send()

    def next_event(self) -> ServerEvent | None:
        """Return the next thing that happened, or ``None``."""
        return self._events.popleft() if self._events else None

    def handle_deadline(self, now: float) -> None:
        """Tell the server the time; does nothing before `deadline`."""
        if self.closed:
            return
        self._link.handle_deadline(now)
        self._take_events(now)
        if self._link.sending or self._traffic_deadline is None:
            return
        if now >= self._traffic_deadline:
            self._end(Fault.TRAFFIC_TIMEOUT)

    def _take_events(self, now: float) -> None:
        self._heard()
        while (event := self._link.next_event()) is not None and not self.closed:
            self._take(event, now)

    def _heard(self) -> None:
        """Whatever was heard restarts the traffic time, and cannot shorten a Wait."""
        if self._link.heard is None:
            return
        at = self._link.heard + self._link.timing.traffic_s
        before = self._traffic_deadline
        self._traffic_deadline = at if before is None else max(before, at)
        self._link.heard = None

    def _take(self, event: LinkEvent, now: float) -> None:
        match event:
            case Message(octets):
                self._serve(octets, now)
            case OversizedMessage():
                limit = SizeLimitBody(self._options.link.capacity).encode()
                self._answer(None, Response(ResponseCode.REQUEST_TOO_LARGE, limit), now)
            case LinkFailed():
                self._end(Fault.LINK_FAILED)

    def _serve(self, octets: bytes, now: float) -> None:
        try:
            request = decode_request(octets, self._options.dialect)
        except UnknownServiceError:
            self._refuse(None, Fault.UNKNOWN_SERVICE, ResponseCode.SERVICE_NOT_SUPPORTED, now)
            return
        except CodecError:
            self._refuse(None, Fault.MALFORMED_SERVICE, ResponseCode.ERROR, now)
            return
        if not self._allowed(request):
            code = ResponseCode.INVALID_SERVICE_SEQUENCE_STATE
            self._refuse(request, Fault.OUT_OF_STATE, code, now)
            return
        self._restart_traffic_time(now)
        self._answer(request, self._handle(request, now), now)

    def _allowed(self, request: Request) -> bool:
        if isinstance(request, Identify) and self._options.identify_restarts:
            return True
        return type(request) in ALLOWED[self.state]

    def _restart_traffic_time(self, now: float) -> None:
        """A Wait ends with the next request."""
        self._traffic_deadline = now + self._link.timing.traffic_s

    def _handle(self, request: Request, now: float) -> Response:
        match request:
            case Identify():
                return self._identify()
            case Negotiate():
                return self._negotiate(request)
            case TimingSetup():
                return self._set_timing(request)
            case Wait(seconds):
                self._traffic_deadline = now + max(seconds, self._link.timing.traffic_s)
                return ok()
            case Authenticate():
                return self._authenticate(request, now)
            case Terminate() | Disconnect():
                return ok()
            case _:
                return self._application.handle(request, now=now)

    def _identify(self) -> Response:
        options, features = self._options, self._options.features
        if self.state is not SessionState.BASE:
            self._link.restore_defaults()
            self._application.session_ended()
        if options.authentication is not None:
            self._ticket = self._random_bytes(options.authentication.ticket_size)
            algorithm = options.authentication.algorithm
            features = (AuthenticationTicket(1, algorithm, self._ticket), *features)
        return ok(IdentifyBody(options.standard, options.version, options.revision, features))

    def _negotiate(self, request: Negotiate) -> Response:
        if request.packet_size < MIN_PACKET_SIZE or not request.packets:
            return Response(ResponseCode.ERROR)
        packet_size = min(request.packet_size, self._options.link.packet_size)
        packets = min(request.packets, self._options.link.packets)
        self._link.negotiated(packet_size, packets)
        possible = [code for code in request.baud_codes if code in self._options.baud_codes]
        chosen = max(possible, key=BAUD_RATES.__getitem__, default=self._baud_code)
        self._choose_baud_rate(chosen)
        return ok(NegotiateBody(packet_size, packets, chosen))

    def _set_timing(self, request: TimingSetup) -> Response:
        timing = self._link.timing = self._link.timing.changed(request)
        return ok(
            TimingSetupBody(
                _octet(timing.traffic_s),
                _octet(timing.inter_character_s),
                _octet(timing.response_s),
                timing.retries,
            )
        )

    def _authenticate(self, request: Authenticate, now: float) -> Response:
        authentication = self._options.authentication
        if authentication is None:
            return Response(ResponseCode.SERVICE_NOT_SUPPORTED)
        proof = authentication.answer(request.key_id, self._ticket, request.ticket)
        if proof is None:
            self._faults[Fault.AUTHENTICATION_FAILED] += 1
            return Response(self._options.wrong_ticket)
        response = self._application.handle(request, now=now)
        if response.code is not ResponseCode.OK:
            return response
        return ok(AuthenticateBody(request.key_id, proof))

    def _refuse(
        self, request: Request | None, fault: Fault, code: ResponseCode, now: float
    ) -> None:
        self._faults[fault] += 1
        self._answer(request, Response(code), now)

    def _answer(self, request: Request | None, response: Response, now: float) -> None:
        octets = encode_response(response)
        if len(octets) > self._link.capacity:
            self._faults[Fault.RESPONSE_TOO_LARGE] += 1
            limit = SizeLimitBody(self._link.capacity).encode()
            response = Response(self._options.too_large_response, limit)
            octets = encode_response(response)
        # A peer that asks again has given up on the answer before.
        self._link.abandon()
        self._link.send(octets, now)
        self._events.append(Served(request, response.code))
        if response.code is ResponseCode.OK and type(request) in AFTER:
            self._enter(AFTER[type(request)])
            self._hanging_up = isinstance(request, Disconnect)

    def _enter(self, state: SessionState) -> None:
        if state is SessionState.BASE:
            self._leave(None)
        self.state = state

    def _end(self, fault: Fault) -> None:
        """End the session that nobody ended; without one, only forget how the line stood."""
        if self.state is not SessionState.BASE:
            self._faults[fault] += 1
        self._traffic_deadline = None
        self._link.forget()
        self._leave(fault)

    def _leave(self, fault: Fault | None) -> None:
        if self.state is SessionState.BASE:
            return
        self.state = SessionState.BASE
        self._link.restore_defaults()
        self._application.session_ended()
        self._choose_baud_rate(self._options.baud_code)
        self._events.append(SessionEnded(fault))

    def _choose_baud_rate(self, code: int) -> None:
        if code != self._baud_code:
            self._baud_code = code
            self._events.append(BaudRateChosen(BAUD_RATES[code]))


def _octet(seconds: float) -> int:
    """Return ``seconds`` as the wire has it: whole, 1 to 255."""
    return min(255, max(1, round(seconds)))
