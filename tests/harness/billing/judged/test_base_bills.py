"""The 25 % rule over months, and months that have to wait for one another."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from harness.billing.book import Book
from harness.billing.calendar import Month
from harness.billing.errors import EarlierMonthError, Reason
from tests.harness.billing.judged.auditor import Price, Readings, begins_s
from tests.harness.billing.judged.town import Town, YearMonth, booked, span

DAY_S = 86_400
MONTHS: tuple[YearMonth, ...] = tuple((2026, month) for month in range(1, 7))
CENT_A_KWH = Price(Decimal("0.01"), Decimal("0.01"), "00:00-24:00")


def flow(*cents: int, base: str = "10.00", months: tuple[YearMonth, ...] = MONTHS) -> Town:
    """Return a town of one meter whose energy costs so many cents in each month; UTC."""
    readings, imported, exported = Readings({}, {}), 0, 0
    for month, amount in zip(months, cents, strict=True):
        begins_s, ends_s = span([month], Town("UTC", (), {}, Decimal(0), 1, {}).zone)
        for at_s in range(begins_s, ends_s, DAY_S):
            readings.imported[at_s], readings.exported[at_s] = imported, exported  # type: ignore[index]
        # All of it flows on the last day: a cent is a kWh.
        imported, exported = imported + 1000 * max(amount, 0), exported + 1000 * max(-amount, 0)
        readings.imported[ends_s], readings.exported[ends_s] = imported, exported  # type: ignore[index]
    prices = dict.fromkeys(months, CENT_A_KWH)
    return Town("UTC", months, prices, Decimal(base), DAY_S, {0: readings})


def told(book: Book) -> list[tuple[str, str]]:
    """Return each month's amount and the base bill after it."""
    return [(str(bill.amount), str(bill.next_base)) for bill in booked(book, 0).values()]


def test_a_base_bill_falls_and_rises_and_never_above_the_first(address: str) -> None:
    town = flow(-2000, -2000, 0, 0, 0, 0)
    with closing(Book.open(address)) as book:
        town.bill(book)
        assert booked(book, 0) == town.audit(0)
        assert told(book) == [
            ("0", "7.5"),
            ("0", "5.63"),  # 5.625, half-up
            ("5.63", "7.04"),  # 7.0375
            ("7.04", "8.8"),
            ("8.8", "10"),  # 11.00, above the first
            ("10", "10"),
        ]


def test_a_bill_of_exactly_nothing_leaves_the_base_bill(tmp_path: object, address: str) -> None:
    town = flow(-2000, -750, -750, -751, -562, 0)
    with closing(Book.open(address)) as book:
        town.bill(book)
        assert booked(book, 0) == town.audit(0)
        assert [after for _, after in told(book)] == ["7.5", "7.5", "7.5", "5.63", "7.04", "8.8"]


def test_half_a_cent_goes_up_and_half_a_cent_below_nothing_is_a_negative_bill(address: str) -> None:
    town = flow(0, 0, 0, 0, 0, 0, base="0.05")
    readings = Readings({}, {})
    # 0.05 and 0.005 come to 0.06; 0.05 less 0.055 to -0.01; 0.04 less 0.044 to 0.00.
    for month, (imported, exported) in enumerate([(0, 0), (500, 0), (500, 5500), (500, 9900)]):
        at_s = span([MONTHS[month]], town.zone)[0]
        readings.imported[at_s], readings.exported[at_s] = imported, exported  # type: ignore[index]
    few = replace(town, months=MONTHS[:3], readings={0: readings}, step_s=DAY_S)
    with closing(Book.open(address)) as book:
        few.bill(book)
        assert told(book) == [("0.06", "0.05"), ("0", "0.04"), ("0", "0.04")]
        assert booked(book, 0) == few.audit(0)


def without(town: Town, *days: date) -> Town:
    """Return a town whose second meter lacks the reading that begins each of some days."""
    times = {span([(day.year, day.month)], town.zone)[0] + (day.day - 1) * DAY_S for day in days}
    mine = town.readings[0]
    imported = {at_s: wh for at_s, wh in mine.imported.items() if at_s not in times}
    return replace(town, readings={0: mine, 1: Readings(imported, mine.exported)})


GAP = [date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2)]
"""Without these, February has no end and March no begin: no other is near enough."""


def test_a_bill_waits_for_the_one_before_which_its_base_bill_follows_from(address: str) -> None:
    town = flow(0, -2000, 0, 0, 0, 0)
    with closing(Book.open(address)) as book:
        lacking = without(town, *GAP).bill(book)
        assert [outcome.withheld for outcome in lacking] == [0, 1, 1, 1, 1, 1]
        held = book.withheld(Month(2026, 4))
        assert (held["meter"].tolist(), held["reason"].tolist()) == ([1], [Reason.NO_EARLIER_BILL])
        # The readings come: all is as if they had never been away.
        whole = replace(town, readings={0: town.readings[0], 1: town.readings[0]})
        assert [outcome.issued for outcome in whole.bill(book)] == [0, 1, 1, 1, 1, 1]
        assert booked(book, 1) == booked(book, 0) == town.audit(0)
        assert all(book.totals(Month(*month)).withheld == 0 for month in MONTHS)


def test_nobody_waits_longer_than_readings_may_come(address: str) -> None:
    town = without(flow(0, -2000, 0, 0, 0, 0), *GAP)

    def issued(book: Book, day: date) -> list[int]:
        made, now_s = town.billing(book, wait_months=2), begins_s(day, town.zone)
        outcomes = [
            asyncio.run(made.create_bills(Month(*month), now_s=now_s)) for month in MONTHS[3:]
        ]
        return [outcome.issued for outcome in outcomes]

    with closing(Book.open(address)) as book:
        town.bill(book)
        assert issued(book, date(2026, 7, 1)) == [1, 1, 1]
        assert issued(book, date(2026, 7, 2)) == [0, 0, 0]
        # February and March are never billed: the base bill is still the one of January.
        assert booked(book, 1)[2026, 4].amount == booked(book, 1)[2026, 6].amount == 10


def test_nobody_waits_for_a_register_that_fell(address: str) -> None:
    town = flow(0, 0, 0, 0, 0, 0)
    readings = dict(town.readings[0].imported)
    at_s = span([(2026, 2)], town.zone)[0] + 9 * DAY_S
    readings[at_s] = 10**6
    fallen = replace(town, readings={0: Readings(readings, town.readings[0].exported)})
    with closing(Book.open(address)) as book:
        assert [outcome.withheld for outcome in fallen.bill(book)] == [0, 1, 0, 0, 0, 0]
        assert book.withheld(Month(2026, 2))["reason"].tolist() == [Reason.REGISTER_FELL]


def test_months_before_the_first_bill_keep_nobody_waiting(address: str) -> None:
    months = ((2025, 12), *MONTHS)
    town = replace(flow(0, 0, 0, 0, 0, 0), months=months)
    prices = dict.fromkeys(months, CENT_A_KWH)
    with closing(Book.open(address)) as book:
        outcomes = replace(town, prices=prices).bill(book)
        assert [outcome.withheld for outcome in outcomes] == [1, 0, 0, 0, 0, 0, 0]


def test_a_first_month_that_nobody_has_a_bill_of_yet_is_waited_for(address: str) -> None:
    town = flow(-2000, 0, 0, 0, 0, 0)
    days = {span([(2026, 2)], town.zone)[0] + day * DAY_S for day in (-1, 0, 1)}
    mine = town.readings[0]
    imported = {at_s: wh for at_s, wh in mine.imported.items() if at_s not in days}
    with closing(Book.open(address)) as book:
        # Of January the beginning is there, so it is a month to be billed.
        lacking = replace(town, readings={0: Readings(imported, mine.exported)})
        assert [outcome.withheld for outcome in lacking.bill(book)] == [1] * 6
        town.bill(book)
        assert booked(book, 0) == town.audit(0)


def test_a_month_that_was_left_out_is_named(address: str) -> None:
    town = flow(0, -2000, 0, 0, 0, 0)
    with closing(Book.open(address)) as book:
        made = town.billing(book)
        asyncio.run(made.create_bills(Month(2026, 1)))
        with pytest.raises(EarlierMonthError, match="2026-02 has not been billed"):
            asyncio.run(made.create_bills(Month(2026, 3)))
        asyncio.run(made.create_bills(Month(2026, 2)))
        asyncio.run(made.create_bills(Month(2026, 3)))
        assert [after for _, after in told(book)] == ["10", "7.5", "9.38"]


def test_a_month_without_rates_has_no_bill_and_the_base_bill_stays_over_it(address: str) -> None:
    months = (MONTHS[0], MONTHS[2], MONTHS[3])
    town = replace(flow(-2000, 0, 0, 0, 0, 0), months=months)
    with closing(Book.open(address)) as book:
        town.bill(book)
        assert booked(book, 0) == town.audit(0)
        assert [after for _, after in told(book)] == ["7.5", "9.38", "10"]


def test_a_month_that_was_nobody_s_keeps_no_later_one_waiting(address: str) -> None:
    town = flow(0, 0, 0, 0, 0, 0)
    twice = replace(town, readings={0: town.readings[0], 1: town.readings[0]})
    accounts = twice.accounts()
    accounts.until_day[0] = (date(2026, 2, 1) - date(1970, 1, 1)).days
    accounts.since_day[1] = (date(2026, 4, 1) - date(1970, 1, 1)).days
    with closing(Book.open(address)) as book:
        outcomes = twice.bill(book, accounts=accounts)
        assert [outcome.issued for outcome in outcomes] == [1, 0, 0, 1, 1, 1]
        assert twice.billing(book, accounts=accounts).needed_since_s() is None


def test_who_is_no_customer_of_a_month_after_all_waits_no_longer(address: str) -> None:
    town = flow(0, 0, 0, 0, 0, 0)
    begins_s = span([(2026, 3)], town.zone)[0] + 9 * DAY_S
    mine = town.readings[0]
    came = {at_s: wh for at_s, wh in mine.imported.items() if at_s >= begins_s}
    late = replace(town, readings={0: mine, 1: Readings(came, mine.exported)})
    accounts = late.accounts()
    with closing(Book.open(address)) as book:
        assert [outcome.withheld for outcome in late.bill(book)] == [1, 1, 1, 1, 1, 1]
        accounts.since_day[1] = (date(2026, 3, 10) - date(1970, 1, 1)).days
        assert [outcome.withheld for outcome in late.bill(book, accounts=accounts)] == [0] * 6
        assert all(book.totals(Month(*month)).withheld == 0 for month in MONTHS)
        stay = (date(2026, 3, 10), date(2027, 1, 1))
        assert booked(book, 1) == late.audit(1, stay)
