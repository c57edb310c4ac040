"""A node as client: requests out, many at once and to many nodes, and what became of each.

Theory of operation
-------------------
A request is one message with one or more services. It is known by the title it went to and its
invocation id, which the answer echoes; requests to a title wait for nothing but `logon`'s answer.
Through a relay nothing changes: the title is all that matters.

A request with a Logon opens a session with that title once it is answered with OK: then
invocation ids start again, and messages lean on the authentication values of Logon and answer
until the session ends, by Logoff, Terminate, Disconnect or silence.

Every request ends in exactly one of `Answered`, `RequestRefused`, `RequestFailed`, `NoException`;
one that wants no answer ends in none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, TypeAlias

from protocols.c12 import ber
from protocols.c12.acse import Header
from protocols.c12.association.channel import Channel
from protocols.c12.association.events import (
    Answered,
    ClosingCause,
    Failure,
    NoException,
    Opened,
    RequestFailed,
    RequestRefused,
    SessionClosed,
    SessionOpened,
)
from protocols.c12.association.outstanding import (
    DELIVERY,
    ClientSession,
    Delivery,
    Outstanding,
)
from protocols.c12.association.refusals import Refusal, RefusalKind
from protocols.c12.association.waiting import Timers, WaitingRequests
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.message import Sealed
from protocols.c12.options import CLIENT_OPTIONS, ClientOptions, SessionAuthentication
from protocols.c12.services import (
    Dialect,
    Disconnect,
    FullRead,
    Logoff,
    Logon,
    LogonBody,
    OffsetRead,
    Request,
    Response,
    ResponseCode,
    Terminate,
    decode_response,
    encode_request,
)
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError, LocalProtocolError

ABOUT_THE_MESSAGE: Final = frozenset(
    {
        ResponseCode.SECURITY_MECHANISM_ERROR,
        ResponseCode.UNKNOWN_APPLICATION_TITLE,
        ResponseCode.NETWORK_TIMEOUT,
        ResponseCode.NETWORK_NOT_REACHABLE,
        ResponseCode.REQUEST_TOO_LARGE,
        ResponseCode.RESPONSE_TOO_LARGE,
        ResponseCode.SEGMENTATION_NOT_POSSIBLE,
        ResponseCode.SEGMENTATION_ERROR,
    }
)
"""Errors that are about a whole message, however many services it had."""

_CACHED_READS: Final = 1024
_ENDINGS: Final = {
    Logoff: ClosingCause.LOGGED_OFF,
    Terminate: ClosingCause.TERMINATED,
    Disconnect: ClosingCause.DISCONNECTED,
}


_Timed: TypeAlias = Outstanding | tuple[ApTitle, ClientSession]
"""What has a deadline."""


class ClientAssociation:
    """Asks other nodes on behalf of the channel's node. See `Endpoint` for octets in and out."""

    __slots__ = (
        "_calling",
        "_channel",
        "_options",
        "_sessions",
        "_timers",
        "_waiting",
    )

    def __init__(self, channel: Channel, options: ClientOptions = CLIENT_OPTIONS) -> None:
        self._channel = channel
        self._options = options
        title = channel.node.title
        base = channel.options.message.base
        self._calling = title.relative_to(base) if options.relative_titles else title
        self._waiting = WaitingRequests()
        self._sessions: dict[ApTitle, ClientSession] = {}
        self._timers = Timers[_Timed]()

    @property
    def outstanding(self) -> int:
        """How many requests wait for their answers."""
        return len(self._waiting)

    def has_session(self, peer: ApTitle) -> bool:
        """Return whether a session is open with the node of that title."""
        return self._channel.absolute(peer) in self._sessions

    def request(
        self,
        called: ApTitle,
        requests: Sequence[Request],
        *,
        now: float,
        delivery: Delivery = DELIVERY,
    ) -> int:
        """Send ``requests`` in one message to ``called``; return its invocation id.

        In a session the message belongs to it.

        Raises:
            LocalProtocolError: too many outstanding; a Logon in a session or beside other
                requests to the same title; protected without a key (`MissingKeyError`); or
                too long for the way and not to be segmented (`CannotSegmentError`).
            CodecError: a field does not fit.
        """
        peer = self._channel.absolute(called)
        if len(self._waiting) >= self._options.max_outstanding:
            raise LocalProtocolError(f"{len(self._waiting)} requests outstanding")
        self._check_logon(peer, requests)
        session = self._sessions.get(peer)
        waiting = self._prepare(called, peer, tuple(requests), session, delivery, now)
        self._send(waiting)
        if delivery.response is not ResponseControl.NEVER:
            self._waiting.add(waiting)
            self._timers.note(waiting.deadline, waiting)
        return waiting.invocation

    def cancel(self, peer: ApTitle, invocation: int) -> bool:
        """Forget a request; its answer will count as unexpected. False if there was none."""
        return self._waiting.take(self._channel.absolute(peer), invocation) is not None

    def forget_session(self, peer: ApTitle) -> None:
        """Give a session up without a word: the peer seems to have lost it."""
        self._end_session(self._channel.absolute(peer), ClosingCause.TERMINATED)

    def handle(self, sealed: Sealed, now: float) -> None:
        """Take an answer. Raises `Refusal` for what must be counted."""
        header = sealed.header
        assert header.called_invocation is not None, "only answers come here"
        if header.calling is None:
            raise Refusal(RefusalKind.MALFORMED, "no calling ApTitle", header)
        peer = self._channel.absolute(header.calling)
        invocation = int.from_bytes(header.called_invocation, "big")
        waiting = self._waiting.get(peer, invocation)
        waiting = waiting or self._refused_on_the_way(sealed, invocation)
        if waiting is None:
            detail = f"invocation id {invocation}"
            raise Refusal(RefusalKind.UNEXPECTED_RESPONSE, detail, header)
        session = waiting.session
        opened = self._channel.open(
            sealed, session.theirs if session else None, required=SecurityMode.CLEAR
        )
        responses = self._responses(opened)
        is_refusal = len(responses) == 1 and responses[0].code in ABOUT_THE_MESSAGE
        if opened.security < self._least(waiting):
            is_refusal = len(responses) == 1 and responses[0].code is not ResponseCode.OK
            if not (is_refusal and self._options.accepts_clear_refusals):
                detail = opened.security.name.lower()
                raise Refusal(RefusalKind.NOT_PROTECTED, detail, header)
        self._channel.accept(opened)
        self._waiting.take(waiting.peer, waiting.invocation)
        if is_refusal:
            self._channel.report(
                RequestRefused(invocation, waiting.peer, peer, responses[0].code, responses[0].body)
            )
        else:
            self._answered(waiting, opened, responses, now)

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None`` when nothing is waited for."""
        return self._timers.deadline(self._is_due_at)

    def handle_deadline(self, now: float) -> None:
        """Try again, or give up, what was not answered in time; end sessions that fell silent."""
        for what in self._timers.due(now, self._is_due_at):
            if isinstance(what, Outstanding):
                self._late(what, now)
            else:
                self._silent(*what, now)

    def _prepare(
        self,
        called: ApTitle,
        peer: ApTitle,
        requests: tuple[Request, ...],
        session: ClientSession | None,
        delivery: Delivery,
        now: float,
    ) -> Outstanding:
        if session is None:
            invocation = self._channel.next_invocation()
        else:
            session.invocation += 1
            invocation = session.invocation
        header = Header(
            called,
            self._calling,
            ber.unsigned(invocation, "calling_invocation"),
            qualifier=delivery.qualifier,
        )
        control = Control(delivery.security, delivery.response, delivery.recovery, delivery.proxy)
        services = tuple(_encoded(request) for request in requests)
        once = delivery.response is not ResponseControl.ALWAYS
        retries = self._options.retries if delivery.retries is None else delivery.retries
        timeout_s = self._options.timeout_s if delivery.timeout_s is None else delivery.timeout_s
        return Outstanding(
            invocation,
            peer,
            requests,
            header,
            Epsem(services, control, delivery.ed_class),
            delivery.key_id,
            now + timeout_s,
            timeout_s,
            0 if once else retries,
            session,
        )

    def _send(self, waiting: Outstanding) -> None:
        if waiting.epsem.control.security is SecurityMode.CLEAR:
            self._channel.send(waiting.header, waiting.epsem)
            return
        session = waiting.session
        first_only = self._channel.options.session_authentication is SessionAuthentication.FIRST
        if session is not None and session.ours is not None and first_only:
            self._channel.send(waiting.header, waiting.epsem, session.ours)
            return
        own = self._channel.authentication(waiting.key_id)
        self._channel.send(replace(waiting.header, authentication=own), waiting.epsem)
        waiting.sent_under = own

    def _check_logon(self, peer: ApTitle, requests: Sequence[Request]) -> None:
        pending = self._waiting.of(peer)
        if any(waiting.logon for waiting in pending):
            raise LocalProtocolError(f"a Logon to {peer} is outstanding")
        if not any(isinstance(request, Logon) for request in requests):
            return
        if peer in self._sessions:
            raise LocalProtocolError(f"logged on to {peer} already")
        if pending:
            # Invocation ids start again with the session: answers could be mistaken.
            raise LocalProtocolError(f"{len(pending)} requests to {peer} outstanding")

    def _refused_on_the_way(self, sealed: Sealed, invocation: int) -> Outstanding | None:
        """Return the one request that a node other than its addressee may be refusing."""
        if sealed.control.security is not SecurityMode.CLEAR:
            return None
        found = list(self._waiting.numbered(invocation))
        if len(found) != 1:
            return None
        try:
            (response,) = (decode_response(service) for service in self._services(sealed))
        except (CodecError, ValueError):
            return None
        return found[0] if response.code in ABOUT_THE_MESSAGE else None

    @staticmethod
    def _services(sealed: Sealed) -> tuple[bytes, ...]:
        return sealed.open(None).epsem.services

    def _least(self, waiting: Outstanding) -> SecurityMode:
        required = self._channel.options.required_security
        return max(required, waiting.epsem.control.security)

    def _responses(self, opened: Opened) -> tuple[Response, ...]:
        try:
            services = opened.message.epsem.services
            return tuple(decode_response(service) for service in services)
        except CodecError as exc:
            header = opened.message.header
            raise Refusal(RefusalKind.MALFORMED_SERVICE, str(exc), header) from exc

    def _answered(
        self,
        waiting: Outstanding,
        opened: Opened,
        responses: tuple[Response, ...],
        now: float,
    ) -> None:
        authentication = opened.authentication
        vector = None if authentication is None else authentication.vector
        self._channel.report(
            Answered(waiting.invocation, waiting.peer, responses, opened.security, vector)
        )
        session = waiting.session
        if session is not None:
            session.deadline = max(session.deadline, now + session.timeout_s)
        for request, response in zip(waiting.requests, responses, strict=False):
            if response.code is not ResponseCode.OK:
                continue
            if isinstance(request, Logon):
                self._open_session(waiting, response, opened, now)
            elif type(request) in _ENDINGS:
                self._end_session(waiting.peer, _ENDINGS[type(request)])

    def _open_session(
        self,
        waiting: Outstanding,
        response: Response,
        opened: Opened,
        now: float,
    ) -> None:
        try:
            timeout_s = LogonBody.decode(response.body, Dialect.C12_22).timeout_s or 0
        except CodecError as exc:
            header = opened.message.header
            raise Refusal(RefusalKind.MALFORMED_SERVICE, str(exc), header) from exc
        deadline = now + timeout_s if timeout_s else math.inf
        session = ClientSession(timeout_s, deadline, waiting.sent_under, opened.authentication)
        self._sessions[waiting.peer] = session
        if timeout_s:
            self._timers.note(deadline, (waiting.peer, session))
        self._channel.report(SessionOpened(waiting.peer, timeout_s))

    def _end_session(self, peer: ApTitle, cause: ClosingCause) -> None:
        if self._sessions.pop(peer, None) is None:
            return
        # All of them belong to the session: Logon went out when there were none.
        for waiting in self._waiting.of(peer):
            self._waiting.take(peer, waiting.invocation)
            self._channel.report(RequestFailed(waiting.invocation, peer, Failure.SESSION_ENDED))
        self._channel.report(SessionClosed(peer, cause))

    def _late(self, waiting: Outstanding, now: float) -> None:
        if waiting.retries:
            waiting.retries -= 1
            waiting.deadline = now + waiting.timeout_s
            self._timers.note(waiting.deadline, waiting)
            self._send(waiting)
            return
        self._waiting.take(waiting.peer, waiting.invocation)
        if waiting.epsem.control.response is ResponseControl.ON_EXCEPTION:
            self._channel.report(NoException(waiting.invocation, waiting.peer))
        else:
            self._channel.report(RequestFailed(waiting.invocation, waiting.peer, Failure.TIMED_OUT))

    def _silent(self, peer: ApTitle, session: ClientSession, now: float) -> None:
        if session.deadline > now:
            self._timers.note(session.deadline, (peer, session))
        else:
            self._end_session(peer, ClosingCause.IDLE)

    def _is_due_at(self, what: _Timed, deadline: float) -> bool:
        if isinstance(what, Outstanding):
            waiting = self._waiting.get(what.peer, what.invocation)
            return waiting is what and what.deadline == deadline
        return self._sessions.get(what[0]) is what[1]


def _encoded(request: Request) -> bytes:
    if isinstance(request, FullRead | OffsetRead):
        return _encoded_read(request)
    return encode_request(request, Dialect.C12_22)


@lru_cache(_CACHED_READS)
def _encoded_read(request: FullRead | OffsetRead) -> bytes:
    """Return a read as octets, kept: all meters are asked for the same."""
    return encode_request(request, Dialect.C12_22)
