"""A concentrator's side of a connection that a client opened."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from protocols.dlms.plugin.devices import Devices, Security
from protocols.dlms.plugin.protection import (
    POLICIES,
    SendsUnder,
    client_policies,
    security_context,
)
from protocols.dlms.refusals import RefusalKind
from protocols.dlms.server import (
    AssociationOpened,
    AssociationRefused,
    Refused,
    RequestServed,
    ServerEvent,
    ServerSession,
)
from protocols.dlms.server import Credentials as ServerCredentials
from protocols.plugin import ConcentratorModel, Counters, Credentials, SessionOptions

CAUSES: Final[Mapping[RefusalKind, str]] = {
    RefusalKind.MALFORMED_APDU: "malformed",
    RefusalKind.NOT_PROTECTED_ENOUGH: "not ciphered",
    RefusalKind.OVERSIZED_APDU: "oversized",
    RefusalKind.SECURITY_NOT_SUPPORTED: "unsupported suite",
    RefusalKind.UNKNOWN_APDU: "wrongly tagged",
    RefusalKind.WRONG_MAC: "wrong MAC",
}
"""The words that pushes use for the same things; the other kinds are called as they are named."""
AT_ONCE: Final = -math.inf


class DlmsServedSession:
    """A DLMS server for one connection.

    ``deadline`` is in the past (at once) until the session has been told the time first, and
    again when it has ended by itself, as after garbage; told the time then, it is ``None``: send
    what is left and close the connection.
    """

    def __init__(
        self,
        model: ConcentratorModel,
        credentials: Credentials,
        counters: Counters,
        options: SessionOptions,
        random: Callable[[int], bytes],
    ) -> None:
        self.deadline: float | None = AT_ONCE
        self._counters = counters
        self._client_title = b""
        self._refusals: list[str] = []
        shown = Security(
            POLICIES[options.protection],
            credentials.system_title,
            lambda: self._client_title,
            self._last_accepted,
        )
        devices = Devices(model, shown, guarded=options.authentication != "none")
        context = security_context(
            credentials.system_title, credentials, counters, SendsUnder(counters)
        )
        self._make = partial(
            ServerSession,
            devices.resolve,
            credentials=ServerCredentials(credentials.secret, context),
            random_bytes=random,
            policies=client_policies(options),
        )
        self._server: ServerSession | None = None

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take octets of the client, in any split. Never raises for what they hold."""
        server = self._at(now)
        server.receive_data(data, now)
        self._note(server, ended_at=AT_ONCE)

    def receive_eof(self) -> None:
        """Take the end of the stream; what it cut off is refused as truncated."""
        if self._server is not None:
            self._server.receive_eof()
            self._note(self._server, ended_at=None)

    def data_to_send(self) -> bytes:
        """Return the octets to send now, once."""
        parts: list[bytes] = []
        # The server stops serving while answers wait; taking them lets it go on.
        while self._server is not None and (part := self._server.data_to_send()):
            parts.append(part)
        if self._server is not None:
            self._note(self._server, ended_at=AT_ONCE)
        return b"".join(parts)

    def handle_deadline(self, now: float) -> None:
        """Take the time; afterwards the deadline is in the future or ``None``."""
        server = self._at(now)
        server.handle_deadline(now)
        self._note(server, ended_at=None)

    def refusals(self) -> Sequence[str]:
        """Return, once, the causes for which requests were refused since the last call."""
        causes, self._refusals = self._refusals, []
        return causes

    def _at(self, now: float) -> ServerSession:
        if self._server is None:
            self._server = self._make(now=now)
        return self._server

    def _note(self, server: ServerSession, *, ended_at: float | None) -> None:
        while (event := server.next_event()) is not None:
            if isinstance(event, AssociationOpened) and event.client_system_title:
                self._client_title = event.client_system_title
            cause = _cause(event)
            if cause is not None:
                self._refusals.append(cause)
        self.deadline = ended_at if server.closed else server.deadline

    def _last_accepted(self) -> int | None:
        return self._counters.last_accepted(self._client_title) if self._client_title else None


def _cause(event: ServerEvent) -> str | None:
    """Return why something was refused; ``None`` for an event that is no refusal."""
    match event:
        case Refused(kind=kind) | AssociationRefused(reason=kind):
            return CAUSES.get(kind) or _words(kind.name)
        case RequestServed(result=result) if result:
            return _words(getattr(result, "name", "other reason"))
    return None


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
