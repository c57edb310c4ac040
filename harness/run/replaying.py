"""The replay probe as a process of a run: a stranger who sends again what was confirmed."""

from __future__ import annotations

import trio

from harness.run.journal import Journal
from harness.run.preparation import Prepared
from harness.run.processes import RunProcess, python

NAME = "replay probe"


class Replaying:
    """Starts the probe that a scenario asks for, and ends it; does nothing for one that asks none.

    Args:
        prepared: the run.
        journal: told when it starts, and when it fails.
    """

    def __init__(self, prepared: Prepared, journal: Journal) -> None:
        self._wanted = prepared.scenario.probes.replay
        self._journal = journal
        self._process = RunProcess(
            NAME,
            python("harness.replay_probe", str(prepared.folder.path), str(self._wanted)),
            prepared.folder.logs / "replay-probe.log",
            ended=self._ended,
        )

    async def start(self, nursery: trio.Nursery) -> None:
        """Start it, and wait until it looks. Raises `ProcessFailedError`."""
        if self._wanted:
            await nursery.start(self._process.run)
            self._journal.process_started(NAME, self._process.pid)

    async def stop(self) -> None:
        """Let it try what was confirmed last, and end; the head-end has to be there still."""
        await self._process.stop()

    def _ended(self, process: RunProcess, status: int) -> None:
        # Once it has tried as many as it was to, it ends.
        if status:
            self._journal.process_died(process, status)
