"""One node on the network: APDUs in, its server and its client behind, APDUs out.

The caller carries octets and time::

    endpoint.receive_apdu(apdu, now)
    for apdu in endpoint.data_to_send():
        send(apdu)
    while event := endpoint.next_event():
        record(event)

Framing is outside, because many nodes share a relay's connection.
"""

from __future__ import annotations

from collections.abc import Callable

from protocols.c12.acse import ReadApdu
from protocols.c12.association.channel import Channel
from protocols.c12.association.client import ClientAssociation
from protocols.c12.association.events import Event
from protocols.c12.association.refusals import Refusal, RefusalKind
from protocols.c12.association.server import ServerAssociation
from protocols.c12.framing import Oversized
from protocols.c12.message import Sealed


class Endpoint:
    """What arrives goes to the client if it is an answer, else to the server.

    Which of the two it is shows only when segments are together, so both share one channel.
    ``now`` is in seconds of any clock, the same for every call. Nothing here raises for what a
    peer sent.
    """

    __slots__ = ("_channel", "_client", "_server")

    def __init__(
        self,
        channel: Channel,
        *,
        server: ServerAssociation | None = None,
        client: ClientAssociation | None = None,
    ) -> None:
        self._channel = channel
        self._server = server
        self._client = client

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None`` when nothing is waited for."""
        parts = (self._channel, self._server, self._client)
        waiting = [part.deadline for part in parts if part is not None]
        return min((deadline for deadline in waiting if deadline is not None), default=None)

    def receive_apdu(self, octets: bytes, now: float) -> None:
        """Take one APDU."""
        self._receive(lambda: self._channel.receive(octets, now), now)

    def receive_read(self, apdu: ReadApdu, now: float) -> None:
        """Take one APDU that somebody has read, such as to find out whom it is for."""
        self._receive(lambda: self._channel.receive_read(apdu, now), now)

    def _receive(self, receive: Callable[[], Sealed | None], now: float) -> None:
        try:
            sealed = receive()
            if sealed is None:
                return
            part = self._client if sealed.header.is_response else self._server
            if part is None:
                detail = "nobody here takes it"
                raise Refusal(RefusalKind.UNEXPECTED, detail, sealed.header, sealed.control)
            part.handle(sealed, now)
        except Refusal as refusal:
            self._channel.refuse(refusal)

    def receive_oversized(self, oversized: Oversized) -> None:
        """Take what the framing says of an APDU that was too long to keep."""
        self._channel.receive_oversized(oversized)

    def data_to_send(self) -> list[bytes]:
        """Return APDUs for the transport, once, in order."""
        return self._channel.data_to_send()

    def next_event(self) -> Event | None:
        """Return the next thing that happened, or ``None``."""
        return self._channel.next_event()

    def handle_deadline(self, now: float) -> None:
        """Tell the time; does nothing before `deadline`."""
        for refusal in self._channel.expired(now):
            self._channel.count(refusal)
        if self._server is not None:
            self._server.handle_deadline(now)
        if self._client is not None:
            self._client.handle_deadline(now)
