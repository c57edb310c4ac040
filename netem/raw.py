"""The stream underneath a shaped one, and breaking it so that its far end knows."""

from __future__ import annotations

import struct
from contextlib import suppress
from socket import SO_LINGER, SOL_SOCKET
from typing import Final

import trio
from trio.abc import HalfCloseableStream

RawStream = HalfCloseableStream

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


def break_raw(raw: RawStream, nursery: trio.Nursery) -> None:
    """Break a connection at once: a socket sends RST, anything else is closed by ``nursery``."""
    if isinstance(raw, trio.SocketStream):
        with suppress(OSError):  # the peer may have been quicker
            raw.socket.setsockopt(SOL_SOCKET, SO_LINGER, _RESET_ON_CLOSE)
        raw.socket.close()
    else:
        nursery.start_soon(trio.aclose_forcefully, raw)
