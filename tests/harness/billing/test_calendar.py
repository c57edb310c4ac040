"""Months, days and peak hours; moments worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.billing.calendar import (
    QUARTER_S,
    Band,
    Month,
    day_number,
    day_numbered,
    day_of,
    day_windows,
    midnight_s,
    month_span,
    past,
    peak_windows,
    zone_of,
)
from harness.hours import Hours

BERLIN = ZoneInfo("Europe/Berlin")
DAY_HOURS = Hours.parse("07:00-22:00")


def utc(*fields: int) -> int:
    """Return a moment of UTC in POSIX seconds."""
    return int(datetime(*fields, tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("month", "begins", "ends", "quarters"),
    [
        # Central European Time is an hour ahead; summer time began on 29 March 2026, 01:00 UTC,
        # and ended on 25 October 2026, 01:00 UTC.
        ("2026-01", utc(2025, 12, 31, 23), utc(2026, 1, 31, 23), 31 * 96),
        ("2026-03", utc(2026, 2, 28, 23), utc(2026, 3, 31, 22), 31 * 96 - 4),
        ("2026-10", utc(2026, 9, 30, 22), utc(2026, 10, 31, 23), 31 * 96 + 4),
        ("2028-02", utc(2028, 1, 31, 23), utc(2028, 2, 29, 23), 29 * 96),
    ],
)
def test_a_month_lasts_from_midnight_to_midnight_of_the_local_clock(
    month: str, begins: int, ends: int, quarters: int
) -> None:
    assert month_span(Month.parse(month), BERLIN) == (begins, ends)
    assert (ends - begins) // QUARTER_S == quarters


@pytest.mark.parametrize(
    ("day", "quarters"), [((2026, 3, 29), 92), ((2026, 10, 25), 100), ((2026, 6, 1), 96)]
)
def test_a_day_on_which_the_clock_changes_has_an_hour_less_or_more(
    day: tuple[int, int, int], quarters: int
) -> None:
    first = date(*day)
    (window,) = day_windows(first, date(*day[:2], day[2] + 1), BERLIN)
    assert (window.to_s - window.from_s) // QUARTER_S == quarters
    assert window.band == day_number(first)


def test_peak_hours_follow_the_local_clock_through_a_change() -> None:
    begin, end = midnight_s(date(2026, 3, 28), BERLIN), midnight_s(date(2026, 3, 30), BERLIN)
    told = [(w.from_s, w.to_s, w.band) for w in peak_windows(begin, end, BERLIN, DAY_HOURS)]
    assert told == [
        (utc(2026, 3, 27, 23), utc(2026, 3, 28, 6), Band.OFF_PEAK),
        (utc(2026, 3, 28, 6), utc(2026, 3, 28, 21), Band.PEAK),
        (utc(2026, 3, 28, 21), utc(2026, 3, 29, 5), Band.OFF_PEAK),
        (utc(2026, 3, 29, 5), utc(2026, 3, 29, 20), Band.PEAK),
        (utc(2026, 3, 29, 20), utc(2026, 3, 29, 22), Band.OFF_PEAK),
    ]


@pytest.mark.parametrize(
    ("day", "hours", "peak_quarters"),
    [
        ((2026, 10, 25), "02:00-03:00", 8),  # lived twice
        ((2026, 3, 29), "02:00-03:00", 0),  # skipped
        ((2026, 3, 29), "01:30-03:15", 3),
        ((2026, 10, 25), "02:30-02:45", 2),
        ((2026, 6, 1), "22:00-06:00", 32),  # over midnight
        ((2026, 6, 1), "00:00-24:00", 96),
    ],
)
def test_an_hour_is_peak_as_often_as_the_clock_shows_it(
    day: tuple[int, int, int], hours: str, peak_quarters: int
) -> None:
    begin, end = midnight_s(date(*day), BERLIN), midnight_s(date(*day[:2], day[2] + 1), BERLIN)
    windows = peak_windows(begin, end, BERLIN, Hours.parse(hours))
    peak = sum(w.to_s - w.from_s for w in windows if w.band == Band.PEAK)
    assert peak == peak_quarters * QUARTER_S
    assert (windows[0].from_s, windows[-1].to_s) == (begin, end)


@pytest.mark.parametrize(
    ("end", "period", "first"),
    [
        ((2026, 3, 31), "month", (2026, 2, 28)),
        ((2026, 3, 15), "month", (2026, 2, 15)),
        ((2026, 5, 31), "month", (2026, 4, 30)),
        ((2026, 1, 1), "quarter", (2025, 10, 1)),
        ((2028, 2, 29), "year", (2027, 2, 28)),
        ((2026, 7, 9), "five-years", (2021, 7, 9)),
        ((2028, 2, 29), "five-years", (2023, 2, 28)),
        ((1975, 12, 31), "five-years", (1971, 1, 1)),
    ],
)
def test_a_period_is_right_to_the_day(
    end: tuple[int, int, int], period: str, first: tuple[int, int, int]
) -> None:
    assert past(date(*end), period) == date(*first)  # type: ignore[arg-type]


@given(number=st.integers(1971 * 12, 9998 * 12 - 1), months=st.integers(-200, 200))
def test_months_count_on(number: int, months: int) -> None:
    month = Month(number // 12, number % 12 + 1)
    try:
        later = month.plus(months)
    except ValueError:
        return
    assert later.plus(-months) == month
    assert (later > month) == (months > 0)
    assert Month.parse(str(month)) == Month.of_number(month.number) == month


@pytest.mark.parametrize("text", ["2026-13", "2026-3", "March", "1970-12", "9999-01", 202603, None])
def test_what_is_no_month_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="month"):
        Month.parse(text)


@pytest.mark.parametrize("name", ["Mars/Base", "", "../etc/passwd", "/etc/passwd"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        zone_of(name)


def test_the_last_month_there_is_ends_too() -> None:
    begins_s, ends_s = month_span(Month(9998, 12), BERLIN)
    assert (ends_s - begins_s, Month(9998, 12).days) == (31 * 86_400, 31)


def test_days_have_numbers() -> None:
    assert day_numbered(day_number(date(2026, 3, 1))) == date(2026, 3, 1)
    assert day_of(utc(2026, 2, 28, 23), BERLIN) == date(2026, 3, 1)
