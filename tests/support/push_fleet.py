"""A small fleet that pushes real readings from this process at a real head-end process.

It marks what it sent and what was acknowledged in a delivery record, as a fleet shard does, so a
run made with it is judged by the very checks that judge any other run.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import trio

from emulator.atomic import write_json
from emulator.clock import ScenarioClock
from emulator.delivery_record import DeliveryRecord, Mark
from emulator.dialects import Dialects, particular
from emulator.identity import concentrator_name
from emulator.keys import key_ring, with_members
from emulator.meter_events import MeterEvents
from emulator.world import World
from harness.headend.config import GapFillingRules, HeadEndConfig
from harness.run.facts import RunFacts
from harness.run.preparation import Prepared, prepare
from harness.scenario import Scenario
from harness.store.interface import StoredReader
from harness.store.opening import open_reader
from protocols.errors import ProtocolError
from protocols.plugin import PushSession
from protocols.readings import ReadingBatch
from reports.recording import Verdict
from tests.support.concentrator_model import MemoryCounters

ROOT: Final = Path(__file__).parents[2]
TINY: Final = ROOT / "scenarios" / "tiny.toml"
ANSI: Final = "c12"
EVENTS: Final = """\
{do="event", event="demand-reset", at="00:20"}, {do="event", event="tamper", at="00:40", for="1 h"}
"""
RETRY_S: Final = 0.05
"""While a head-end starts, its concentrators leave it the processor."""
CONFIRMATION_S: Final = 20.0
RATE: Final = 900_000.0
"""Of the scenario clock: all steps have opened when the fleet begins."""
FAILURES: Final = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
    ProtocolError,
)


def small_run(out: Path, *, stations: int, steps: int, protocol: str = "dlms") -> Prepared:
    """Return a run with a few meters behind each of ``stations`` concentrators.

    Something befalls all meters of the ANSI world.
    """
    overrides = [
        f'protocol="{protocol}"',
        f"timeline=[{EVENTS if protocol == ANSI else ''}]",
        f"grid.transformer_stations={stations}",
        f"grid.meters={stations * 4}",
        'grid.sizes=[{name="small", meters=[2, 6], share="100 %"}]',
        f"behaviour.steps={steps}",
        'link="none"',
        'checks={"readings.late"="<= 100 %"}',
    ]
    return prepare(Scenario.load(TINY, overrides), scenario_file=TINY, out=out)


class ClockCounters(MemoryCounters):
    """Counters whose stamps are about the time it is, as head-ends want them."""

    def stamp(self, peer: bytes) -> int:
        self.stamps[peer] = max(int(time.time()), self.stamps.get(peer, 0) + 1)
        return self.stamps[peer]


@dataclass
class HeadEndLives:
    """One head-end, through all its lives."""

    config: HeadEndConfig
    folder: Path
    port: int = 0
    lives: int = 0
    process: trio.Process | None = None

    async def live(self, **changes: Any) -> trio.Process:
        """Start a life and return when it listens; it always listens on the port of the first."""
        told = self.config.model_copy(update={"listen_port": self.port} | changes)
        file = self.folder / f"life-{self.lives}.json"
        file.write_text(HeadEndConfig.model_validate(told.model_dump()).model_dump_json())
        self.lives += 1
        with (self.folder / "headend.log").open("ab") as log:
            self.process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "harness.headend", str(file)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        said = bytes(await self.process.stdout.receive_some()).split()
        assert said[:1] == [b"ready"], (self.folder / "headend.log").read_text()
        self.port = int(said[1])
        return self.process

    async def stop(self) -> None:
        """End the life politely."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert await self.process.wait() == 0, (self.folder / "headend.log").read_text()

    async def kill(self) -> None:
        """Make sure that nothing is left; idempotent."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            await self.process.wait()


@dataclass
class PushFleet:
    """Concentrators of a prepared run; each pushes interval after interval until acknowledged."""

    prepared: Prepared
    head_end: HeadEndLives
    record: DeliveryRecord = field(init=False)
    acknowledged: int = 0
    done: bool = False
    happened: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    _progress: trio.Condition = field(default_factory=trio.Condition)
    _sessions: dict[int, PushSession] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fleet, grid = self.prepared.fleet, self.prepared.grid
        self._keys = key_ring(fleet.seed, fleet.key_file)
        self._dialects = Dialects(fleet, grid)
        self.record = DeliveryRecord.create(
            self.prepared.folder.shard(0), grid, 0, grid.concentrators, fleet.behaviour.steps
        )
        plan = self.prepared.schedule.plan
        events = MeterEvents(fleet.events, plan)
        self._world = World(plan, self.prepared.truth, ScenarioClock(), self.record, events)

    async def run(self) -> None:
        """Push everything there is; return when all of it is acknowledged."""
        async with trio.open_nursery() as nursery:
            for number in range(self.prepared.grid.concentrators):
                nursery.start_soon(self._push_all, number)
        async with self._progress:
            self.done = True
            self._progress.notify_all()

    async def until(self, acknowledged: int) -> None:
        """Return once so many pushes are acknowledged, or all of them."""
        async with self._progress:
            while self.acknowledged < acknowledged and not self.done:
                await self._progress.wait()

    def session(self, number: int) -> PushSession:
        """Return the pushing side of a concentrator, for all its connections."""
        if number not in self._sessions:
            plugin, name = self._dialects.plugin(number), concentrator_name(number)
            names = self._world.names(self.prepared.grid.meters_of(number))
            self._sessions[number] = plugin.push_session(
                with_members(self._keys, plugin, name, names),
                ClockCounters(),
                self._dialects.options(number),
            )
        return self._sessions[number]

    def readings(self, number: int, interval: int) -> ReadingBatch:
        """Return what the meters of a concentrator registered at an interval."""
        meters = np.array(self.prepared.grid.meters_of(number))
        return self._world.read(meters, np.full(len(meters), interval), concentrator_name(number))

    async def push(self, number: int, readings: ReadingBatch) -> None:
        """Push readings over a connection of their own; return when they are acknowledged."""
        async with await trio.open_tcp_stream("127.0.0.1", self.head_end.port) as stream:
            session = self.session(number)
            session.connected(now=trio.current_time())
            await self._exchange(stream, session, readings, 0)

    async def _push_all(self, number: int) -> None:
        interval, steps = 0, self.prepared.fleet.behaviour.steps
        while interval < steps:
            with suppress(*FAILURES):
                async with await trio.open_tcp_stream("127.0.0.1", self.head_end.port) as stream:
                    session = self.session(number)
                    session.connected(now=trio.current_time())
                    while interval < steps:
                        await self._push(stream, session, number, interval)
                        interval += 1
            await trio.sleep(RETRY_S)

    async def _push(
        self, stream: trio.SocketStream, session: PushSession, number: int, interval: int
    ) -> None:
        readings = self.readings(number, interval)
        meters = np.array(self.prepared.grid.meters_of(number), np.int64)
        intervals = np.full(len(meters), interval, np.int64)
        self.record.mark(Mark.SENT, number, meters, intervals)
        await self._exchange(stream, session, readings, interval)
        self.record.mark(Mark.ACKNOWLEDGED, number, meters, intervals)
        async with self._progress:
            self.acknowledged += 1
            self._progress.notify_all()

    async def _exchange(
        self, stream: trio.SocketStream, session: PushSession, readings: ReadingBatch, number: int
    ) -> None:
        session.push(readings, number, now=trio.current_time())
        confirmed: list[int] = []
        try:
            with trio.fail_after(CONFIRMATION_S):
                while number not in confirmed:
                    await stream.send_all(session.data_to_send())
                    data = await stream.receive_some()
                    if not data:
                        raise trio.BrokenResourceError("closed before it confirmed")
                    session.receive_data(bytes(data), now=trio.current_time())
                    confirmed += session.confirmed()
        finally:
            self.happened.update(session.happened())
            self.refused.update(session.refusals())


@dataclass
class KillRun:
    """A run whose head-end is killed: prepared, its lives, its fleet, and its judge."""

    prepared: Prepared
    store_url: str
    head_end: HeadEndLives = field(init=False)
    fleet: PushFleet = field(init=False)

    def __post_init__(self) -> None:
        folder = self.prepared.folder.path
        config = HeadEndConfig(
            shard=0,
            listen_port=0,
            # Beside the run: names of sockets are short, and those of runs are not.
            control_socket=folder.parent / "c.sock",
            provisioning=self.prepared.provisioning,
            store_url=self.store_url,
            protocol=self.prepared.fleet.protocol,
            particular=particular(self.prepared.fleet),
            realtime_offset_s=time.time() - time.monotonic(),
            group_commit_s=0.01,
            gap_filling=GapFillingRules(enabled=False),
        )
        self.began = time.monotonic()
        self.head_end = HeadEndLives(config, folder)
        self.fleet = PushFleet(self.prepared, self.head_end)

    def reader(self) -> StoredReader:
        """Open what is stored; of an embedded store while no life has it open."""
        return open_reader(self.store_url)

    def judged(self) -> Verdict:
        """Return the verdict of the checks on everything recorded."""
        folder = self.prepared.folder
        write_json(
            folder.shard(0) / "summary.json",
            {"counts": {}, "lag_s_max": 0.0, "latencies": [], "links": {}},
        )
        (folder.path / "resolved.json").write_text(self.prepared.scenario.resolved_json())
        RunFacts(
            clock=(self.began, float(self.prepared.fleet.first_s), RATE),
            realtime_offset_s=self.head_end.config.realtime_offset_s,
            began_s=self.began,
            started_at="2026-01-01T00:00:00+00:00",
            ended_at="2026-01-01T00:01:00+00:00",
            drain_began_s=time.monotonic(),
            command="pytest",
            versions={},
            host={},
            stores=(self.store_url,),
        ).write(folder.path)
        # Here, because harness.check can be imported only after harness.run, which imports it.
        from harness.check.command import judge_run

        return judge_run(folder.path).verdict

    def missing_acknowledged(self) -> int:
        """Return how many acknowledged readings are not stored now."""
        reader, plan, record = self.reader(), self.prepared.schedule.plan, self.fleet.record
        try:
            missing = 0
            for interval in range(plan.steps):
                rows = reader.rows(int(plan.captured_at(np.array([interval]))[0])).rows
                wanted = np.flatnonzero(record.of_interval(Mark.ACKNOWLEDGED, interval))
                missing += len(np.setdiff1d(wanted, rows.meter))
            return missing
        finally:
            reader.close()
