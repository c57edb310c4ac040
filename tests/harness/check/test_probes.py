"""Links of a lab as probes found them, and what the lab counted, in the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.check.command import judge_run
from harness.check.links import links
from harness.check.probes import packets_per_s
from harness.check.recorded import RecordedRun
from netem.draws import generator
from netem.model.delay import delay_law
from netem.probe.measurement import Bucket, Train, record_line
from netem.profiles import LinkDirection, load_profiles
from reports.recording import (
    LabRecord,
    LabSample,
    LinkCount,
    ListenCount,
    RunFiles,
    RunTime,
    TrackingCount,
    Verdict,
)
from tests.support.recorded_run import SCENARIO, RecordedFolder

SENT = 500
SECOND_NS = 1_000_000_000


def folder_of(path: Path, timeline: list[dict[str, object]] | None = None) -> RecordedFolder:
    links = [{"profile": "seed-1", "share": "100 %"}]
    grid = {**SCENARIO["grid"], "links": links}
    return RecordedFolder(path, {"link": "packet", "grid": grid, "timeline": timeline or []})


def write_probes(
    run: RecordedFolder, *, slower_s: float = 0.0, lost: int = 1, rate: float | None = 15.0
) -> None:
    """Record probes over links of the laws of seed-1, but for what is given."""
    delays_s = generator(3, "test").normal(0.6 + slower_s, 0.2, SENT).clip(0)
    lines = []
    for direction in ("up", "down"):
        bucket = Bucket(0, direction, SECOND_NS, sent=SENT)
        for delay_s in delays_s[lost:]:
            bucket.arrived(int(delay_s * 1e9), overtaken=False)
        train = Train(0, direction, SECOND_NS, 60, 60, 1_400, rate)
        lines += [record_line(bucket), record_line(train)]
    RunFiles(run.path).probes.write_text("".join(f"{line}\n" for line in lines))


def sample(
    at_s: float, *, tracked: int = 0, refused: int = 0, overflowed: int = 0, stray: int = 0
) -> LabSample:
    link = LinkCount(
        category=0,
        link="seed-1",
        direction="up",
        packets=990,
        octets=99_000,
        lost=10,
        limited=0,
        overflowed=overflowed,
        backlog=0,
    )
    return LabSample(
        at=RunTime(scenario_s=at_s, wall_s=at_s),
        links=(link,),
        unclassified=stray,
        tracking=(
            TrackingCount(
                side="head-end", count=200, max=200, drop=7 + tracked, early_drop=0, insert_failed=0
            ),
        ),
        listening=(
            ListenCount(side="head-end", overflows=0, drops=2 + refused, request_queue_full=0),
        ),
    )


def verdict_of(run: RecordedFolder) -> Verdict:
    return judge_run(run.path).verdict


def test_links_as_they_were_set_agree(tmp_path: Path) -> None:
    run = folder_of(tmp_path)
    write_probes(run)
    LabRecord(tier="packet", profiles=("seed-1",), samples=(sample(0), sample(9))).write(run.path)
    verdict = verdict_of(run)
    assert verdict.verdict == "passed", verdict.reasons
    found = {link.quantity: link for link in verdict.links}
    assert found["up delay, mean"].set == pytest.approx(0.6, abs=1e-3)
    assert found["up delay, mean"].measured == pytest.approx(0.6, abs=0.03)
    assert found["up rate"].set == 15
    assert found["up loss"].drawn == pytest.approx(1.0)
    assert found["down loss"].drawn is None
    assert {name: link.agrees for name, link in found.items()} == {
        f"{direction} {quantity}": agrees
        for direction in ("up", "down")
        for quantity, agrees in (
            ("delay, mean", True),
            ("delay, sigma", None),
            ("loss", True),
            ("rate", True),
        )
    }


@pytest.mark.parametrize(
    ("slower_s", "lost", "rate", "reason"),
    [
        pytest.param(0.08, 1, 15.0, "up delay, mean", id="slow"),
        pytest.param(0.0, 25, 15.0, "up loss", id="lossy"),
        pytest.param(0.0, 1, 22.0, "up rate", id="fast"),
    ],
)
def test_a_link_that_was_another_makes_the_run_inconclusive(
    slower_s: float, lost: int, rate: float, reason: str, tmp_path: Path
) -> None:
    run = folder_of(tmp_path)
    write_probes(run, slower_s=slower_s, lost=lost, rate=rate)
    verdict = verdict_of(run)
    assert verdict.verdict == "inconclusive"
    assert verdict.reasons[0].startswith(f"link seed-1 was not what it was set to: {reason}")


def test_what_the_scenario_changed_is_not_held_against_the_link(tmp_path: Path) -> None:
    """The whole class is cut off for the whole run: what probes met then says nothing."""
    partition: dict[str, object] = {"do": "partition", "at": "00:00", "for": "30 min"}
    run = folder_of(tmp_path, [partition])
    write_probes(run, slower_s=5.0)
    lines = RunFiles(run.path).probes.read_text().splitlines()
    began_ns = int(run_began_s(run) * 1e9) + 20 * SECOND_NS
    moved = "".join(
        line.replace(f'"starts_ns": {SECOND_NS}', f'"starts_ns": {began_ns}') + "\n"
        for line in lines
    )
    RunFiles(run.path).probes.write_text(moved)
    assert verdict_of(run).links == ()


def of_batteries(path: Path, timeline: list[dict[str, object]]) -> RecordedFolder:
    """Return a run whose batteries have the links of `folder_of`, and probes of those only."""
    lte = [{"profile": "lte", "share": "100 %"}]
    seed = [{"profile": "seed-1", "share": "100 %"}]
    changes = {
        "link": "packet",
        "grid": {**SCENARIO["grid"], "links": lte},
        "batteries": {"count": 3, "links": seed},
        "bal": {"virtual": 1},
        "timeline": timeline,
    }
    run = RecordedFolder(path, changes)
    write_probes(run)
    probes = RunFiles(run.path).probes
    probes.write_text(probes.read_text().replace('"category": 0', '"category": 1'))
    return run


def measured(run: RecordedFolder) -> dict[str, bool | None]:
    recorded = RecordedRun.open(run.path)
    return {f"{one.link}: {one.quantity}": one.agrees for one in links(recorded)}


def test_links_of_batteries_are_measured_by_their_own_profile(tmp_path: Path) -> None:
    found = measured(of_batteries(tmp_path, []))
    assert found["seed-1 of batteries: up delay, mean"] is True
    assert found["seed-1 of batteries: down rate"] is True
    assert all(name.startswith("seed-1 of batteries: ") for name in found)


def test_what_befalls_all_batteries_is_not_held_against_their_links(tmp_path: Path) -> None:
    cut: dict[str, object] = {"do": "partition", "at": "00:00", "for": "30 min"}
    for whose, judged in (("batteries", False), ("concentrators", True)):
        run = of_batteries(tmp_path / whose, [{**cut, "of": whose}])
        probes = RunFiles(run.path).probes
        began_ns = int(run_began_s(run) * 1e9) + 20 * SECOND_NS
        text = probes.read_text()
        probes.write_text(text.replace(f'"starts_ns": {SECOND_NS}', f'"starts_ns": {began_ns}'))
        assert bool(measured(run)) is judged


def run_began_s(run: RecordedFolder) -> float:
    recorded = RecordedRun.open(run.path)
    return recorded.facts.scenario_clock.monotonic_at(float(recorded.fleet.first_s))


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        pytest.param(
            sample(9, tracked=40),
            "connection tracking on the head-end side: 40 packets dropped "
            "(200 of 200 entries used at the end)",
            id="conntrack",
        ),
        pytest.param(
            sample(9, overflowed=3), "3 packets found the queue of their link full", id="queue"
        ),
        pytest.param(sample(9, stray=2), "2 packets were of no link class", id="stray"),
    ],
)
def test_packets_lost_elsewhere_than_on_a_link_make_the_run_inconclusive(
    last: LabSample, reason: str, tmp_path: Path
) -> None:
    run = folder_of(tmp_path)
    LabRecord(tier="netem", profiles=("seed-1",), samples=(sample(0), last)).write(run.path)
    verdict = verdict_of(run)
    assert (verdict.verdict, verdict.reasons) == ("inconclusive", (reason,))


def test_a_full_accept_queue_is_the_head_ends_own_limit(tmp_path: Path) -> None:
    run = folder_of(tmp_path)
    record = LabRecord(
        tier="netem",
        profiles=("seed-1",),
        notes=("the kernel has no seeded netem",),
        samples=(sample(0), sample(9, refused=4)),
    )
    record.write(run.path)
    verdict = verdict_of(run)
    assert verdict.verdict == "passed", verdict.reasons
    assert "4 connections met a full accept queue on the head-end side." in verdict.distrust
    assert "the kernel has no seeded netem" in verdict.distrust


def test_the_rate_of_packets_is_that_of_the_tighter_limit() -> None:
    seed = load_profiles()["seed-1"].up
    assert packets_per_s(seed, 1_400) == 15
    assert packets_per_s(LinkDirection(), 1_400) is None
    both = seed.model_copy(update={"rate": 11_200})
    assert packets_per_s(both, 1_400) == pytest.approx(1.0)
    assert delay_law(seed).mean_s == pytest.approx(0.6, abs=1e-3)
