"""Calling a system that has an HTTP API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

import gevent
from geventhttpclient import HTTPClient

from harness.load.clients.config import System
from harness.load.clients.operations import Request

ANSWER_OCTETS_MAX: Final = 64 * 1024 * 1024


class Caller(Protocol):
    """Calls one system; many greenlets at a time.

    Attributes:
        system: whom.
        speaks: how, for statistics.
        repeats: whether a command may be sent again under its name, and is done once.
    """

    system: System
    speaks: str
    repeats: bool

    def call(self, request: Request) -> tuple[int, bytes, str | None]:
        """Return status (0: no answer), answer and, unless it went well, the cause."""

    def close(self) -> None:
        """Close all connections."""


class HttpCaller:
    """Calls one system over HTTP, on connections that are kept."""

    speaks = "http"
    repeats = True

    def __init__(self, system: System) -> None:
        self.system = system
        headers = {"Accept": "application/json"}
        if system.token_file is not None:
            token = system.token_file.read_text().splitlines()[0].strip()
            headers["Authorization"] = f"Bearer {token}"
        # What the library makes of the path of a URL is nothing.
        self._below = urlsplit(system.url).path.rstrip("/")
        self._client = HTTPClient.from_url(
            system.url,
            concurrency=system.connections,
            connection_timeout=system.timeout_s,
            network_timeout=system.timeout_s,
            headers=headers,
        )

    def call(self, request: Request) -> tuple[int, bytes, str | None]:
        """Return status (0: no answer), body and, unless it went well, the cause."""
        body = b"" if request.body is None else json.dumps(request.body).encode()
        headers = {"Content-Type": "application/json"} if body else {}
        path = self._below + request.path
        try:
            with gevent.Timeout(self.system.timeout_s):
                response = self._client.request(request.method, path, body, headers)
                with response:
                    answer = bytes(response.read(ANSWER_OCTETS_MAX))
                    status = int(response.status_code)
        except gevent.Timeout:
            return 0, b"", "no answer in time"
        except (OSError, ValueError) as error:
            return 0, b"", named(error)
        return status, answer, None if 200 <= status < 300 else f"answered {status}"

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


_CAUSES: Final[Mapping[type[Exception], str]] = {
    ConnectionRefusedError: "connection refused",
    ConnectionResetError: "connection broken",
    BrokenPipeError: "connection broken",
}


def named(error: Exception) -> str:
    """Return what came between, in the words of statistics."""
    return _CAUSES.get(type(error), type(error).__name__)
