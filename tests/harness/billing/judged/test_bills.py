"""Bills of billing and of its check, both held against an auditor who shares nothing with them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from harness.billing.book import Book
from harness.billing.calendar import Month
from harness.billing.errors import Reason
from harness.check.billing_rules import MonthRates
from harness.check.billing_truth import Accounts
from tests.harness.billing.judged.auditor import Price, Readings, audited
from tests.harness.billing.judged.town import PRICE, Town, YearMonth, booked, closed, span
from tests.support.bills import billing, rates

EPOCH: Final = date(1970, 1, 1)
U32_MAX: Final = 2**32 - 1
DAYTIME: Final = "07:00-22:00"
CLOCKS: Final[list[tuple[str, YearMonth, str]]] = [
    ("Europe/Berlin", (2026, 3), "02:00-03:00"),  # the hour that a night skips
    ("Europe/Berlin", (2026, 10), "02:00-03:00"),  # and the one that another has twice
    ("Europe/Berlin", (2026, 3), "02:30-07:15"),
    ("Europe/Berlin", (2026, 10), "22:00-02:30"),
    ("America/New_York", (2026, 3), "01:45-02:15"),
    ("America/New_York", (2026, 11), "01:00-02:00"),
    ("Australia/Lord_Howe", (2026, 4), "01:30-02:00"),  # half an hour twice
    ("Australia/Lord_Howe", (2026, 10), "02:00-02:30"),  # half an hour skipped
    ("America/Havana", (2026, 11), "23:00-00:30"),  # the month begins with its midnight twice
    ("Atlantic/Azores", (2026, 3), "00:00-01:00"),  # a midnight that is skipped
    ("Atlantic/Azores", (2026, 10), "23:45-00:15"),
    ("America/Nuuk", (2026, 10), "23:00-24:00"),
    ("Africa/Casablanca", (2026, 2), DAYTIME),  # back an hour for Ramadan
    ("Asia/Kolkata", (2026, 3), DAYTIME),
    ("Asia/Kathmandu", (2026, 10), DAYTIME),
    ("Pacific/Apia", (2011, 12), DAYTIME),  # a day that was left out
    ("UTC", (2028, 2), "00:00-24:00"),
]


def walk(
    random: Random, times: range, *, begin: int = 0, export: int = 100, lost: float = 0.0
) -> Readings:
    """Return registers that rise as they like; of those within, a part is lost."""
    readings = Readings({}, {})
    imported, exported = begin, 0
    for at_s in times:
        if at_s in (times[0], times[-1]) or random.random() >= lost:
            readings.imported[at_s], readings.exported[at_s] = imported, exported  # type: ignore[index]
        imported, exported = imported + random.randrange(100), exported + random.randrange(export)
    return readings


def town(
    zone: str,
    months: tuple[YearMonth, ...],
    hours: str,
    *,
    step_s: int = 900,
    off_s: int = 0,
    lost: float = 0.0,
) -> Town:
    """Return a town of three meters: one as it likes, one that sends out more, one lost in part."""
    random = Random(f"{zone} {months} {hours} {step_s} {off_s} {lost}")
    begins_s, ends_s = span(months, ZoneInfo(zone))
    times = range(begins_s - off_s, ends_s + (step_s if off_s else 1), step_s)
    prices = {}
    for month in months:
        peak, off_peak = (Decimal(random.randrange(10**6)).scaleb(-6) for _ in range(2))
        prices[month] = Price(peak, off_peak, hours)
    readings = {
        0: walk(random, times),
        1: walk(random, times, export=250),
        2: walk(random, times, begin=U32_MAX - 100 * len(times), lost=lost),
    }
    return Town(zone, months, prices, Decimal("12.35"), step_s, readings)


@pytest.mark.parametrize(("zone", "month", "hours"), CLOCKS)
def test_a_month_is_billed_by_the_customers_clock(
    tmp_path: Path, zone: str, month: YearMonth, hours: str
) -> None:
    assert closed(town(zone, (month,), hours), str(tmp_path / "book.duckdb")) == []


@pytest.mark.parametrize(("zone", "month", "hours"), CLOCKS)
def test_a_month_is_checked_by_the_customers_clock(zone: str, month: YearMonth, hours: str) -> None:
    begins, ends = ((int(text[:2]) * 60 + int(text[3:])) * 60 for text in hours.split("-"))
    checked = rates(*month, peak_from_s=begins, peak_until_s=ends)
    assert disagreements([checked], zone, hours) == []


def disagreements(
    months: list[MonthRates],
    zone: str,
    hours: str,
    accounts: Accounts | None = None,
    stays: Mapping[int, tuple[date, date]] | None = None,
) -> list[str]:
    """Return every bill of which the check and the auditor say different things."""
    truth = billing(months, zone=zone, accounts=accounts)
    found = []
    bases = [Decimal(int(cents)) / 100 for cents in truth.accounts.base_cents]
    initial = list(bases)
    for month, bills in zip(months, truth.bills(), strict=True):
        intervals = np.array(truth.truth.intervals)
        times = [truth.plan.first_s + int(n) * truth.plan.step_s for n in intervals]
        for meter in range(truth.plan.grid.meters):
            values, _ = truth.truth.registers(np.full(len(intervals), meter), intervals)
            imported, exported = values[:, 0].tolist(), values[:, 3].tolist()
            mine = Readings(
                dict(zip(times, imported, strict=True)), dict(zip(times, exported, strict=True))
            )
            stay = (stays or {}).get(meter)
            price = Price(month.peak, month.off_peak, hours)
            wanted = (month.year, month.month)
            told = audited(mine, wanted, truth.zone, price, bases[meter], initial[meter], stay)
            columns = (bills.amount_cents, bills.next_base_cents, bills.peak_wh, bills.export_wh)
            theirs = [int(column[meter]) for column in columns]
            ours = [int(told.amount * 100), int(told.next_base * 100), told.peak_wh, told.export_wh]
            if theirs != ours:
                found.append(f"meter {meter} in {month.number}: {theirs} and not {ours}")
            bases[meter] = told.next_base
    return found


def test_the_check_prorates_and_goes_on_from_month_to_month_as_the_auditor_does() -> None:
    months = [rates(2026, 6, off_peak=Decimal("0.9")), rates(2026, 7), rates(2026, 8)]
    meters = billing(months[:1], step="3600 s").plan.grid.meters
    accounts = Accounts.alike(meters, Decimal("10.00"))
    accounts.base_cents[:] = 1005 + np.arange(meters)
    assert disagreements(months, "Europe/Berlin", "07:00-20:00", accounts) == []
    stay = (date(2026, 3, 7), date(2026, 3, 30))
    accounts.since_day[1], accounts.until_day[1] = ((day - EPOCH).days for day in stay)
    march = [rates(2026, 3)]
    assert disagreements(march, "Europe/Berlin", "07:00-20:00", accounts, {1: stay}) == []


@pytest.mark.parametrize(
    ("step_s", "off_s"), [(900, 0), (900, 1), (900, 461), (1800, 900), (3600, 1800), (2100, 700)]
)
def test_months_that_begin_between_captures_are_prorated_and_miss_nothing(
    tmp_path: Path, step_s: int, off_s: int
) -> None:
    months = ((2026, 3), (2026, 4))
    whole = town("Asia/Kolkata", months, "07:15-22:45", step_s=step_s, off_s=off_s)
    with closing(Book.open(tmp_path / "book.duckdb")) as book:
        whole.bill(book)
        assert [booked(book, meter) for meter in range(3)] == [whole.audit(m) for m in range(3)]
        assert set(book.bills()["missing"].tolist()) == {0}


@pytest.mark.parametrize("lost", [0.01, 0.3, 0.9])
def test_a_month_with_gaps_is_estimated_and_says_how_much(tmp_path: Path, lost: float) -> None:
    months = ((2026, 3),)
    gappy = town("Europe/Berlin", months, "06:30-20:15", lost=lost)
    with closing(Book.open(tmp_path / "book.duckdb")) as book:
        gappy.bill(book)
        assert [booked(book, meter) for meter in range(3)] == [gappy.audit(m) for m in range(3)]
        missing = len(gappy.readings[0].imported) - len(gappy.readings[2].imported)
        assert book.bills()["missing"].tolist() == [0, 0, missing]


def test_gaps_that_readings_may_still_fill_are_not_estimated(address: str) -> None:
    months = ((2026, 3),)
    gappy = town("Europe/Berlin", months, "06:30-20:15", lost=0.3)
    whole = town("Europe/Berlin", months, "06:30-20:15")
    _, ends_s = span(months, gappy.zone)
    month, days_5 = Month(2026, 3), 5 * 86_400
    with closing(Book.open(address)) as book:

        def create(place: Town, now_s: float) -> int:
            made = place.billing(book, estimate_after_s=days_5)
            return asyncio.run(made.create_bills(month, now_s=now_s)).issued

        assert create(gappy, ends_s + days_5 - 1) == 2
        held = book.withheld(month)
        assert (held["meter"].tolist(), held["reason"].tolist()) == ([2], [Reason.GAPS])
        # All come but one that no bill follows from: it is right to the cent.
        begins_s, _ = span(months, gappy.zone)
        for register in (whole.readings[2].imported, whole.readings[2].exported):
            del register[begins_s + 900]  # type: ignore[attr-defined]
        assert create(whole, ends_s + days_5 - 1) == 1
        assert booked(book, 2) == whole.audit(2)
        assert book.bills(meter=2)["missing"].tolist() == [1]


def test_gaps_that_nothing_fills_are_estimated_in_the_end(tmp_path: Path) -> None:
    gappy = town("Europe/Berlin", ((2026, 3),), "06:30-20:15", lost=0.3)
    _, ends_s = span(gappy.months, gappy.zone)
    with closing(Book.open(tmp_path / "book.duckdb")) as book:
        made = gappy.billing(book, estimate_after_s=1000)
        assert asyncio.run(made.create_bills(Month(2026, 3), now_s=ends_s + 1000)).issued == 3
        assert booked(book, 2) == gappy.audit(2)


def test_rates_change_between_months_and_customers_within_them(tmp_path: Path) -> None:
    months = ((2026, 9), (2026, 10), (2026, 11))
    place = town("America/New_York", months, DAYTIME)
    stays = {
        0: (date(2026, 9, 30), date(2026, 11, 2)),  # a day of September and one of November
        1: (date(2026, 10, 31), date(2026, 11, 1)),
        2: (date(1950, 1, 1), date(1965, 1, 1)),  # of nobody's time
    }
    accounts = place.accounts()
    for meter, stay in stays.items():
        since, until = ((day - EPOCH).days for day in stay)
        accounts.since_day[meter], accounts.until_day[meter] = since, until
    with closing(Book.open(tmp_path / "book.duckdb")) as book:
        place.bill(book, accounts=accounts)
        for meter, stay in stays.items():
            assert booked(book, meter) == place.audit(meter, stay), meter
        assert [len(booked(book, meter)) for meter in stays] == [3, 1, 0]


def test_a_day_that_was_left_out_has_no_energy_and_stops_nobody(tmp_path: Path) -> None:
    apia = town("Pacific/Apia", ((2011, 12),), DAYTIME)
    with closing(Book.open(tmp_path / "book.duckdb")) as book:
        asyncio.run(apia.billing(book).note_days(date(2011, 12, 1), date(2012, 1, 1)))
        found = book.energy(date(2011, 12, 1), date(2012, 1, 1), count=9)
        mine = apia.readings[0].imported
        assert found["days"].tolist() == [30, 30, 30]
        assert found["import_wh"][0] == mine[max(mine)] - mine[min(mine)]
        left_out = book.energy(date(2011, 12, 30), date(2011, 12, 31), count=9)
        assert left_out["meter"].tolist() == []


def simple(*meters: Mapping[int, tuple[int, int]], step_s: int = 86_400) -> Town:
    """Return a town of April 2026, UTC, with what its meters registered by day of the month."""
    begins_s, _ = span([(2026, 4)], ZoneInfo("UTC"))
    readings = {}
    for number, days in enumerate(meters):
        times = {begins_s + (day - 1) * 86_400: values for day, values in days.items()}
        readings[number] = Readings(
            {at_s: values[0] for at_s, values in times.items()},
            {at_s: values[1] for at_s, values in times.items()},
        )
    return Town("UTC", ((2026, 4),), {(2026, 4): PRICE}, Decimal("10.00"), step_s, readings)


def flat(**changes: tuple[int, int]) -> dict[int, tuple[int, int]]:
    """Return readings of 1 April to 1 May that stand still, but for some days ("d5")."""
    return dict.fromkeys(range(1, 32), (7, 7)) | {
        int(day[1:]): value for day, value in changes.items()
    }


def test_registers_at_their_ends_and_those_that_stand_still_are_billed(tmp_path: Path) -> None:
    rising = {day: ((day - 1) * (U32_MAX // 30), U32_MAX) for day in range(1, 32)}
    out = {day: (0, (day - 1) * (U32_MAX // 30)) for day in range(1, 32)}
    place = simple(rising, out, flat(), dict.fromkeys(range(1, 32), (U32_MAX, U32_MAX)))
    dear = Price(Decimal(100), Decimal("99.999999"), DAYTIME)
    place = Town("UTC", place.months, {(2026, 4): dear}, Decimal(1_000_000), 86_400, place.readings)
    with closing(Book.open(tmp_path / "book.duckdb")) as book:
        place.bill(book)
        assert [booked(book, m) for m in range(4)] == [place.audit(m) for m in range(4)]
        assert booked(book, 1)[2026, 4].next_base == 750_000


@pytest.mark.parametrize(
    ("days", "reason", "day"),
    [
        (flat(d12=(6, 7)), Reason.REGISTER_FELL, 12),
        (flat(d12=(7, 6)), Reason.REGISTER_FELL, 12),
        (flat(d12=(8, 7)), Reason.REGISTER_FELL, 13),
        (flat(d31=(0, 0)), Reason.REGISTER_FELL, 31),  # past its largest value, or a new meter
        (dict.fromkeys(range(3, 32), (7, 7)), Reason.NO_OPENING, 3),
        (dict.fromkeys(range(1, 29), (7, 7)), Reason.NO_CLOSING, 28),
        ({40: (7, 7)}, Reason.NO_READINGS, None),
    ],
)
def test_what_is_no_month_of_readings_is_withheld_by_meter_and_capture(
    address: str, days: Mapping[int, tuple[int, int]], reason: Reason, day: int | None
) -> None:
    place = simple(flat(), days)
    with closing(Book.open(address)) as book:
        (outcome,) = place.bill(book)
        assert (outcome.issued, outcome.withheld) == (1, 1)
        held = book.withheld(Month(2026, 4))
        assert (held["meter"].tolist(), held["reason"].tolist()) == ([1], [reason])
        begins_s, _ = span([(2026, 4)], ZoneInfo("UTC"))
        at_s = -1 if day is None else begins_s + (day - 1) * 86_400
        assert held["at_s"].tolist() == [at_s]


@pytest.mark.parametrize("seed", [0, 3])
def test_whatever_the_town_its_bills_are_the_auditor_s(address: str, seed: int) -> None:
    random = Random(seed)
    zone, (year, month), _ = random.choice(CLOCKS[:-2])
    begins, ends = random.sample(range(96), 2)
    hours = f"{begins // 4:02}:{begins % 4 * 15:02}-{ends // 4:02}:{ends % 4 * 15:02}"
    after = date(year, month, 1) + timedelta(days=32)
    months = ((year, month), (after.year, after.month))
    step_s = random.choice([900, 1800, 3600])
    off_s = random.choice([0, random.randrange(step_s)])
    place = town(zone, months, hours, step_s=step_s, off_s=off_s, lost=random.random() / 2)
    assert closed(place, address) == [], f"seed {seed}"
