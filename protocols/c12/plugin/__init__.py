"""ANSI C12.22 as a plug-in: relays with meters behind them, and the head-end they report to."""

from __future__ import annotations

from collections.abc import Callable

from protocols.c12.framing import PORT
from protocols.c12.plugin.naming import title_of
from protocols.c12.plugin.options import C12Options
from protocols.c12.plugin.packets import ApduPackets
from protocols.c12.plugin.polling import C12PollSession
from protocols.c12.plugin.pushing import C12PushSession
from protocols.c12.plugin.receiving import C12ReceiveSession
from protocols.c12.plugin.serving import C12ServedSession
from protocols.plugin import (
    ConcentratorModel,
    Counters,
    Credentials,
    NodeTable,
    PeerLookup,
    SessionOptions,
)

__all__ = ["C12Options", "C12Plugin"]


class C12Plugin:
    """Both roles. Keeps nothing of a connection."""

    has_nodes = True
    speaks_datagrams = True
    captured_port = PORT
    """Registered for C12.22 with IANA."""

    def packet_reader(self) -> ApduPackets:
        """Return what cuts one direction of a connection into APDUs."""
        return ApduPackets()

    def title_of(self, name: bytes) -> bytes:
        """Return the title of the device called ``name``. Raises `ValueError`."""
        return title_of(name)

    def push_session(
        self, credentials: Credentials, counters: Counters, options: SessionOptions
    ) -> C12PushSession:
        """Return a relay's pushing side, for all its connections."""
        return C12PushSession(credentials, counters, C12Options.of(options))

    def receive_session(
        self,
        peers: PeerLookup,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        nodes: NodeTable,
    ) -> C12ReceiveSession:
        """Return a head-end's receiving side of a new connection."""
        return C12ReceiveSession(peers, own_title, counters, C12Options.of(options), nodes)

    def served_session(
        self,
        model: ConcentratorModel,
        credentials: Credentials,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> C12ServedSession:
        """Return a relay's served side of a new connection."""
        return C12ServedSession(model, credentials, counters, options, random)

    def poll_session(
        self,
        credentials: Credentials,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> C12PollSession:
        """Return a head-end's asking side of a new connection."""
        return C12PollSession(credentials, own_title, counters, options, random)

    def meter_address(self, meter: int) -> int:
        """Return the number itself: meters are addressed by title."""
        return meter
