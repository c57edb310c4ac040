"""What holds when, against tables worked out by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from netem.conditions import (
    RAMP_STEPS,
    Conditions,
    ConditionSpan,
    DegradeSpan,
    FlapSpan,
    PartitionSpan,
    Span,
    flap_times,
)
from netem.profiles import LinkProfile, RandomLoss

LOST: RandomLoss = RandomLoss.model_validate({"share": "100 %"})


def link(name: str, latency: str) -> LinkProfile:
    way = {"latency": latency}
    return LinkProfile.model_validate(
        {"name": name, "description": name, "sources": (), "up": way, "down": way}
    )


LTE, GPRS = link("lte", "100 ms"), link("gprs", "1 s")
CATEGORY = np.array([0, 1, 0, 1, 0, 1], np.uint8)


def conditions(*spans: Span, seed: int = 7, **more: Any) -> Conditions:
    return Conditions(spans, (LTE, GPRS), CATEGORY, seed, **more)


def degrade(number: int, *when: tuple[float, float], ramp_s: float = 0, **rest: Any) -> DegradeSpan:
    return DegradeSpan.model_validate(
        {"number": number, "occurrences": when, "ramp_s": ramp_s, **rest}
    )


def partition(number: int, *when: tuple[float, float], **whom: Any) -> PartitionSpan:
    return PartitionSpan.model_validate({"number": number, "occurrences": when, "whom": whom})


def flap(number: int, *when: tuple[float, float], **rest: Any) -> FlapSpan:
    told = {"number": number, "occurrences": when, "period_s": 10, "down_ppm": 200_000}
    return FlapSpan.model_validate(told | rest)


def changes(made: Conditions, **how: bool) -> list[tuple[float, int, float, list[int] | None]]:
    """Return when, which class, latency in ms or -1 where everything is lost, and whose."""
    return [
        (
            change.at_s,
            change.category,
            -1 if change.profile.up.loss == LOST else round(change.profile.up.latency * 1000, 6),
            None if change.numbers is None else change.numbers.tolist(),
        )
        for change in made.changes(**how)
    ]


def switchings(made: Conditions) -> list[tuple[float, int, str | None]]:
    return [(each.at_s, each.event, each.kind) for each in made.switchings()]


# ---- degradation -------------------------------------------------------------------------------


def test_a_class_gets_worse_and_well_again() -> None:
    made = conditions(degrade(0, (60, 120), worse={"latency": "x 3"}, whom={"links": ["lte"]}))
    assert changes(made) == [(60, 0, 300, None), (120, 0, 100, None)]
    assert not made.individually


def test_a_region_gets_worse_in_every_class() -> None:
    made = conditions(degrade(0, (60, 120), worse={"latency": "x 3"}, whom={"region": "1 of 2"}))
    assert changes(made) == [
        (60, 0, 300, [0, 2]),
        (60, 1, 3000, [1]),
        (120, 0, 100, None),
        (120, 1, 1000, None),
    ]
    assert made.individually


def test_a_ramp_goes_in_even_steps_at_their_middles_and_back() -> None:
    span = degrade(0, (100, 300), ramp_s=40, worse={"latency": "500 ms"}, whom={"links": ["lte"]})
    told = changes(conditions(span))
    up, full, down, end = told[:20], told[20], told[21:41], told[41]
    assert len(told) == 2 * RAMP_STEPS + 2
    # From 100 ms to 500 ms in 20 steps of 20 ms and 2 s, the first at 110 ms.
    assert [at_s for at_s, *_ in up] == pytest.approx([100 + 2 * i for i in range(20)])
    assert [ms for _, _, ms, _ in up] == pytest.approx([110 + 20 * i for i in range(20)], abs=1e-3)
    assert (full[0], full[2]) == (140, 500)
    assert [at_s for at_s, *_ in down] == pytest.approx([260 + 2 * i for i in range(20)])
    assert [ms for _, _, ms, _ in down] == pytest.approx(
        [490 - 20 * i for i in range(20)], abs=1e-3
    )
    assert end == (300, 0, 100, None)


def test_a_ramp_that_takes_half_the_time_reaches_its_peak_and_turns() -> None:
    span = degrade(0, (0, 80), ramp_s=40, worse={"latency": "500 ms"}, whom={"links": ["lte"]})
    made = conditions(span)
    assert made.profile(0, 39.9).up.latency == pytest.approx(0.49)
    assert made.profile(0, 40.0).up.latency == pytest.approx(0.49)
    assert made.profile(0, 80.0) == LTE


def test_degradations_apply_one_after_the_other_in_the_order_of_the_timeline() -> None:
    made = conditions(
        degrade(0, (0, 100), worse={"latency": "x 2"}, whom={"links": ["lte"]}),
        degrade(1, (50, 150), worse={"latency": "x 3"}, whom={"links": ["lte"]}),
        degrade(2, (90, 95), worse={"latency": "1 s"}, whom={"links": ["lte"]}),
    )
    assert changes(made) == [
        (0, 0, 200, None),
        (50, 0, 600, None),
        (90, 0, 1000, None),
        (95, 0, 600, None),
        (100, 0, 300, None),
        (150, 0, 100, None),
    ]


def test_it_comes_again_at_every_occurrence() -> None:
    made = conditions(
        degrade(0, (10, 20), (30, 40), worse={"latency": "x 2"}, whom={"links": ["lte"]})
    )
    assert [(at_s, ms) for at_s, _, ms, _ in changes(made)] == [
        (10, 200),
        (20, 100),
        (30, 200),
        (40, 100),
    ]


@given(st.integers(0, 2**32), st.integers(0, 1_000_000), st.floats(-10, 400))
def test_the_changes_and_the_profile_at_a_time_agree(seed: int, share: int, at_s: float) -> None:
    made = conditions(
        degrade(3, (0, 200), ramp_s=60, worse={"latency": "x 3"}, whom={"share_ppm": share}),
        degrade(4, (50, 300), worse={"loss": "10 %", "way": "up"}, whom={"region": "2 of 3"}),
        seed=seed,
    )
    held = [(LTE, GPRS)[category] for category in CATEGORY]
    for change in made.changes():
        if change.at_s <= at_s:
            everybody = np.flatnonzero(change.category == CATEGORY)
            for number in everybody if change.numbers is None else change.numbers:
                held[number] = change.profile
    assert held == [made.profile(number, at_s) for number in range(len(CATEGORY))]


def test_the_same_seed_hits_the_same_and_another_seed_others() -> None:
    span = degrade(0, (0, 1), worse={"latency": "x 2"}, whom={"share_ppm": 500_000})
    one = [conditions(span, seed=seed).worsening[0].hits.tolist() for seed in range(20)]
    again = [conditions(span, seed=seed).worsening[0].hits.tolist() for seed in range(20)]
    assert one == again
    assert all(sum(hits) == 3 for hits in one)
    assert len({tuple(hits) for hits in one}) > 5


# ---- being cut off -----------------------------------------------------------------------------


def test_a_partition_hangs_and_a_flap_breaks_unless_it_is_told_to_hang() -> None:
    made = conditions(
        partition(0, (5, 15)),
        flap(1, (0, 30), period_s=20),
        flap(2, (0, 20), period_s=20, connections="hang"),
    )
    assert switchings(made) == [
        (0, 1, "break"),
        (0, 2, "hang"),
        (4, 1, None),
        (4, 2, None),
        (5, 0, "hang"),
        (15, 0, None),
        (20, 1, "break"),
        (24, 1, None),
    ]
    assert [made.cut(0, at_s) for at_s in (-1, 0, 4, 5, 15, 20)] == [
        None,
        "break",
        None,
        "hang",
        None,
        "break",
    ]


def test_what_ends_as_something_else_begins_ends_first() -> None:
    made = conditions(partition(0, (5, 10), (20, 30)), partition(1, (10, 20)))
    assert switchings(made) == [
        (5, 0, "hang"),
        (10, 0, None),
        (10, 1, "hang"),
        (20, 1, None),
        (20, 0, "hang"),
        (30, 0, None),
    ]


def test_in_a_lab_what_is_cut_off_loses_everything_and_outages_are_cut_off_too() -> None:
    hits = np.array([True, False, False, False, False, False])
    made = conditions(
        degrade(0, (0, 50), worse={"latency": "x 2"}, whom={"links": ["lte"]}),
        partition(1, (10, 20), links=["gprs"]),
        outages=[((15, 60), hits)],
    )
    assert changes(made, cut_is_loss=True) == [
        (0, 0, 200, None),
        (10, 1, -1, None),
        (15, 0, -1, [0]),
        (20, 1, 1000, None),
        (50, 0, 100, [2, 4]),
        (50, 0, -1, [0]),
        (60, 0, 100, None),
    ]
    assert made.individually
    # In the fleet it is the links' gates that do that.
    assert changes(made) == [(0, 0, 200, None), (50, 0, 100, None)]


@given(
    st.integers(0, 2**63 - 1),
    st.floats(0.5, 60),
    st.integers(1, 999_999),
    st.integers(0, 1_000_000),
)
def test_flaps_are_down_for_their_share_once_a_cycle(
    seed: int, period_s: float, down_ppm: int, jitter_ppm: int
) -> None:
    span = flap(4, (100, 700), period_s=period_s, down_ppm=down_ppm, jitter_ppm=jitter_ppm)
    times = flap_times(span, seed)
    assert times == flap_times(span, seed)
    whole = [(begins_s, ends_s) for begins_s, ends_s in times if ends_s < 700]
    for begins_s, ends_s in whole:
        assert ends_s - begins_s == pytest.approx(period_s * down_ppm / 1e6, abs=1e-6)
    for (_, ends_s), (begins_s, _) in pairwise(times):
        assert ends_s <= begins_s + 1e-9
    cycles = [int((begins_s - 100 + 2e-6) / period_s) for begins_s, _ in times]
    assert cycles == list(range(len(times)))
    assert all(100 <= begins_s < ends_s <= 700 for begins_s, ends_s in times)


def test_jitter_differs_from_cycle_to_cycle_and_from_seed_to_seed() -> None:
    span = flap(4, (0, 100), jitter_ppm=1_000_000)
    offsets = {seed: [begins_s % 10 for begins_s, _ in flap_times(span, seed)] for seed in (1, 2)}
    assert len(set(offsets[1])) == 10
    assert offsets[1] != offsets[2]
    assert flap_times(flap(4, (0, 20)), 1) == [(0, 2), (10, 12)]


def test_spans_are_told_to_other_processes_as_they_are() -> None:
    adapter = TypeAdapter[list[Span]](list[ConditionSpan])
    spans: list[Span] = [
        degrade(0, (0, 1), worse={"latency": "x 2", "loss": "1.5 %"}, whom={"region": "2 of 8"}),
        partition(1, (5, 15), links=["gprs"]),
        flap(2, (0, 30), connections="hang"),
    ]
    assert adapter.validate_json(adapter.dump_json(spans)) == spans
