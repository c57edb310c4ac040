"""The life of a process that serves an HTTP API, on asyncio: ready, stop, the end of its parent.

It prints one line, ``ready PORT``, to standard output once it listens, and ends on SIGTERM or
SIGINT, or when standard input, if it is a pipe, ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

STOP_S: Final = 5
"""Real seconds that a stop leaves requests under way."""
CONNECTIONS_MAX: Final = 256


class _Server(uvicorn.Server):
    """Says when it listens, and ends with status 0 when told to."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if sockets and not self.should_exit:
            sys.stdout.write(f"ready {sockets[0].getsockname()[1]}\n")
            sys.stdout.flush()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `serve`: uvicorn raises them anew once it has stopped."""
        yield


async def serve(
    app: ASGIApp, listener: socket.socket, connections_max: int = CONNECTIONS_MAX
) -> None:
    """Serve ``app`` on ``listener`` until a signal comes or standard input ends.

    ``connections_max`` requests are answered at the same time; others are told 503.

    Cancellation: connections end at once.
    """
    server = _Server(
        uvicorn.Config(
            app,
            http="h11",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=connections_max,
            timeout_graceful_shutdown=STOP_S,
        )
    )
    _stop_on_signal(server)
    _stop_without_parent(server)
    await server.serve(sockets=[listener])


def bound(host: str, port: int) -> socket.socket:
    """Return a bound socket. Raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _stop_on_signal(server: _Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)


def _stop_without_parent(server: _Server) -> None:
    """End when standard input does: whoever started this process holds the other end of it.

    A terminal or a file is nobody's other end.
    """
    if sys.stdin is None or not stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        return
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()

    def read() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            server.should_exit = True

    loop.add_reader(descriptor, read)
