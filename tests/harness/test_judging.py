from __future__ import annotations

from dataclasses import replace

from harness.judging import judge, measurements
from harness.limits import (
    DEFAULT_CHECKS,
    LATENCIES,
    MEASURES,
    OPERATIONS,
    PARTS,
    Limit,
    parse_limit,
)
from reports.recording import CommandCounts, Grid, LatencyPercentiles, Readings, Throughput, Verdict

LATENCY = LatencyPercentiles(p50=0.5, p90=1.0, p99=2.5, p99_9=3.0, max=4.0)
VERDICT = Verdict(
    verdict="passed",
    scenario="x",
    seed=1,
    speed=60.0,
    grid=Grid(concentrators=1, meters=10, steps=100),
    readings=Readings(owed=1000, sent=1000, stored=1000, correct=1000, late=7),
    throughput=Throughput(readings_per_s=100.0, times_real_time=9.5),
    latency_s=dict.fromkeys(LATENCIES, LATENCY),
    resources={**{part: {"rss_mib_max": 100} for part in PARTS}, "store": {"bytes": 5000}},
    commands=(
        CommandCounts(kind="time", issued=10, executed=8, repeated=1, failed=1),
        CommandCounts(kind="time", link="seed-1", issued=10, executed=8),
        CommandCounts(kind="tariff", issued=5, executed=5),
    ),
)


def limits(**texts: str) -> dict[str, Limit]:
    named = {name.replace("__", "."): text for name, text in texts.items()}
    return {name: parse_limit(text, MEASURES[name]) for name, text in named.items()}


def test_every_name_that_a_check_may_have_is_measured() -> None:
    # The others come from who alone knows whether there was anything to look at (`harness.check`).
    elsewhere = ("alarms.", "replays.", "batteries.", "bills.")
    known = {name for name in MEASURES if not name.startswith(elsewhere)}
    known -= {f"{name}.{what}" for name in OPERATIONS for what in ("asked", "refused", "failed")}
    assert measurements(VERDICT).keys() == known


def test_commands_are_counted_once_and_not_again_for_each_link() -> None:
    measured = measurements(VERDICT)
    counts = {name: measured[f"commands.{name}"] for name in ("issued", "executed", "lost")}
    assert counts == {"issued": 15, "executed": 13, "lost": 1}


def test_a_clean_run_keeps_the_default_checks() -> None:
    checks = {name: parse_limit(text, MEASURES[name]) for name, text in DEFAULT_CHECKS.items()}
    assert all(check.passed for check in judge(checks, measurements(VERDICT)))


def test_one_lost_reading_fails_the_run() -> None:
    verdict = replace(VERDICT, readings=replace(VERDICT.readings, lost=1))
    (check,) = judge(limits(readings__lost="== 0"), measurements(verdict))
    assert (check.passed, check.measured, check.limit) == (False, 1, "== 0")


def test_a_share_is_shown_as_one() -> None:
    checks = limits(readings__late="<= 0.5 %")
    (check,) = judge(checks, measurements(VERDICT))
    assert (check.passed, check.measured) == (False, "0.7 %")


def test_times_and_sizes_are_shown_with_their_units() -> None:
    checks = limits(push__latency__p99="<= 3 s", resources__fleet__memory="<= 1 MiB")
    time, memory = judge(checks, measurements(VERDICT))
    assert (time.passed, time.measured) == (True, "2.5 s")
    assert (memory.passed, memory.measured, memory.limit) == (False, "100.0 MiB", "<= 1 MiB")


def test_what_was_not_measured_is_not_decided() -> None:
    checks = limits(pull__latency__p99="<= 3 s")
    (check,) = judge(checks, measurements(replace(VERDICT, latency_s={})))
    assert check.passed is None
    assert check.measured is None
