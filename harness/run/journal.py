"""What happened in a run, in the words of the record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emulator.clock import BEFORE_START_S, ScenarioClock
from harness.run.facts import RunFacts
from harness.run.processes import RunProcess
from harness.run.reference import HeadEndShard
from harness.scenario import Scenario
from reports.recording import (
    Event,
    FaultBegan,
    FaultEnded,
    FramesRefused,
    Note,
    PhaseEnded,
    PhaseStarted,
    ProcessDied,
    ProcessRestarted,
    ProcessStarted,
    RunRecorder,
    RunStarted,
    RunTime,
    Warned,
)


class Journal:
    """Writes events of the run, each at the moment it is told.

    Args:
        recorder: the record.
        first_s: POSIX seconds of step 0.
        clock: the scenario clock; events before it starts are at the first step.
        began: CLOCK_MONOTONIC when the run began.
        doubted: called after each new reason to distrust the run, so that it is never lost.
    """

    def __init__(
        self,
        recorder: RunRecorder,
        first_s: int,
        clock: ScenarioClock,
        began: float,
        doubted: Callable[[], None],
    ) -> None:
        self._recorder = recorder
        self._first_s = first_s
        self._clock = clock
        self._began = began
        self._doubted = doubted
        self.doubts: list[str] = []

    def now(self) -> RunTime:
        """Return this moment of the run."""
        return self.at(time.monotonic())

    def at(self, monotonic_s: float) -> RunTime:
        """Return the moment of the run at a reading of CLOCK_MONOTONIC."""
        started = self._clock.scenario_s > BEFORE_START_S
        scenario_s = self._clock.scenario_at(monotonic_s) - self._first_s if started else 0.0
        return RunTime(scenario_s=scenario_s, wall_s=monotonic_s - self._began)

    def run_started(self, scenario: Scenario, facts: RunFacts) -> None:
        """The run began."""
        self._event(
            RunStarted(
                at=self.now(),
                scenario=scenario.name,
                seed=scenario.seed,
                speed=scenario.speed,
                started_at=facts.started_at,
                command=facts.command,
            )
        )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Hold a phase for the length of a ``with``."""
        self._event(PhaseStarted(at=self.now(), phase=name))
        try:
            yield
        finally:
            self._event(PhaseEnded(at=self.now(), phase=name))

    @contextmanager
    def fault(self, name: str, description: str) -> Iterator[None]:
        """Hold a fault for the length of a ``with``."""
        self._event(FaultBegan(at=self.now(), fault=name, description=description))
        try:
            yield
        finally:
            self._event(FaultEnded(at=self.now(), fault=name))

    def process_started(self, name: str, pid: int) -> None:
        """A process is up."""
        self._event(ProcessStarted(at=self.now(), process=name, pid=pid))

    def process_died(self, process: RunProcess, status: int) -> None:
        """A process of the generator ended unasked: the run proves nothing."""
        self._event(
            ProcessDied(at=self.now(), process=process.name, pid=process.pid, status=status)
        )
        self.doubt(f"{process.name} ended with status {status} before it was asked to")

    def head_end_lives(self, what: str, shard: HeadEndShard, number: int) -> None:
        """A head-end shard ``started``, ``died`` or ``restarted``; its pid, or its exit status."""
        now, name = self.now(), shard.name
        match what:
            case "started":
                self._event(ProcessStarted(at=now, process=name, pid=number))
            case "restarted":
                self._event(ProcessRestarted(at=now, process=name, pid=number))
            case "died" if shard.process is not None:
                pid = shard.process.pid
                self._event(ProcessDied(at=now, process=name, pid=pid, status=number))

    def shard_lost(self, shard: int, status: int) -> None:
        """A fleet shard ended unasked: the run proves nothing."""
        name = f"fleet-{shard}"
        self._event(ProcessDied(at=self.now(), process=name, pid=0, status=status))
        self.doubt(f"{name} ended with status {status} before it was asked to")

    def refused(self, where: str, cause: str, count: int) -> None:
        """Frames were refused since the last time."""
        self._event(FramesRefused(at=self.now(), where=where, cause=cause, count=count))

    def note(self, text: str) -> None:
        """Something worth a line."""
        self._event(Note(at=self.now(), text=text))

    def doubt(self, reason: str) -> None:
        """A reason for which the run cannot be trusted."""
        self.doubts.append(reason)
        self._event(Warned(at=self.now(), text=reason))
        self._doubted()

    def _event(self, event: Event) -> None:
        self._recorder.event(event)
