"""What a shard tells Locust, once, and what it keeps for the record."""

from __future__ import annotations

from hdrh.histogram import HdrHistogram

from emulator.tally import LATENCY_US_MAX, Tally


def test_batches_say_what_happened_since_the_last_time() -> None:
    tally = Tally()
    tally.answered("push", "gprs", 0.0124, 100)
    tally.answered("push", "gprs", 0.0116, 50)
    tally.failed("push", "gprs", "connection broken")
    tally.answered("push", "lte", 1.0, 7)
    first, second = tally.take_batches()
    assert first == {
        "method": "DLMS",
        "name": "push over gprs",
        "milliseconds": {12: 2},
        "failures": {"connection broken": 1},
        "octets": 150,
    }
    assert second["name"] == "push over lte"
    assert tally.take_batches() == []
    tally.answered("push", "lte", 2.0, 7)
    (third,) = tally.take_batches()
    assert third["milliseconds"] == {2000: 1}


def test_histograms_hold_everything_since_the_start() -> None:
    tally = Tally()
    for latency_s in (0.001, 0.002, 10_000.0, 0.0):
        tally.answered("push", "gprs", latency_s, 1)
        tally.take_batches()
    (item,) = tally.histograms()
    assert (item["series"], item["link"]) == ("push", "gprs")
    histogram = HdrHistogram.decode(item["histogram"])
    assert histogram.get_total_count() == 4
    assert histogram.get_min_value() == 1
    assert histogram.get_value_at_percentile(50) == 1000
    assert histogram.get_max_value() >= LATENCY_US_MAX * 0.999  # longer than an hour is an hour


def test_counts_and_the_worst_lag() -> None:
    tally = Tally()
    tally.count("connections opened")
    tally.count("connections opened", 2)
    tally.failed("push", "gprs", "why")
    tally.answered("push", "gprs", 0.1, 1)
    for lag_s in (0.1, 0.5, 0.2):
        tally.lagged(lag_s)
    assert tally.counts == {
        "connections opened": 3,
        "push.failed": 1,
        "push.failed: why": 1,
        "push.answered": 1,
    }
    assert tally.lag_s_max == 0.5
