"""Push, both roles: a concentrator's pushes out, the head-end's confirmations back.

Theory of operation. A push is a DataNotification (`concentrator_profile`), sealed in
general-glo-ciphering under the concentrator's own system title and counter, in a wrapper PDU. When
it is confirmed (service-class bit of long-invoke-id-and-priority), the head-end answers with
data-notification-confirm, sealed under the head-end's title and counter with the same keys. The
24-bit invoke id ties the two together. A push that is repeated is sealed anew: a counter is never
used twice.

Counters are *checked* when a push comes and *accepted* by the caller when its rows are durable, in
the same commit. In between more pushes may come on the connection; among themselves their counters
must grow too, and the engine sees to that. Confirmations are accepted by the sender at once.

What a peer did wrong in one PDU is an event with a kind, for counting, and the next PDU is looked
at. A stream that lost its framing is over: an event says so, and every later call raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.dlms.apdu import DataNotificationConfirm, decode_apdu, encode_apdu
from protocols.dlms.apdu.notification import LONG_CONFIRMED, LONG_INVOKE_ID_MASK
from protocols.dlms.clock import encode_date_time
from protocols.dlms.concentrator_profile import (
    DATA_NOTIFICATION,
    PushDecoder,
    encode_readings,
    push_apdu,
)
from protocols.dlms.push_channel import (
    FramedStream,
    Lookup,
    Opened,
    Opener,
    PushPeer,
    PushRefused,
    Refusal,
    RefusalKind,
    Sealer,
    TakesCounters,
)
from protocols.dlms.security import SecurityControl, SecurityKeys
from protocols.dlms.wrapper import MAX_APDU_SIZE, Wpdu
from protocols.errors import CodecError, LocalProtocolError
from protocols.readings import ReadingBatch

__all__ = [
    "Lookup",
    "PushConfirmed",
    "PushPeer",
    "PushReceived",
    "PushReceiver",
    "PushRefused",
    "PushSender",
    "RefusalKind",
]

DATA_NOTIFICATION_CONFIRM: Final = 0x10
INVOKE_ID_OFFSET: Final = slice(1, 5)
CONFIRMATION_SIZE_MAX: Final = 256
"""A sealed confirmation takes about 50 octets; more is not buffered for one."""


@dataclass(frozen=True, slots=True)
class PushConfirmed:
    """The head-end has the push with this number."""

    number: int


@dataclass(frozen=True, slots=True)
class PushReceived:
    """A push that arrived whole and genuine; its counter is checked, not yet accepted.

    A push in the clear has an empty ``system_title`` and no ``invocation_counter``: go by
    ``readings.concentrator``. ``confirmed`` says that the pusher waits for `PushReceiver.confirm`.
    """

    readings: ReadingBatch
    system_title: bytes
    invocation_counter: int | None
    long_invoke_id_and_priority: int
    source: int
    destination: int
    protection: SecurityControl | None

    @property
    def number(self) -> int:
        """The invoke id (24 bits) that ties a confirmation to its push."""
        return self.long_invoke_id_and_priority & LONG_INVOKE_ID_MASK

    @property
    def confirmed(self) -> bool:
        """Whether a confirmation is asked for."""
        return bool(self.long_invoke_id_and_priority & LONG_CONFIRMED)


class PushSender:
    """A concentrator's side of one connection.

    Args:
        system_title: its own, 8 octets.
        keys: its own; also what the head-end seals confirmations with.
        counter: its own, outliving the connection.
        head_end: finds the head-end by the system title of a confirmation.
        protection: how pushes are sealed, and what confirmations must have; ``None`` is clear.
        confirmed: whether to ask for confirmations.
        source: its wPort.
        destination: the head-end's wPort.
    """

    def __init__(
        self,
        *,
        system_title: bytes,
        keys: SecurityKeys,
        counter: TakesCounters,
        head_end: Lookup,
        protection: SecurityControl | None,
        confirmed: bool = True,
        source: int = 1,
        destination: int = 1,
    ) -> None:
        self._sealer = Sealer(system_title, counter)
        self._keys = keys
        self._protection = protection
        self._flags = LONG_CONFIRMED if confirmed else 0
        self._ports = (source, destination)
        self._stream = FramedStream(CONFIRMATION_SIZE_MAX)
        self._opener = Opener(head_end, protection)
        self._in_flight: set[int] = set()

    def push(self, readings: ReadingBatch, number: int, *, sent_at_s: float | None = None) -> bytes:
        """Return the octets that push ``readings`` under ``number`` (24 bits).

        The date-time of sending is ``sent_at_s``, or else the newest capture time. Raises
        `CodecError` when something does not fit, `LocalProtocolError` for an empty push and when
        the counter is used up.
        """
        if not len(readings):
            raise LocalProtocolError("a push without readings")
        if sent_at_s is None:
            sent_at_s = int(readings.captured_at_s.max())
        rows = encode_readings(readings)
        return self.push_rows(
            readings.concentrator, rows, len(readings), number, encode_date_time(sent_at_s)
        )

    def push_rows(
        self, concentrator: bytes, rows: bytes, count: int, number: int, date_time: bytes
    ) -> bytes:
        """Return the octets that push ``count`` rows already encoded; otherwise like `push`."""
        if not 0 <= number <= LONG_INVOKE_ID_MASK:
            raise LocalProtocolError(f"push number {number} in 24 bits")
        apdu = push_apdu(
            concentrator,
            rows,
            count,
            long_invoke_id_and_priority=number | self._flags,
            date_time=date_time,
        )
        if self._protection is not None:
            apdu = self._sealer.seal(apdu, self._keys, self._protection)
        octets = Wpdu(*self._ports, apdu).encode()
        if self._flags:
            self._in_flight.add(number)
        return octets

    def receive_data(self, data: bytes) -> list[PushConfirmed | PushRefused]:
        """Take octets of the head-end; return what they say.

        Raises:
            CodecError: the stream lost its framing earlier; close the connection.
        """
        pdus, broken = self._stream.feed(data)
        events: list[PushConfirmed | PushRefused] = [self._confirmation(pdu) for pdu in pdus]
        return [*events, broken] if broken else events

    def _confirmation(self, pdu: Wpdu) -> PushConfirmed | PushRefused:
        try:
            opened = self._opener.open(pdu.apdu, DATA_NOTIFICATION_CONFIRM)
        except Refusal as refusal:
            return refusal.event
        confirmation = _decode(opened)
        if isinstance(confirmation, PushRefused):
            return confirmation
        number = confirmation.long_invoke_id
        if number not in self._in_flight:
            return PushRefused(RefusalKind.UNASKED, f"push {number}", opened.system_title)
        if opened.peer is not None and opened.counter is not None:
            opened.peer.counter.accept(opened.counter)
        self._in_flight.discard(number)
        return PushConfirmed(number)


class PushReceiver:
    """A head-end's side of one connection.

    Args:
        peers: finds a concentrator by its system title.
        system_title: the head-end's own, 8 octets.
        counter: the head-end's own, outliving the connection.
        required: what pushes must have; ``None`` lets pushes in the clear pass, ciphered ones
            must be authenticated all the same.
        max_apdu_size: octets; more is refused before it is buffered.
        decoder: shared by connections, so that a shape is learnt once.
    """

    def __init__(
        self,
        *,
        peers: Lookup,
        system_title: bytes,
        counter: TakesCounters,
        required: SecurityControl | None,
        max_apdu_size: int = MAX_APDU_SIZE,
        decoder: PushDecoder | None = None,
    ) -> None:
        self._sealer = Sealer(system_title, counter)
        self._peers = peers
        self._stream = FramedStream(max_apdu_size)
        self._opener = Opener(peers, required)
        self._decoder = decoder or PushDecoder()

    def receive_data(self, data: bytes) -> list[PushReceived | PushRefused]:
        """Take octets of a concentrator; return the pushes in them and what was refused.

        Raises:
            CodecError: the stream lost its framing earlier; close the connection.
        """
        pdus, broken = self._stream.feed(data)
        events: list[PushReceived | PushRefused] = [self._push(pdu) for pdu in pdus]
        return [*events, broken] if broken else events

    def receive_eof(self) -> list[PushRefused]:
        """Take the end of the stream; a PDU cut off by it is refused as truncated."""
        return self._stream.end()

    def confirm(self, received: PushReceived) -> bytes:
        """Return the octets that confirm ``received``, protected as the push was.

        Raises:
            LocalProtocolError: the push asked for none, or its sender is no longer known.
        """
        if not received.confirmed:
            raise LocalProtocolError("an unconfirmed push has no confirmation")
        # The body of data-notification-confirm is uncertain; its declaration is in apdu.
        apdu = encode_apdu(DataNotificationConfirm(received.long_invoke_id_and_priority, b""))
        if received.protection is not None:
            peer = self._peers(received.system_title)
            if peer is None:
                raise LocalProtocolError("the sender of the push is no longer known")
            apdu = self._sealer.seal(apdu, peer.keys, received.protection)
        return Wpdu(received.destination, received.source, apdu).encode()

    def _push(self, pdu: Wpdu) -> PushReceived | PushRefused:
        try:
            opened = self._opener.open(pdu.apdu, DATA_NOTIFICATION)
        except Refusal as refusal:
            return refusal.event
        try:
            readings = self._decoder.decode_push(opened.apdu)
        except CodecError as exc:
            return PushRefused(RefusalKind.MALFORMED, str(exc), opened.system_title)
        return PushReceived(
            readings,
            opened.system_title or b"",
            opened.counter,
            int.from_bytes(opened.apdu[INVOKE_ID_OFFSET], "big"),
            pdu.source,
            pdu.destination,
            opened.protection,
        )


def _decode(opened: Opened) -> DataNotificationConfirm | PushRefused:
    try:
        confirmation = decode_apdu(opened.apdu)
    except CodecError as exc:
        return PushRefused(RefusalKind.MALFORMED, str(exc), opened.system_title)
    assert isinstance(confirmation, DataNotificationConfirm), "the tag was looked at"
    return confirmation
