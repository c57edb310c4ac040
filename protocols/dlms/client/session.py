"""A client's end of one association over one transport connection.

Theory of operation
-------------------
The caller asks (`associate`, `get`, `set`, `action`, `release`), sends what `data_to_send` gives,
feeds what comes and takes events. One request is outstanding at a time; a second is our own
mistake (`LocalProtocolError`). Block transfer and the two last HLS passes happen inside::

    session.associate(now)
    send(session.data_to_send())
    session.receive_data(data, now)     # any split
    while event := session.next_event():
        ...

What the server sends is believed only after its tag and its counter are checked. A frame that is
not believed is reported (`Refused`) and ignored: whoever sent it does not end the wait for the
real answer, only the response timeout does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from protocols.dlms import apdu
from protocols.dlms.apdu import (
    Aare,
    ActionRequestNormal,
    AttributeItem,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    MechanismName,
    SelectiveAccess,
)
from protocols.dlms.association import (
    READY,
    Aborted,
    Association,
    AssociationAccepted,
    AssociationPending,
    AssociationRejected,
    AssociationRequest,
    HlsAccepted,
    HlsRejected,
    HlsReply,
    Notification,
    ReleaseRequest,
    ReleaseResponse,
    Role,
    ServiceRequest,
    ServiceResponse,
    State,
)
from protocols.dlms.blocks import BlockError
from protocols.dlms.ciphering import Cipher, Envelope, refusal_kind
from protocols.dlms.client import events
from protocols.dlms.client.envelopes import (
    EXCEPTION_TAG,
    lacks_protection,
    open_envelope,
    tag_of,
)
from protocols.dlms.client.events import ClientEvent
from protocols.dlms.client.exchange import (
    ActionExchange,
    Exchange,
    GetExchange,
    GetListExchange,
    SetExchange,
)
from protocols.dlms.client.opening import Terms, Unbelievable, believe, proposal
from protocols.dlms.client.proving import missing_proof, third_pass
from protocols.dlms.client.settings import ClientSettings
from protocols.dlms.data import Data
from protocols.dlms.hls import CHALLENGE_SIZE
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.security import SecurityError
from protocols.dlms.wrapper import Wpdu, WpduReader
from protocols.errors import CodecError, LocalProtocolError, RemoteProtocolError

CLIENT, SERVER = Role.CLIENT, Role.SERVER
CONFIRMED_HIGH_PRIORITY: Final = 0xC0


class ClientSession:
    """Sans-IO client for one connection and one association.

    ``random_bytes(n)`` gives challenges. Times are seconds of any monotonic clock. After
    `closed` the caller closes the transport.
    """

    def __init__(self, settings: ClientSettings, *, random_bytes: Callable[[int], bytes]) -> None:
        self.closed = False
        self.last_invocation_counter: int | None = None
        """The counter of the APDU that was ciphered last; ``None`` as long as none was."""
        self._settings = settings
        self._random_bytes = random_bytes
        self._machine = Association(
            CLIENT, inactivity_timeout_s=None, response_timeout_s=settings.response_timeout_s
        )
        self._reader = WpduReader()
        self._outgoing = bytearray()
        self._events: deque[ClientEvent] = deque()
        self._challenge = b""
        self._terms: Terms | None = None
        self._exchange: Exchange | None = None
        self._invoke = 0

    @property
    def associated(self) -> bool:
        """Whether a request may be made, or one is outstanding."""
        return self._machine.state in {*READY, State.AWAITING_RESPONSE}

    @property
    def deadline(self) -> float | None:
        """When the server's answer is overdue; ``None`` while none is owed."""
        return self._machine.deadline

    # What we ask

    def associate(self, now: float) -> None:
        """Propose the association; answered by `Associated` or `AssociationFailed`."""
        self._require_open()
        self._machine.apply(CLIENT, AssociationRequest, now)
        self._terms = self._exchange = None
        settings = self._settings
        if settings.mechanism is MechanismName.HLS_GMAC:
            self._challenge = self._random_bytes(CHALLENGE_SIZE)
        # The partner is not known yet; sealing needs only our own title.
        cipher = Cipher(settings.security, b"") if settings.security else None
        octets, counter = proposal(settings, cipher, self._challenge)
        self._count(counter)
        self._send(octets)

    def get(
        self,
        attribute: CosemAttributeDescriptor,
        now: float,
        *,
        access: SelectiveAccess | None = None,
        encoded: bool = False,
    ) -> None:
        """Ask for an attribute; answered by `GetResult`, with the value left encoded if wished."""
        request = apdu.GetRequestNormal(self._next_invoke(), attribute, access)
        limit = self._settings.max_transfer_size
        self._begin(GetExchange(request, limit, encoded=encoded), now)

    def get_with_list(self, items: Sequence[AttributeItem], now: float) -> None:
        """Ask for several attributes; answered by `GetListResult`."""
        request = apdu.GetRequestWithList(self._next_invoke(), tuple(items))
        self._begin(GetListExchange(request, self._settings.max_transfer_size), now)

    def set(
        self,
        attribute: CosemAttributeDescriptor,
        value: Data,
        now: float,
        *,
        access: SelectiveAccess | None = None,
    ) -> None:
        """Write an attribute, in blocks if it does not fit; answered by `SetResult`."""
        request = apdu.SetRequestNormal(self._next_invoke(), attribute, access, value)
        self._begin(SetExchange(request), now)

    def action(
        self, method: CosemMethodDescriptor, now: float, parameters: Data | None = None
    ) -> None:
        """Invoke a method; answered by `ActionAnswer`."""
        request = apdu.ActionRequestNormal(self._next_invoke(), method, parameters)
        self._begin(ActionExchange(request, self._settings.max_transfer_size), now)

    def release(self, now: float) -> None:
        """Ask to end the association; answered by `Released`."""
        self._require_open()
        self._machine.apply(CLIENT, ReleaseRequest, now)
        self._send(apdu.encode_apdu(apdu.Rlrq(reason=apdu.ReleaseReason.NORMAL)))

    # Octets, events, time

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the server, in any split. Never raises for what they hold."""
        if self.closed:
            return
        self._reader.feed(data)
        try:
            while not self.closed and (pdu := self._reader.next_pdu()) is not None:
                self._receive(pdu, now)
        except CodecError as problem:
            # Without a frame boundary nothing after this can be trusted.
            self._refuse(RefusalKind.BAD_FRAME, str(problem))
            self._disconnect(CLIENT)

    def receive_eof(self) -> None:
        """The server closed the transport. Safe to call twice."""
        self._disconnect(SERVER)

    def data_to_send(self) -> bytes:
        """Return the octets the transport must send, once."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def next_event(self) -> ClientEvent | None:
        """Return the next thing that happened, or ``None``."""
        return self._events.popleft() if self._events else None

    def handle_deadline(self, now: float) -> None:
        """Tell the session the time; does nothing before `deadline`."""
        if self._machine.expired(now):
            self._machine.apply(CLIENT, Aborted, now)
            self._machine.close(CLIENT)
            self._events.append(events.TimedOut())
            self.closed = True
        assert self.deadline is None or self.deadline > now

    # Requests

    def _begin(self, exchange: Exchange, now: float) -> None:
        self._require_open()
        if self._machine.state is State.ASSOCIATED and self._terms is not None:
            octets = exchange.start(self._terms.room(self._settings.envelope))
            self._machine.apply(CLIENT, ServiceRequest, now)
            self._exchange = exchange
            self._send_service(octets)
        else:
            self._machine.apply(CLIENT, ServiceRequest, now)  # raises: says who, what and where

    def _next_invoke(self) -> int:
        self._invoke = (self._invoke + 1) % 16
        return CONFIRMED_HIGH_PRIORITY | self._invoke

    def _require_open(self) -> None:
        if self.closed:
            raise LocalProtocolError("the session is closed")

    # Frames from the server

    def _receive(self, pdu: Wpdu, now: float) -> None:
        settings = self._settings
        if (pdu.source, pdu.destination) != (settings.server_sap, settings.client_sap):
            detail = f"from {pdu.source} to {pdu.destination}"
            self._refuse(RefusalKind.OUT_OF_TURN, detail)
        elif len(pdu.apdu) > settings.max_pdu_size:
            self._refuse(RefusalKind.OVERSIZED_APDU, f"{len(pdu.apdu)} octets")
        else:
            self._take(pdu.apdu, now)

    def _take(self, octets: bytes, now: float) -> None:
        try:
            opened = open_envelope(octets, self._terms.cipher if self._terms else None)
            if lacks_protection(tag_of(octets), opened, self._settings):
                detail = f"APDU {tag_of(octets):#04x} with {opened.protection!r}"
                self._refuse(RefusalKind.NOT_PROTECTED_ENOUGH, detail)
            else:
                self._dispatch(opened.octets, now)
        except BlockError as problem:
            self._refuse(RefusalKind.BLOCK_OUT_OF_TURN, str(problem))
            assert self._exchange is not None  # only an exchange has blocks
            self._finish(self._exchange.failed(problem), now)
        except SecurityError as problem:
            self._refuse(refusal_kind(problem), str(problem))
        except CodecError as problem:
            unknown = problem.path == "tag"
            kind = RefusalKind.UNKNOWN_APDU if unknown else RefusalKind.MALFORMED_APDU
            self._refuse(kind, str(problem))
        except RemoteProtocolError as problem:
            self._refuse(RefusalKind.OUT_OF_TURN, str(problem))

    def _dispatch(self, octets: bytes, now: float) -> None:
        state = self._machine.state
        tag = tag_of(octets)
        if tag in NOTIFICATION_TAGS:
            self._notified(octets, now)
        elif state is State.ASSOCIATING:
            self._answered(octets, now)
        elif tag == EXCEPTION_TAG:
            self._excepted(octets, now)
        elif self._exchange is not None and state in EXCHANGING:
            self._proceed(self._exchange, octets, now)
        else:
            message = apdu.decode_apdu(octets)
            if not isinstance(message, apdu.Rlre):
                raise RemoteProtocolError(f"{type(message).__name__} in {state.name}")
            self._machine.apply(SERVER, ReleaseResponse, now)
            self._terms = None
            self._events.append(events.Released())

    def _notified(self, octets: bytes, now: float) -> None:
        message = apdu.decode_apdu(octets)
        assert isinstance(message, (apdu.DataNotification, apdu.EventNotificationRequest))
        deadline = self._machine.deadline
        self._machine.apply(SERVER, Notification, now)
        if self._machine.deadline is not None:
            self._machine.deadline = deadline  # a notification does not answer the request
        self._events.append(events.Notified(message))

    # AARE and HLS

    def _answered(self, octets: bytes, now: float) -> None:
        message = apdu.decode_apdu(octets)
        if not isinstance(message, Aare):
            raise RemoteProtocolError(f"{type(message).__name__} instead of an AARE")
        try:
            terms = believe(message, self._settings)
        except Unbelievable as problem:
            self._machine.apply(SERVER, AssociationRejected, now)
            self._events.append(problem.failure)
            return
        self._terms = terms
        if terms.challenge and terms.cipher is not None:
            self._machine.apply(SERVER, AssociationPending, now)
            self._reply_to_hls(third_pass(self._next_invoke(), terms.cipher, terms.challenge), now)
        else:
            self._machine.apply(SERVER, AssociationAccepted, now)
            self._report_associated(terms)

    def _reply_to_hls(self, request: ActionRequestNormal, now: float) -> None:
        self._exchange = ActionExchange(request, self._settings.max_transfer_size)
        self._machine.apply(CLIENT, HlsReply, now)
        self._send_service(apdu.encode_apdu(request))

    def _proved(self, answer: ClientEvent, now: float) -> None:
        """Check the fourth pass: the server's answer to our challenge."""
        terms = self._terms
        assert terms is not None
        assert terms.cipher is not None  # HLS replies are only sent with one
        failure = missing_proof(answer, terms.cipher, self._challenge)
        if failure is None:
            self._machine.apply(SERVER, HlsAccepted, now)
            self._report_associated(terms)
            return
        self._machine.apply(SERVER, HlsRejected, now)
        self._terms = None
        kind = RefusalKind.AUTHENTICATION_FAILED
        self._events.append(events.AssociationFailed(kind, failure))

    def _report_associated(self, terms: Terms) -> None:
        self._events.append(
            events.Associated(terms.conformance, terms.max_send_pdu_size, terms.server_system_title)
        )

    # Services

    def _proceed(self, exchange: Exchange, octets: bytes, now: float) -> None:
        step = exchange.receive(octets)
        if step.event is not None:
            self._finish(step.event, now)
        elif step.octets is not None:
            self._machine.apply(SERVER, ServiceResponse, now)
            self._machine.apply(CLIENT, ServiceRequest, now)
            self._send_service(step.octets)

    def _finish(self, event: ClientEvent, now: float) -> None:
        self._exchange = None
        if self._machine.state is State.HLS_REPLYING:
            self._proved(event, now)
        else:
            self._machine.apply(SERVER, ServiceResponse, now)
            self._events.append(event)

    def _excepted(self, octets: bytes, now: float) -> None:
        message = apdu.decode_apdu(octets)
        assert isinstance(message, apdu.ExceptionResponse)
        if self._exchange is None:
            raise RemoteProtocolError("ExceptionResponse without a request")
        self._finish(events.ServiceRefused(message), now)

    def _send_service(self, octets: bytes) -> None:
        if self._settings.envelope is Envelope.PLAIN:
            self._send(octets)
            return
        assert self._terms is not None
        assert self._terms.cipher is not None  # settings and AARE saw to it
        sealed, counter = self._terms.cipher.seal(
            octets, self._settings.envelope, self._settings.protection
        )
        self._count(counter)
        self._send(sealed)

    def _send(self, octets: bytes) -> None:
        settings = self._settings
        self._outgoing += Wpdu(settings.client_sap, settings.server_sap, octets).encode()

    def _count(self, counter: int | None) -> None:
        if counter is not None:
            self.last_invocation_counter = counter

    def _refuse(self, kind: RefusalKind, detail: str) -> None:
        self._events.append(events.Refused(kind, detail))

    def _disconnect(self, actor: Role) -> None:
        self.closed = True
        if self._machine.close(actor):
            self._events.append(events.Disconnected())


NOTIFICATION_TAGS: Final = frozenset({0x0F, 0xC2})
EXCHANGING: Final = frozenset({State.AWAITING_RESPONSE, State.HLS_REPLYING})
