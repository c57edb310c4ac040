"""The suite finds a broken head-end out, each defect by the check meant for it."""

from __future__ import annotations

import pytest

from harness.headend.defects import VARIABLE
from harness.pytest_plugin import MeterstormRun, Runner
from tests.degradation.matrix import SCENARIOS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

REPLAYED = 3


def test_one_that_drops_every_thousandth_reading(
    meterstorm_runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "drop-every=1000")
    run = meterstorm_runner(SCENARIOS / "clean.toml")
    run.assert_failed("readings.lost_acknowledged")
    assert set(run.failed_checks) == {"readings.lost", "readings.lost_acknowledged"}
    dropped = run.facts()["head_end"]["defect: readings dropped"]
    assert run.readings.lost_acknowledged == run.readings.lost == dropped > 0
    assert abs(dropped - run.readings.owed / 1000) <= 2


def test_one_that_acknowledges_before_it_stores(meterstorm_runner: Runner) -> None:
    run = meterstorm_runner(
        SCENARIOS / "killed.toml", set=["target.defects.acknowledge_before_store=true"]
    )
    run.assert_failed("readings.lost_acknowledged")
    assert set(run.failed_checks) == {"readings.lost", "readings.lost_acknowledged"}


def test_one_that_accepts_a_replayed_counter(
    meterstorm_runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "accept-replays")
    run = meterstorm_runner(SCENARIOS / "clean.toml", replay=REPLAYED)
    run.assert_failed("replays.accepted")
    assert run.failed_checks == ("replays.accepted",), "its store does not show it"
    assert run.replays().tried == run.replays().accepted == REPLAYED


@pytest.mark.meterstorm_scenario(SCENARIOS / "clean.toml", replay=REPLAYED)
def test_a_sound_one_refuses_replays_and_stores_nothing_twice(
    meterstorm_run: MeterstormRun,
) -> None:
    meterstorm_run.assert_passed()
    replays = meterstorm_run.replays()
    assert (replays.tried, replays.accepted, replays.unreachable) == (REPLAYED, 0, 0)
    assert meterstorm_run.facts()["head_end"]["refused: replayed"] == REPLAYED
    assert meterstorm_run.readings.duplicated == meterstorm_run.readings.conflicts == 0
