"""Kinds of day: weekends, the holidays all of Germany keeps, and the two half ones."""

from __future__ import annotations

from datetime import date

import pytest

from emulator.day_kinds import DayKind, day_kind, easter_sunday, holidays


@pytest.mark.parametrize(
    ("year", "month", "day"),
    [(1961, 4, 2), (2000, 4, 23), (2008, 3, 23), (2024, 3, 31), (2025, 4, 20), (2038, 4, 25)],
)
def test_easter_falls_where_the_calendar_says(year: int, month: int, day: int) -> None:
    assert easter_sunday(year) == date(year, month, day)


def test_the_year_has_nine_nationwide_holidays() -> None:
    assert sorted(day.isoformat()[5:] for day in holidays(2026)) == [
        "01-01",
        "04-03",
        "04-06",
        "05-01",
        "05-14",
        "05-25",
        "10-03",
        "12-25",
        "12-26",
    ]


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2026, 3, 2), DayKind.WORKDAY),
        (date(2026, 3, 7), DayKind.SATURDAY),
        (date(2026, 3, 8), DayKind.SUNDAY),
        (date(2026, 5, 1), DayKind.SUNDAY),
        (date(2026, 10, 3), DayKind.SUNDAY),  # a Saturday, but a holiday
        (date(2026, 12, 24), DayKind.SATURDAY),
        (date(2026, 12, 31), DayKind.SATURDAY),
        (date(2023, 12, 24), DayKind.SUNDAY),  # a Sunday stays one
    ],
)
def test_a_day_is_of_its_kind(day: date, kind: DayKind) -> None:
    assert day_kind(day) is kind
