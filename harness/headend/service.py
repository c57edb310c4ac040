"""What the parts of a head-end shard share, and how it is put together."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import trio
from hdrh.histogram import HdrHistogram
from structlog import get_logger

from emulator.clock import ScenarioClock
from emulator.dialects import spoken
from emulator.identity import head_end_name, head_end_system_title
from emulator.tally import Tally
from harness.headend.committer import Committer, Submission
from harness.headend.config import HeadEndConfig
from harness.headend.counters import ContextCounters, SendCounters, SendStamps
from harness.headend.hooks import KillSwitch
from harness.headend.nodes import NodeTable, ProvisionedNodeDirectory
from harness.headend.presence import Presence
from harness.headend.recoveries import Recoveries
from harness.headend.registry import Registry
from harness.store.interface import Store
from harness.store.rows import Alarms, Rows, Via
from protocols.plugin import ProtocolPlugin, SessionOptions, load_protocol
from protocols.readings import EventBatch, ReadingBatch

COMMIT_US_MAX: Final = 600_000_000
EXPIRY_EVERY_S: Final = 1.0
log = get_logger(__name__)


@dataclass(slots=True)
class Totals:
    """Counters of a shard since it started; names end up in the report."""

    counts: Counter[str] = field(default_factory=Counter)
    commit_us: HdrHistogram = field(default_factory=lambda: HdrHistogram(1, COMMIT_US_MAX, 3))

    def count(self, what: str, times: int = 1) -> None:
        """Count something that happened."""
        self.counts[what] += times


class Shard:
    """The shared state of one head-end shard.

    Args:
        config: what the shard was told.
        registry: the devices it knows.
        store: its open store; the shard writes through ``committer`` only.
        concentrators: which of the devices are its own.
    """

    def __init__(
        self, config: HeadEndConfig, registry: Registry, store: Store, concentrators: range
    ) -> None:
        self.config = config
        self.registry = registry
        self.store = store
        self.concentrators = concentrators
        self.clock = ScenarioClock()
        self.clock_started = trio.Event()
        if config.clock is not None:
            self.start_clock(config.clock)
        self.totals = Totals()
        self.tally = Tally()
        self.kill_switch = (
            KillSwitch(config.kill.point, config.kill.count) if config.kill else KillSwitch()
        )
        self.plugins: dict[str, ProtocolPlugin] = {
            name: load_protocol(name) for name in spoken(config.protocol)
        }
        self.own_titles = {
            name: plugin.title_of(head_end_name(config.shard))
            for name, plugin in self.plugins.items()
        }
        self.options = SessionOptions(
            authentication=config.authentication,
            protection=config.protection,
            confirmed=config.confirmed,
            timeout_s=config.timeout_s,
            particular=config.particular,
        )
        self.sending = SendCounters(store, head_end_system_title(config.shard), self.now_us)
        self.stamps = SendStamps(store, head_end_system_title(config.shard), self.now_us)
        accepted, stamps = store.counters(), self.stamps
        self.no_rows = Rows.empty(len(store.registers))
        self.push_counters = ContextCounters(self.sending, accepted, b"", stamps)
        self.poll_counters = ContextCounters(self.sending, accepted, b"/poll", stamps)
        self.nodes = NodeTable(
            ProvisionedNodeDirectory(registry),
            self.now_us,
            config.registrations_per_s,
            store.last_registrations(),
            self.totals.counts,
        )
        shared = registry.provisioning.shared
        self.recoveries = Recoveries(shared.first_s, shared.step_s, config.recoveries)
        self._watched: list[Presence] = []
        self.presence = self._presence()
        self.committer = Committer(
            store,
            interval_s=config.group_commit_s,
            rows_max=config.rows_waiting_max,
            committed=self._committed,
            kill_switch=self.kill_switch,
            stored_at_us=self.now_us,
        )

    @property
    def has_nodes(self) -> bool:
        """Whether any of its protocols has nodes."""
        return any(plugin.has_nodes for plugin in self.plugins.values())

    def start_clock(self, triple: tuple[float, float, float]) -> None:
        """Set the scenario clock, once it is known: CLOCK_MONOTONIC, POSIX seconds, rate.

        Raises `ValueError`: not three finite numbers, or the clock would stand or run backwards.
        """
        if not all(map(math.isfinite, triple)) or triple[2] <= 0:
            raise ValueError(f"no scenario clock: {triple}")
        self.clock.start(*triple)
        self.clock_started.set()

    def now_us(self) -> int:
        """Return the time to note with rows: POSIX microseconds that never jump."""
        return int((time.monotonic() + self.config.realtime_offset_s) * 1_000_000)

    def rows(self, concentrator: int, readings: ReadingBatch, via: Via) -> Rows:
        """Return readings as rows of this shard's store; rows of unknown meters are set aside.

        What is set aside is counted and logged with its values: nothing is dropped silently.
        """
        numbers, known = self.registry.numbers(concentrator, readings.meter_ids)
        if not known.all():
            strangers = readings.meter_ids[~known]
            self.totals.count("readings of unknown meters", len(strangers))
            log.warning(
                "readings of unknown meters",
                error=str(self.registry.unknown(concentrator, strangers)),
                values=readings.values[~known].tolist(),
                captured_at_s=readings.captured_at_s[~known].tolist(),
            )
        count = int(np.count_nonzero(known))
        return Rows(
            meter=numbers[known],
            profile=np.full(count, self.registry.provisioning.shared.profile, np.uint8),
            captured_at_s=readings.captured_at_s[known],
            status=readings.status[known],
            values=readings.values[known],
            via=np.full(count, via, np.uint8),
        )

    def alarms(self, concentrator: int, events: EventBatch) -> Alarms:
        """Return events as alarms of this shard's store; those of unknown meters are set aside."""
        numbers, known = self.registry.numbers(concentrator, events.meter_ids)
        if not known.all():
            strangers = events.meter_ids[~known]
            self.totals.count("events of unknown meters", len(strangers))
            log.warning(
                "events of unknown meters",
                error=str(self.registry.unknown(concentrator, strangers)),
                codes=events.code[~known].tolist(),
            )
        mine = events.take(known)
        return Alarms(
            meter=numbers[known],
            source=mine.source,
            code=mine.code,
            sequence=mine.sequence,
            raised_at_s=mine.raised_at_s,
            argument=mine.argument,
        )

    @property
    def meters(self) -> range:
        """The meters whose readings it stores."""
        records = self.registry.concentrators
        last = records[self.concentrators[-1]]
        return range(records[self.concentrators[0]].first_meter, last.first_meter + last.meters)

    def new_presence(self, first_s: int, steps: int) -> Presence:
        """Return an account of ``steps`` captures from ``first_s`` on, none of them arrived."""
        mine = [self.registry.concentrators[number] for number in self.concentrators]
        return Presence(
            np.array([*(item.first_meter for item in mine), self.meters.stop]),
            self.concentrators.start,
            first_s=first_s,
            step_s=self.registry.provisioning.shared.step_s,
            steps=steps,
        )

    @contextmanager
    def watched(self, presence: Presence) -> Iterator[None]:
        """Let ``presence`` be told what is stored, for the length of a ``with``."""
        self._watched.append(presence)
        try:
            yield
        finally:
            self._watched.remove(presence)

    async def expire_nodes(self) -> None:
        """Note registrations that ended, second by second, until cancelled."""
        while self.has_nodes:
            await trio.sleep(EXPIRY_EVERY_S)
            ended = self.nodes.expire()
            if len(ended):
                self.committer.add(Submission(self.no_rows, {}, registrations=ended))

    def _presence(self) -> Presence:
        shared = self.registry.provisioning.shared
        presence = self.new_presence(shared.first_s, shared.steps)
        if self.recoveries.forgotten_before_s is not None:
            presence.forget(self.recoveries.forgotten_before_s)
        expected = range(shared.first_s, shared.first_s + shared.steps * shared.step_s)
        for captured_at_s in self.store.slots().tolist():
            # A store may hold a month of before the run: nobody waits for any of that.
            if captured_at_s in expected:
                present = self.store.present(captured_at_s, shared.profile, self.meters)
                presence.load(captured_at_s, present)
        return presence

    def _committed(self, duration_s: float, rows: Rows) -> None:
        self.totals.commit_us.record_value(max(1, round(duration_s * 1_000_000)))
        for presence in (self.presence, *self._watched):
            presence.note(rows)
