"""Pushes that come as datagrams: one message each, answered where they came from (RFC 6142).

There is no connection, so there is nothing to break: a datagram that is refused is counted and
answered as the protocol says, or not at all. What a peer sends is remembered for a while only, so
that segments of one message find each other.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import trio
from structlog import get_logger

from harness.headend.intake import Arrived, Intake, Visit
from harness.headend.service import Shard
from protocols.errors import ProtocolError
from protocols.plugin import ReceiveSession

DATAGRAM_SIZE: Final = 65_535
PEERS_MAX: Final = 4_096
"""Peers whose segments are waited for; who was silent longest is forgotten first."""
UNDER_WAY_MAX: Final = 1_024
"""Datagrams being stored at a time; those that come meanwhile are dropped, as networks do."""
Address: TypeAlias = tuple[Any, ...]
log = get_logger(__name__)


@dataclass(slots=True)
class _Peer:
    session: ReceiveSession
    visit: Visit = field(default_factory=Visit)


class DatagramHost:
    """Takes datagrams of one protocol for a shard.

    Args:
        shard: the head-end.
        protocol: one that speaks datagrams.
        handling: where datagrams under way are stored and answered.
    """

    def __init__(self, shard: Shard, protocol: str, handling: trio.Nursery) -> None:
        self._shard = shard
        self._protocol = protocol
        self._plugin = shard.plugins[protocol]
        self._handling = handling
        self._intake = Intake(shard)
        self._peers: OrderedDict[Address, _Peer] = OrderedDict()
        self._under_way = 0

    async def run(
        self, port: int, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Take datagrams on ``port`` until cancelled. One bad datagram never ends it.

        Raises `OSError`: the port is taken.
        """
        host = self._shard.config.listen_host
        family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
        with trio.socket.socket(family, trio.socket.SOCK_DGRAM) as bound:
            await bound.bind((host, port))
            task_status.started()
            while True:
                try:
                    data, address = await bound.recvfrom(DATAGRAM_SIZE)
                except ConnectionError:
                    # Somebody we answered is gone: the kernel says so with the next call.
                    continue
                self._shard.totals.count("datagrams received")
                self._shard.tally.carried(received=len(data))
                if self._under_way >= UNDER_WAY_MAX:
                    self._shard.totals.count("refused: too many datagrams under way")
                    continue
                self._take(bound, data, address)

    def _take(self, bound: trio.socket.SocketType, data: bytes, address: Address) -> None:
        """Take a datagram in its turn; what waits for the store waits in a task of its own."""
        peer = self._peer(address)
        if not self._is_whole(data):
            self._intake.refuse(peer.visit, "no whole message", f"{len(data)} octets")
            return
        try:
            arrived = self._intake.receive(peer.session, data, peer.visit)
        except ProtocolError as error:
            # The session is of no further use, and with it the segments it waited for.
            self._peers.pop(address, None)
            self._intake.refuse(peer.visit, type(error).__name__, str(error))
            return
        self._under_way += 1
        self._handling.start_soon(self._settle, bound, address, peer, arrived)

    async def _settle(
        self, bound: trio.socket.SocketType, address: Address, peer: _Peer, arrived: Arrived
    ) -> None:
        async def send(octets: bytes) -> None:
            for packet in self._plugin.packet_reader().feed(octets):
                await bound.sendto(packet, address)

        try:
            await self._intake.settle(send, peer.session, arrived, peer.visit)
        except OSError as error:
            log.info("a datagram could not be answered", error=str(error))
            self._shard.totals.count("datagrams not answered")
        except ProtocolError as error:
            self._intake.refuse(peer.visit, type(error).__name__, str(error))
        finally:
            self._under_way -= 1

    def _is_whole(self, data: bytes) -> bool:
        """Tell whether a datagram is one message, neither less nor more."""
        try:
            return self._plugin.packet_reader().feed(data) == [data]
        except ProtocolError:
            return False

    def _peer(self, address: Address) -> _Peer:
        """Return what is known of a peer; the one silent longest makes room for a new one."""
        peer = self._peers.get(address)
        if peer is None:
            shard = self._shard
            peer = self._peers[address] = _Peer(
                self._plugin.receive_session(
                    shard.registry.credentials,
                    shard.own_titles[self._protocol],
                    shard.push_counters,
                    shard.options,
                    shard.nodes,
                )
            )
            if len(self._peers) > PEERS_MAX:
                self._peers.popitem(last=False)
        self._peers.move_to_end(address)
        return peer
