"""DLMS/COSEM as a plug-in: a data concentrator and the head-end that talks to it."""

from __future__ import annotations

from collections.abc import Callable

from protocols.dlms.concentrator_profile import PushDecoder
from protocols.dlms.plugin.addresses import (
    FIRST_METER_DEVICE,
    MANAGEMENT_DEVICE,
    meter_address,
    system_title_of,
)
from protocols.dlms.plugin.packets import WpduPackets
from protocols.dlms.plugin.polling import DlmsPollSession
from protocols.dlms.plugin.pushing import DlmsPushSession, DlmsReceiveSession
from protocols.dlms.plugin.serving import DlmsServedSession
from protocols.plugin import (
    ConcentratorModel,
    Counters,
    Credentials,
    NodeTable,
    PeerLookup,
    SessionOptions,
)

__all__ = ["FIRST_METER_DEVICE", "MANAGEMENT_DEVICE", "DlmsPlugin", "meter_address"]


class DlmsPlugin:
    """Both roles. Keeps nothing of a connection, only the shapes that its decoder has learnt."""

    has_nodes = False
    speaks_datagrams = False
    captured_port = 4059
    """Registered for DLMS/COSEM with IANA."""

    def __init__(self) -> None:
        self._decoder = PushDecoder()

    def packet_reader(self) -> WpduPackets:
        """Return what cuts one direction of a connection into wrapper PDUs."""
        return WpduPackets()

    def title_of(self, name: bytes) -> bytes:
        """Return the system title of the device called ``name``. Raises `ValueError`."""
        title = system_title_of(name)
        if title is None:
            raise ValueError(f"{name!r} is no logical device name with 13 digits")
        return title

    def push_session(
        self, credentials: Credentials, counters: Counters, options: SessionOptions
    ) -> DlmsPushSession:
        """Return a concentrator's pushing side, for all its connections."""
        return DlmsPushSession(credentials, counters, options)

    def served_session(
        self,
        model: ConcentratorModel,
        credentials: Credentials,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> DlmsServedSession:
        """Return a concentrator's served side of a new connection."""
        return DlmsServedSession(model, credentials, counters, options, random)

    def receive_session(
        self,
        peers: PeerLookup,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        nodes: NodeTable,
    ) -> DlmsReceiveSession:
        """Return a head-end's receiving side of a new connection."""
        return DlmsReceiveSession(peers, own_title, counters, options, self._decoder)

    def poll_session(
        self,
        credentials: Credentials,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> DlmsPollSession:
        """Return a head-end's asking side of a new connection."""
        return DlmsPollSession(credentials, own_title, counters, options, random, self._decoder)

    def meter_address(self, meter: int) -> int:
        """Return the wPort of a meter's logical device."""
        return meter_address(meter)
