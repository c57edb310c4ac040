from __future__ import annotations

import pytest
from pydantic import ValidationError

from netem.profiles import GilbertElliottLoss, LinkProfile, RandomLoss
from netem.worsening import CUT, Times, Worsening


def link(**way: object) -> LinkProfile:
    return LinkProfile.model_validate(
        {"name": "x", "description": "x", "sources": (), "up": way, "down": way}
    )


def worse(**figures: object) -> Worsening:
    return Worsening.model_validate(figures)


BASE = link(latency="200 ms", jitter="40 ms", distribution="normal", loss="2 %", rate="100 kbit/s")


def test_a_factor_multiplies_and_a_value_replaces() -> None:
    made = worse(latency="x 3", jitter="100 ms", loss="x 5", rate="10 kbit/s").applied(BASE).up
    assert made.latency == pytest.approx(0.6)
    assert made.jitter == pytest.approx(0.1)
    assert made.loss == RandomLoss.model_validate({"share": "10 %"})
    assert made.rate == 10_000


def test_what_is_not_named_stays() -> None:
    made = worse(latency="x 3").applied(BASE)
    assert made.up.model_copy(update={"latency": BASE.up.latency}) == BASE.up
    assert made.name == BASE.name


@pytest.mark.parametrize(
    ("part_ppm", "latency_s", "loss_ppm", "rate"),
    [
        (0, 0.2, 20_000, 100_000),
        # A bit takes 10 us at 100 kbit/s, 100 us at 10 kbit/s: a quarter of the way is 32.5 us.
        (250_000, 0.3, 40_000, 30_769),
        (500_000, 0.4, 60_000, 18_182),
        (1_000_000, 0.6, 100_000, 10_000),
    ],
)
def test_part_of_the_way(part_ppm: int, latency_s: float, loss_ppm: int, rate: int) -> None:
    made = worse(latency="x 3", loss="10 %", rate="10 kbit/s").applied(BASE, part_ppm).up
    assert made.latency == pytest.approx(latency_s)
    assert isinstance(made.loss, RandomLoss)
    assert made.loss.share == loss_ppm
    assert made.rate == rate


def test_one_way_may_get_worse_and_the_other_not() -> None:
    made = worse(latency="x 3", way="up").applied(BASE)
    assert made.up.latency == pytest.approx(0.6)
    assert made.down == BASE.down


def test_a_link_without_jitter_gets_a_normal_distribution() -> None:
    made = worse(jitter="50 ms").applied(link(latency="200 ms")).up
    assert (made.jitter, made.distribution) == (0.05, "normal")
    assert worse(jitter="0 s").applied(BASE).up.distribution == "constant"


def test_a_rate_where_there_was_none_comes_in_evenly() -> None:
    # Halfway to 10 kbit/s a bit takes half of 100 us.
    assert worse(rate="10 kbit/s").applied(link(), 500_000).up.rate == 20_000


def test_a_factor_on_the_rate_scales_the_limit_on_packets_too() -> None:
    made = worse(rate="x 0.2").applied(link(packet_rate={"per_second": 15})).up
    assert made.packet_rate is not None
    assert made.packet_rate.per_second == 3
    assert made.rate is None


@pytest.mark.parametrize("wanted", ["0 %", "2 %", "10 %", "50 %", "100 %"])
def test_a_link_that_loses_in_bursts_loses_as_much_as_is_said_in_bursts(wanted: str) -> None:
    bursts = {"kind": "gilbert-elliott", "to_bad": "1 %", "to_good": "9 %", "in_bad": "50 %"}
    was = link(loss=bursts)
    loss = worse(loss=wanted).applied(was).up.loss
    assert isinstance(loss, GilbertElliottLoss)
    # A tenth of the packets meets the bad state.
    mean_ppm = 0.1 * loss.in_bad + 0.9 * loss.in_good
    assert mean_ppm == pytest.approx(float(wanted.split()[0]) * 10_000, abs=2)
    assert (loss.to_bad, loss.to_good) == (10_000, 90_000)
    assert loss.in_bad >= loss.in_good


def test_no_factor_loses_more_than_everything() -> None:
    assert worse(loss="x 500").applied(BASE).up.loss == CUT.applied(BASE).up.loss
    assert CUT.applied(BASE).up.loss == RandomLoss.model_validate({"share": "100 %"})


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"loss": "120 %"}, "0 % to 100 %"),
        ({"rate": "x 0"}, "more than nothing"),
        ({"rate": "0 bit/s"}, "more than nothing"),
        ({"latency": "-1 s"}, "negative"),
        ({"latency": 3}, 'such as "x 3"'),
        ({"latency": "3"}, 'such as "x 3"'),
        ({"latency": "x"}, 'such as "2 s"'),
        ({"delay": "3 s"}, "Extra inputs"),
    ],
)
def test_nonsense_is_refused(figures: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Worsening.model_validate(figures)


@pytest.mark.parametrize("text", ["x 3", "x 0.25", "1.5 s", "250 ms", "0.000001 s"])
def test_what_is_written_is_read_again(text: str) -> None:
    made = worse(latency=text, loss="0.5 %", rate="12 kbit/s")
    assert Worsening.model_validate_json(made.model_dump_json()) == made
    if text.startswith("x"):
        assert made.model_dump(mode="json")["latency"] == text
        assert made.latency == Times(float(text[2:]))


def test_nothing_given_does_nothing() -> None:
    assert Worsening().does_nothing
    assert Worsening().applied(BASE) == BASE
    assert not worse(loss="1 %").does_nothing
