"""What a lab has counted decides whether its run proves anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.check.command import judge_run
from harness.check.lab import lab_doubts
from netem.lab import FAULTS
from reports.recording import (
    FaultCount,
    LabRecord,
    LabSample,
    LinkCount,
    RunTime,
    TrackingCount,
    Verdict,
)
from tests.support.recorded_run import SCENARIO, RecordedFolder


def judged(folder: Path, *faults: FaultCount, notes: tuple[str, ...] = ()) -> Verdict:
    """Judge a run over real packets whose lab has counted ``faults``."""
    links = [{"profile": "seed-1", "share": "100 %"}]
    run = RecordedFolder(folder, {"link": "packet", "grid": {**SCENARIO["grid"], "links": links}})
    last = LabSample(
        at=RunTime(scenario_s=60.0, wall_s=1.5),
        links=(),
        unclassified=0,
        tracking=(),
        listening=(),
        faults=faults,
    )
    LabRecord(tier="packet", profiles=("seed-1",), notes=notes, samples=(last,)).write(run.path)
    return judge_run(run.path).verdict


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_lab_did_wrong_makes_the_run_inconclusive_with_the_count(
    fault: str, tmp_path: Path
) -> None:
    verdict = judged(tmp_path, FaultCount(fault=fault, count=1_234))
    assert verdict.verdict == "inconclusive"
    (reason,) = verdict.reasons
    assert reason.startswith("the links of the packet tier were not what they were set to: 1,234 ")
    assert reason.endswith(FAULTS[fault])


def test_a_lab_that_did_nothing_wrong_is_believed_even_where_it_notes_something(
    tmp_path: Path,
) -> None:
    note = "packet emulator: it was up to 76 ms late"
    verdict = judged(tmp_path, *(FaultCount(fault=it, count=0) for it in FAULTS), notes=(note,))
    assert verdict.verdict == "passed", verdict.reasons
    assert note in verdict.distrust


def counted(
    *sides: tuple[str, int, int, int], overflowed: int = 0, unclassified: int = 0
) -> LabRecord:
    """Return a record with what connection tracking of some sides dropped, by kind."""

    def sample(at_s: float, times: int) -> LabSample:
        link = LinkCount(
            category=0, link="seed-1", direction="up", packets=9, octets=9, lost=0, limited=0,
            overflowed=overflowed * times, backlog=0,
        )  # fmt: skip
        tracking = tuple(
            TrackingCount(
                side=side,
                count=8,
                max=1_024,
                drop=3 + drop * times,
                early_drop=early * times,
                insert_failed=failed * times,
            )
            for side, drop, early, failed in sides
        )
        return LabSample(
            at=RunTime(scenario_s=at_s, wall_s=at_s),
            links=(link,),
            unclassified=unclassified * times,
            tracking=tracking,
            listening=(),
        )

    return LabRecord(tier="netem", profiles=("seed-1",), samples=(sample(0, 0), sample(9, 1)))


USED = "(8 of 1,024 entries used at the end)"


def test_one_of_a_kind_and_many_are_told_apart() -> None:
    assert lab_doubts(counted(("head-end", 1, 1, 2), overflowed=1, unclassified=1)) == [
        f"connection tracking on the head-end side: 1 packet dropped {USED}",
        f"connection tracking on the head-end side: 1 connection forgotten early {USED}",
        f"connection tracking on the head-end side: 2 connections not entered {USED}",
        "1 packet found the queue of its link full",
        "1 packet was of no link class",
    ]
    assert lab_doubts(counted(("fleet", 0, 1_500, 0))) == [
        f"connection tracking on the fleet side: 1,500 connections forgotten early {USED}"
    ]


def test_what_the_run_said_of_its_own_machine_is_not_told_twice() -> None:
    record = counted(("head-end", 1_000, 200, 34), ("fleet", 5, 0, 0))
    of_the_fleet = f"connection tracking on the fleet side: 5 packets dropped {USED}"
    the_sum = "connection tracking of this machine dropped 1,234 packets"
    assert lab_doubts(record, ["it rained", the_sum]) == [of_the_fleet]
    another = "connection tracking of this machine dropped 1,235 packets"
    assert len(lab_doubts(record, [another])) == 4
