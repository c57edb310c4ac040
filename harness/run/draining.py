"""The drain: after the last step, or after an interruption, what is under way comes to its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from emulator.delivery_record import DeliveryRecord, Mark
from harness.run.journal import Journal
from harness.run.load import Load
from harness.run.preparation import Prepared
from harness.run.reference import ReferenceTarget
from harness.run.target import Target

POLL_S: Final = 0.25


class Drain:
    """Waits until everything owed is through, at most as long as the scenario allows."""

    def __init__(self, prepared: Prepared, target: Target, load: Load, journal: Journal) -> None:
        self._prepared = prepared
        self._target = target
        self._load = load
        self._journal = journal

    async def run(self, commands: int) -> None:
        """Wait for the plan to be delivered and ``commands`` commands to be ended."""
        await self._until(partial(self._is_through, commands))

    async def run_short(self) -> None:
        """Begin nothing more, and wait for what is under way.

        Raises:
            LoadFailedError: Locust is gone.
        """
        await self._load.quiesce()
        await self._until(self._is_settled)

    async def _until(self, over: Callable[[], bool]) -> None:
        limit_s = self._prepared.scenario.limits.drain
        deadline = trio.current_time() + limit_s
        while not self._load.gone.is_set() and not over():
            if trio.current_time() >= deadline:
                self._journal.note(f"the drain ended after {limit_s:g} s, unfinished")
                return
            with trio.move_on_after(POLL_S):
                await self._load.gone.wait()

    def _is_through(self, commands: int) -> bool:
        if not self._load.reached("drained") or self._target.commands_ended() < commands:
            return False
        if isinstance(self._target, ReferenceTarget) and self._target.recovering:
            return False
        if self._prepared.confirms:
            return True
        missing = self._target.missing()
        if missing is not None:
            return missing <= self._prepared.deferred
        # A head-end that cannot say what it lacks is waited for until it has fetched what it can.
        pulls = self._prepared.fleet.behaviour.mode == "pull"
        return not pulls or self._handed_over() >= int(self._prepared.owed_per_step.sum())

    def _is_settled(self) -> bool:
        """Tell whether everything that was handed to a link has been confirmed."""
        if not self._prepared.confirms:
            return True
        return all(
            item.total(Mark.SENT) == item.total(Mark.ACKNOWLEDGED) for item in self._records()
        )

    def _handed_over(self) -> int:
        return sum(item.total(Mark.SENT) for item in self._records())

    def _records(self) -> list[DeliveryRecord]:
        folder, grid = self._prepared.folder, self._prepared.grid
        shards = range(self._prepared.fleet.shards)
        return [DeliveryRecord.open(folder.shard(shard), grid) for shard in shards]
