"""The timeline of a scenario: what is done to head-end, fleet and other systems, and when."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol

import trio

from emulator.clock import ScenarioClock
from harness.run.journal import Journal
from harness.run.load import Load
from harness.run.preparation import Prepared
from harness.run.reference import ReferenceTarget
from harness.run.target import Target
from harness.scenario import (
    Degrade,
    Flap,
    Freeze,
    Kill,
    Lose,
    MeterEvent,
    NetworkEvent,
    Outage,
    Partition,
    occurrences,
)
from harness.scenario.wording import what_happens


class System(Protocol):
    """A system beside the head-end."""

    async def kill(self, restart_after_s: float) -> None:
        """Kill it with SIGKILL; it lives again after so many real seconds."""


class Timeline:
    """Plays the events of a scenario.

    What befalls links, meters and batteries their processes play themselves, and the lab where
    there is one; here it is only recorded. ``systems`` are those that can be killed, by the word
    of a scenario for them.
    """

    def __init__(
        self,
        prepared: Prepared,
        target: Target,
        load: Load,
        clock: ScenarioClock,
        journal: Journal,
        systems: Mapping[str, System] = MappingProxyType({}),
    ) -> None:
        self._prepared = prepared
        self._target = target
        self._load = load
        self._clock = clock
        self._journal = journal
        self._systems = systems

    async def play(self) -> None:
        """Play every event at its time; returns after the last. Cancellation undoes a freeze."""
        async with trio.open_nursery() as nursery:
            for number, event in enumerate(self._prepared.scenario.timeline):
                match event:
                    case Outage() | Flap() | Partition() | Degrade():
                        nursery.start_soon(self._network, f"{event.do} {number}", event)
                    case Kill(part="bal" | "billing"):
                        nursery.start_soon(self._kill_system, f"kill {number}", event)
                    case Kill():
                        nursery.start_soon(self._kill, f"kill {number}", event)
                    case Freeze():
                        nursery.start_soon(self._freeze, f"freeze {number}", event)
                    case Lose():
                        nursery.start_soon(self._lose, f"lose {number}", event)
                    case MeterEvent():
                        nursery.start_soon(self._meter_event, f"event {number}", event)

    async def _until(self, since_first_s: float) -> None:
        await self._clock.sleep_until(self._prepared.fleet.first_s + since_first_s)

    async def _network(self, name: str, event: NetworkEvent) -> None:
        for begins_s, ends_s in occurrences(event, self._prepared.scenario.behaviour):
            await self._until(begins_s)
            with self._journal.fault(name, what_happens(event)):
                await self._until(ends_s)

    async def _meter_event(self, name: str, event: MeterEvent) -> None:
        what = what_happens(event)
        await self._until(event.at)
        if event.lasts is None:
            self._journal.note(f"{name}: {what}")
            return
        with self._journal.fault(name, what):
            await self._until(event.at + event.lasts)

    async def _kill(self, name: str, event: Kill) -> None:
        if not isinstance(self._target, ReferenceTarget):
            return
        await self._until(event.at)
        if not self._target.has(event.shard):
            self._journal.note(f"{name}: there is no headend shard {event.shard}")
            return
        with self._journal.fault(name, what_happens(event)):
            await self._target.kill(event.shard, event.restart_after)
            await trio.sleep(event.restart_after)

    async def _kill_system(self, name: str, event: Kill) -> None:
        await self._until(event.at)
        system = self._systems.get(event.part)
        if system is None:
            self._journal.note(f"{name}: there is no {event.part}")
            return
        with self._journal.fault(name, what_happens(event)):
            await system.kill(event.restart_after)
            await trio.sleep(event.restart_after)

    async def _lose(self, name: str, event: Lose) -> None:
        """Let readings be lost, and wait until they are back."""
        target, fleet = self._target, self._prepared.fleet
        if not isinstance(target, ReferenceTarget):
            return
        await self._until(event.at)
        before_s = fleet.first_s + int(event.before)
        history_s = fleet.behaviour.preloaded * fleet.behaviour.step_s
        with self._journal.fault(name, what_happens(event)):
            lost = await target.lose(before_s)
            self._journal.note(f"{name}: {lost:,} readings are gone")
            if event.recover:
                await trio.sleep(event.recover_after)
                await target.recover(fleet.first_s - history_s, before_s)
                await target.recovered()

    async def _freeze(self, name: str, event: Freeze) -> None:
        await self._until(event.at)
        pid = self._pid(event)
        if pid is None:
            self._journal.note(f"{name}: there is no {event.part} shard {event.shard}")
            return
        with self._journal.fault(name, what_happens(event)):
            # A process that has died meanwhile is an event of its own.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            try:
                await trio.sleep(event.lasts)
            finally:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _pid(self, event: Freeze) -> int | None:
        if event.part == "fleet":
            return self._load.pids.get(str(event.shard))
        return self._target.pids().get(f"headend-{event.shard}")
