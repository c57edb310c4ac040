"""A head-end killed with SIGKILL loses nothing it acknowledged and stores nothing twice.

A real head-end process, a small fleet in this one, and the checks of any run as the judge. The
head-end that acknowledges before it stores is killed too, and must be found out.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from harness.headend.config import KillHook
from harness.headend.hooks import Point
from netem.draws import mix_one, stream_key
from reports.recording import Verdict
from tests.support.postgres import PostgresServer
from tests.support.push_fleet import ANSI, KillRun, small_run

# Tens of processes are started: on a busy machine that takes its time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROTOCOLS = ["dlms", ANSI]
RANDOM_KILLS = {"dlms": 20, ANSI: 8}


@pytest.fixture(params=["duckdb", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a new store of each back end goes."""
    if request.param == "duckdb":
        yield str(tmp_path / "store.duckdb")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    yield server.new_database()


@asynccontextmanager
async def pushing(run: KillRun) -> AsyncIterator[KillRun]:
    """Let the fleet of a run push; whatever happens, nothing of it is left behind."""
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run.fleet.run)
            yield run
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await run.head_end.kill()


async def until_all_is_acknowledged(run: KillRun) -> None:
    await run.head_end.live()
    await run.fleet.until(2**31)
    await run.head_end.stop()


def check_that_nothing_is_lost(run: KillRun) -> None:
    verdict = run.judged()
    readings = verdict.readings
    assert verdict.verdict == "passed", verdict.reasons
    assert readings.owed == readings.acknowledged == readings.stored == readings.correct > 0
    assert readings.lost == readings.lost_acknowledged == readings.unattempted == 0
    assert readings.duplicated == readings.wrong == readings.invented == readings.conflicts == 0
    if run.prepared.fleet.protocol == ANSI:
        check_that_alarms_and_registrations_hold(run, verdict)


def check_that_alarms_and_registrations_hold(run: KillRun, verdict: Verdict) -> None:
    alarms, registrations = verdict.alarms, verdict.registrations
    assert alarms is not None
    assert registrations is not None
    assert alarms.owed == alarms.acknowledged == alarms.stored == alarms.correct > 0
    assert alarms.duplicated == alarms.wrong == alarms.invented == alarms.conflicts == 0
    nodes = run.prepared.grid.concentrators + run.prepared.grid.meters
    assert registrations.nodes == run.fleet.happened["nodes registered"] == nodes
    # Whoever was told that it is registered never hears that it is not.
    assert not [what for what in run.fleet.happened if what.startswith("notification.refused")]
    assert not run.fleet.refused, "every answer of every life is believed"


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_killed_at_every_point_of_a_push(
    protocol: str, store_url: str, tmp_path: Path
) -> None:
    run = KillRun(small_run(tmp_path, stations=4, steps=30, protocol=protocol), store_url)
    async with pushing(run):
        for point in Point:
            life = await run.head_end.live(kill=KillHook(point=point, count=3))
            assert await life.wait() == -signal.SIGKILL, point
            assert run.missing_acknowledged() == 0, point
            assert not run.fleet.done, "the kills must fall into the pushing"
        await until_all_is_acknowledged(run)
    check_that_nothing_is_lost(run)


async def test_killed_while_all_nodes_register(store_url: str, tmp_path: Path) -> None:
    run = KillRun(small_run(tmp_path, stations=4, steps=10, protocol=ANSI), store_url)
    async with pushing(run):
        for point in Point:
            life = await run.head_end.live(kill=KillHook(point=point))
            assert await life.wait() == -signal.SIGKILL, point
        await until_all_is_acknowledged(run)
    check_that_nothing_is_lost(run)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_killed_at_random_moments(protocol: str, tmp_path: Path) -> None:
    prepared = small_run(tmp_path, stations=4, steps=120, protocol=protocol)
    run = KillRun(prepared, str(tmp_path / "store.duckdb"))
    async with pushing(run):
        for number in range(RANDOM_KILLS[protocol]):
            draw = mix_one(stream_key(run.prepared.scenario.seed, "kill"), number)
            life = await run.head_end.live()
            await run.fleet.until(run.fleet.acknowledged + draw % 16)
            await trio.sleep(draw % 4096 / 4096 * 0.02)
            life.kill()
            assert await life.wait() == -signal.SIGKILL
            assert run.missing_acknowledged() == 0, number
            assert not run.fleet.done, "the kills must fall into the pushing"
        await until_all_is_acknowledged(run)
    check_that_nothing_is_lost(run)


async def test_a_head_end_that_acknowledges_first_is_found_out(
    store_url: str, tmp_path: Path
) -> None:
    run = KillRun(small_run(tmp_path, stations=4, steps=10), store_url)
    run.head_end.config = run.head_end.config.model_copy(update={"acknowledge_before_store": True})
    async with pushing(run):
        # At its third commit, with pushes acknowledged that this commit was to store.
        life = await run.head_end.live(kill=KillHook(point=Point.BEFORE_COMMIT, count=3))
        assert await life.wait() == -signal.SIGKILL
        await until_all_is_acknowledged(run)
    verdict = run.judged()
    assert verdict.verdict == "failed"
    assert verdict.readings.lost_acknowledged == verdict.readings.lost > 0
    assert any("acknowledged and not stored" in reason for reason in verdict.reasons)
    assert verdict.readings.duplicated == verdict.readings.wrong == verdict.readings.conflicts == 0


async def test_a_second_arrival_with_another_value_fails_the_run(
    store_url: str, tmp_path: Path
) -> None:
    run = KillRun(small_run(tmp_path, stations=2, steps=2), store_url)
    async with pushing(run):
        await run.head_end.live()
        await run.fleet.until(2**31)
        again = run.fleet.readings(1, 1)
        await run.fleet.push(1, again)
        values = again.values.copy()
        values[0, 0] += 1
        await run.fleet.push(1, replace(again, values=values))
        await run.head_end.stop()
    verdict = run.judged()
    assert verdict.verdict == "failed"
    assert verdict.readings.conflicts == 1
    assert verdict.readings.stored == verdict.readings.correct == verdict.readings.owed
    assert verdict.readings.duplicated == verdict.readings.wrong == verdict.readings.lost == 0
