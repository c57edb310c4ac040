from __future__ import annotations

from pathlib import Path

import pytest

from harness.check.command import judge_run
from netem.draws import generator
from netem.model import LinkStatistics
from reports.recording import Verdict
from tests.support.recorded_run import SCENARIO, RecordedFolder

PACKETS = 4_000


def judged(folder: Path, *, slower_s: float = 0.0, lost: int = 4) -> Verdict:
    """Judge a run over seed-1 (600 ms, 0.1 % loss) whose packets went as told."""
    links = [{"profile": "seed-1", "share": "100 %"}]
    grid = {**SCENARIO["grid"], "links": links}
    run = RecordedFolder(folder, {"link": "model", "grid": grid})
    statistics = LinkStatistics("seed-1")
    delays_s = generator(7, "test").normal(0.6 + slower_s, 0.2, PACKETS).clip(0)
    for direction in (statistics.up, statistics.down):
        for delay_s in delays_s:
            direction.record_delay(int(delay_s * 1e9))
        direction.packets, direction.lost = PACKETS, lost
    run.summary(0, links={"seed-1": statistics.as_dict()})
    return judge_run(run.path).verdict


def test_links_as_they_were_set_agree(tmp_path: Path) -> None:
    verdict = judged(tmp_path)
    assert verdict.verdict == "passed", verdict.reasons
    assert {link.quantity: link.agrees for link in verdict.links} == {
        f"{direction} {quantity}": agrees
        for direction in ("up", "down")
        for quantity, agrees in (("delay, mean", True), ("delay, sigma", None), ("loss", True))
    }


@pytest.mark.parametrize(
    ("slower_s", "lost", "reason"),
    [
        pytest.param(0.05, 4, "link seed-1 was not what it was set to: up delay, mean", id="slow"),
        pytest.param(0.0, 40, "link seed-1 was not what it was set to: up loss 0.9", id="lossy"),
    ],
)
def test_a_link_that_was_another_makes_the_run_inconclusive(
    slower_s: float, lost: int, reason: str, tmp_path: Path
) -> None:
    verdict = judged(tmp_path, slower_s=slower_s, lost=lost)
    assert verdict.verdict == "inconclusive"
    assert verdict.reasons[0].startswith(reason)


def test_perfect_links_have_nothing_to_tell(tmp_path: Path) -> None:
    assert judge_run(RecordedFolder(tmp_path).path).verdict.links == ()
