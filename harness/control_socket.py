"""A control socket: questions of our own processes, answered one after another.

One question a message, one answer a message, over a Unix socket (`protocols.framing`). A question
is ``{"ask": NAME, ...}``; the answer is ``{"answer": ...}`` or ``{"error": TEXT, "kind": KIND}``.
It never crosses a shaped link.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import trio
from structlog import get_logger

from emulator.messages import MessageStream
from protocols.errors import CodecError, ProtocolError
from protocols.framing import Message

BACKLOG: Final = 4_096
"""Connections that wait to be let in: an API passes on what all its clients ask at once."""
UNKNOWN: Final = "unknown"
INVALID: Final = "invalid"
STOP: Final = "stop"
log = get_logger(__name__)

Answer: TypeAlias = Callable[[Message], Awaitable[Any]]
Kinds: TypeAlias = Mapping[type[Exception], str]


class ControlSocket:
    """Serves the questions that are in ``answers``.

    Args:
        path: where it listens; only our own user may connect.
        answers: what is done for a question, by its name.
        stop: called for the question ``stop``, once it is answered.
        kinds: what an exception of an answer is told as; classes before those they are of. Others
            but `KeyError` (unknown), `TypeError`, `ValueError`, `OverflowError` and `OSError`
            (invalid) end the process: they are our mistake.
    """

    def __init__(
        self,
        path: Path,
        answers: Mapping[str, Answer],
        kinds: Kinds,
        *,
        stop: Callable[[], None],
    ) -> None:
        self._path = path
        self._answers = {**answers, STOP: _nothing}
        self._stop = stop
        self._kinds: Kinds = {
            **kinds,
            KeyError: UNKNOWN,
            TypeError: INVALID,
            ValueError: INVALID,
            OverflowError: INVALID,
            OSError: INVALID,
        }

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        self._path.unlink(missing_ok=True)
        bound = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        await bound.bind(str(self._path))
        # Whoever can connect commands everything: only our own user may (unix(7)).
        self._path.chmod(0o600)
        bound.listen(BACKLOG)
        task_status.started()
        await trio.serve_listeners(self._serve, [trio.SocketListener(bound)])

    async def _serve(self, stream: trio.SocketStream) -> None:
        messages = MessageStream(stream)
        try:
            while (question := await messages.receive()) is not None:
                await self._send(messages, await self._answer(question))
                if question.get("ask") == STOP:
                    self._stop()
        except (ProtocolError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            log.info("control connection ended", error=str(error))
        finally:
            await trio.aclose_forcefully(stream)

    async def _send(self, messages: MessageStream, answer: dict[str, Any]) -> None:
        try:
            await messages.send(answer)
        except CodecError as error:
            text = f"the answer cannot be sent, ask for less: {error}"
            await messages.send({"error": text, "kind": INVALID})

    async def _answer(self, question: Message) -> dict[str, Any]:
        answer = self._answers.get(str(question.get("ask")))
        if answer is None:
            return {"error": f"nothing is called {question.get('ask')!r}", "kind": UNKNOWN}
        try:
            return {"answer": await answer(question)}
        except tuple(self._kinds) as error:
            kind = next(kind for one, kind in self._kinds.items() if isinstance(error, one))
            return {"error": str(error), "kind": kind}


async def _nothing(question: Message) -> dict[str, Any]:
    return {}
