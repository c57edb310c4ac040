"""Asking a process of ours something over its control socket, from asyncio.

The trio side of the same conversation is `harness.run.questions`.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from protocols.errors import CodecError
from protocols.framing import Message, MessageReader, encode_message

ANSWER_S: Final = 30.0
QUESTIONS_MAX: Final = 16
"""Questions to one process at the same time: it has other work."""
RECEIVE_SIZE: Final = 256 * 1024
FULL_S: Final = 0.01
"""Real seconds between attempts to connect where too many wait to be let in already."""


class AwayError(Exception):
    """Nobody listens, the answer did not come in time, or it broke off."""

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(f"{peer} does not answer: {reason}")
        self.peer = peer


class RefusedError(Exception):
    """The process answered that it cannot; ``kind`` is one of its control socket's."""

    def __init__(self, peer: str, kind: str, text: str) -> None:
        super().__init__(text)
        self.peer = peer
        self.kind = kind


class ControlClient:
    """One process, as somebody who asks it sees it; every question has its connection.

    Args:
        peer: what errors call it.
        control_socket: where it listens.
        questions_max: asked at the same time; others wait.
    """

    def __init__(self, peer: str, control_socket: Path, questions_max: int = QUESTIONS_MAX) -> None:
        self.peer = peer
        self._path = control_socket
        self._slots = asyncio.Semaphore(questions_max)

    async def ask(self, question: str, *, timeout_s: float = ANSWER_S, **details: Any) -> Any:  # noqa: ANN401
        """Return the answer to one question.

        Raises:
            AwayError: no answer within ``timeout_s``; it may have understood.
            RefusedError: it says that it cannot.

        Cancellation: the connection closes; it may have understood.
        """
        try:
            async with asyncio.timeout(timeout_s), self._slots:
                answer = await self._exchange({"ask": question, **details})
        except (OSError, EOFError, CodecError) as error:
            raise AwayError(self.peer, str(error) or type(error).__name__) from error
        if "error" in answer:
            kind = str(answer.get("kind", "invalid"))
            raise RefusedError(self.peer, kind, str(answer["error"]))
        return answer["answer"]

    async def _exchange(self, question: Message) -> Message:
        reader, writer = await self._connected()
        try:
            writer.write(encode_message(question))
            await writer.drain()
            messages = MessageReader()
            while (answer := messages.next_message()) is None:
                data = await reader.read(RECEIVE_SIZE)
                if not data:
                    raise EOFError("the connection closed")
                messages.feed(data)
            return answer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        try:
            await self._connect(connection)
            return await asyncio.open_unix_connection(sock=connection)
        except BaseException:
            connection.close()
            raise

    async def _connect(self, connection: socket.socket) -> None:
        while True:
            try:
                connection.connect(str(self._path))
            except BlockingIOError:
                # Unlike over TCP, nobody waits in the kernel when its list is full (unix(7)), and
                # asyncio's own way takes who was not let in for connected.
                await asyncio.sleep(FULL_S)
            else:
                return
