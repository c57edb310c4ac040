"""Asking a head-end shard something over its control socket, from asyncio.

The trio side of the same conversation is `harness.run.questions`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from protocols.errors import CodecError
from protocols.framing import Message, MessageReader, encode_message

ANSWER_S: Final = 30.0
QUESTIONS_MAX: Final = 16
"""Questions to one shard at the same time: its first work is readings."""
RECEIVE_SIZE: Final = 256 * 1024


class ShardAwayError(Exception):
    """Nobody listens, the answer did not come in time, or it broke off."""

    def __init__(self, shard: int, reason: str) -> None:
        super().__init__(f"head-end shard {shard} does not answer: {reason}")
        self.shard = shard


class RefusedError(Exception):
    """The shard answered that it cannot; ``kind`` is one of `harness.headend.control`'s."""

    def __init__(self, shard: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.shard = shard
        self.kind = kind


class ShardClient:
    """One head-end shard, as somebody who asks it sees it; every question has its connection."""

    def __init__(self, shard: int, control_socket: Path) -> None:
        self.shard = shard
        self._path = control_socket
        self._slots = asyncio.Semaphore(QUESTIONS_MAX)

    async def ask(self, question: str, *, timeout_s: float = ANSWER_S, **details: Any) -> Any:  # noqa: ANN401
        """Return the answer to one question.

        Raises:
            ShardAwayError: no answer within ``timeout_s``; the shard may have understood.
            RefusedError: the shard says that it cannot.

        Cancellation: the connection closes; the shard may have understood.
        """
        try:
            async with asyncio.timeout(timeout_s), self._slots:
                answer = await self._exchange({"ask": question, **details})
        except (OSError, EOFError, CodecError) as error:
            raise ShardAwayError(self.shard, str(error) or type(error).__name__) from error
        if "error" in answer:
            kind = str(answer.get("kind", "invalid"))
            raise RefusedError(self.shard, kind, str(answer["error"]))
        return answer["answer"]

    async def _exchange(self, question: Message) -> Message:
        reader, writer = await asyncio.open_unix_connection(str(self._path))
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
