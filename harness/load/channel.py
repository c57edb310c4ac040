"""Framed messages over a gevent (or plain blocking) socket."""

from __future__ import annotations

import socket
from typing import Final

from gevent.lock import Semaphore

from protocols.framing import Message, MessageReader, encode_message

RECEIVE_SIZE: Final = 65_536


class Channel:
    """Sends and receives messages over a connected socket it owns.

    Any greenlet may send; one may receive.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._reader = MessageReader()
        self._sending = Semaphore()

    @classmethod
    def connect(cls, path: str, *, timeout_s: float) -> Channel:
        """Connect to a Unix socket. Raises `OSError` when nobody listens there."""
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.settimeout(timeout_s)
        connected.connect(path)
        connected.settimeout(None)
        return cls(connected)

    def send(self, message: Message) -> None:
        """Send one message. Raises `OSError` when the peer is gone."""
        with self._sending:
            self._socket.sendall(encode_message(message))

    def receive(self) -> Message | None:
        """Return the next message, or ``None`` once the peer has closed or reset."""
        while (message := self._reader.next_message()) is None:
            try:
                data = self._socket.recv(RECEIVE_SIZE)
            except OSError:
                return None
            if not data:
                return None
            self._reader.feed(data)
        return message

    def close(self) -> None:
        """Close the socket; a `receive` under way returns ``None``."""
        self._socket.close()
