"""What is kept and let go of: six months of readings, five years of rates and statistics."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.billing.book import Book
from harness.billing.calendar import day_number
from harness.billing.engine import Billing, Rhythm
from harness.billing.errors import OverlapError
from harness.billing.service import BillingService, VirtualMeterRecord
from harness.billing.sources import StoreSource
from harness.billing.tables import DAILY
from harness.store.usage import Usage, UsageQuestion
from tests.harness.billing.test_service import clock_at, service, until_quiet
from tests.support.billing import (
    BEGIN_S,
    BERLIN,
    END_S,
    MARCH,
    METERS,
    PRICES,
    PROFILE,
    STEP_S,
    TARIFFS,
    all_kept,
    registers,
    stored,
)
from tests.support.shard_socket import FakeShard, served

DAY_S = 86_400


def at_s(day: str) -> int:
    """Return when a day begins in Berlin."""
    return int(datetime.fromisoformat(day).replace(tzinfo=BERLIN).timestamp())


@contextmanager
def over_a_shard(folder: Path, **changes: Any) -> Iterator[tuple[BillingService, FakeShard]]:
    """A service whose head-end only notes what it is told to forget."""
    path = folder / "shard.sock"
    path.unlink(missing_ok=True)
    shard = FakeShard(path, {"forget": 0})
    with (
        served(shard),
        service(folder, stores=[], control_sockets=[path], **changes) as billing,
    ):
        yield billing, shard


def forgotten(folder: Path, day: date, **changes: Any) -> int:
    """Return before when readings are let go of on a day."""
    with over_a_shard(folder, **changes) as (billing, shard):
        asyncio.run(billing.forget(day))
        (asked,) = shard.asked
        before_s: int = asked["before_s"]
        return before_s


def billed(folder: Path) -> None:
    """Bill March."""
    stored(str(folder / "store.duckdb"), registers(), all_kept())
    with service(folder) as billing:
        asyncio.run(billing.create_bills(MARCH))


@pytest.mark.parametrize(
    ("today", "first"),
    [
        (date(2026, 10, 1), "2026-04-01"),
        (date(2026, 8, 31), "2026-02-28"),
        (date(2028, 8, 31), "2028-02-29"),
        (date(2026, 12, 31), "2026-06-30"),
        (date(2026, 10, 25), "2026-04-25"),
    ],
)
def test_six_months_of_readings_stay_right_to_the_day(
    tmp_path: Path, today: date, first: str
) -> None:
    # A single month that is billed, so that nobody waits for readings.
    only = TARIFFS.model_copy(update={"rates": TARIFFS.rates[:1]})
    billed(tmp_path)
    assert forgotten(tmp_path, today, tariffs=only) == at_s(first)


def test_readings_of_a_month_that_had_no_turn_stay_however_old(tmp_path: Path) -> None:
    billed(tmp_path)
    assert forgotten(tmp_path, date(2026, 10, 1)) == END_S
    # May, which was not billed, and the day before it whose readings may tell its beginning.
    assert forgotten(tmp_path, date(2027, 1, 1)) == at_s("2026-05-01") - DAY_S


def test_before_anything_was_billed_the_first_month_stays(tmp_path: Path) -> None:
    assert forgotten(tmp_path, date(2026, 12, 1)) == BEGIN_S - DAY_S


def test_rates_and_statistics_stay_for_five_years_right_to_the_day(address: str) -> None:
    days = [date(2023, 2, 27), date(2023, 2, 28), date(2023, 3, 1), date(2028, 2, 28)]
    with closing(Book.open(address)) as book:
        book.note_rates(
            type(TARIFFS)
            .model_validate(
                {"rates": [{"month": month, **PRICES} for month in ("2023-01", "2023-02")]}
            )
            .rates
        )
        cells = (
            np.zeros(len(days), np.uint32),
            np.array([day_number(day) for day in days]),
            np.arange(1, len(days) + 1) * 1000,
            np.zeros(len(days), np.int64),
        )
        book.put_daily(dict(zip(DAILY.types, cells, strict=True)))
        # Five years before 29 February 2028 is 28 February 2023.
        book.forget(date(2023, 2, 28))
        assert book.rates()["month"].tolist() == [202302]
        left = book.energy(date(2020, 1, 1), date(2029, 1, 1), count=9)
        assert (left["days"].tolist(), left["import_wh"].tolist()) == ([3], [9000])


def test_what_a_statistic_asks_for_is_still_there_on_that_day(tmp_path: Path) -> None:
    with over_a_shard(tmp_path) as (billing, _):
        today = date(2031, 3, 31)
        cells = (
            np.zeros(2, np.uint32),
            np.array([day_number(date(2026, 3, 30)), day_number(date(2026, 3, 31))]),
            np.array([1, 2]),
            np.array([0, 0]),
        )
        billing.book.put_daily(dict(zip(DAILY.types, cells, strict=True)))
        asyncio.run(billing.forget(today))
        left = billing.book.energy(date(2020, 1, 1), today, count=9)
        assert left["import_wh"].tolist() == [2]


def test_days_whose_readings_come_late_are_noted_all_the_same(tmp_path: Path) -> None:
    keep = all_kept()
    keep[1, 24 * 9 : 24 * 10] = False  # 10 March, its midnight included
    stored(str(tmp_path / "store.duckdb"), registers(), keep)
    noon = BEGIN_S + 11.5 * DAY_S
    with service(tmp_path, clock=clock_at(noon)) as billing:
        asyncio.run(until_quiet(billing, lambda: billing.standing.noted_until))
        stored(str(tmp_path / "store.duckdb"), registers(), ~keep)
        billing.clock.start(*clock_at(noon + DAY_S))
        done = lambda: billing.standing.noted_until == date(2026, 3, 13)  # noqa: E731
        asyncio.run(until_quiet(billing, done))
        values = registers()[1, :, 0]
        found = billing.book.energy(date(2026, 3, 10), date(2026, 3, 11), meter=1)
        assert found["import_wh"].tolist() == [values[24 * 10] - values[24 * 9]]


class Broken(StoreSource):
    """Answers for its first store and dies."""

    async def answers(self, question: UsageQuestion) -> AsyncIterator[Usage]:
        """See `UsageSource.answers`."""
        async for usage in super().answers(question):
            yield usage
            raise ConnectionResetError


def test_who_died_while_days_were_noted_notes_them_in_the_next_life(tmp_path: Path) -> None:
    stores, values = [tmp_path / "a.duckdb", tmp_path / "b.duckdb"], registers()
    for path, mine in zip(stores, ([0, 1], [2, 3, 4]), strict=True):
        keep = ~all_kept()
        keep[mine] = True
        stored(str(path), values, keep)
    end = date(2026, 3, 8)
    now = clock_at(BEGIN_S + 7.5 * DAY_S)
    with service(tmp_path, stores=list(map(str, stores)), clock=now) as billing:
        made = Billing(
            billing.book,
            Broken(stores),
            TARIFFS,
            billing.billing.accounts,
            Rhythm(STEP_S, PROFILE),
        )
        with pytest.raises(ConnectionResetError):
            asyncio.run(made.note_days(end - timedelta(days=2), end))
        asyncio.run(until_quiet(billing, lambda: billing.standing.noted_until == end))
        found = billing.book.energy(end - timedelta(days=2), end, count=METERS)
        assert found["days"].tolist() == [2] * METERS


def test_records_that_come_at_once_do_not_overlap(tmp_path: Path) -> None:
    def record(from_ms: int, to_ms: int) -> VirtualMeterRecord:
        begin_ms = BEGIN_S * 1000
        return VirtualMeterRecord("upper floor", begin_ms + from_ms, begin_ms + to_ms, 1, 1)

    async def all_at_once(billing: BillingService) -> list[int | BaseException]:
        asked = (billing.note_virtual_meters([record(n, 1000 + n)]) for n in range(8))
        return await asyncio.gather(*asked, return_exceptions=True)

    with service(tmp_path) as billing:
        outcomes = asyncio.run(all_at_once(billing))
        assert [outcome for outcome in outcomes if outcome == 1] == [1]
        assert sum(isinstance(outcome, OverlapError) for outcome in outcomes) == 7


def test_a_month_before_the_first_bill_needs_nothing(tmp_path: Path) -> None:
    billed(tmp_path)
    rates = [{"month": month, **PRICES} for month in ("2025-11", "2026-03")]
    early = type(TARIFFS).model_validate(
        {"time_zone": "Europe/Berlin", "base_bill": "12.34", "rates": rates}
    )
    assert forgotten(tmp_path, date(2026, 10, 1), tariffs=early) == at_s("2026-04-01")


def next_try(folder: Path, now_s: float) -> float:
    """Return when March is billed again by itself, once it was."""
    with service(folder, clock=clock_at(now_s), again_s=60) as billing:
        asyncio.run(until_quiet(billing, lambda: MARCH in billing.standing.next_try_s))
        return billing.standing.next_try_s[MARCH]


def test_bills_that_nothing_can_mend_are_not_tried_again(tmp_path: Path) -> None:
    values = registers()
    values[2, 300, 0] = 5
    stored(str(tmp_path / "store.duckdb"), values, all_kept())
    assert next_try(tmp_path, END_S + DAY_S) == math.inf


def test_bills_that_lack_readings_are_tried_again_as_long_as_they_may_come(tmp_path: Path) -> None:
    keep = all_kept()
    keep[1, -1] = False
    stored(str(tmp_path / "store.duckdb"), registers(), keep)
    assert next_try(tmp_path, END_S + DAY_S) < math.inf
    assert next_try(tmp_path, at_s("2026-09-30")) < math.inf
    assert next_try(tmp_path, at_s("2026-10-02")) == math.inf
