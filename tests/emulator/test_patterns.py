"""Daily patterns: the published profiles, users' files, and prefix sums over a scenario."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.day_kinds import day_kind
from emulator.grid_parameters import ConsumptionPattern
from emulator.patterns import (
    YEAR_BITS,
    FixedPattern,
    PatternError,
    Span,
    SunPattern,
    consumption_pattern,
    dynamisation,
    export_pattern,
    load_profile,
    prefix_sums,
    read_values,
    season,
    year_weight,
)

ALL_DAY = frozenset(range(96))
MONDAY = date(2026, 3, 2)
PROFILES = ["h25", "g25", "l25", "p25", "s25", "h0", *(f"g{n}" for n in range(7)), "l0", "l1", "l2"]


def local_s(day: date, seconds: int = 0) -> int:
    return (day - date(1970, 1, 1)).days * 86_400 + seconds


def pattern(**values: object) -> ConsumptionPattern:
    return ConsumptionPattern.model_validate({"name": "a", "share": "100 %", **values})


@pytest.mark.parametrize(
    ("name", "day", "quarter", "value"),
    [
        ("g25", date(2026, 1, 3), 0, 15_045),  # 15.045 kWh, January, SA, 00:00
        ("g25", date(2026, 1, 4), 0, 14_658),  # FT
        ("g25", date(2026, 1, 5), 1, 14_721),  # WT, 00:15
        ("l25", date(2026, 2, 3), 95, 19_000),  # 19.000 kWh, February, WT, 23:45
        ("g0", date(2026, 7, 1), 0, 7_156),  # 0.07156, summer, workday, 00:00
    ],
)
def test_a_profile_is_the_published_one(name: str, day: date, quarter: int, value: int) -> None:
    assert load_profile(name).weights(day)[quarter] == value


def test_household_profiles_are_dynamised_by_the_day() -> None:
    # 0.08636 at midnight of a summer workday, times the factor of day 182.
    assert load_profile("h0").weights(date(2026, 7, 1))[0] == 8_636 * dynamisation(182)
    # 20.126 kWh, January, WT, 00:00.
    assert load_profile("h25").weights(date(2026, 1, 2))[0] == 20_126 * dynamisation(2)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_complete(name: str) -> None:
    profile = load_profile(name)
    assert profile.table.shape in {(3, 3, 96), (12, 3, 96)}
    assert (profile.table.sum(axis=2) > 0).all()
    assert profile.table.max() * 12_500 < 2**31


@pytest.mark.parametrize("name", ["h25", "g25", "l25", "p25", "s25"])
def test_a_2025_profile_adds_up_to_its_million_kilowatt_hours(name: str) -> None:
    # The profiles are for 1,000,000 kWh a year; dynamised ones carry a factor of 10**4.
    scale = 10**3 * (10**4 if load_profile(name).dynamic else 1)
    assert year_weight(load_profile(name), 2026) / scale == pytest.approx(1_000_000, rel=0.02)


def test_the_dynamisation_is_the_polynomial() -> None:
    for day in range(1, 367):
        exact = (
            Fraction(-392, 10**12) * day**4
            + Fraction(320, 10**9) * day**3
            - Fraction(702, 10**7) * day**2
            + Fraction(21, 10**4) * day
            + Fraction(124, 100)
        )
        assert abs(Fraction(dynamisation(day), 10_000) - exact) <= Fraction(1, 20_000)
    assert dynamisation(1) == 12_420
    assert dynamisation(200) < 8_000


@pytest.mark.parametrize(
    ("day", "expected"),
    [((3, 20), 0), ((3, 21), 1), ((5, 14), 1), ((5, 15), 2), ((9, 14), 2), ((9, 15), 1),
     ((10, 31), 1), ((11, 1), 0), ((1, 1), 0)],
)  # fmt: skip
def test_seasons_change_on_their_days(day: tuple[int, int], expected: int) -> None:
    assert season(date(2026, *day)) == expected


def test_sources_are_found(tmp_path: Path) -> None:
    (tmp_path / "flat.csv").write_text("1\n" * 96)
    assert consumption_pattern(pattern(source="bdew:h25"), tmp_path) is load_profile("h25")
    flat = consumption_pattern(pattern(source="csv:flat.csv"), tmp_path)
    assert set(flat.weights(MONDAY).tolist()) == {1000}
    inline = consumption_pattern(pattern(values=list(range(96))), tmp_path)
    assert inline.weights(MONDAY).tolist() == list(range(96))
    assert export_pattern(pattern(source="bdew:h25"), tmp_path) is None
    sun = export_pattern(pattern(source="bdew:h25", export="sun:-33.9"), tmp_path)
    assert sun == SunPattern(-33_900)


def test_a_file_may_be_one_line_or_many_with_comments(tmp_path: Path) -> None:
    path = tmp_path / "day.csv"
    path.write_text("# kW\n" + ",".join(["0.125"] * 95) + "; 999999.999 # the peak\n")
    assert read_values(path).tolist() == [125] * 95 + [999_999_999]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n" * 95, "95 values"),
        ("0\n" * 96, "all zero"),
        ("1\nx\n", 'line 2: "x" is no value'),
        ("1\n-1\n", 'line 2: "-1" is no value'),
        ("0.0001\n", 'line 1: "0.0001" is no value'),
        ("1000000\n", 'line 1: "1000000" is no value'),
        ("NaN\n", 'line 1: "NaN" is no value'),
        ("Infinity\n", 'line 1: "Infinity" is no value'),
    ],
)
def test_an_unusable_file_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "day.csv"
    path.write_text(text)
    with pytest.raises(PatternError) as refusal:
        read_values(path)
    assert message in str(refusal.value)
    assert "day.csv" in str(refusal.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe1"])
def test_an_unreadable_file_is_a_pattern_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "day.csv").write_bytes(content)
    with pytest.raises(PatternError, match=r"day\.csv"):
        read_values(tmp_path / "day.csv")


def slow_prefix(name: str, span: Span, rate: frozenset[int]) -> list[int]:
    """Return the prefix sums second by second, as fractions of a year."""
    profile = load_profile(name)
    year = date.fromordinal(date(1970, 1, 1).toordinal() + span.first_local_s // 86_400).year
    total = sum(
        int(profile.weights(date(year, 1, 1) + timedelta(days)).sum())
        for days in range(366)
        if (date(year, 1, 1) + timedelta(days)).year == year
    )
    sums, flowed = [0], Fraction(0)
    for step in range(span.steps):
        for second in range(span.step_s):
            day, of_day = divmod(span.first_local_s + step * span.step_s + second, 86_400)
            if of_day // 900 in rate:
                weights = profile.weights(date(1970, 1, 1) + timedelta(day))
                flowed += Fraction(int(weights[of_day // 900]), 900 * total)
        sums.append(int(flowed * 2**YEAR_BITS))
    return sums


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(["h25", "g0"]),
    start_s=st.integers(local_s(date(2024, 12, 30)), local_s(date(2025, 1, 2))),
    step_s=st.sampled_from([60, 300, 900, 1800]),
    steps=st.integers(1, 3),
    rate=st.sampled_from([ALL_DAY, frozenset(range(24, 88)), frozenset(range(0, 96, 2))]),
)
def test_prefix_sums_are_those_of_every_second(
    name: str, start_s: int, step_s: int, steps: int, rate: frozenset[int]
) -> None:
    span = Span(start_s, step_s, steps)
    sums = prefix_sums(load_profile(name), span, [rate])
    assert sums.tolist() == [slow_prefix(name, span, rate)]


def test_a_calendar_year_is_one_year() -> None:
    for day, days in ((date(2026, 1, 1), 365), (date(2024, 1, 1), 366)):
        sums = prefix_sums(load_profile("h25"), Span(local_s(day), 900, days * 96), [ALL_DAY])
        assert sums[0, -1] == 2**YEAR_BITS


@pytest.mark.parametrize(("coarse_s", "fine_s"), [(3600, 900), (1800, 900), (900, 300)])
def test_longer_steps_are_the_sums_of_shorter_ones(coarse_s: int, fine_s: int) -> None:
    start_s, factor = local_s(MONDAY), coarse_s // fine_s
    coarse = prefix_sums(load_profile("h0"), Span(start_s, coarse_s, 24), [ALL_DAY])
    fine = prefix_sums(load_profile("h0"), Span(start_s, fine_s, 24 * factor), [ALL_DAY])
    assert np.array_equal(coarse, fine[:, ::factor])


def test_days_of_the_week_differ() -> None:
    sums = prefix_sums(load_profile("g0"), Span(local_s(MONDAY), 86_400, 7), [ALL_DAY])
    daily = np.diff(sums[0])
    assert len(set((daily[:5] // 10).tolist())) == 1
    assert daily[0] > daily[5] > daily[6]
    assert day_kind(MONDAY + timedelta(5)) == 1


def test_rates_share_the_energy() -> None:
    high = frozenset(range(24, 88))
    rates = [high, ALL_DAY - high, ALL_DAY]
    sums = prefix_sums(load_profile("h25"), Span(local_s(MONDAY), 900, 96), rates)
    assert np.abs(sums[0] + sums[1] - sums[2]).max() <= 1
    assert not np.diff(sums[0])[:24].any()
    assert not np.diff(sums[1])[24:88].any()


def test_the_largest_values_do_not_overflow() -> None:
    values = np.zeros(96, np.int64)
    values[0] = 999_999_999
    sums = prefix_sums(FixedPattern(values), Span(local_s(MONDAY), 86_400, 1098), [ALL_DAY])
    assert sums[0, -1] == 2**YEAR_BITS * 1098 // 365
    assert (np.diff(sums[0]) > 0).all()


def test_energy_that_grows_beyond_four_years_is_refused() -> None:
    class Late(FixedPattern):
        def weights(self, day: date) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
            return np.full(96, 1 if day.year == 2026 else 100)

    span = Span(local_s(date(2026, 12, 31)), 86_400, 300)
    with pytest.raises(ValueError, match="more than 4 times"):
        prefix_sums(Late(np.zeros(96, np.int64)), span, [ALL_DAY])


def test_a_pattern_without_energy_is_refused() -> None:
    with pytest.raises(ValueError, match="no energy in 2026"):
        prefix_sums(FixedPattern(np.zeros(96, np.int64)), Span(local_s(MONDAY), 900, 4), [ALL_DAY])
