"""Concentrators that are asked: one listener for a whole shard.

The socket is bound to all addresses but to the loopback device only, so it accepts for all of
127.0.0.0/8 and nothing else; the address a client dialled names the concentrator
(facts/traps.md). A concentrator that the plan or an outage makes unreachable drops the caller.
"""

from __future__ import annotations

import math
import socket
from collections import Counter
from typing import Final

import trio
from structlog import get_logger

from emulator.concentrators import Concentrators
from emulator.identity import concentrator_at
from emulator.links import FleetLinks
from emulator.tally import Tally
from netem.shaper import ShapedStream
from protocols.errors import ProtocolError
from protocols.plugin import ServedSession

RECEIVE_SIZE: Final = 16_384
BACKLOG: Final = 4_096
log = get_logger(__name__)


def listen_on_loopback(port: int) -> trio.SocketListener:
    """Return a listener for every address of 127.0.0.0/8 on ``port`` (0: any free one).

    Raises `OSError`: the port is taken, or the system does not let us bind to a device.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        bound.setblocking(False)
        bound.bind(("0.0.0.0", port))
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    return trio.SocketListener(trio.socket.from_stdlib_socket(bound))


class Servers:
    """All served concentrators of a shard."""

    def __init__(self, concentrators: Concentrators, links: FleetLinks, tally: Tally) -> None:
        self._concentrators = concentrators
        self._links = links
        self._tally = tally
        self._connections: dict[int, set[ShapedStream]] = {}
        self._opened: Counter[int] = Counter()

    async def run(self, listener: trio.SocketListener) -> None:
        """Serve whoever connects, until cancelled. One bad connection never ends it."""
        async with trio.open_nursery() as nursery:
            await trio.serve_listeners(self._serve, [listener], handler_nursery=nursery)

    def cut(self, number: int) -> None:
        """Break every connection to a concentrator at once."""
        for stream in [*self._connections.get(number, ())]:
            stream.reset()
            self._tally.count("connections cut")

    async def _serve(self, raw: trio.SocketStream) -> None:
        number = concentrator_at(raw.socket.getsockname()[0])
        if number is None or number not in self._concentrators.numbers:
            self._tally.count("served.refused: no such concentrator")
            await trio.aclose_forcefully(raw)
            return
        if not self._concentrators.reachable(number):
            self._tally.count("served.refused: unreachable")
            await trio.aclose_forcefully(raw)
            return
        self._opened[number] += 1
        self._tally.count("connections accepted")
        connection = self._opened[number]
        stream = self._links.accepted(number, raw, connection)
        streams = self._connections.setdefault(number, set())
        streams.add(stream)
        try:
            session = self._concentrators.served_session(number, connection)
            await self._converse(stream, session)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._tally.count("served.broken")
            log.debug("caller vanished", concentrator=number, error=str(error))
        except ProtocolError as error:
            self._tally.count(f"served.refused: {type(error).__name__}")
            log.info("connection ended", concentrator=number, error=str(error))
        finally:
            streams.discard(stream)
            await trio.aclose_forcefully(stream)

    async def _converse(self, stream: ShapedStream, session: ServedSession) -> None:
        exchange = 0
        while True:
            with trio.move_on_at(session.deadline or math.inf) as timer:
                data = await stream.receive_some(RECEIVE_SIZE)
            if timer.cancelled_caught:
                session.handle_deadline(trio.current_time())
                if session.deadline is None:
                    return
                continue
            if not data:
                return
            session.receive_data(bytes(data), now=trio.current_time())
            for cause in session.refusals():
                self._tally.count(f"served.refused: {cause}")
            answer = session.data_to_send()
            if answer:
                exchange += 1
                stream.begin_exchange(exchange, 0)
                await stream.send_all(answer)
                self._tally.count("served.answered")
