from __future__ import annotations

import statistics

import pytest

from reports.compare.noise import least_spread, noise_of, rule_of, spread


@pytest.mark.parametrize(
    ("figure", "noise", "decides"),
    [
        ("readings.lost", None, True),
        ("readings.late", 0.25, True),
        ("alarms.wrong", None, True),
        ("commands.unexecuted", None, True),
        ("registrations.missing.1", None, True),
        ("registrations.refused", 0.25, True),
        ("push.latency.p99/seed-1", 0.15, True),
        ("resources.fleet.cpu", 0.5, False),
        ("resources.headend.cpu", 0.3, True),
        ("resources.your-system.memory", 0.1, True),
        ("generator.lag", 1.0, False),
    ],
)
def test_each_figure_has_the_rule_of_its_kind(
    figure: str, noise: float | None, decides: bool
) -> None:
    rule = rule_of(figure)
    assert (rule.noise, rule.decides) == (noise, decides)


def test_the_last_pattern_that_matches_counts() -> None:
    given = {"*": 0.2, "push.latency.*": 0.3, "*.p99": 0.4}
    assert noise_of("resources.headend.cpu", given) == 0.2
    assert noise_of("push.latency.p50", given) == 0.3
    assert noise_of("push.latency.p99", given) == 0.4
    assert noise_of("pull.latency.p50", {"push.*": 0.1}) is None


@pytest.mark.parametrize(
    ("runs", "student"), [(3, 9.925), (5, 4.604), (10, 3.250), (20, 2.861), (60, 2.861)]
)
def test_the_spread_is_a_prediction_interval_with_students_t(runs: int, student: float) -> None:
    values = [float(i % 7) for i in range(runs)]
    expected = student * statistics.stdev(values) * (1 + 1 / runs) ** 0.5
    assert spread(values) == pytest.approx(expected)


def test_runs_that_agree_by_luck_still_leave_a_band() -> None:
    assert least_spread(None) == 0.03
    assert least_spread(0.01) == 0.01
