"""A notification host: takes what nodes send of themselves, and answers when it is told to.

A head-end answers a push after it is durable, which takes longer than the call that brought it.
So each message becomes a `Notification` event, and `confirm` answers it. Its vector counts as
accepted from then on; until then it is held against others in flight, so that a replay does not
slip in between.
"""

from __future__ import annotations

from typing import Final

from protocols.c12.acse import AuthenticationValue
from protocols.c12.association.channel import Channel
from protocols.c12.association.events import Notification, Opened
from protocols.c12.association.refusals import Refusal, RefusalKind
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.initialization_vectors import ReplayRule
from protocols.c12.message import Sealed
from protocols.c12.services import (
    Dialect,
    Request,
    Response,
    ResponseCode,
    UnknownServiceError,
    decode_request,
    encode_response,
)
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError

_OK: Final = Response(ResponseCode.OK)


class NotificationHost:
    """Takes requests without sessions and leaves their answers to the caller."""

    __slots__ = ("_channel", "_in_flight")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._in_flight: dict[ApTitle, int] = {}

    @property
    def deadline(self) -> float | None:
        """Never: there are no sessions."""
        return None

    def handle_deadline(self, now: float) -> None:
        """Do nothing."""

    def handle(self, sealed: Sealed, now: float) -> None:
        """Report a `Notification`. Raises `Refusal` for what `Channel.refuse` must answer."""
        opened = self._channel.open(sealed)
        self._check_in_flight(opened)
        requests = self._requests(opened)
        self._channel.report(Notification(opened, requests))

    def confirm(self, notification: Notification, *responses: Response) -> None:
        """Accept the vector of ``notification``, and answer if the sender wants to know.

        ``responses`` are one for each request; without any, OK for all. Out of order is fine.
        """
        opened = notification.opened
        self._accept(opened)
        answers = responses or tuple(_OK for _ in notification.requests)
        failed = any(response.code is not ResponseCode.OK for response in answers)
        wanted = notification.response
        if wanted is ResponseControl.NEVER:
            return
        if wanted is ResponseControl.ON_EXCEPTION and not failed:
            return
        own = self._authentication(opened)
        header = self._channel.answer_header(opened.message.header, own)
        services = tuple(encode_response(response) for response in answers)
        self._channel.send(header, Epsem(services, Control(opened.security)))

    def _authentication(self, opened: Opened) -> AuthenticationValue | None:
        if opened.authentication is None:
            return None
        return self._channel.authentication(opened.authentication.key_id)

    def _requests(self, opened: Opened) -> tuple[Request, ...]:
        try:
            services = opened.message.epsem.services
            return tuple(decode_request(service, Dialect.C12_22) for service in services)
        except CodecError as exc:
            known = not isinstance(exc, UnknownServiceError)
            kind = RefusalKind.MALFORMED_SERVICE if known else RefusalKind.UNKNOWN_SERVICE
            message = opened.message
            raise Refusal(kind, str(exc), message.header, message.epsem.control) from exc

    def _check_in_flight(self, opened: Opened) -> None:
        if self._channel.options.replay is not ReplayRule.STRICT:
            return
        authentication = opened.authentication
        if authentication is None:
            return
        highest = self._in_flight.get(opened.peer, -1)
        if authentication.vector <= highest:
            message = opened.message
            detail = f"vector {authentication.vector}, {highest} in flight"
            raise Refusal(
                RefusalKind.REPEATED_VECTOR, detail, message.header, message.epsem.control
            )
        self._in_flight[opened.peer] = authentication.vector

    def _accept(self, opened: Opened) -> None:
        """Accept the vector, unless a later one was confirmed before."""
        authentication = opened.authentication
        if authentication is None or opened.security is SecurityMode.CLEAR:
            return
        last = self._channel.node.accepted.last_accepted(opened.peer.octets)
        if last is None or last < authentication.vector:
            self._channel.accept(opened)
        if self._in_flight.get(opened.peer) == authentication.vector:
            del self._in_flight[opened.peer]
