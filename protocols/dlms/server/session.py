"""A server's end of one transport connection: frames in, associations behind them, frames out.

Theory of operation
-------------------
Every wrapper PDU names a client and a server wPort; each such pair has its own association with
its own state, and they share nothing but the connection and the device's credentials. The
session frames, finds the association, and keeps the time for all of them.

The caller feeds octets and sends what comes out::

    session.receive_data(data, now)
    while data := session.data_to_send():
        send(data)
    while event := session.next_event():
        record(event)

A peer that pipelines requests is served as fast as its answers are taken: while more than
``MAX_OUTGOING`` octets wait to be sent, received frames stay where they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from protocols.dlms.apdu import ServiceUserDiagnostic
from protocols.dlms.blocks import MAX_TRANSFER_SIZE
from protocols.dlms.cosem.device import LogicalDevice
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.server.aare import AARQ_TAG, rejected
from protocols.dlms.server.answers import exception
from protocols.dlms.server.association import Limits, RandomBytes, ServerAssociation
from protocols.dlms.server.events import (
    AssociationRefused,
    Pair,
    Refused,
    ServerEvent,
)
from protocols.dlms.server.policy import DEFAULT_POLICIES, ClientPolicy, Credentials
from protocols.dlms.wrapper import Wpdu, WpduReader
from protocols.errors import CodecError

MAX_OUTGOING: Final = 256 << 10


class ServerSession:
    """Sans-IO server for one connection.

    ``resolve`` gives the logical device behind a server wPort, or ``None``. ``policies`` says
    what each client SAP must bring. ``random_bytes(n)`` gives challenges. ``now`` is the time in
    seconds of any monotonic clock, the same for every call. When `closed` turns true the caller
    sends what is left and closes the transport.
    """

    def __init__(
        self,
        resolve: Callable[[int], LogicalDevice | None],
        *,
        credentials: Credentials,
        random_bytes: RandomBytes,
        now: float,
        policies: Mapping[int, ClientPolicy] = DEFAULT_POLICIES,
        inactivity_timeout_s: float = 120.0,
        max_associations: int = 1024,
        max_transfer_size: int = MAX_TRANSFER_SIZE,
    ) -> None:
        self.closed = False
        self._resolve = resolve
        self._credentials = credentials
        self._random_bytes = random_bytes
        self._policies = policies
        self._limits = Limits(max_transfer_size, inactivity_timeout_s)
        self._max_associations = max_associations
        self._associations: dict[Pair, ServerAssociation] = {}
        self._reader = WpduReader()
        self._outgoing = bytearray()
        self._events: deque[ServerEvent] = deque()
        self._now = now
        self._idle_deadline = now + inactivity_timeout_s

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called; ``None`` once closed.

        A connection without an association has the inactivity time to open one.
        """
        if self.closed:
            return None
        waiting = [a.deadline for a in self._associations.values() if a.deadline is not None]
        return min(waiting, default=self._idle_deadline)

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the peer, in any split. Never raises for what they hold."""
        self._now = now
        if not self.closed:
            self._reader.feed(data)
            self._serve()

    def receive_eof(self) -> None:
        """The peer closed the transport; half a frame is refused. Safe to call twice."""
        if not self.closed and self._reader.buffered:
            detail = f"stream ended after {self._reader.buffered} octets of a PDU"
            self._events.append(Refused(None, RefusalKind.TRUNCATED, detail))
        self._close()

    def data_to_send(self) -> bytes:
        """Return octets for the transport, once; call again until there are none."""
        if not self._outgoing and not self.closed:
            self._serve()
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def next_event(self) -> ServerEvent | None:
        """Return the next thing that happened, or ``None``."""
        return self._events.popleft() if self._events else None

    def handle_deadline(self, now: float) -> None:
        """Tell the session the time; does nothing before `deadline`.

        Afterwards the deadline is gone or in the future.
        """
        self._now = now
        for association in list(self._associations.values()):
            association.handle_deadline(now)
            self._forget_if_idle(association, now)
        if not self._associations and now >= self._idle_deadline:
            self._close()
        assert self.deadline is None or self.deadline > now

    def _serve(self) -> None:
        """Answer the whole frames that have arrived, while there is room for the answers."""
        while not self.closed and len(self._outgoing) <= MAX_OUTGOING:
            try:
                pdu = self._reader.next_pdu()
            except CodecError as problem:
                # Without a frame boundary nothing after this can be trusted.
                self._events.append(Refused(None, RefusalKind.BAD_FRAME, str(problem)))
                self._close()
                return
            if pdu is None:
                return
            self._receive(pdu)

    def _receive(self, pdu: Wpdu) -> None:
        pair = Pair(pdu.source, pdu.destination)
        association = self._associations.get(pair) or self._new_association(pair, pdu.apdu)
        if association is None:
            return
        self._send(pair, association.receive(pdu.apdu, self._now))
        if association.idle:
            self._forget_if_idle(association, self._now)
        else:
            self._associations[pair] = association
        if association.drop:
            self._close()

    def _new_association(self, pair: Pair, octets: bytes) -> ServerAssociation | None:
        policy = self._policies.get(pair.client_sap)
        device = self._resolve(pair.server_sap)
        if policy is None:
            self._refuse(pair, RefusalKind.UNKNOWN_CLIENT, octets)
        elif device is None:
            self._refuse(pair, RefusalKind.UNKNOWN_DEVICE, octets)
        elif len(self._associations) >= self._max_associations:
            self._refuse(pair, RefusalKind.TOO_MANY_ASSOCIATIONS, octets)
        else:
            return ServerAssociation(
                pair,
                device,
                policy,
                self._credentials,
                self._limits,
                self._random_bytes,
                self._events.append,
            )
        return None

    def _refuse(self, pair: Pair, kind: RefusalKind, octets: bytes) -> None:
        detail = f"client {pair.client_sap}, server {pair.server_sap}"
        if octets[:1] == AARQ_TAG:
            self._events.append(AssociationRefused(pair, kind, detail))
            self._send(pair, rejected(ServiceUserDiagnostic.NO_REASON_GIVEN))
        else:
            self._events.append(Refused(pair, kind, detail))
            self._send(pair, exception(kind, detail).response)

    def _send(self, pair: Pair, octets: bytes | None) -> None:
        if octets is not None:
            self._outgoing += Wpdu(pair.server_sap, pair.client_sap, octets).encode()

    def _forget_if_idle(self, association: ServerAssociation, now: float) -> None:
        if association.idle and self._associations.pop(association.pair, None) is not None:
            self._idle_deadline = now + self._limits.inactivity_timeout_s

    def _close(self) -> None:
        self.closed = True
        for association in self._associations.values():
            association.disconnect()
        self._associations.clear()
