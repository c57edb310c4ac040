"""The links of a fleet shard: each concentrator's own, as the grid assigns them."""

from __future__ import annotations

import socket
from collections import Counter
from typing import Any, Final

import trio

from emulator import congestion
from emulator.capturing import Captures
from emulator.fleet_config import Endpoint
from emulator.identity import Addresses, addresses_of, is_loopback
from emulator.linked import LinkedFleet, LinkedGrid
from netem.links import Links
from netem.shaper import ShapedStream

PERFECT: Final = "none"
_IP_BIND_ADDRESS_NO_PORT: Final = 24


class FleetLinks:
    """Connects and accepts over the link of each concentrator.

    In a lab the links are real: nothing is modelled, and outages still cut connections.

    Attributes:
        congestion: how many connections used which TCP congestion control.

    Args:
        links: the open links of this process.
        config: the fleet.
        grid: its grid.
        captures: where what crosses the links of chosen concentrators is kept.
        addresses: who is where; as concentrators are when left out.
    """

    def __init__(
        self,
        links: Links,
        config: LinkedFleet,
        grid: LinkedGrid,
        captures: Captures | None = None,
        addresses: Addresses | None = None,
    ) -> None:
        self._links = links
        self._captures = captures
        self._modelled = config.link == "model"
        self._profiles = [link.profile for link in grid.parameters.links]
        self._category: list[int] = grid.link_category.tolist()
        self._in_lab = config.in_lab
        self._addresses = addresses or addresses_of(grid.link_category, in_lab=config.in_lab)
        self._wanted = config.congestion
        self.congestion: Counter[str] = Counter()

    def name(self, number: int) -> str:
        """Return the name of a concentrator's link profile."""
        return self._profiles[self._category[number]]

    async def connect(
        self, number: int, head_end: Endpoint, protocol: str, sequence: int, attempt: int
    ) -> ShapedStream:
        """Dial the head-end's listener of ``protocol`` from the concentrator's own address.

        For push ``sequence``; raises `OSError`: refused, unreachable, or no answer over the link.
        """

        async def dial() -> trio.SocketStream:
            raw = await self._dial(number, head_end.host, head_end.port_for(protocol))
            self.congestion[congestion.used(raw.socket)] += 1
            return raw

        stream = await self._links.connect(
            dial, self._used(number), number, number=sequence, attempt=attempt
        )
        return self._captured(number, stream)

    def accepted(self, number: int, raw: trio.SocketStream, connection: int) -> ShapedStream:
        """Shape the ``connection``-th connection that the concentrator accepted.

        The connection stands where pushes have the attempt, so that the same exchange of another
        connection has draws of its own; exchange 0 is the handshake.
        """
        self.congestion[congestion.used(raw.socket)] += 1
        stream = self._links.accept(raw, self._used(number), number, attempt=connection)
        return self._captured(number, stream)

    def failed(self, number: int) -> None:
        """Note that something failed over a concentrator's link: what led to it is worth keeping.

        A connection that an outage breaks while nothing is under way is no failure.
        """
        if self._captures is not None:
            self._captures.failed(number)

    def number_of(self, address: str) -> int | None:
        """Return the concentrator whose address that is; ``None``: nobody's."""
        return self._addresses.number_of(address)

    def statistics(self) -> dict[str, Any]:
        """Return what was drawn on each profile so far, by name; msgpack- and JSON-able."""
        return {
            name: statistics.as_dict()
            for name, statistics in self._links.statistics.items()
            if name in self._profiles
        }

    def _captured(self, number: int, stream: ShapedStream) -> ShapedStream:
        if self._captures is not None:
            self._captures.tap(number, stream)
        return stream

    def _used(self, number: int) -> str:
        return self.name(number) if self._modelled else PERFECT

    async def _dial(self, number: int, host: str, port: int) -> trio.SocketStream:
        connection = trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            congestion.use(connection, self._wanted)
            if self._in_lab or is_loopback(host):
                # Without this option every bind would take a port of its own for all destinations.
                connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                await connection.bind((self._addresses.address(number), 0))
            await connection.connect((host, port))
        except BaseException:
            connection.close()
            raise
        return trio.SocketStream(connection)
