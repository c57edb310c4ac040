from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reports.compare import Comparison, Judgement, Outcome, Row, Rules, Subject, compare
from tests.support.compared import SMALL_RUN, latencies, subject

SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.sampled_from([40, SMALL_RUN, 3000])
OPPOSITE = {
    Judgement.WORSE: Judgement.BETTER,
    Judgement.BETTER: Judgement.WORSE,
    Judgement.SAME: Judgement.SAME,
    Judgement.UNCLEAR: Judgement.UNCLEAR,
    Judgement.UNJUDGED: Judgement.UNJUDGED,
}


def row(found: Comparison, figure: str) -> Row:
    return next(row for row in found.rows if row.figure == figure)


def pushed(samples_s: list[float], **others: object) -> Subject:
    return subject(latency={"push": samples_s}, **others)  # type: ignore[arg-type]


def slower(samples_s: list[float], factor: float) -> list[float]:
    return [factor * value_s for value_s in samples_s]


@given(SEEDS, COUNTS)
@settings(max_examples=25)
def test_a_run_is_the_same_as_itself(seed: int, count: int) -> None:
    run = pushed(latencies(seed, count))
    found = compare([run], run)
    assert found.outcome is Outcome.SAME
    judged = {row.judgement for row in found.rows if not row.why}
    assert judged == {Judgement.SAME}


@given(SEEDS, SEEDS, st.floats(0.3, 3.0), st.floats(0.0, 0.5), st.floats(1.0, 200.0))
@example(0, 0, 1.0, 0.1, 1.0)  # the very edge of the band: 0.08 and a quarter more
@settings(max_examples=50)
def test_exchanging_the_runs_exchanges_better_and_worse(
    one: int, other: int, factor: float, late: float, cpu_s: float
) -> None:
    first = pushed(latencies(one))
    figures = {
        "readings.late": late,
        "resources.headend.memory": cpu_s,
        "readings.lost": cpu_s // 50,
    }
    second = pushed(slower(latencies(other), factor), figures=figures)
    there, back = compare([first], second), compare([second], first)
    assert [OPPOSITE[row.judgement] for row in there.rows] == [row.judgement for row in back.rows]


@given(SEEDS, SEEDS)
@settings(max_examples=25)
def test_thirty_per_cent_slower_is_slower_at_the_counts_of_a_small_run(
    one: int, other: int
) -> None:
    links = {"push/seed-1": latencies(one, 160), "push/seed-4": latencies(one + 1, 160)}
    before = subject(latency=links | {"push": links["push/seed-1"] + links["push/seed-4"]})
    # The same seed drew the same delays; what the machine adds differs.
    jitter = latencies(other, 160, median_s=0.002)
    now = {
        name: [1.3 * value_s + more_s for value_s, more_s in zip(part, jitter, strict=True)]
        for name, part in links.items()
    }
    after = subject(latency=now | {"push": now["push/seed-1"] + now["push/seed-4"]})
    found = compare([before], after)
    assert found.outcome is Outcome.WORSE
    assert row(found, "push.latency.middle").judgement is Judgement.WORSE
    assert found.reasons[0] == "push.latency.middle is worse"


def test_thirty_per_cent_in_one_link_class_is_found_in_that_class() -> None:
    quick, slow = latencies(5, 400), latencies(6, 400)
    before = subject(latency={"push/seed-1": quick, "push/seed-4": slow})
    after = subject(latency={"push/seed-1": quick, "push/seed-4": slower(slow, 1.3)})
    found = compare([before], after)
    assert row(found, "push.latency.p50/seed-4").judgement is Judgement.WORSE
    assert row(found, "push.latency.p50/seed-1").judgement is Judgement.SAME


@given(SEEDS, st.floats(1 / 1.14, 1.14))
@settings(max_examples=25)
def test_what_is_within_the_noise_of_runs_is_the_same(seed: int, factor: float) -> None:
    samples_s = latencies(seed, 3000)
    found = compare([pushed(samples_s)], pushed(slower(samples_s, factor)))
    assert found.outcome is Outcome.SAME
    assert row(found, "push.latency.p50").judgement is Judgement.SAME


def test_samples_of_one_distribution_are_hardly_ever_called_different() -> None:
    wrong = sum(
        compare([pushed(latencies(2 * seed))], pushed(latencies(2 * seed + 1))).outcome
        is not Outcome.SAME
        for seed in range(60)
    )
    assert wrong == 0


def test_more_than_the_noise_but_within_chance_is_unclear_and_not_worse() -> None:
    samples_s = latencies(4, 40)
    found = compare([pushed(samples_s)], pushed(slower(samples_s, 1.25)))
    assert row(found, "push.latency.p50").judgement is Judgement.UNCLEAR
    assert found.outcome is Outcome.SAME
    assert "chance can do" in found.reasons[1]


def test_a_quantile_beyond_the_counts_is_not_judged_and_says_why() -> None:
    found = compare([pushed(latencies(1, 600))], pushed(slower(latencies(1, 500), 4.0)))
    unjudged = row(found, "push.latency.p99")
    assert unjudged.judgement is Judgement.UNJUDGED
    assert unjudged.low is None
    assert unjudged.why == "500 samples are too few"


def test_a_difference_that_the_generator_may_have_made_is_unclear() -> None:
    quick = latencies(1, 3000, median_s=0.1)
    before, after = pushed(quick), pushed(slower(quick, 1.4))
    assert compare([before], after).outcome is Outcome.WORSE
    lagging = replace(after, figures=after.figures | {"generator.lag": 0.2})
    found = compare([before], lagging)
    assert row(found, "push.latency.p50").judgement is Judgement.UNCLEAR
    assert found.outcome is Outcome.SAME
    assert row(compare([lagging], before), "push.latency.p50").judgement is Judgement.UNCLEAR


@pytest.mark.parametrize("figure", ["readings.lost", "checks.failed"])
def test_counts_of_what_must_not_happen_are_exact(figure: str) -> None:
    found = compare([subject()], subject(figures={figure: 1}))
    assert found.outcome is Outcome.WORSE
    assert found.reasons == (f"{figure} is worse",)
    assert compare([subject(figures={figure: 1})], subject()).outcome is Outcome.BETTER


def test_more_throughput_is_better() -> None:
    found = compare([subject()], subject(figures={"throughput.readings_per_s": 300.0}))
    assert found.outcome is Outcome.BETTER
    less = compare([subject()], subject(figures={"throughput.readings_per_s": 200.0}))
    assert less.outcome is Outcome.WORSE


def test_what_the_test_itself_takes_does_not_decide() -> None:
    found = compare([subject()], subject(figures={"generator.lag": 1.5}))
    assert row(found, "generator.lag").judgement is Judgement.WORSE
    assert found.outcome is Outcome.SAME
    taken = compare([subject()], subject(figures={"resources.headend.memory": 300.0}))
    assert taken.outcome is Outcome.WORSE


def test_cpu_is_held_against_what_the_test_itself_took() -> None:
    def run(fleet_s: float, head_end_s: float) -> Subject:
        return subject(
            figures={"resources.fleet.cpu": fleet_s, "resources.headend.cpu": head_end_s}
        )

    def judged(before: Subject, after: Subject) -> Judgement:
        return row(compare([before], after), "resources.headend.cpu").judgement

    # A machine that was twice as slow is no worse head-end; and it can hide one.
    assert judged(run(30.0, 40.0), run(60.0, 80.0)) is Judgement.SAME
    assert judged(run(30.0, 40.0), run(30.0, 54.0)) is Judgement.WORSE
    assert judged(run(60.0, 40.0), run(30.0, 40.0)) is Judgement.WORSE
    assert judged(run(30.0, 40.0), run(60.0, 40.0)) is Judgement.BETTER
    assert row(compare([run(30.0, 40.0)], run(60.0, 80.0)), "resources.headend.cpu").before == 40.0


def test_a_run_that_failed_is_worse_than_one_that_passed() -> None:
    failed = subject(verdict="failed", reasons=("readings.late is 9 %, the limit is 5 %",))
    found = compare([subject()], failed)
    assert found.outcome is Outcome.WORSE
    assert found.reasons == ("B failed, A passed: readings.late is 9 %, the limit is 5 %",)
    assert compare([failed], failed).outcome is Outcome.SAME


@pytest.mark.parametrize("side", ["before", "after"])
def test_an_inconclusive_run_is_never_called_anything(side: str) -> None:
    doubted = subject("doubted", verdict="inconclusive", reasons=("the generator fell behind",))
    other = subject(figures={"readings.late": 0.9})
    found = compare([doubted], other) if side == "before" else compare([other], doubted)
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.reasons == ("doubted is inconclusive: the generator fell behind",)
    assert {row.judgement for row in found.rows} == {Judgement.UNJUDGED}


def test_runs_that_were_asked_other_things_are_not_judged() -> None:
    found = compare([subject()], subject(asked={"speed": "60.0"}, figures={"readings.lost": 9}))
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.reasons == ("speed differs: 180.0 in A, 60.0 in B; --allow speed compares anyway",)
    assert {row.judgement for row in found.rows} == {Judgement.UNJUDGED}


def test_a_failed_run_of_another_question_is_not_called_worse() -> None:
    failed = subject(asked={"speed": "60.0"}, verdict="failed", reasons=("slow",))
    assert compare([subject()], failed).outcome is Outcome.CANNOT_TELL
    assert compare([subject()], failed, Rules(allowed=["speed"])).outcome is Outcome.WORSE


def test_what_is_allowed_to_differ_is_judged() -> None:
    other = subject(asked={"seed": "8"}, owed=4810)
    assert compare([subject()], other).outcome is Outcome.CANNOT_TELL
    assert compare([subject()], other, Rules(allowed=["seed"])).outcome is Outcome.SAME


def test_a_series_that_only_one_run_has_is_left_out() -> None:
    found = compare([subject()], subject(latency={"gap": latencies(1)}))
    assert not [row for row in found.rows if "latency" in row.figure]


def test_nothing_in_common_cannot_be_told() -> None:
    bare = replace(subject(), figures={}, latency={})
    found = compare([bare], bare)
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.reasons == ("nothing was measured in both",)


def test_the_spread_of_a_baseline_finds_what_a_single_pair_cannot() -> None:
    runs = [pushed(slower(latencies(1), 1 + 0.002 * i)) for i in range(5)]
    after = pushed(slower(latencies(1), 1.08))
    assert compare(runs[:1], after).outcome is Outcome.SAME
    found = compare(runs, after)
    assert row(found, "push.latency.p50").judgement is Judgement.WORSE
    assert compare(runs, pushed(slower(latencies(1), 1.02))).outcome is Outcome.SAME


def test_a_baseline_that_spreads_forgives_as_much() -> None:
    runs = [pushed(slower(latencies(1, 3000), 1 + 0.1 * i)) for i in range(5)]
    after = pushed(slower(latencies(1, 3000), 1.6))
    assert compare(runs[2:3], after).outcome is Outcome.WORSE
    assert compare(runs, after).outcome is Outcome.SAME


def test_the_baseline_allows_what_happened_in_it() -> None:
    runs = [subject(figures={"readings.lost": lost}) for lost in (0, 2, 0)]
    assert compare(runs, subject(figures={"readings.lost": 2})).outcome is Outcome.SAME
    assert compare(runs, subject(figures={"readings.lost": 3})).outcome is Outcome.WORSE


def test_noise_is_what_the_user_says_it_is() -> None:
    samples_s = latencies(1, 30_000)
    before, after = pushed(samples_s), pushed(slower(samples_s, 1.3))
    assert compare([before], after).outcome is Outcome.WORSE
    assert compare([before], after, Rules({"*": 0.4})).outcome is Outcome.SAME
    assert compare([before], after, Rules({"*": 0.4, "*.p99": 0.1})).reasons == (
        "push.latency.p99 is worse",
    )
    close = pushed(slower(samples_s, 1.1))
    assert compare([before], close).outcome is Outcome.SAME
    assert compare([before], close, Rules({"*.latency.*": 0.02})).outcome is Outcome.WORSE


def test_lateness_of_few_pushes_is_unclear_where_that_of_many_is_worse() -> None:
    def late(share: float, pushes: int) -> Subject:
        return subject(latency={"push": latencies(1, pushes)}, figures={"readings.late": share})

    def judged(pushes: int) -> Judgement:
        found = compare([late(0.44, pushes)], late(0.64, pushes))
        return next(row.judgement for row in found.rows if row.figure == "readings.late")

    assert judged(40) is Judgement.UNCLEAR
    assert judged(400) is Judgement.WORSE
