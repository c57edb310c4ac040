"""The process of the HTTP API: ``python -m harness.headend.api CONFIG``.

It prints one line, ``ready PORT``, to standard output once it listens, and ends on SIGTERM or
SIGINT, or when standard input, if it is a pipe, ends.

Exit status: 0 stopped; 4 cannot start, the last line of the log says why; anything else is our
mistake.
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
from pathlib import Path
from typing import Final

import uvicorn
from structlog import get_logger

from emulator.logs import log_to_stderr
from harness.errors import ExitCode
from harness.headend.api.app import application
from harness.headend.api.config import ApiConfig, read_token
from harness.headend.api.directory import Directory
from harness.headend.api.exporting import make_room
from harness.headend.api.shards import HeadEnd

STOP_S: Final = 5
"""Real seconds that a stop leaves requests under way."""
CONNECTIONS_MAX: Final = 256
log = get_logger(__name__)


class Server(uvicorn.Server):
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


async def serve(config: ApiConfig, token: str, listener: socket.socket) -> None:
    """Serve the API on ``listener`` until a signal comes or standard input ends.

    Raises `OSError`, `KeyError`, `TypeError` or `ValueError` when provisioning cannot be read.
    """
    directory = Directory.load(config.provisioning, len(config.control_sockets))
    server = Server(
        uvicorn.Config(
            application(HeadEnd(config, directory), token),
            http="h11",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=STOP_S,
        )
    )
    _stop_on_signal(server)
    _stop_without_parent(server)
    await server.serve(sockets=[listener])
    log.info("stopped")


def _stop_on_signal(server: Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)


def _stop_without_parent(server: Server) -> None:
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


def _listener(host: str, port: int) -> socket.socket:
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


def main() -> None:
    """Run the API whose configuration file is named on the command line."""
    log_to_stderr()
    try:
        config = ApiConfig.model_validate_json(Path(sys.argv[1]).read_bytes())
        token = read_token(config.token_file)
        make_room(config.exports)
        with _listener(config.host, config.port) as listener:
            asyncio.run(serve(config, token, listener))
    except (OSError, KeyError, TypeError, ValueError) as error:
        log.critical("API ends", error=str(error), kind=type(error).__name__)
        sys.exit(ExitCode.ENVIRONMENT)


if __name__ == "__main__":
    main()
