"""Asking a process over its control socket while it is too busy to let everybody in."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.api.asking import AwayError, ControlClient
from protocols.framing import MessageReader, encode_message

QUESTIONS = 40
PATIENCE_S = 30.0


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Somebody who lets one wait at most."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        listener.settimeout(PATIENCE_S)
        yield listener


def answer(listener: socket.socket) -> None:
    """Tell one who asks what it asked."""
    connection, _ = listener.accept()
    with connection:
        messages = MessageReader()
        while (question := messages.next_message()) is None:
            messages.feed(connection.recv(1_000))
        connection.sendall(encode_message({"answer": question["number"]}))


async def asked(path: Path, timeout_s: float) -> list[int]:
    client = ControlClient("somebody", path, QUESTIONS)
    asking = [
        client.ask("number", timeout_s=timeout_s, number=number) for number in range(QUESTIONS)
    ]
    return list(await asyncio.gather(*asking))


def test_who_finds_no_room_waits_until_there_is(tmp_path: Path) -> None:
    with listening(tmp_path / "socket") as listener:

        def serve() -> None:
            for _ in range(QUESTIONS):
                answer(listener)

        server = threading.Thread(target=serve)
        server.start()
        assert asyncio.run(asked(tmp_path / "socket", PATIENCE_S)) == list(range(QUESTIONS))
        server.join()


def test_nobody_waits_longer_than_asked_to(tmp_path: Path) -> None:
    with listening(tmp_path / "socket"), pytest.raises(AwayError, match="somebody"):
        asyncio.run(asked(tmp_path / "socket", 0.2))
