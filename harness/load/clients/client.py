"""One client: sends what is due when it is due, and notes what came of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

import gevent
from gevent.pool import Pool
from geventhttpclient import HTTPClient

from emulator.tally import Tally
from harness.load.clients.arrivals import MICROSECONDS, Arrival, arrivals
from harness.load.clients.commanded import Commanded
from harness.load.clients.config import UNSENT, ClientsConfig, System
from harness.load.clients.operations import SNAPSHOT, Request, request_of
from harness.load.clients.seen import Seen

RETRY_S: Final = 0.5
"""Real seconds between attempts of a command whose outcome is not known."""
ANSWER_OCTETS_MAX: Final = 64 * 1024 * 1024
_AGAIN: Final = frozenset({429, 502, 503, 504})
"""Answers to a command that ask for another attempt, under the same name."""


class Notes(Protocol):
    """Where commands are noted, once their outcome is known or given up, and snapshots."""

    def command(self, commanded: Commanded) -> None:
        """Note the end of a command."""

    def seen(self, seen: Seen) -> None:
        """Note a snapshot of a battery."""


class Client:
    """Makes every request that falls to one client.

    Args:
        config: what all clients are to do.
        number: which of them this is, from 0.
        tally: takes latencies, failures and lag; a series for each operation, a link for each
            system.
        notes: takes commands and snapshots.
    """

    def __init__(self, config: ClientsConfig, number: int, tally: Tally, notes: Notes) -> None:
        self._config = config
        self._number = number
        self._tally = tally
        self._notes = notes
        self._start_s = 0.0
        self._systems = {name: _Caller(system) for name, system in config.systems.items()}
        self._pool = Pool(sum(system.connections for system in config.systems.values()))
        self._stopped = False

    def run(self, start_s: float) -> None:
        """Send all that becomes due from ``start_s`` (CLOCK_MONOTONIC) on, and wait for it."""
        self._start_s = start_s
        for arrival in arrivals(self._config, self._number):
            if self._stopped:
                self._tally.count(UNSENT)
                continue
            due_s = start_s + arrival.due_us / MICROSECONDS
            gevent.sleep(max(0.0, due_s - time.monotonic()))
            self._pool.wait_available()
            self._tally.lagged(max(0.0, time.monotonic() - due_s))
            self._pool.spawn(self._make, arrival, due_s)
        self._pool.join()
        for caller in self._systems.values():
            caller.close()

    def stop(self) -> None:
        """Send nothing more; what is under way goes on."""
        self._stopped = True

    def _make(self, arrival: Arrival, due_s: float) -> None:
        operation = self._config.operations[arrival.operation]
        caller = self._systems[operation.system]
        request = request_of(operation, arrival)
        asked_s = time.monotonic()
        until_s = asked_s + caller.system.timeout_s
        attempts = 0
        while True:
            attempts += 1
            status, answer, cause = caller.call(request)
            again = request.command is not None and (status in _AGAIN or not status)
            if not again or time.monotonic() + RETRY_S > until_s or self._stopped:
                break
            gevent.sleep(RETRY_S)
        now_s = time.monotonic()
        if cause is None:
            self._tally.answered(
                operation.name, operation.system, now_s - due_s, len(answer), "http"
            )
        else:
            self._tally.failed(operation.name, operation.system, cause, "http")
        if operation.kind == SNAPSHOT and cause is None:
            self._see(request.subject, asked_s, now_s, answer)
        if request.command is not None:
            self._notes.command(
                Commanded(
                    operation=operation.name,
                    command=request.command,
                    subject=request.subject,
                    body=request.body or {},
                    due_us=arrival.due_us,
                    attempts=attempts,
                    answered_us=self._us(now_s),
                    status=status,
                    answer=_decoded(answer),
                )
            )

    def _see(self, subject: str, asked_s: float, answered_s: float, answer: bytes) -> None:
        """Note a snapshot; an answer that is none shows in no other place, nor needs to."""
        seen = Seen.of(subject, self._us(asked_s), self._us(answered_s), _decoded(answer))
        if seen is not None:
            self._notes.seen(seen)

    def _us(self, moment_s: float) -> int:
        return round((moment_s - self._start_s) * MICROSECONDS)


class _Caller:
    """Calls one system, over connections that are kept."""

    def __init__(self, system: System) -> None:
        self.system = system
        headers = {"Accept": "application/json"}
        if system.token_file is not None:
            token = system.token_file.read_text().splitlines()[0].strip()
            headers["Authorization"] = f"Bearer {token}"
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
        try:
            with gevent.Timeout(self.system.timeout_s):
                response = self._client.request(request.method, request.path, body, headers)
                with response:
                    answer = bytes(response.read(ANSWER_OCTETS_MAX))
                    status = int(response.status_code)
        except gevent.Timeout:
            return 0, b"", "no answer in time"
        except (OSError, ValueError) as error:
            return 0, b"", _named(error)
        return status, answer, None if 200 <= status < 300 else f"answered {status}"

    def close(self) -> None:
        self._client.close()


_CAUSES: Final[Mapping[type[Exception], str]] = {
    ConnectionRefusedError: "connection refused",
    ConnectionResetError: "connection broken",
    BrokenPipeError: "connection broken",
}


def _named(error: Exception) -> str:
    return _CAUSES.get(type(error), type(error).__name__)


def _decoded(answer: bytes) -> Any:  # noqa: ANN401 - whatever the system said
    try:
        return json.loads(answer)
    except ValueError:
        return None
