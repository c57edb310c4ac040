"""The push, both ends, as the plug-in interface wants them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from protocols.dlms.concentrator_profile import PushDecoder
from protocols.dlms.plugin.addresses import system_title_of
from protocols.dlms.plugin.protection import ReceivedFrom, SendsUnder, keys, push_protection
from protocols.dlms.push import PushConfirmed, PushPeer, PushReceived, PushReceiver, PushSender
from protocols.dlms.push_channel import PushRefused, RefusalKind
from protocols.errors import LocalProtocolError
from protocols.plugin import (
    Counters,
    Credentials,
    PeerLookup,
    Received,
    Refused,
    Registering,
    SessionOptions,
)
from protocols.readings import ReadingBatch

NUMBER_MASK: Final = 0x00FF_FFFF
"""An invoke id has 24 bits: numbers repeat on the wire after 16.7 million pushes."""
REFUSALS_MAX: Final = 1024
"""Causes kept until somebody asks for them; a peer must not choose our memory use."""


class DlmsPushSession:
    """A concentrator's pushing side. Nothing but the counters outlives a connection.

    The head-end shares the concentrator's keys, so whoever seals with them under another title
    than the concentrator's own may confirm.
    """

    deadline: float | None = None
    attention_at: float | None = None

    def __init__(
        self, credentials: Credentials, counters: Counters, options: SessionOptions
    ) -> None:
        self._credentials = credentials
        self._counters = counters
        self._options = options
        self._refusals: deque[str] = deque(maxlen=REFUSALS_MAX)
        self._begin()

    def _begin(self) -> None:
        shared, own_title = keys(self._credentials), self._credentials.system_title
        self._numbers: dict[int, int] = {}
        self._confirmed: list[int] = []
        self._out = bytearray()
        self._sender = PushSender(
            system_title=own_title,
            keys=shared,
            counter=SendsUnder(self._counters),
            # A frame of its own, sent back, is no confirmation.
            head_end=lambda title: (
                None
                if title == own_title
                else PushPeer(shared, ReceivedFrom(self._counters, title))
            ),
            protection=push_protection(self._options),
            confirmed=self._options.confirmed,
        )

    @property
    def idle(self) -> bool:
        """Whether every push is confirmed, and nothing waits to be sent."""
        return not self._numbers and not self._out

    def connected(self, *, now: float) -> None:
        """Begin anew: what was under way on the last connection is void."""
        self._begin()

    def restarted(self) -> None:
        """Lose nothing: its counters are kept in non-volatile memory."""

    def attend(self, *, now: float) -> None:
        """Do nothing: it never wants attention."""

    def push(self, readings: ReadingBatch, number: int, *, now: float) -> None:
        """Begin to push ``readings``; ``number`` comes back once they are confirmed.

        Raises:
            CodecError: the readings do not fit into one APDU of 65,535 octets.
            LocalProtocolError: no readings, or no counter left.
        """
        invoke_id = number & NUMBER_MASK
        self._out += self._sender.push(readings, invoke_id)
        if self._options.confirmed:
            self._numbers[invoke_id] = number

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once."""
        octets = bytes(self._out)
        self._out.clear()
        return octets

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the head-end.

        Raises:
            CodecError: the stream lost its framing in an earlier call.
        """
        for event in self._sender.receive_data(data):
            match event:
                case PushConfirmed(number=invoke_id):
                    self._confirmed.append(self._numbers.pop(invoke_id))
                case PushRefused(kind=kind):
                    self._refusals.append(kind.value)

    def handle_deadline(self, now: float) -> None:
        """Do nothing: how long to wait for a confirmation is the concentrator's business."""

    def confirmed(self) -> Sequence[int]:
        """Return, once, the numbers of the pushes confirmed since the last call."""
        numbers, self._confirmed = self._confirmed, []
        return numbers

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which confirmations were refused since the last call."""
        causes = list(self._refusals)
        self._refusals.clear()
        return causes

    def happened(self) -> Mapping[str, int]:
        """Return nothing: all there is to count are pushes and refusals."""
        return {}


class DlmsReceiveSession:
    """A head-end's receiving side of one connection."""

    def __init__(
        self,
        peers: PeerLookup,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        decoder: PushDecoder,
    ) -> None:
        self._peers = peers
        self._counters = counters
        self._receiver = PushReceiver(
            peers=self._peer,
            system_title=own_title,
            counter=SendsUnder(counters),
            required=push_protection(options),
            decoder=decoder,
        )

    def receive_data(self, data: bytes) -> Sequence[Received | Refused]:
        """Take octets of the concentrator; return what arrived with them.

        Raises:
            CodecError: the stream lost its framing in an earlier call.
        """
        return [self._item(event) for event in self._receiver.receive_data(data)]

    def data_to_send(self) -> bytes:
        """Return nothing: every answer waits for something durable."""
        return b""

    def receive_eof(self) -> Sequence[Refused]:
        """Take the end of the stream; what it cut off is refused as truncated."""
        return [_refused(event) for event in self._receiver.receive_eof()]

    def confirm(self, received: Received | Registering) -> bytes:
        """Return the octets that confirm a push, protected as the push was.

        Raises:
            LocalProtocolError: the push asked for no confirmation, or came from somewhere else.
        """
        if not isinstance(received.token, PushReceived):
            raise LocalProtocolError("a push that another session received")
        return self._receiver.confirm(received.token)

    def _peer(self, system_title: bytes) -> PushPeer | None:
        credentials = self._peers(system_title)
        if credentials is None:
            return None
        return PushPeer(keys(credentials), ReceivedFrom(self._counters, system_title))

    def _item(self, event: PushReceived | PushRefused) -> Received | Refused:
        if isinstance(event, PushRefused):
            return _refused(event)
        title = event.system_title or self._title_in_clear(event.readings.concentrator)
        if title is None:
            detail = f"push in the clear by {event.readings.concentrator!r}"
            return Refused(RefusalKind.UNKNOWN_SYSTEM_TITLE.value, detail)
        counter = event.invocation_counter
        counters = {} if counter is None else {title: counter}
        return Received(title, event.readings, counters, event.confirmed, event)

    def _title_in_clear(self, name: bytes) -> bytes | None:
        """Return the title of a concentrator that gave only its name, if it is a known one."""
        title = system_title_of(name)
        return None if title is None or self._peers(title) is None else title


def _refused(event: PushRefused) -> Refused:
    return Refused(event.kind.value, event.detail, event.system_title)
