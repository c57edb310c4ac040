"""Calling a battery layer that speaks a dialect of networked batteries, without HTTP.

A connection carries one request at a time and is kept for the next; one whose answer did not come
is closed. In v3 it is TLS and about one battery, which is named when it is opened. There are at
most 32, as such layers turn away who comes after some: who waits for one has it in its latency.
Commands have no name in these dialects, so none is sent twice. In v2 and v3 a current is set for a
time: here for ten years from the moment of sending, by the scenario clock.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Final
from urllib.parse import urlsplit

from gevent import socket
from gevent.lock import BoundedSemaphore
from gevent.select import select

from harness.bal.tls import client_context
from harness.load.clients.config import System
from harness.load.clients.http import named
from harness.load.clients.operations import Request
from protocols.batteries import (
    DIALECTS,
    V1,
    V3,
    Answered,
    BatteryClient,
    ClientEvent,
    Connect,
    Done,
    GetStatus,
    Refused,
    SetCurrent,
)
from protocols.batteries import Request as Asked
from protocols.errors import CodecError

RECEIVE_OCTETS: Final = 65_536
LINES_MAX: Final = 32
AGES_MS: Final = 10 * 365 * 86_400_000
"""Ten years."""
OK: Final = 200
REFUSED: Final = 422


class DialectCaller:
    """Calls one layer; see `harness.load.clients.http.Caller`.

    Args:
        system: whom; its URL has the dialect as scheme.
        now_ms: the scenario clock.
    """

    repeats = False

    def __init__(self, system: System, now_ms: Callable[[], int]) -> None:
        assert system.dialect is not None, "HTTP is for another caller"
        parts = urlsplit(system.url)
        self.system = system
        self.speaks = system.dialect
        self._place = parts.hostname or "", parts.port or 0
        self._dialect = DIALECTS[system.dialect]
        self._now_ms = now_ms
        self._idle: list[_Line] = []
        self._lines = 0
        self._room = BoundedSemaphore(LINES_MAX)

    def call(self, request: Request) -> tuple[int, bytes, str | None]:
        """Return 200, 422 for a refusal or 0, what was said as JSON, and the cause."""
        with self._room:
            try:
                return self._call(request)
            except CodecError:
                return 0, b"", "does not fit"
            except OSError as error:
                return 0, b"", named(error)

    def _call(self, request: Request) -> tuple[int, bytes, str | None]:
        line = self._line(request.subject)
        kept = False
        try:
            event = line.begin() or line.ask(self._asked(request))
            kept = isinstance(event, Answered | Refused)
        finally:
            if kept:
                self._idle.append(line)
            else:
                self._drop(line)
        match event:
            case Answered(_, reply):
                said = {} if isinstance(reply, Done) else asdict(reply)
                return OK, json.dumps(said).encode(), None
            case Refused(_, reason):
                return REFUSED, json.dumps({"detail": reason}).encode(), f"answered {REFUSED}"
            case failed:
                return 0, b"", failed.fault.name.lower().replace("_", " ")

    def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            self._drop(self._idle.pop())

    def _asked(self, request: Request) -> Asked:
        if request.body is None:
            return GetStatus(request.subject)
        current_ma, now_ms = int(request.body["current_ma"]), self._now_ms()
        window = (None, None) if self._dialect is V1 else (now_ms, now_ms + AGES_MS)
        return SetCurrent(request.subject, current_ma, *window)

    def _line(self, subject: str) -> _Line:
        """Return a connection that is idle and about ``subject``, or a new one."""
        about = subject if self._dialect is V3 else None
        for line in [one for one in self._idle if one.about == about]:
            self._idle.remove(line)
            if line.quiet:
                return line
            self._drop(line)
        if self._lines >= LINES_MAX:
            # Whoever holds room has a connection at most, so one of them is idle.
            self._drop(self._idle.pop(0))
        self._lines += 1
        try:
            return _Line(self._connected(), self._client(), about)
        except BaseException:
            self._lines -= 1
            raise

    def _client(self) -> BatteryClient:
        return BatteryClient(self._dialect, timeout_s=self.system.timeout_s)

    def _connected(self) -> socket.socket:
        connection = socket.create_connection(self._place, self.system.timeout_s)
        tls = self.system.tls
        if tls is None:
            return connection
        try:
            name = tls.server_name or self._place[0]
            return client_context(tls).wrap_socket(connection, server_hostname=name)
        except BaseException:
            connection.close()
            raise

    def _drop(self, line: _Line) -> None:
        self._lines -= 1
        line.close()


class _Line:
    """One connection; ``about`` a battery, where the dialect wants that."""

    def __init__(self, connection: socket.socket, client: BatteryClient, about: str | None) -> None:
        self.about = about
        self._begun = about is None
        self._connection = connection
        self._client = client

    def begin(self) -> ClientEvent | None:
        """Name the battery, once; return what came of it unless all is well. Raises as `ask`."""
        if self._begun or self.about is None:
            return None
        event = self.ask(Connect(self.about))
        self._begun = isinstance(event, Answered)
        return None if self._begun else event

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to read, not even an end: who is idle owes nothing."""
        return not select([self._connection], [], [], 0)[0]

    def ask(self, request: Asked) -> ClientEvent:
        """Return what came of a request. Raises `OSError`, `CodecError`."""
        self._client.ask(request, now=time.monotonic())
        self._connection.sendall(self._client.data_to_send())
        while (event := self._client.next_event()) is None:
            deadline = self._client.deadline
            assert deadline is not None, "an answer is owed"
            self._connection.settimeout(max(0.0, deadline - time.monotonic()) or 1e-6)
            try:
                octets = self._connection.recv(RECEIVE_OCTETS)
            except TimeoutError:
                self._client.handle_deadline(time.monotonic())
                continue
            if octets:
                self._client.receive_data(octets)
            else:
                self._client.receive_eof()
        return event

    def close(self) -> None:
        with suppress(OSError):
            self._connection.close()
