"""Messages between our processes over trio streams."""

from __future__ import annotations

import socket
from typing import Final

import trio

from protocols.framing import Message, MessageReader, encode_message

RECEIVE_SIZE: Final = 65_536


class MessageStream:
    """Sends and receives framed messages over a stream it owns.

    `send` may be called from several tasks: whole messages never interleave. A `send` that is
    cancelled may leave half a message behind, so the stream must then be closed. A `receive` that
    is cancelled loses nothing.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._reader = MessageReader()
        self._sending = trio.Lock()

    @classmethod
    def of_descriptor(cls, descriptor: int) -> MessageStream:
        """Wrap an inherited, connected Unix socket."""
        inherited = socket.socket(fileno=descriptor)
        return cls(trio.SocketStream(trio.socket.from_stdlib_socket(inherited)))

    async def send(self, message: Message) -> None:
        """Send one message. Raises `trio.BrokenResourceError` when the peer is gone."""
        async with self._sending:
            await self._stream.send_all(encode_message(message))

    async def receive(self) -> Message | None:
        """Return the next message, or ``None`` once the peer has closed.

        Raises `CodecError` on a malformed message and `trio.BrokenResourceError` on a reset.
        """
        while (message := self._reader.next_message()) is None:
            data = await self._stream.receive_some(RECEIVE_SIZE)
            if not data:
                return None
            self._reader.feed(bytes(data))
        return message

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()
