"""Whatever the network does, nothing is stored twice and the ledger stays exact.

A fleet shard in this process, over modelled links and real sockets, a real head-end process, and
the checks of any run as the judge.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from emulator.clock import ScenarioClock
from emulator.fleet import open_shard
from emulator.fleet_config import Endpoint, PushTimers
from emulator.serving import listen_on_loopback
from netem.conditions import DegradeSpan, FlapSpan, PartitionSpan, Span
from netem.profiles import LinkProfile
from tests.support.push_fleet import KillRun, small_run

# A process is started and links take their time: on a busy machine that takes longer still.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

STATIONS = 4
STEPS = 2
STEP_S = 900.0
RATE = 150.0
"""A step takes six seconds of wall time."""
SLOW_BACK = {"up": {"latency": "100 ms"}, "down": {"latency": "1600 ms"}}
QUICK = {"up": {"latency": "100 ms"}, "down": {"latency": "100 ms"}}


class FaultyRun:
    """A run over a network that is told to misbehave; times in wall seconds since step 0."""

    def __init__(
        self, folder: Path, *spans: Span, confirmation_s: float, link: Any = QUICK
    ) -> None:
        prepared = small_run(folder / "runs", stations=STATIONS, steps=STEPS)
        told = {"description": "for tests", "sources": ()} | link
        fleet = prepared.fleet
        behaviour = fleet.behaviour.model_copy(update={"spread": 10_000})
        fleet = fleet.model_copy(
            update={
                "behaviour": behaviour,
                "link": "model",
                "profiles": {
                    name: LinkProfile.model_validate(told | {"name": name})
                    for name in fleet.profiles
                },
                "conditions": spans,
                "timers": PushTimers(
                    confirmation_s=confirmation_s, back_off_min_s=0.05, back_off_max_s=0.2
                ),
            }
        )
        self.run = KillRun(replace(prepared, fleet=fleet), str(folder / "store.duckdb"))
        self.counts: Counter[str] = Counter()
        self.latencies_s: list[float] = []
        self.began_s = 0.0

    async def live(self) -> None:
        """Let the whole plan happen, and end both sides politely."""
        async with self._head_end() as port:
            fleet = self.run.prepared.fleet.model_copy(
                update={"head_ends": (Endpoint(host="127.0.0.1", port=port),)}
            )
            # Some time for sockets to be there.
            self.began_s = time.monotonic() + 0.5
            clock = ScenarioClock(self.began_s, float(fleet.first_s), RATE)
            listener = listen_on_loopback(0)
            async with (
                listener,
                open_shard(self.run.prepared.folder, fleet, 0, clock) as shard,
                trio.open_nursery() as nursery,
            ):
                shard.concentrators.begin(shard.concentrators.numbers)
                nursery.start_soon(shard.run, listener)
                await shard.drained.wait()
                self.counts = Counter(shard.tally.counts)
                batches = shard.tally.take_batches()
                self.latencies_s = [ms / 1000 for each in batches for ms in each["milliseconds"]]
                nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def _head_end(self) -> AsyncIterator[int]:
        head_end = self.run.head_end
        try:
            with trio.fail_after(120):
                await head_end.live()
                yield head_end.port
                await head_end.stop()
        finally:
            with trio.CancelScope(shield=True):
                await head_end.kill()

    def check_that_the_ledger_is_exact(self) -> None:
        verdict = self.run.judged()
        readings = verdict.readings
        assert verdict.verdict == "passed", verdict.reasons
        owed = self.run.prepared.grid.meters * STEPS
        assert readings.owed == readings.sent == readings.acknowledged == owed
        assert readings.stored == readings.correct == owed
        assert readings.lost == readings.lost_acknowledged == readings.unattempted == 0
        assert readings.duplicated == readings.wrong == readings.invented == readings.conflicts == 0

    def stored_s(self, interval: int) -> NDArray[np.float64]:
        """Return when each reading of an interval was stored, in wall seconds since step 0."""
        plan = self.run.prepared.schedule.plan
        reader = self.run.reader()
        try:
            stored = reader.rows(int(plan.captured_at(np.array([interval]))[0]))
        finally:
            reader.close()
        offset_s = self.run.head_end.config.realtime_offset_s
        return stored.stored_at_us / 1e6 - offset_s - self.began_s


def wall(*seconds: float) -> tuple[tuple[float, float], ...]:
    begins_s, ends_s = seconds
    return ((begins_s * RATE, ends_s * RATE),)


IN_MID_ACKNOWLEDGEMENT = 2.7
"""Everybody dials as step 0 opens and pushes a round trip later, at 1.7 s. Pushes arrive at 1.8 s,
and their acknowledgements, which leave at once, at 3.4 s."""


async def test_a_partition_in_mid_acknowledgement_that_is_sat_out_duplicates_nothing(
    tmp_path: Path,
) -> None:
    ends_s = IN_MID_ACKNOWLEDGEMENT + 2.0
    partition = PartitionSpan(number=0, occurrences=wall(IN_MID_ACKNOWLEDGEMENT, ends_s))
    run = FaultyRun(tmp_path, partition, confirmation_s=20, link=SLOW_BACK)
    await run.live()
    # They were stored, and told so only when TCP sent again: nobody gave up, nobody pushed twice.
    assert (run.stored_s(0) < IN_MID_ACKNOWLEDGEMENT).all()
    assert not [what for what in run.counts if what.startswith("push.failed")]
    assert sum(latency_s > ends_s - 0.1 for latency_s in run.latencies_s) == STATIONS
    run.check_that_the_ledger_is_exact()


async def test_a_partition_in_mid_acknowledgement_that_is_given_up_duplicates_nothing(
    tmp_path: Path,
) -> None:
    ends_s = IN_MID_ACKNOWLEDGEMENT + 2.5
    partition = PartitionSpan(number=0, occurrences=wall(IN_MID_ACKNOWLEDGEMENT, ends_s))
    run = FaultyRun(tmp_path, partition, confirmation_s=2.5, link=SLOW_BACK)
    await run.live()
    # Everything was stored before it ended, and pushed again all the same.
    assert (run.stored_s(0) < IN_MID_ACKNOWLEDGEMENT).all()
    assert run.counts["push.failed: no confirmation in time"] >= STATIONS
    run.check_that_the_ledger_is_exact()


@pytest.mark.parametrize("connections", ["break", "hang"])
async def test_the_ledger_is_exact_under_flapping(connections: Any, tmp_path: Path) -> None:
    flap = FlapSpan(
        number=0,
        occurrences=wall(0, 8),
        period_s=1.7 * RATE,
        down_ppm=400_000,
        jitter_ppm=1_000_000,
        connections=connections,
    )
    run = FaultyRun(tmp_path, flap, confirmation_s=3)
    await run.live()
    failed = sum(n for what, n in run.counts.items() if what.startswith("push.failed"))
    assert failed > 0 or connections == "hang"
    run.check_that_the_ledger_is_exact()


async def test_the_ledger_is_exact_under_a_loss_of_a_tenth_that_comes_and_goes(
    tmp_path: Path,
) -> None:
    worse = {"loss": "10 %", "latency": "x 1.5"}
    degrade = DegradeSpan.model_validate(
        {"number": 0, "occurrences": wall(0, 8), "worse": worse, "ramp_s": 0.5 * RATE}
    )
    run = FaultyRun(tmp_path, degrade, confirmation_s=10)
    await run.live()
    run.check_that_the_ledger_is_exact()
