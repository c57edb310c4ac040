"""Questions about bills, and having them made."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from harness.billing.api.asked import PAGE, PAGE_MAX, After, Asked, Count, MonthName, month_of
from harness.billing.api.models import (
    Bill,
    Bills,
    MonthAsked,
    MonthBilled,
    RatesTold,
    Withheld,
    WithheldBills,
    lines,
)
from harness.billing.errors import UnknownBillError
from harness.headend.api.models import MeterText

router: Final = APIRouter(tags=["bills"])


@router.post("/bills")
async def create_bills(service: Asked, asked: MonthAsked) -> MonthBilled:
    """Bill a month that is over. Whoever has a bill of it keeps that one: ask as often as you like.

    The answer comes when all bills are durable.
    """
    return MonthBilled.of(await service.create_bills(asked.month))


@router.get("/bills")
async def bills(service: Asked, month: MonthName, after: After = -1, count: Count = PAGE) -> Bills:
    """All bills of a month by number of the meter, a page at a time."""
    asked = month_of(month)
    found = await asyncio.to_thread(service.book.bills, month=asked, after=after, count=count)
    told = lines(found)
    return Bills(
        bills=[Bill.of(line, service.directory) for line in told],
        next=told[-1]["meter"] if len(told) == count else None,
    )


@router.get("/bills/{meter}")
async def bills_of_meter(service: Asked, meter: Annotated[MeterText, Path()]) -> Bills:
    """All bills of one meter, by month."""
    number = service.directory.meter(meter)
    found = await asyncio.to_thread(service.book.bills, meter=number, count=PAGE_MAX)
    return Bills(bills=[Bill.of(line, service.directory) for line in lines(found)], next=None)


@router.get("/bills/{meter}/{month}")
async def bill(
    service: Asked, meter: Annotated[MeterText, Path()], month: Annotated[str, Path(max_length=10)]
) -> Bill:
    """The bill of one meter and month."""
    number, asked = service.directory.meter(meter), month_of(month)
    found = lines(await asyncio.to_thread(service.book.bills, month=asked, meter=number))
    if not found:
        raise UnknownBillError(meter, asked)
    return Bill.of(found[0], service.directory)


@router.get("/withheld")
async def withheld(
    service: Asked, month: MonthName, after: After = -1, count: Count = PAGE
) -> WithheldBills:
    """Which bills of a month could not be made, and why, by number of the meter."""
    asked = month_of(month)
    found = lines(await asyncio.to_thread(service.book.withheld, asked, after=after, count=count))
    return WithheldBills(
        withheld=[Withheld.of(line, service.directory) for line in found],
        next=found[-1]["meter"] if len(found) == count else None,
    )


@router.get("/rates")
async def rates(
    service: Asked, month: Annotated[str | None, Query(max_length=10)] = None
) -> list[RatesTold]:
    """What energy costs, in one month or in all that are kept."""
    told = [RatesTold.of(line) for line in lines(await asyncio.to_thread(service.book.rates))]
    return [item for item in told if month is None or item.month == str(month_of(month))]
