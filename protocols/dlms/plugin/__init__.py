"""DLMS/COSEM as a plug-in: a data concentrator and the head-end that talks to it."""

from __future__ import annotations

from protocols.dlms.concentrator_profile import PushDecoder
from protocols.dlms.plugin.addresses import FIRST_METER_DEVICE, MANAGEMENT_DEVICE, meter_address
from protocols.dlms.plugin.pushing import DlmsPushSession, DlmsReceiveSession
from protocols.plugin import Counters, Credentials, PeerLookup, SessionOptions

__all__ = ["FIRST_METER_DEVICE", "MANAGEMENT_DEVICE", "DlmsPlugin", "meter_address"]


class DlmsPlugin:
    """Both roles. Keeps nothing of a connection, only the shapes that its decoder has learnt."""

    def __init__(self) -> None:
        self._decoder = PushDecoder()

    def push_session(
        self, credentials: Credentials, counters: Counters, options: SessionOptions
    ) -> DlmsPushSession:
        """Return a concentrator's pushing side of a new connection."""
        return DlmsPushSession(credentials, counters, options)

    def receive_session(
        self, peers: PeerLookup, own_title: bytes, counters: Counters, options: SessionOptions
    ) -> DlmsReceiveSession:
        """Return a head-end's receiving side of a new connection."""
        return DlmsReceiveSession(peers, own_title, counters, options, self._decoder)
