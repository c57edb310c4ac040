"""What a C12 server needs of the device behind it, over the serial link and the network alike.

The server (`protocols.c12.psem`, the C12.22 association) owns the link and the services that are
about it: Identify, Negotiate, Wait, Timing setup, Terminate, Disconnect. Everything else comes
here: Logon, Security, Authenticate, Logoff and the tables. Who is logged on, and what that allows,
is the application's to know.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from protocols.c12.services.codec import Response
from protocols.c12.services.requests import Request


class SessionState(Enum):
    """Where a session stands (C12.18 and C12.21; C12.22 needs no Identify)."""

    BASE = auto()
    """Nobody has asked who we are."""

    IDENTIFIED = auto()
    """Identify was answered; nobody is logged on."""

    LOGGED_ON = auto()
    """Logon was accepted; the tables may be asked for."""


class Application(Protocol):
    """The device as one session sees it: one object for each session."""

    def handle(self, request: Request, *, now: float) -> Response:
        """Return the answer to ``request``, whatever it asks; never raises for what it holds.

        ``now`` is in seconds of the same clock as the server's. An `Authenticate` comes only when
        the server has found its ticket right, and the server adds the body to an OK. A `Logon`
        without ``timeout_s`` is C12.18's or C12.21's, and its OK has no body. What the application
        does not serve it answers with SERVICE_NOT_SUPPORTED.
        """
        ...

    def session_ended(self) -> None:
        """Forget who is logged on: terminated, disconnected, or silent for too long.

        A Logoff comes through `handle` instead. May be called when nobody is logged on.
        """
        ...
