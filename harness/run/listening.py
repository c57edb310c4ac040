"""Waiting until somebody else's system listens: it may start on what the run exports."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import trio

from harness.errors import EnvironmentUnfitError

LISTENS_WITHIN_S: Final = 30.0
"""Real seconds that it gets to listen."""
TRY_EVERY_S: Final = 0.25
TRY_S: Final = 5.0
PORTS: Final = {"http": 80, "https": 443}


async def url_listens(url: str, *, who: str, key: str) -> None:
    """Return once somebody accepts a connection where ``url`` says.

    Args:
        url: of HTTP or HTTPS, or one that says its port.
        who: is to listen there, for people: "billing system".
        key: of the scenario that says where.

    Raises:
        EnvironmentUnfitError: nobody does within 30 s.
    """
    parts = urlsplit(url)
    port = parts.port or PORTS[parts.scheme]

    async def dial() -> None:
        stream = await trio.open_tcp_stream(parts.hostname or "", port)
        await stream.aclose()

    await _accepts(dial, f"no {who} listens at {url} ({key})")


async def address_listens(host: str, port: int, *, who: str, key: str) -> None:
    """Return once somebody accepts a connection of IPv4, as the fleet dials; as `url_listens`."""

    async def dial() -> None:
        with trio.socket.socket(socket.AF_INET) as probe:
            await probe.connect((host, port))

    await _accepts(dial, f"no {who} listens at {host}:{port} ({key})")


async def _accepts(dial: Callable[[], Awaitable[None]], nobody: str) -> None:
    reason = "it does not answer"
    with trio.move_on_after(LISTENS_WITHIN_S):
        while True:
            try:
                with trio.fail_after(TRY_S):
                    await dial()
            except (OSError, trio.TooSlowError) as error:
                reason = str(error) or reason
                await trio.sleep(TRY_EVERY_S)
            else:
                return
    raise EnvironmentUnfitError(f"{nobody}: {reason}; it was tried for {LISTENS_WITHIN_S:g} s")
