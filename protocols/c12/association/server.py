"""A node as server: requests in, the application behind, answers out.

Theory of operation
-------------------
Every request stands alone unless its sender has logged on: then a session is open for that title,
with one application object that knows who it is, until Logoff, Terminate, Disconnect or silence.
Outside of a session each message gets an application object of its own, so a Security in it
counts for the services behind it and for nothing else.

A request that comes again (same sender, invocation id and services) is answered again and not
executed again: a client that repeats itself has missed the answer. In a session, where messages
may share one vector, an invocation id that is neither new nor such a repetition is a replay.

A session takes nothing that is less protected than its Logon was: who may do what was found out
under that protection, and a title alone proves nothing.

The association owns Identify, Wait, Terminate, Disconnect and the life of sessions; all else is
the application's. Negotiate and timing setup belong to the serial link and are not supported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

from protocols.c12.acse import AuthenticationValue
from protocols.c12.application import Application
from protocols.c12.association.answered import AnsweredRequests, Remembered
from protocols.c12.association.channel import Channel
from protocols.c12.association.events import ClosingCause, Opened, SessionClosed, SessionOpened
from protocols.c12.association.invocations import InvocationWindow
from protocols.c12.association.refusals import ANSWERS, Refusal, RefusalKind
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.message import Sealed
from protocols.c12.options import SERVER_OPTIONS, ServerOptions, SessionAuthentication
from protocols.c12.segmentation import CannotSegmentError
from protocols.c12.services import (
    Dialect,
    Disconnect,
    Identify,
    Logoff,
    Logon,
    LogonBody,
    Negotiate,
    Request,
    Response,
    ResponseCode,
    Security,
    ServiceCode,
    SizeLimitBody,
    Terminate,
    TimingSetup,
    UnknownServiceError,
    Wait,
    decode_request,
    encode_response,
    ok,
)
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError

ApplicationFactory: TypeAlias = Callable[[ApTitle], Application]
"""Absolute title of the peer -> a fresh application object for it."""

_READS: Final = frozenset(
    bytes((code,)) for code in (ServiceCode.FULL_READ, ServiceCode.OFFSET_READ)
)
_CACHED_READS: Final = 1024
_OUT_OF_PLACE: Final = Response(ResponseCode.INVALID_SERVICE_SEQUENCE_STATE)


@dataclass(slots=True)
class _Session:
    """What a Logon opened; ``security`` and ``theirs`` are how its last attempt came."""

    application: Application
    timeout_s: int
    deadline: float
    security: SecurityMode
    theirs: AuthenticationValue | None
    ours: AuthenticationValue | None = None
    window: InvocationWindow = field(default_factory=InvocationWindow)


@dataclass(slots=True)
class _Turn:
    """The serving of one message; ``session`` is the one that it opened or belongs to."""

    opened: Opened
    application: Application
    session: _Session | None
    now: float

    @property
    def peer(self) -> ApTitle:
        return self.opened.peer


class ServerAssociation:
    """Serves whoever addresses the channel's node. See `Endpoint` for octets in and out."""

    __slots__ = ("_answered", "_applications", "_channel", "_options", "_sessions")

    def __init__(
        self,
        channel: Channel,
        applications: ApplicationFactory,
        options: ServerOptions = SERVER_OPTIONS,
    ) -> None:
        self._channel = channel
        self._applications = applications
        self._options = options
        self._sessions: dict[ApTitle, _Session] = {}
        self._answered = AnsweredRequests(options)

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._sessions)

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None`` without a session."""
        return min((session.deadline for session in self._sessions.values()), default=None)

    def handle_deadline(self, now: float) -> None:
        """End the sessions that were silent for too long."""
        for peer in [p for p, session in self._sessions.items() if session.deadline <= now]:
            self._close(peer, ClosingCause.IDLE)

    def end(self) -> None:
        """End all sessions: the transport is gone for good."""
        for peer in list(self._sessions):
            self._close(peer, ClosingCause.DISCONNECTED)

    def handle(self, sealed: Sealed, now: float) -> None:
        """Serve a request. Raises `Refusal` for what `Channel.refuse` must answer."""
        calling = sealed.header.calling
        session = None
        if calling is not None:
            session = self._sessions.get(self._channel.absolute(calling))
        opened = self._opened(sealed, session)
        remembered = self._answered.find(opened, now)
        if remembered is not None:
            what = f"invocation id {opened.message.header.calling_invocation.hex()}"
            self._count(RefusalKind.REPEATED_REQUEST, what, opened)
            self._channel.accept(opened)
            self._answer_again(opened, session, remembered)
            return
        self._check_invocation(opened, session)
        self._channel.accept(opened)
        application = session.application if session else self._applications(opened.peer)
        turn = _Turn(opened, application, session, now)
        responses = self._execute(turn)
        self._answered.remember(opened, responses, now, opened_session=session is not turn.session)
        self._answer(opened, turn.session, responses)

    def _opened(self, sealed: Sealed, session: _Session | None) -> Opened:
        if session is None:
            return self._channel.open(sealed)
        required = max(self._channel.options.required_security, session.security)
        return self._channel.open(sealed, session.theirs, required=required)

    def _execute(self, turn: _Turn) -> tuple[Response, ...]:
        responses = []
        for service in turn.opened.message.epsem.services:
            try:
                request = _decoded(service)
            except CodecError as exc:
                known = not isinstance(exc, UnknownServiceError)
                kind = RefusalKind.MALFORMED_SERVICE if known else RefusalKind.UNKNOWN_SERVICE
                self._count(kind, str(exc), turn.opened)
                responses.append(Response(ANSWERS[kind]))
                continue
            response = self._serve(request, turn)
            if not self._is_silent(request, response, turn):
                responses.append(response)
        session = turn.session
        if session is None:
            turn.application.session_ended()
        elif turn.peer in self._sessions:
            session.deadline = max(session.deadline, turn.now + session.timeout_s)
        return tuple(responses)

    def _is_silent(self, request: Request, response: Response, turn: _Turn) -> bool:
        return (
            isinstance(request, Security)
            and turn.session is None
            and response.code is ResponseCode.OK
            and not self._options.answers_to_security
        )

    def _serve(self, request: Request, turn: _Turn) -> Response:
        match request:
            case Identify():
                return ok(self._options.identity)
            case Negotiate() | TimingSetup():
                return Response(ResponseCode.SERVICE_NOT_SUPPORTED)
            case Logon():
                return self._logon(request, turn)
            case Logoff() | Wait() if turn.peer not in self._sessions:
                return _OUT_OF_PLACE
            case Logoff():
                return self._logoff(request, turn)
            case Wait():
                session = self._sessions[turn.peer]
                session.deadline = turn.now + session.timeout_s + request.seconds
                return ok()
            case Terminate():
                self._close(turn.peer, ClosingCause.TERMINATED)
                return ok()
            case Disconnect():
                self._close(turn.peer, ClosingCause.DISCONNECTED)
                return ok()
            case _:
                return turn.application.handle(request, now=turn.now)

    def _logon(self, request: Logon, turn: _Turn) -> Response:
        if turn.peer in self._sessions:
            return _OUT_OF_PLACE
        if len(self._sessions) >= self._options.max_sessions:
            what = f"{len(self._sessions)} open"
            self._count(RefusalKind.TOO_MANY_SESSIONS, what, turn.opened)
            return Response(ResponseCode.DEVICE_BUSY)
        response = turn.application.handle(request, now=turn.now)
        if response.code is not ResponseCode.OK:
            return response
        timeout_s = self._granted(request, response)
        session = _Session(
            turn.application,
            timeout_s,
            turn.now + timeout_s,
            turn.opened.security,
            turn.opened.authentication,
        )
        self._answered.forget(turn.peer)
        self._sessions[turn.peer] = turn.session = session
        self._channel.report(SessionOpened(turn.peer, timeout_s))
        return ok(LogonBody(timeout_s))

    def _granted(self, request: Logon, response: Response) -> int:
        """Return the session's timeout: what the application said, or what was asked for."""
        asked = request.timeout_s
        if response.body:
            asked = LogonBody.decode(response.body, Dialect.C12_22).timeout_s
        return min(
            asked or self._options.max_session_timeout_s, self._options.max_session_timeout_s
        )

    def _logoff(self, request: Logoff, turn: _Turn) -> Response:
        response = turn.application.handle(request, now=turn.now)
        if response.code is ResponseCode.OK:
            self._sessions.pop(turn.peer, None)
            self._answered.forget(turn.peer)
            self._channel.report(SessionClosed(turn.peer, ClosingCause.LOGGED_OFF))
        return response

    def _close(self, peer: ApTitle, cause: ClosingCause) -> None:
        session = self._sessions.pop(peer, None)
        if session is not None:
            session.application.session_ended()
            self._answered.forget(peer)
            self._channel.report(SessionClosed(peer, cause))

    def _check_invocation(self, opened: Opened, session: _Session | None) -> None:
        """Refuse a replay in a session, whose messages need not have vectors of their own.

        Messages in clear have no part in it: anybody could use up the invocation ids with one.
        """
        if session is None or opened.security is SecurityMode.CLEAR:
            return
        message = opened.message
        invocation = _invocation(opened)
        shares_vector = message.header.authentication is None
        if shares_vector and not session.window.is_new(invocation):
            raise Refusal(
                RefusalKind.REPEATED_INVOCATION,
                f"invocation id {invocation}",
                message.header,
                message.epsem.control,
            )
        session.window.mark(invocation)

    def _answer_again(
        self, opened: Opened, session: _Session | None, remembered: Remembered
    ) -> None:
        own = None
        if remembered.opened_session and session is not None:
            # The client missed the answer to its Logon, and with it the value that the session
            # implies; so it gets that one again. Its own is the one of its last attempt.
            session.security, session.theirs = opened.security, opened.authentication
            own = session.ours
        self._answer(opened, session, remembered.responses, own)

    def _answer(
        self,
        opened: Opened,
        session: _Session | None,
        responses: tuple[Response, ...],
        own: AuthenticationValue | None = None,
    ) -> None:
        request = opened.message
        wanted = request.epsem.control.response
        failed = any(response.code is not ResponseCode.OK for response in responses)
        if wanted is ResponseControl.NEVER:
            return
        if wanted is ResponseControl.ON_EXCEPTION and not failed:
            return
        apdu = self._seal(opened, session, responses, own)
        if len(apdu) > self._options.max_response_size:
            limit = SizeLimitBody(self._options.max_response_size)
            too_large = Response(ResponseCode.RESPONSE_TOO_LARGE, limit.encode())
            self._count(RefusalKind.RESPONSE_TOO_LARGE, f"{len(apdu)} octets", opened)
            apdu = self._seal(opened, session, (too_large,), own)
        try:
            self._channel.send_whole(apdu)
        except CannotSegmentError as exc:
            raise Refusal(RefusalKind.CANNOT_SEGMENT, str(exc), request.header) from exc

    def _seal(
        self,
        opened: Opened,
        session: _Session | None,
        responses: tuple[Response, ...],
        own: AuthenticationValue | None,
    ) -> bytes:
        """Return the answer, protected as the request was."""
        request = opened.message
        asked = request.epsem.control
        epsem = Epsem(
            tuple(encode_response(response) for response in responses),
            Control(asked.security, recovery=asked.recovery, proxy=asked.proxy),
            self._options.ed_class if request.epsem.ed_class is not None else None,
        )
        implied = None
        if own is None:
            own, implied = self._authentication(opened, session)
        return self._channel.seal(self._channel.answer_header(request.header, own), epsem, implied)

    def _authentication(
        self, opened: Opened, session: _Session | None
    ) -> tuple[AuthenticationValue | None, AuthenticationValue | None]:
        """Return the answer's own authentication value, or the one that the session implies.

        A value is implied only to a peer that implies its own: one that has lost the session, or
        never got to know of it, says its own.
        """
        if opened.authentication is None:
            return None, None
        implies = opened.message.header.authentication is None
        first_only = self._channel.options.session_authentication is SessionAuthentication.FIRST
        if session is not None and implies and first_only and session.ours is not None:
            return None, session.ours
        own = self._channel.authentication(opened.authentication.key_id)
        if session is not None and session.ours is None:
            session.ours = own
        return own, None

    def _count(self, kind: RefusalKind, detail: str, opened: Opened) -> None:
        self._channel.count(Refusal(kind, detail, opened.message.header))


def _decoded(service: bytes) -> Request:
    if service[:1] in _READS:
        return _decoded_read(service)
    return decode_request(service, Dialect.C12_22)


@lru_cache(_CACHED_READS)
def _decoded_read(service: bytes) -> Request:
    """Return a read, kept: whoever pulls asks all meters for the same."""
    return decode_request(service, Dialect.C12_22)


def _invocation(opened: Opened) -> int:
    return int.from_bytes(opened.message.header.calling_invocation, "big")
