from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from netem import profile_table
from netem.profiles import (
    BUILT_IN_PATH,
    GilbertElliottLoss,
    LinkOptions,
    LinkProfile,
    ProfileError,
    RandomLoss,
    TierUnfitError,
    load_profiles,
)
from netem.trace_data import FOLDER, MADE, fading
from netem.traces import read_trace

PROFILE = """
[profiles.mast]
description = "a mast of our own"
sources = [{ figure = "all", text = "our own probe", confidence = "measured" }]
up = { latency = "40 ms", rate = "64 kbit/s" }
down = { latency = "30 ms", jitter = "3 ms", distribution = "uniform", loss = "0.5 %" }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "links.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "latency_s", "sigma_s", "loss"),
    [
        ("seed-1", 0.6, 0.2, "0.1 %"),
        ("seed-2", 0.8, 0.4, "0.2 %"),
        ("seed-3", 1.0, 0.5, "0.3 %"),
        ("seed-4", 1.4, 0.6, "0.4 %"),
    ],
)
def test_the_four_classes_of_the_study(
    name: str, latency_s: float, sigma_s: float, loss: str
) -> None:
    profile = load_profiles()[name]
    assert profile.up == profile.down
    assert (profile.up.latency, profile.up.jitter) == (latency_s, sigma_s)
    assert profile.up.distribution == "normal"
    assert profile.up.loss == RandomLoss.model_validate({"share": loss})
    assert profile.up.packet_rate is not None
    assert profile.up.packet_rate.model_dump() == {"per_second": 15, "burst": 5, "burst_other": 1}


def test_every_built_in_profile_names_a_source_for_its_figures() -> None:
    profiles = load_profiles()
    assert profiles.keys() == {
        *("none", "seed-1", "seed-2", "seed-3", "seed-4"),
        *("gprs", "gprs-rural", "edge", "umts", "umts-moving", "lte"),
        *("lte-m", "lte-m-moving", "nb-iot", "nb-iot-cell"),
        *("g3-plc", "g3-plc-cell", "prime", "bpl", "bpl-cell"),
        *("satellite-geo", "satellite-leo"),
    }
    for profile in profiles.values():
        assert profile.is_perfect or profile.sources
    assert profiles["none"].is_perfect
    assert not profiles["lte"].is_perfect


def test_power_lines_and_low_orbits_lose_in_bursts_and_the_rest_at_random() -> None:
    in_bursts = {
        name: profile.up.loss.mean_ppm
        for name, profile in load_profiles().items()
        if isinstance(profile.up.loss, GilbertElliottLoss)
    }
    assert in_bursts == {
        **dict.fromkeys(("g3-plc", "g3-plc-cell", "prime"), pytest.approx(1 / 21 * 600_000)),
        **dict.fromkeys(("bpl", "bpl-cell"), pytest.approx(1 / 21 * 200_000)),
        "satellite-leo": pytest.approx(1 / 51 * 500_000),
    }


def test_every_profile_says_of_each_kind_of_figure_where_it_comes_from() -> None:
    for name, profile in load_profiles().items():
        told = " ".join(f"{source.figure} {source.text}" for source in profile.sources)
        kinds = {
            "latency": profile.up.latency,
            "jitter": profile.up.jitter,
            "lo": profile.up.loss.mean_ppm,  # loss, lost
            "rate": profile.up.rate or profile.up.packet_rate,
        }
        assert [kind for kind, figure in kinds.items() if figure and kind not in told] == [], name


def test_the_profiles_that_the_kernel_cannot_do() -> None:
    not_netem = set()
    for name, profile in load_profiles().items():
        try:
            profile.check_tier("packet")
            profile.check_tier("netem")
        except TierUnfitError:
            not_netem.add(name)
            assert "not with the kernel's netem" in profile.description
    assert not_netem == {
        *("umts-moving", "lte-m-moving"),
        *("nb-iot-cell", "g3-plc-cell", "bpl-cell"),
    }


def test_the_kernel_has_a_longest_jitter_of_each_way() -> None:
    link = LinkProfile.model_validate(
        {
            "name": "slow",
            "description": "slow",
            "sources": [],
            "latency_means": "open",
            "up": {"latency": "5 s", "jitter": "3 s", "distribution": "normal"},
            "down": {},
        }
    )
    each_way = link.each_way(LinkOptions())
    each_way.check_tier("packet")
    with pytest.raises(TierUnfitError, match=r"slow: up\.jitter: .* no jitter above 2\.147 s"):
        each_way.check_tier("netem")
    # As of the round trip it is 2.12 s each way.
    link.each_way(LinkOptions(latency="round-trip")).check_tier("netem")


def test_the_page_of_profiles_is_that_of_the_file() -> None:
    page = Path(__file__).parents[2] / "docs/reference/link-profiles.md"
    assert page.read_text(encoding="utf-8") == profile_table.page(load_profiles())


@pytest.mark.parametrize("name", sorted(MADE))
def test_traces_are_as_they_were_made_and_fade(name: str) -> None:
    file, figures = FOLDER / name, MADE[name]
    times_ms = fading(figures)
    assert file.read_text(encoding="ascii") == "".join(f"{time}\n" for time in times_ms)
    trace = read_trace(file)
    assert trace.length_ms == figures.length_ms
    assert trace.mean_rate == pytest.approx(figures.mean_rate, abs=12_000 / 60)
    steady_ms = 12_000_000 / figures.mean_rate
    assert max(later - earlier for earlier, later in pairwise(times_ms)) > 20 * steady_ms


def test_the_option_says_what_latency_means_only_where_the_source_leaves_it_open() -> None:
    profiles = load_profiles()
    both_ways = LinkOptions(latency="round-trip")
    seed = profiles["seed-1"].each_way(both_ways)
    assert seed.up.latency == 0.3
    assert seed.down.jitter == pytest.approx(0.1414, abs=1e-4)
    assert profiles["seed-1"].each_way(LinkOptions()).up.latency == 0.6
    assert profiles["gprs"].each_way(LinkOptions()).up.latency == 0.25
    assert profiles["umts"].each_way(both_ways).up.latency == 0.1


def test_a_file_of_ones_own_adds_profiles(tmp_path: Path) -> None:
    profile = load_profiles(written(tmp_path, PROFILE))["mast"]
    assert (profile.up.rate, profile.down.rate) == (64_000, None)
    assert profile.down.loss == RandomLoss.model_validate({"share": "0.5 %"})
    assert profile.segment_octets == 1448


def test_loss_in_bursts_is_the_other_loss_law(tmp_path: Path) -> None:
    text = PROFILE.replace(
        '"0.5 %"', '{ kind = "gilbert-elliott", to_bad = "1 %", to_good = "20 %" }'
    )
    loss = load_profiles(written(tmp_path, text))["mast"].down.loss
    assert loss == GilbertElliottLoss.model_validate(
        {"kind": "gilbert-elliott", "to_bad": "1 %", "to_good": "20 %"}
    )


def test_what_was_loaded_can_be_written_and_loaded_again() -> None:
    for profile in load_profiles().values():
        assert LinkProfile.model_validate_json(profile.model_dump_json()) == profile


@pytest.mark.parametrize(
    ("old", "new", "key", "problem"),
    [
        ("rate =", "rat =", "profiles.mast.up.rat", "did you mean rate?"),
        ('"40 ms"', "40", "profiles.mast.up.latency", "a unit is missing"),
        ('"40 ms"', '"-40 ms"', "profiles.mast.up.latency", "greater than or equal"),
        ('"0.5 %"', '"101 %"', "profiles.mast.down.loss.random.share", "less than or equal"),
        ('"uniform"', '"pareto"', "profiles.mast.down.distribution", "'normal', 'uniform'"),
        ('jitter = "3 ms", ', "", "profiles.mast.down", "jitter and distribution go together"),
        ("up = {", "both = {}\nup = {", "profiles.mast.both", "either both, or up and down"),
        ('"measured"', '"sure"', "profiles.mast.sources.0.confidence", "'measured', 'read'"),
        ("description", "descriptoin", "profiles.mast.descriptoin", "did you mean description?"),
        ("profiles.mast", "profile.mast", "profile", "profiles go under"),
        ("profiles.mast", "profiles.lte", "profiles.lte", "built-in"),
        ("[profiles.mast]", "[profiles.mast", "", "Expected"),
    ],
)
def test_a_bad_file_is_refused_by_file_and_key(
    tmp_path: Path, old: str, new: str, key: str, problem: str
) -> None:
    path = written(tmp_path, PROFILE.replace(old, new))
    with pytest.raises(ProfileError) as caught:
        load_profiles(path)
    assert (caught.value.path, caught.value.key) == (path, key)
    assert problem in caught.value.problem
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="No such file"):
        load_profiles(tmp_path / "absent.toml")


def test_the_built_in_file_flags_every_confidence() -> None:
    tables = tomllib.loads(BUILT_IN_PATH.read_text(encoding="utf-8"))["profiles"]
    grades = {source["confidence"] for table in tables.values() for source in table["sources"]}
    assert grades <= {"measured", "read", "recalled", "guess"}
