"""One client: sends what is due when it is due, and notes what came of it."""

from __future__ import annotations

import json
import time
from typing import Any, Final, Protocol

import gevent
from gevent.pool import Pool

from emulator.tally import Tally
from harness.load.clients.arrivals import MICROSECONDS, Arrival, arrivals
from harness.load.clients.commanded import Commanded
from harness.load.clients.config import UNSENT, ClientsConfig
from harness.load.clients.dialect import DialectCaller
from harness.load.clients.http import Caller, HttpCaller
from harness.load.clients.operations import SNAPSHOT, request_of
from harness.load.clients.seen import Seen

MILLISECONDS: Final = 1_000
RETRY_S: Final = 0.5
"""Real seconds between attempts of a command whose outcome is not known."""
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
        self._systems: dict[str, Caller] = {
            name: DialectCaller(system, self._scenario_ms) if system.dialect else HttpCaller(system)
            for name, system in config.systems.items()
        }
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
            again = request.command and caller.repeats and (status in _AGAIN or not status)
            if not again or time.monotonic() + RETRY_S > until_s or self._stopped:
                break
            gevent.sleep(RETRY_S)
        now_s = time.monotonic()
        if cause is None:
            self._tally.answered(
                operation.name, operation.system, now_s - due_s, len(answer), caller.speaks
            )
        else:
            self._tally.failed(operation.name, operation.system, cause, caller.speaks)
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

    def _scenario_ms(self) -> int:
        since_s = time.monotonic() - self._start_s
        return round((self._config.first_s + since_s * self._config.speed) * MILLISECONDS)

    def _us(self, moment_s: float) -> int:
        return round((moment_s - self._start_s) * MICROSECONDS)


def _decoded(answer: bytes) -> Any:  # noqa: ANN401 - whatever the system said
    try:
        return json.loads(answer)
    except ValueError:
        return None
