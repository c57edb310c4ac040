"""Asking a head-end shard something over its control socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import trio

from emulator.messages import MessageStream

ANSWER_S: Final = 30.0


class NoAnswerError(Exception):
    """A head-end shard did not answer, or answered that it could not."""


async def ask(
    control_socket: Path,
    question: str,
    *,
    answer_s: float = ANSWER_S,
    **arguments: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Return the answer of a head-end shard to one question (`harness.headend.control`).

    Raises:
        NoAnswerError: nobody listens, no answer within ``answer_s``, or the shard reports an error.
    """
    try:
        with trio.fail_after(answer_s):
            stream = await trio.open_unix_socket(str(control_socket))
            async with stream:
                messages = MessageStream(stream)
                await messages.send({"ask": question, **arguments})
                answer = await messages.receive()
    except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
        raise NoAnswerError(f"{question}: {error!r}") from error
    if answer is None or "error" in answer:
        raise NoAnswerError(f"{question}: {answer['error'] if answer else 'closed'}")
    return answer["answer"]
