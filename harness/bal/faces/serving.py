"""Listeners of faces, and whoever calls: bounded, each on its own, none of them able to end it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import trio
from structlog import get_logger

from harness.bal.faces.config import FaceConfig, SunSpecFace
from harness.bal.faces.conversation import Conversation
from harness.bal.faces.dialect import DialectConversation
from harness.bal.faces.sunspec import Registers, SunSpecConversation
from harness.bal.service import BatteryLayer
from harness.bal.tls import server_context

RECEIVE_SIZE: Final = 4_096
HANDSHAKE_S: Final = 10.0
"""Real seconds in which a caller has to show a certificate."""
SEND_S: Final = 60.0
"""Real seconds that a caller may take to take an answer."""
IDLE_S: Final = 600.0
"""Real seconds after which a caller who asks nothing is hung up on."""
log = get_logger(__name__)

Begin: TypeAlias = Callable[[], Conversation]


@dataclass(slots=True)
class OpenFace:
    """A face whose listeners are open; callers wait in them until it is run.

    ``connections`` is how many are being served.
    """

    config: FaceConfig
    listeners: Sequence[trio.SocketListener]
    context: ssl.SSLContext | None
    connections: int = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.listeners[0].socket.getsockname()[1]
        return port

    async def run(self, layer: BatteryLayer) -> None:
        """Serve whoever calls, until cancelled. One bad caller never ends it."""
        begin = _beginner(self.config, layer)

        async def serve(stream: trio.SocketStream) -> None:
            await self._serve(layer, stream, begin)

        await trio.serve_listeners(serve, list(self.listeners))

    async def _serve(self, layer: BatteryLayer, raw: trio.SocketStream, begin: Begin) -> None:
        speaks = self.config.speaks
        stream: trio.abc.Stream = raw
        if self.connections >= self.config.connections:
            layer.counts[f"{speaks}: turned away"] += 1
            await trio.aclose_forcefully(raw)
            return
        self.connections += 1
        try:
            if self.context is not None:
                stream = await _secured(raw, self.context)
            await _converse(stream, begin())
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError) as error:
            layer.counts[f"{speaks}: broken"] += 1
            log.info("caller gone", face=speaks, why=str(error.__cause__ or error))
        except Exception:
            # A bug of ours that one caller has found must not take the other callers with it.
            layer.counts[f"{speaks}: failed"] += 1
            log.exception("conversation failed", face=speaks)
        finally:
            self.connections -= 1
            await trio.aclose_forcefully(stream)


async def open_faces(configs: Sequence[FaceConfig]) -> list[OpenFace]:
    """Open the listeners of all faces.

    Raises `OSError`: a port is taken, or a file of `TlsFiles` is not there or no good.
    """
    faces: list[OpenFace] = []
    try:
        for config in configs:
            context = None if config.tls is None else server_context(config.tls)
            listeners = await trio.open_tcp_listeners(config.port, host=config.host)
            faces.append(OpenFace(config, listeners, context))
            log.info("face open", speaks=config.speaks, host=config.host, port=faces[-1].port)
    except BaseException:
        for face in faces:
            for listener in face.listeners:
                listener.socket.close()
        raise
    return faces


def _beginner(config: FaceConfig, layer: BatteryLayer) -> Begin:
    if isinstance(config, SunSpecFace):
        registers = Registers(layer, config.units)
        return lambda: SunSpecConversation(registers)
    return lambda: DialectConversation(layer, config.speaks)


async def _secured(raw: trio.SocketStream, context: ssl.SSLContext) -> trio.abc.Stream:
    stream = trio.SSLStream(raw, context, server_side=True, https_compatible=True)
    with trio.fail_after(HANDSHAKE_S):
        await stream.do_handshake()
    return stream


async def _converse(stream: trio.abc.Stream, conversation: Conversation) -> None:
    while not conversation.closed:
        with trio.fail_after(IDLE_S):
            data = await stream.receive_some(RECEIVE_SIZE)
        if not data:
            conversation.receive_eof()
            return
        conversation.receive_data(bytes(data))
        while octets := await conversation.next_answer():
            with trio.fail_after(SEND_S):
                await stream.send_all(octets)
    await _farewell(stream)


async def _farewell(stream: trio.abc.Stream) -> None:
    """Let the last answer arrive: closed with octets unread, it would be lost in a reset."""
    if isinstance(stream, trio.SocketStream):
        await stream.send_eof()
        with trio.move_on_after(1.0):
            while await stream.receive_some(RECEIVE_SIZE):
                pass
