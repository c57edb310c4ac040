"""The reference head-end as the target of a run: its shards, their deaths and resurrections."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import trio
from hdrh.histogram import HdrHistogram
from psycopg import sql
from structlog import get_logger

from emulator.clock import ScenarioClock
from emulator.dialects import particular
from emulator.fleet_config import FleetConfig
from harness.headend.config import GapFillingRules, HeadEndConfig, KillHook
from harness.run.api import NAME as API
from harness.run.api import ApiProcess
from harness.run.monitor import Monitor
from harness.run.preloading import preload
from harness.run.preparation import Prepared
from harness.run.processes import ProcessFailedError, RunProcess, python
from harness.run.progress import Filled
from harness.run.questions import NoAnswerError, ask
from harness.scenario import DuckDbStore, Reference
from harness.store.postgres_session import connected
from reports.recording import Metric

RESTART_AFTER_S: Final = 1.0
LOSE_S: Final = 1_800.0
"""Real seconds that a store may take to drop what is to be lost."""
RECOVERING_S: Final = 0.5
"""Real seconds from one question to the next, for what a shard does in its own time."""
STARTS_MAX: Final = 5
"""How often in a row a shard that was up before may fail to start, besides those killed at it."""
log = get_logger(__name__)


class HeadEndShard:
    """One shard: its process through all its lives, and what it last said of itself."""

    def __init__(self, number: int, config: HeadEndConfig, file: Path, log: Path) -> None:
        self.number = number
        self.name = f"headend-{number}"
        self.config = config
        self.file = file
        self.log = log
        self.process: RunProcess | None = None
        self.status: dict[str, Any] = {}
        self.deaths = 0
        self.killed = False
        """Whether this life was ended by the run."""
        self.recovers = False
        """Whether it was told to read again what it lost."""
        self.restart_after_s = RESTART_AFTER_S
        self._earlier: Counter[str] = Counter()
        self._earlier_latencies: list[dict[str, str]] = []

    @property
    def latencies(self) -> list[dict[str, str]]:
        """Its latency histograms, of all its lives: series, link and encoded histogram."""
        now: list[dict[str, str]] = self.status.get("latencies", [])
        return self._earlier_latencies + now

    @property
    def counts(self) -> Counter[str]:
        """Its counters, of all its lives; what the last second of a killed life did is missing."""
        commits = Counter(
            {f"commits.{name}": value for name, value in self.status.get("commits", {}).items()}
        )
        return self._earlier + Counter(self.status.get("counts", {})) + commits

    @property
    def recovering(self) -> bool:
        """Whether it lacks something that it was told to read again, or does not say."""
        return self.recovers and self.status.get("recovering", 1) > 0

    async def observe(self) -> None:
        """Ask the shard how it is; a shard that does not answer keeps its last status."""
        try:
            self.status = await ask(self.config.control_socket, "status")
        except NoAnswerError:
            return

    def died(self) -> None:
        """Keep what the life that ended had counted."""
        self._earlier = self.counts
        self._earlier_latencies = self.latencies
        self.status = {}
        self.deaths += 1


class ReferenceTarget:
    """All shards of the reference head-end.

    Args:
        prepared: the run.
        target: how the scenario wants it.
        realtime_offset_s: POSIX seconds minus CLOCK_MONOTONIC.
        sockets: folder for control sockets (a short path).
        note: called with (what, shard, status or pid) as lives begin and end.
        api: the HTTP API in front of the shards, if there is one.
        filled: told how far the stores are filled with history, if there is any.
    """

    def __init__(
        self,
        prepared: Prepared,
        target: Reference,
        realtime_offset_s: float,
        sockets: Path,
        note: Callable[[str, HeadEndShard, int], None],
        api: ApiProcess | None = None,
        filled: Callable[[Filled], None] = lambda filled: None,
    ) -> None:
        self._prepared = prepared
        self._note = note
        self._filled = filled
        self._api = api
        self._nursery: trio.Nursery | None = None
        self._stopping = False
        folder = prepared.folder.path / "headend"
        folder.mkdir()
        self.stores = tuple(_stores(prepared, target))
        self.shards = []
        for number, endpoint in enumerate(prepared.fleet.head_ends):
            config = _config(prepared.fleet, target, number).model_copy(
                update={
                    "listen_host": endpoint.host,
                    "listen_port": endpoint.port,
                    "also": endpoint.also,
                    "control_socket": sockets / f"headend-{number}.sock",
                    "provisioning": prepared.provisioning,
                    "store_url": self.stores[number],
                    "recoveries": folder / f"{number}.recoveries.json",
                    "realtime_offset_s": realtime_offset_s,
                }
            )
            log = prepared.folder.logs / f"headend-{number}.log"
            self.shards.append(HeadEndShard(number, config, folder / f"{number}.json", log))

    @property
    def control_sockets(self) -> tuple[Path, ...]:
        """The control socket of each shard."""
        return tuple(shard.config.control_socket for shard in self.shards)

    @property
    def shared_store(self) -> bool:
        """Whether all shards write one database, rather than each a store of its own."""
        return len(set(self.stores)) == 1

    async def start(self, nursery: trio.Nursery) -> None:
        """Fill the stores, start every shard, then the API, and wait until all listen.

        Raises `ProcessFailedError`, or `NoRoomError` before anything is written.
        """
        await preload(self._prepared, self.stores, self._filled)
        self._nursery = nursery
        for shard in self.shards:
            await self._live(shard)
        if self._api is not None:
            await self._api.start(nursery, self.control_sockets, shared_store=self.shared_store)

    async def start_clock(self, clock: ScenarioClock) -> None:
        """Give every shard the scenario clock; later lives get it with their configuration."""
        for shard in self.shards:
            await ask(shard.config.control_socket, "clock", triple=clock.triple)
            shard.config = shard.config.model_copy(update={"clock": clock.triple})

    def pids(self) -> dict[str, int]:
        """Return the process ids of its shards and its API, by name."""
        pids = {
            shard.name: shard.process.pid
            for shard in self.shards
            if shard.process is not None and shard.process.has_pid
        }
        return pids if self._api is None else pids | {API: self._api.pid}

    async def observe(self, monitor: Monitor) -> None:
        """Ask every shard how it is, and record store size and commit times."""
        async with trio.open_nursery() as nursery:
            for shard in self.shards:
                nursery.start_soon(shard.observe)
        for shard in self.shards:
            octets = shard.status.get("octets", {"received": 0, "sent": 0})
            monitor.carried(shard.name, octets["received"], octets["sent"])
        living = [shard.status for shard in self.shards if shard.status]
        if living:
            size = sum(status["size_bytes"] for status in living)
            monitor.put("store", Metric.STORE_BYTES, size)
        commits = self.commit_histogram()
        if commits is not None and commits.total_count:
            for percentile in (50, 99):
                value_s = commits.get_value_at_percentile(percentile) / 1e6
                monitor.put("store", Metric.COMMIT_S, value_s, label=f"p{percentile}")

    def missing(self) -> int | None:
        """Return how many captured readings its shards lack; ``None`` while one does not say."""
        if not all(shard.status for shard in self.shards):
            return None
        return sum(int(shard.status["missing"]) for shard in self.shards)

    def commands_ended(self) -> int:
        """Return how many commands are done or failed."""
        counts = self.counts()
        return counts["commands done"] + counts["commands failed"]

    @property
    def recovering(self) -> bool:
        """Whether a shard has still to read again what it lost."""
        return any(shard.recovering for shard in self.shards)

    async def lose(self, before_s: int) -> int:
        """Let every shard lose what was captured before then; return how many readings are gone.

        One that is away loses them when it is back.
        """
        # One after another, and all before any recovers: shards may share a store.
        return sum([await _insist(shard, "lose", before_s=before_s) for shard in self.shards])

    async def recover(self, from_s: int, to_s: int) -> None:
        """Tell every shard to read again what it lacks of [from_s, to_s), POSIX seconds."""
        for shard in self.shards:
            await _insist(shard, "recover", from_s=from_s, to_s=to_s)
            shard.recovers = True
            # What it said last it said before this.
            shard.status = {**shard.status, "recovering": 1} if shard.status else {}

    async def recovered(self) -> None:
        """Return once every shard has read again what it was told to, or given it up."""
        while self.recovering:
            await trio.sleep(RECOVERING_S)
            for shard in self.shards:
                await shard.observe()

    def has(self, number: int) -> bool:
        """Tell whether there is such a shard, alive or not."""
        return number < len(self.shards)

    async def kill(self, number: int, restart_after_s: float) -> None:
        """Kill a shard with SIGKILL; it lives again after ``restart_after_s`` real seconds.

        One that is still starting is killed at that, and is started again like any other; one that
        is dead stays so for as long as it would have.
        """
        shard = self.shards[number]
        shard.restart_after_s = restart_after_s
        await shard.observe()
        if shard.process is not None:
            shard.killed = True
            shard.process.send_signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Let every shard finish what is under way and end; then all that was stored is there."""
        self._stopping = True
        if self._api is not None:
            await self._api.stop()
        for shard in self.shards:
            if shard.process is not None:
                await shard.process.stop()

    def counts(self) -> Counter[str]:
        """Return the counters of all shards."""
        return sum((shard.counts for shard in self.shards), Counter())

    def latencies(self) -> list[dict[str, str]]:
        """Return the latency histograms of all shards."""
        return [part for shard in self.shards for part in shard.latencies]

    def commit_histogram(self) -> Any:  # noqa: ANN401 - hdrhistogram has no types
        """Return the commit times of all living shards, microseconds; ``None`` without any."""
        encoded = [shard.status["commit_us"] for shard in self.shards if shard.status]
        if not encoded:
            return None
        whole = HdrHistogram.decode(encoded[0])
        for text in encoded[1:]:
            whole.add(HdrHistogram.decode(text))
        return whole

    async def _live(self, shard: HeadEndShard) -> None:
        assert self._nursery is not None
        shard.file.write_text(shard.config.model_dump_json(indent=1))
        shard.process = RunProcess(
            shard.name,
            python("harness.headend", str(shard.file)),
            shard.log,
            ended=lambda process, status: self._died(shard, status),
        )
        await self._nursery.start(shard.process.run)
        self._note("restarted" if shard.deaths else "started", shard, shard.process.pid)

    def _died(self, shard: HeadEndShard, status: int) -> None:
        self._bury(shard, status)
        if self._nursery is not None:
            self._nursery.start_soon(self._resurrect, shard)

    def _bury(self, shard: HeadEndShard, status: int) -> None:
        shard.died()
        # A hook kills once: the next life is an ordinary one.
        shard.config = shard.config.model_copy(update={"kill": None})
        self._note("died", shard, status)

    async def _resurrect(self, shard: HeadEndShard) -> None:
        """Start a shard that has died until it is up again, or the run stops.

        Raises `ProcessFailedError` where it fails to start time and again without being killed.
        """
        failures = 0
        while not self._stopping:
            await trio.sleep(shard.restart_after_s)
            if self._stopping or await self._is_up(shard, last=failures + 1 >= STARTS_MAX):
                return
            failures += not shard.killed

    async def _is_up(self, shard: HeadEndShard, *, last: bool) -> bool:
        """Start a shard and tell whether it came up; its ``last`` failure raises."""
        shard.killed = False
        try:
            await self._live(shard)
        except ProcessFailedError as error:
            if last and not (shard.killed or self._stopping):
                raise
            if not self._stopping:
                self._bury(shard, -signal.SIGKILL if error.status is None else error.status)
            return False
        return True


async def _insist(shard: HeadEndShard, question: str, **arguments: int) -> Any:  # noqa: ANN401
    """Return a shard's answer to what may be asked twice, however long it is away."""
    while True:
        try:
            socket = shard.config.control_socket
            return await ask(socket, question, answer_s=LOSE_S, **arguments)
        except NoAnswerError as error:
            log.warning("asking again", shard=shard.number, error=str(error))
            await trio.sleep(RECOVERING_S)


def _config(fleet: FleetConfig, target: Reference, number: int) -> HeadEndConfig:
    kill = target.defects.kill
    return HeadEndConfig(
        shard=number,
        listen_port=0,
        control_socket=Path(),
        provisioning=Path(),
        store_url="",
        realtime_offset_s=0.0,
        protocol=fleet.protocol,
        particular=particular(fleet),
        registrations_per_s=fleet.c12.registrations_per_s,
        authentication=fleet.authentication,
        protection=fleet.protection,
        confirmed=fleet.confirmed,
        congestion=fleet.congestion,
        mode=fleet.behaviour.mode,
        group_commit_s=target.group_commit,
        gap_filling=GapFillingRules(
            enabled=target.gap_filling.enabled,
            after_s=target.gap_filling.after,
            attempts=target.gap_filling.attempts,
        ),
        concurrency=target.pull.concurrency,
        timeout_s=target.pull.timeout,
        acknowledge_before_store=target.defects.acknowledge_before_store,
        kill=KillHook(point=kill.point, count=kill.count) if kill and number == 0 else None,
    )


def _stores(prepared: Prepared, target: Reference) -> list[str]:
    shards = len(prepared.fleet.head_ends)
    if isinstance(target.store, DuckDbStore):
        folder = prepared.folder.path / "store"
        folder.mkdir()
        return [f"duckdb://{folder / f'shard-{number}.duckdb'}" for number in range(shards)]
    return [schema_of_run(target.store.url, prepared.folder.path.name)] * shards


def schema_of_run(url: str, run: str) -> str:
    """Return ``url`` with a schema of the run's own, made in the database if it is missing.

    Raises `StoreError` when the server refuses. The schema stays, so that the run can be checked
    again; drop it when the run is no longer wanted.
    """
    schema = "meterstorm_" + re.sub(r"[^a-z0-9]+", "_", run.lower())
    with connected(url) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    mark = "&" if "?" in url else "?"
    return f"{url}{mark}options=-csearch_path%3D{schema}"
