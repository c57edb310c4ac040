"""A head-end shard that is only a control socket: canned answers, and what it was asked."""

from __future__ import annotations

import socketserver
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from protocols.framing import MessageReader, encode_message

Answer = Any | Callable[[Mapping[str, Any]], Any]


class Hangup(Exception):
    """Raised by an answer: the connection closes without one."""


class FakeShard:
    """Answers by name of the question; an answer may be a function of the question.

    A dictionary with ``error`` is sent as it is, anything else as the answer.
    """

    def __init__(self, path: Path, answers: dict[str, Answer]) -> None:
        self.path = path
        self.answers = answers
        self.asked: list[dict[str, Any]] = []

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the message that answers ``question``."""
        self.asked.append(dict(question))
        answer = self.answers[question["ask"]]
        told = answer(question) if callable(answer) else answer
        return told if isinstance(told, dict) and "error" in told else {"answer": told}


@contextmanager
def served(shard: FakeShard) -> Iterator[FakeShard]:
    """Serve a fake shard for the length of a ``with``."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            reader = MessageReader()
            while data := self.request.recv(65_536):
                reader.feed(data)
                while (question := reader.next_message()) is not None:
                    try:
                        self.request.sendall(encode_message(shard.answer(question)))
                    except Hangup:
                        return

    with socketserver.ThreadingUnixStreamServer(str(shard.path), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield shard
        finally:
            server.shutdown()
            thread.join()
