"""A process of a run that is started again whenever it dies, until the run stops."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import trio

from harness.run.processes import ProcessFailedError, RunProcess

RESTART_S: Final = 1.0
"""Real seconds after which one that died unasked is started again."""
STARTS_MAX: Final = 5
"""Attempts to start one that has died before the run ends with an error."""


async def _nothing() -> None:
    """Do nothing more with a life that has begun."""


class RevivedProcess:
    """One system of a run, through all its lives.

    Args:
        name: what the record calls it.
        command: what to execute; asked for each life, so that each may find what it must know.
        log: file its output goes to.
        started: told name and process id of every life.
        note: told how every life ended that was not asked to.
        begun: called after every start, with the process up.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[], Sequence[str]],
        log: Path,
        *,
        started: Callable[[str, int], None],
        note: Callable[[str], None],
        begun: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self._name = name
        self._command = command
        self._log = log
        self._started = started
        self._note = note
        self._begun = begun
        self._nursery: trio.Nursery | None = None
        self._process: RunProcess | None = None
        self._restart_after_s = RESTART_S
        self._stopping = False

    async def start(self, nursery: trio.Nursery) -> None:
        """Start it and wait until it is up; its later lives are in ``nursery``, too.

        Raises `ProcessFailedError`. Cancellation of the nursery kills it.
        """
        self._nursery = nursery
        await self._live(nursery)

    def kill(self, restart_after_s: float) -> None:
        """Kill it with SIGKILL; it lives again after ``restart_after_s`` real seconds."""
        self._restart_after_s = restart_after_s
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Have it end, for good."""
        self._stopping = True
        if self._process is not None:
            await self._process.stop()

    def pids(self) -> dict[str, int]:
        """Return the id of the process by its name; nothing before it was started."""
        process = self._process
        return {process.name: process.pid} if process is not None and process.has_pid else {}

    async def _live(self, nursery: trio.Nursery) -> None:
        process = RunProcess(self._name, self._command(), self._log, ended=self._died)
        await nursery.start(process.run)
        self._process = process
        self._started(self._name, process.pid)
        await self._begun()

    def _died(self, process: RunProcess, status: int) -> None:
        self._note(f"{self._name} ended with status {status}")
        if not self._stopping and self._nursery is not None:
            self._nursery.start_soon(self._revive, self._nursery)

    async def _revive(self, nursery: trio.Nursery) -> None:
        """Start it until it is up again, or the run stops. Raises `ProcessFailedError`."""
        for last in (*(False,) * (STARTS_MAX - 1), True):
            await trio.sleep(self._restart_after_s)
            if self._stopping:
                return
            try:
                await self._live(nursery)
            except ProcessFailedError:
                if last:
                    raise
            else:
                return
