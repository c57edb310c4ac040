"""What a protocol is to Meterstorm: one plug-in, both roles, no I/O.

A plug-in is registered under the entry point group ``meterstorm.protocols``; its name is what a
scenario writes. The emulator implements `ConcentratorModel` and carries octets between sockets and
`PushSession`/`ServedSession`; the head-end does so with `ReceiveSession`/`PollSession`. Neither
knows a protocol by name, so a vendor adds a proprietary one without touching either
(docs/howto/add-a-protocol.md).

Sessions are sans-IO engines for one connection: octets in, octets out, time as an argument. They
raise only `ProtocolError`s, after which the connection is useless and must be closed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final, Protocol, cast, runtime_checkable

from protocols.plugin.roles import ConcentratorModel, Counters, NodeTable
from protocols.plugin.sessions import (
    Closed,
    Declined,
    Executed,
    LogRead,
    NodeRegistration,
    Opened,
    Outcome,
    PacketReader,
    PollSession,
    PushSession,
    ReadDone,
    Received,
    ReceiveSession,
    Refused,
    Registering,
    ServedSession,
    Session,
)
from protocols.plugin.values import (
    Command,
    CommandKind,
    Credentials,
    Execution,
    Members,
    MeterMode,
    MeterState,
    PeerLookup,
    RegisterDescription,
    SessionOptions,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "Closed",
    "Command",
    "CommandKind",
    "ConcentratorModel",
    "Counters",
    "Credentials",
    "Declined",
    "Executed",
    "Execution",
    "LogRead",
    "Members",
    "MeterMode",
    "MeterState",
    "NodeRegistration",
    "NodeTable",
    "Opened",
    "Outcome",
    "PacketReader",
    "PeerLookup",
    "PollSession",
    "ProtocolPlugin",
    "PushSession",
    "ReadDone",
    "ReceiveSession",
    "Received",
    "Refused",
    "RegisterDescription",
    "Registering",
    "ServedSession",
    "Session",
    "SessionOptions",
    "load_protocol",
]

ENTRY_POINT_GROUP: Final = "meterstorm.protocols"


@runtime_checkable
class ProtocolPlugin(Protocol):
    """Both roles of a protocol."""

    @property
    def has_nodes(self) -> bool:
        """Whether meters are nodes of their own: named, keyed and registered one by one."""

    @property
    def speaks_datagrams(self) -> bool:
        """Whether pushes may also come as datagrams, one packet of `packet_reader` each."""

    @property
    def captured_port(self) -> int:
        """The registered TCP port of the protocol, by which dissectors know it."""

    def packet_reader(self) -> PacketReader:
        """Return what cuts one direction of a connection into packets, for a capture."""

    def title_of(self, name: bytes) -> bytes:
        """Return what the device or head-end of that name is called on the wire.

        Names are those of docs/reference/identity.md: ``MSC``, ``MST`` or ``MSH`` and 13 digits.
        Raises `ValueError` for others.
        """

    def push_session(
        self, credentials: Credentials, counters: Counters, options: SessionOptions
    ) -> PushSession:
        """Return a concentrator's pushing side, for all its connections."""

    def served_session(
        self,
        model: ConcentratorModel,
        credentials: Credentials,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> ServedSession:
        """Return a concentrator's served side of a new connection."""

    def receive_session(
        self,
        peers: PeerLookup,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        nodes: NodeTable,
    ) -> ReceiveSession:
        """Return a head-end's receiving side of a new connection."""

    def poll_session(
        self,
        credentials: Credentials,
        own_title: bytes,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> PollSession:
        """Return a head-end's asking side of a new connection."""

    def meter_address(self, meter: int) -> int:
        """Return the address of a meter, which counts within its concentrator, for head-ends.

        In DLMS the wPort of its logical device; for a protocol that addresses meters by name, the
        number itself will do.
        """


def load_protocol(name: str) -> ProtocolPlugin:
    """Return the plug-in registered as ``name``.

    Raises:
        LookupError: there is none; the message lists those there are.
    """
    found = entry_points(group=ENTRY_POINT_GROUP)
    if name not in found.names:
        raise LookupError(f'no protocol "{name}"; installed: {", ".join(sorted(found.names))}')
    return cast("ProtocolPlugin", found[name].load()())
