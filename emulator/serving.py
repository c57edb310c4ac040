"""Concentrators that are asked: one listener for a whole shard.

The socket is bound to all addresses but to the loopback device only, so it accepts for all of
127.0.0.0/8 and nothing else; in a lab it accepts for every address of the fleet's own namespace.
The address a client dialled names the concentrator. A concentrator
that the plan or an outage makes unreachable drops callers: an outage at once, a window that closes
after a little while.
"""

from __future__ import annotations

import math
import socket
from collections import Counter
from typing import Final

import trio
from structlog import get_logger

from emulator import congestion
from emulator.linked import Served
from emulator.links import FleetLinks
from emulator.tally import Tally
from netem.shaper import ShapedStream
from protocols.errors import ProtocolError
from protocols.plugin import ServedSession

RECEIVE_SIZE: Final = 16_384
BACKLOG: Final = 4_096
CONNECTIONS_MAX: Final = 4
"""Callers of one concentrator at a time: nobody may use up the descriptors of all."""
ANSWER_S: Final = 120.0
"""Real seconds that a caller may take to take an answer."""
CLOSING_S: Final = 10.0
"""Real seconds that a conversation may go on after the window has closed."""
log = get_logger(__name__)


def listen_on_loopback(port: int, wanted: str | None = None) -> trio.SocketListener:
    """Return a listener for every address of 127.0.0.0/8 on ``port`` (0: any free one).

    Its connections use the TCP congestion control ``wanted``, if one is.

    Raises `OSError`: the port is taken, the system does not let us bind to a device, or it does not
    have that congestion control.
    """
    return _listen(port, b"lo", wanted)


def listen_in_lab(port: int, wanted: str | None = None) -> trio.SocketListener:
    """Return a listener for every address of this network namespace, which is the fleet's own.

    Otherwise as `listen_on_loopback`.
    """
    return _listen(port, b"", wanted)


def _listen(port: int, device: bytes, wanted: str | None) -> trio.SocketListener:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if device:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        congestion.use(bound, wanted)
        bound.setblocking(False)
        bound.bind(("0.0.0.0", port))
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    return trio.SocketListener(trio.socket.from_stdlib_socket(bound))


class Servers:
    """All served concentrators of a shard."""

    def __init__(self, concentrators: Served, links: FleetLinks, tally: Tally) -> None:
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

    async def close_silent(self) -> None:
        """Break connections to concentrators that are not reachable any more.

        To be called as a step begins: what is under way has `CLOSING_S` to finish.
        """
        silent = self._silent()
        if silent:
            await trio.sleep(CLOSING_S)
            for number in silent.intersection(self._silent()):
                self.cut(number)

    def _silent(self) -> set[int]:
        return {number for number in self._connections if not self._concentrators.reachable(number)}

    async def _serve(self, raw: trio.SocketStream) -> None:
        number = self._links.number_of(raw.socket.getsockname()[0])
        refusal = self._refusal(number)
        if refusal is not None or number is None:
            self._tally.count(f"served.refused: {refusal}")
            await trio.aclose_forcefully(raw)
            return
        self._opened[number] += 1
        connection = self._opened[number]
        stream = self._links.accepted(number, raw, connection)
        self._connections.setdefault(number, set()).add(stream)
        self._tally.count("connections accepted")
        self._tally.count("connections opened")
        try:
            async with stream:
                await self._attend(number, connection, stream)
            # The raw stream is closed when this returns, and the last answer may be under way.
            await stream.wait_closed()
        finally:
            self._forget(number, stream)

    def _refusal(self, number: int | None) -> str | None:
        """Return why a caller is dropped; ``None`` where it is not."""
        if number is None or number not in self._concentrators.numbers:
            return "no such concentrator"
        if not self._concentrators.reachable(number):
            return "unreachable"
        if len(self._connections.get(number, ())) >= CONNECTIONS_MAX:
            return "too many connections"
        return None

    def _forget(self, number: int, stream: ShapedStream) -> None:
        self._tally.count("connections closed")
        streams = self._connections[number]
        streams.discard(stream)
        if not streams:
            del self._connections[number]

    async def _attend(self, number: int, connection: int, stream: ShapedStream) -> None:
        """Hold a conversation to its end, whatever its end is."""
        try:
            session = self._concentrators.served_session(number, connection)
            await self.converse(stream, session, connection)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            self._links.failed(number)
            self._tally.count("served.broken")
            log.debug("caller vanished", concentrator=number, error=str(error))
        except trio.TooSlowError:
            stream.reset()
            self._links.failed(number)
            self._tally.count("served.refused: takes no answers")
        except ProtocolError as error:
            self._tally.count(f"served.refused: {type(error).__name__}")
            log.info("connection ended", concentrator=number, error=str(error))
        except Exception as error:
            # A bug of ours that one caller has found must not take the other callers with it.
            self._tally.count(f"served.failed: {type(error).__name__}")
            log.exception("conversation failed", concentrator=number)

    async def converse(self, stream: ShapedStream, session: ServedSession, connection: int) -> None:
        """Serve one connection until its end, which is the client's or the session's.

        Raises what streams and sessions raise, and `trio.TooSlowError` where answers are not taken.
        Cancellation: an answer under way may be lost.
        """
        exchange, ended = 0, False
        while not ended:
            ended = await _hear(stream, session, self._tally)
            for cause in session.refusals():
                self._tally.count(f"served.refused: {cause}")
            answer = session.data_to_send()
            if answer:
                exchange += 1
                stream.begin_exchange(exchange, connection)
                with trio.fail_after(ANSWER_S):
                    await stream.send_all(answer)
                self._tally.carried(sent=len(answer))
                self._tally.count("served.answered")


async def _hear(stream: ShapedStream, session: ServedSession, tally: Tally) -> bool:
    """Give the session octets, the end of them, or the time; return whether that was the last."""
    data: bytes | None = None
    with trio.move_on_at(math.inf if session.deadline is None else session.deadline):
        data = await stream.receive_some(RECEIVE_SIZE)
    now = trio.current_time()
    if data is None:
        session.handle_deadline(now)
        return session.deadline is None
    if not data:
        session.receive_eof()
        return True
    tally.carried(received=len(data))
    session.receive_data(data, now=now)
    return False
