"""Conducting a run: systems up, load up, timeline, drain, everything down again."""

from __future__ import annotations

import signal
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import trio

from emulator.clock import ScenarioClock
from harness.errors import causes
from harness.facts import part_versions, version
from harness.run.api import ApiProcess
from harness.run.beside import Beside
from harness.run.congestion import congestion_facts
from harness.run.draining import Drain
from harness.run.external import ExternalTarget
from harness.run.facts import IssuedCommand, RunFacts
from harness.run.host import conntrack_drops, host_facts
from harness.run.journal import Journal
from harness.run.lab import LabWatch, open_lab
from harness.run.latencies import LatencyLog
from harness.run.load import Load, LoadFailedError, first_of, locust_processes, locust_totals
from harness.run.monitor import Monitor
from harness.run.network import change_lab
from harness.run.observing import Observer, read_client_summaries, read_summaries
from harness.run.ordered import issue
from harness.run.outcomes import link_of, record_commands
from harness.run.preparation import Prepared
from harness.run.probing import probed
from harness.run.processes import RunProcess
from harness.run.progress import Filled, Filling, Progress
from harness.run.reference import ReferenceTarget
from harness.run.replaying import Replaying
from harness.run.target import Target
from harness.run.timeline import Timeline
from harness.scenario import Reference
from harness.store.errors import StoreError
from harness.store.opening import duckdb_path, is_postgres, open_reader
from harness.store.postgres_session import redacted
from netem.lab import LabError
from reports.recording import RunRecorder

STOP_LOAD_S: Final = 60.0
MIB: Final = 1024 * 1024


class Conductor:
    """One run, from the first process to the last.

    Args:
        prepared: what to run.
        recorder: where it is recorded.
        progress: what people see meanwhile.
        command: what reproduces the run.
        ui_port: port of Locust's web page, or ``None``.
        load_socket: where an already running Locust will connect; ``None``: start one.
    """

    def __init__(
        self,
        prepared: Prepared,
        recorder: RunRecorder,
        progress: Progress,
        *,
        command: str,
        ui_port: int | None,
        load_socket: Path | None,
    ) -> None:
        self._prepared = prepared
        self._progress = progress
        self._ui_port = ui_port
        self._load_socket = load_socket
        self._clock = ScenarioClock()
        self._began = time.monotonic()
        self._offset_s = time.time() - self._began
        self._journal = Journal(
            recorder, prepared.fleet.first_s, self._clock, self._began, self._write_facts
        )
        self._recorder = recorder
        self._monitor = Monitor(recorder, self._journal.now)
        self._latencies = LatencyLog(recorder)
        self._commands: list[IssuedCommand] = []
        self._processes: list[RunProcess] = []
        self._ending = trio.Event()
        self._lab: LabWatch | None = None
        self._dropped = conntrack_drops()
        self._beside = Beside(prepared, self._offset_s, self._journal, progress)
        self._facts = RunFacts(
            clock=self._clock.triple,
            realtime_offset_s=self._offset_s,
            began_s=self._began,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command,
            versions={"meterstorm": version(), **part_versions()},
            host=host_facts(),
            stores=(),
        )

    async def run(self) -> RunFacts:
        """Conduct the run and return its facts, also written to ``run.json``.

        The first SIGINT or SIGTERM goes on to the drain at once, the second ends everything.

        Raises:
            ProcessFailedError: a system did not come up.
            KeyboardInterrupt: interrupted twice.
        """
        scenario = self._prepared.scenario
        self._journal.run_started(scenario, self._facts)
        with tempfile.TemporaryDirectory(prefix="meterstorm-") as sockets:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._watch_signals, nursery.cancel_scope)
                await self._conduct_over_links(Path(sockets))
                nursery.cancel_scope.cancel()
        self._write_facts(
            ended_at=datetime.now(UTC).isoformat(timespec="seconds"),
            wall_s=time.monotonic() - self._began,
            commands=tuple(self._commands),
            locust=locust_totals(self._prepared.folder.path),
            cpu_s=self._monitor.cpu_s(),
            rss_bytes_max=self._monitor.rss_bytes_max,
        )
        return self._facts

    async def _conduct_over_links(self, sockets: Path) -> None:
        """Conduct the run, with a lab open where its links are real."""
        async with trio.open_nursery() as holding:
            over = trio.Event()
            await holding.start(self._hold_lab, over)
            await self._conduct(sockets)
            over.set()

    async def _hold_lab(
        self, over: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep the lab open until the run is over: a lab that fails ends only this, at once."""
        try:
            async with open_lab(self._prepared) as lab, probed(lab, self._prepared, self._journal):
                if lab is not None:
                    self._lab = LabWatch(lab, self._prepared, self._journal.now, self._lab_failed)
                task_status.started()
                await over.wait()
        except* LabError as errors:
            assert self._lab is not None, "a lab that was never open cannot fail"
            self._lab.fail("; ".join(map(str, causes(errors))))

    async def _conduct(self, sockets: Path) -> None:
        target = self._target(sockets)
        self._write_facts(stores=tuple(map(self._recorded_address, target.stores)))
        load = Load(self._load_socket or sockets / "load.sock", self._journal.shard_lost)
        replaying = Replaying(self._prepared, self._journal)
        async with trio.open_nursery() as systems:
            try:
                with self._journal.phase("set-up"):
                    if self._lab is not None:
                        systems.start_soon(self._lab.run)
                    await target.start(systems)
                    await self._beside.start(target, systems, sockets)
                    await systems.start(load.run)
                    await self._start_locust(load, systems)
                    await load.prepare(self._prepared)
                    await replaying.start(systems)
                    await self._start_clock(target, load)
                await self._live(target, load)
            except LoadFailedError as error:
                self._journal.doubt(str(error))
            with self._journal.phase("stop"):
                await replaying.stop()
                await self._stop(target, load)
            systems.cancel_scope.cancel()

    async def _live(self, target: Target, load: Load) -> None:
        """Let the scenario happen, then drain."""
        observer = Observer(
            self._prepared,
            target,
            load,
            self._monitor,
            self._journal,
            self._progress,
            self._latencies,
            self._out_of_memory,
            self._beside.pids,
        )
        async with trio.open_nursery() as observing:
            observing.start_soon(observer.run, self._processes)
            observing.start_soon(self._change_links)
            with self._journal.phase("timeline"):
                async with trio.open_nursery() as happening:
                    systems = {"bal": self._beside.batteries, "billing": self._beside.billing}
                    timeline = Timeline(
                        self._prepared,
                        target,
                        load,
                        self._clock,
                        self._journal,
                        {name: system for name, system in systems.items() if system is not None},
                    )
                    happening.start_soon(timeline.play)
                    happening.start_soon(self._issue_commands, target)
                    await self._until_over(load)
                    happening.cancel_scope.cancel()
            self._write_facts(drain_began_s=time.monotonic())
            with self._journal.phase("drain"):
                await self._drain(target, load)
            await observer.observe(self._processes)
            observing.cancel_scope.cancel()

    async def _change_links(self) -> None:
        """Let the links of a lab become what the timeline says; modelled ones the fleet changes."""
        if self._lab is None:
            return
        try:
            await change_lab(self._lab.lab, self._prepared, self._clock)
        except LabError as error:
            self._lab.fail(str(error))

    async def _until_over(self, load: Load) -> None:
        over = self._clock.monotonic_at(
            self._prepared.fleet.first_s + self._prepared.scenario.span_s
        )
        with trio.move_on_after(max(0.0, over - time.monotonic())):
            await first_of(self._ending, load.gone)
        if load.gone.is_set():
            self._journal.doubt("Locust went away before the run was over; see its log")

    async def _drain(self, target: Target, load: Load) -> None:
        drain = Drain(self._prepared, target, load, self._journal)
        if self._ending.is_set():
            await drain.run_short()
        else:
            await drain.run(len(self._commands))

    async def _stop(self, target: Target, load: Load) -> None:
        for process in self._processes:
            # Locust quits by itself once its shards have ended.
            process.stopping = True
        try:
            await load.stop(timeout_s=STOP_LOAD_S)
        except LoadFailedError as error:
            self._journal.doubt(str(error))
        for process in self._processes:
            await process.stop(ask=lambda: None)
        await self._beside.stop()
        await target.observe(self._monitor)
        self._write_facts(head_end=dict(target.counts()), latencies=tuple(target.latencies()))
        await target.stop()
        if self._lab is not None:
            await self._lab.finish()
            for note in self._lab.record.notes:
                self._journal.note(f"links: {note}")
        if dropped := conntrack_drops() - self._dropped:
            packets = "packet" if dropped == 1 else "packets"
            self._journal.doubt(
                f"connection tracking of this machine dropped {dropped:,} {packets}"
            )
        now = self._journal.now().wall_s
        summaries = read_summaries(self._prepared)
        clients = read_client_summaries(self._prepared)
        self._latencies.take(now, [*summaries, *clients], last=True)
        self._write_facts(
            congestion=congestion_facts(self._prepared.fleet.congestion, summaries, target.counts())
        )
        if self._commands:
            self._record_commands(target)

    async def _start_locust(self, load: Load, nursery: trio.Nursery) -> None:
        if self._load_socket is not None:
            return

        def ended(process: RunProcess, status: int) -> None:
            self._journal.process_died(process, status)
            if process is self._processes[0]:
                # Nobody else reports: what was awaited of it will not come.
                load.gone.set()

        self._processes = locust_processes(
            self._prepared, load.path, ui_port=self._ui_port, ended=ended
        )
        for process in self._processes:
            await nursery.start(process.run)
            self._journal.process_started(process.name, process.pid)

    async def _start_clock(self, target: Target, load: Load) -> None:
        fleet = self._prepared.fleet
        rate = self._prepared.scenario.speed
        self._clock.start(time.monotonic() + self._prepared.lead_s, float(fleet.first_s), rate)
        self._write_facts(clock=self._clock.triple)
        await target.start_clock(self._clock)
        await self._beside.start_clock(self._clock)
        await load.start(self._clock)

    async def _issue_commands(self, target: Target) -> None:
        if isinstance(target, ReferenceTarget) and self._prepared.scenario.commands.count:
            await issue(self._prepared, target, self._clock, self._offset_s, self._commands)

    def _record_commands(self, target: Target) -> None:
        prepared, fleet = self._prepared, self._prepared.fleet
        try:
            with closing(open_reader(*dict.fromkeys(target.stores))) as reader:
                journal = reader.commands()
        except StoreError as error:
            self._journal.doubt(f"the journal of commands cannot be read: {error}")
            return
        record_commands(
            self._recorder,
            self._latencies,
            self._commands,
            journal,
            at=lambda posix_us: self._journal.at(posix_us / 1e6 - self._offset_s),
            link=lambda meter: link_of(fleet, prepared.grid, meter),
        )

    def _out_of_memory(self, rss_bytes: int) -> None:
        if not self._ending.is_set():
            bound = self._prepared.scenario.limits.memory or 0
            self._end(f"the run held {rss_bytes / MIB:,.0f} MiB; its bound is {bound / MIB:,.0f}")

    def _lab_failed(self, why: str) -> None:
        if self._ending.is_set():
            self._journal.doubt(why)
        else:
            self._end(why)

    def _end(self, why: str) -> None:
        """Go on to the drain, as a run that proves nothing."""
        self._ending.set()
        self._journal.doubt(why)

    async def _watch_signals(
        self,
        everything: trio.CancelScope,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if self._ending.is_set():
                    everything.cancel()
                    raise KeyboardInterrupt
                self._write_facts(interrupted=True)
                self._end(f"interrupted by {signal.Signals(number).name}")
                self._progress.say("draining; once more to stop at once")

    def _target(self, sockets: Path) -> Target:
        target = self._prepared.scenario.target
        if isinstance(target, Reference):
            return ReferenceTarget(
                self._prepared,
                target,
                self._offset_s,
                sockets,
                self._journal.head_end_lives,
                self._api(target) if target.api.enabled else None,
                self._show_filled,
            )
        return ExternalTarget(self._prepared, target)

    def _show_filled(self, filled: Filled) -> None:
        self._progress.show(Filling(self._journal.now(), filled))

    def _api(self, target: Reference) -> ApiProcess:
        return ApiProcess(
            self._prepared,
            target.api,
            self._offset_s,
            started=self._journal.process_started,
            note=self._journal.note,
            say=self._progress.say,
        )

    def _recorded_address(self, address: str) -> str:
        """Return a store's address without password, relative to the run where it lies in it."""
        if is_postgres(address):
            return redacted(address)
        return str(duckdb_path(address).relative_to(self._prepared.folder.path))

    def _write_facts(self, **changes: object) -> None:
        changes["doubts"] = tuple(self._journal.doubts)
        self._facts = self._facts.model_copy(update=changes)
        self._facts.write(self._prepared.folder.path)
