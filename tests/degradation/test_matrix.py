"""Every link class meets every fault, and a sound head-end loses nothing.

Copy this file, matrix.py and scenarios/degradation/ into a suite of your own, and override the
fixture ``meterstorm_overrides`` to name your head-end.
"""

from __future__ import annotations

import pytest

from harness.pytest_plugin import Runner
from tests.degradation.matrix import SCENARIOS, pairs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize(("link", "fault"), pairs())
def test_nothing_is_lost(link: str, fault: str, meterstorm_runner: Runner) -> None:
    run = meterstorm_runner(SCENARIOS / f"{fault}.toml", set=[f"grid.links.0.profile={link}"])
    run.assert_passed()
    assert run.readings.owed == run.readings.correct == 1200 * run.judgement.grid.steps
