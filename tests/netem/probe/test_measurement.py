"""What probes measured, judged by numpy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.probe.measurement import Bucket, Train, arrival_rate, read_record, record_line

SECOND = 1_000_000_000


@given(st.lists(st.integers(0, 5_000_000), min_size=2, max_size=200), st.integers(0, 50))
def test_moments_of_a_span_are_those_of_its_delays(delays_us: list[int], lost: int) -> None:
    half = len(delays_us) // 2
    spans = [Bucket(1, "up", 0), Bucket(1, "up", 5 * SECOND)]
    for number, delay_us in enumerate(delays_us):
        span = spans[number >= half]
        span.sent += 1
        span.arrived(delay_us * 1_000, overtaken=False)
    spans[1].sent += lost
    whole = Bucket(1, "up", 0)
    for span in spans:
        whole.merge(span)
    assert whole.mean_s == pytest.approx(np.mean(delays_us) / 1e6)
    assert whole.sigma_s == pytest.approx(np.std(delays_us, ddof=1) / 1e6, abs=1e-9)
    assert whole.loss_share == pytest.approx(lost / (len(delays_us) + lost))
    assert whole.delay_max_us == max(delays_us)


def test_the_rate_of_a_train_is_that_after_its_burst() -> None:
    """15 a second after five at once: what a shaper with a burst makes of a train."""
    arrivals = [max(0, number - 4) * SECOND // 15 for number in range(60)]
    assert arrival_rate(arrivals) == pytest.approx(15.0)


def test_neither_loss_nor_overtaking_bends_the_rate() -> None:
    rng = np.random.default_rng(5)
    drawn = rng.normal(0.6, 0.2, 600).clip(0)
    arrivals: list[int | None] = [
        int((number / 15 + drawn[number]) * SECOND) for number in range(600)
    ]
    for number in range(0, 600, 7):
        arrivals[number] = None
    assert arrival_rate(arrivals) == pytest.approx(15.0, rel=0.02)


def test_a_delay_that_changes_for_all_packets_does_not_bend_the_rate() -> None:
    """A link in order: one delay for each second and a half, none overtakes, 15 a second."""
    rates = []
    for seed in range(200):
        drawn = np.random.default_rng(seed).normal(1.4, 0.6, 10).clip(0)
        arrivals, last_s = [], 0.0
        for number in range(60):
            sent_s = max(0, number - 4) / 15
            last_s = max(last_s, sent_s + drawn[int(sent_s // 1.5)])
            arrivals.append(int(last_s * SECOND))
        rate = arrival_rate(arrivals)
        assert rate is not None, f"seed {seed}"
        rates.append(rate)
    assert np.median(rates) == pytest.approx(15.0, rel=1e-3)
    # Where the delay falls by more than the train is long, all that is left arrives at once.
    assert np.mean(np.abs(np.array(rates) / 15 - 1) < 0.05) > 0.95


def test_a_fast_link_has_a_rate_though_its_packets_come_close_together() -> None:
    assert arrival_rate([number * SECOND // 2000 for number in range(60)]) == pytest.approx(2000)


@pytest.mark.parametrize("arrivals", [[], [None] * 60, [0] * 60, [1] + [None] * 59])
def test_no_rate_where_nothing_can_be_said(arrivals: list[int | None]) -> None:
    assert arrival_rate(arrivals) is None


def test_the_record_comes_back_whole_but_for_a_line_cut_off() -> None:
    results: list[Bucket | Train] = [
        Bucket(2, "down", 7, sent=3, received=2, delay_sum_us=9),
        Train.of(1, "up", 5, [None] * 30 + [number * SECOND for number in range(30)], 1_400),
    ]
    lines = [record_line(result) + "\n" for result in results]
    assert list(read_record([*lines, '{"kind": "bu'])) == results
    assert isinstance(results[1], Train)
    assert results[1].packets_per_s == pytest.approx(1.0)
    with pytest.raises(KeyError):
        list(read_record(['{"kind": "else"}\n']))
