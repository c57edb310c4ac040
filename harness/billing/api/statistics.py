"""Statistics of energy: generation, consumption, contribution; and what they are made of."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query

from harness.api.problems import ProblemError
from harness.billing.api.asked import Asked
from harness.billing.api.models import (
    DaysAsked,
    Energy,
    Records,
    RecordsNoted,
    Statistics,
    lines,
)
from harness.billing.calendar import Period, past
from harness.headend.api.models import MeterText

DAYS_MAX: Final = 366
FIRST_DAY: Final = date(1980, 1, 1)
LAST_DAY: Final = date(9990, 1, 1)
_NOTHING: Final = {"import_wh": 0, "export_wh": 0, "charged_mwh": 0, "discharged_mwh": 0}

router: Final = APIRouter(tags=["statistics"])
Day = Annotated[date, Query(ge=FIRST_DAY, le=LAST_DAY, description="the day after the period")]


@router.get("/statistics")
async def statistics(
    service: Asked,
    day: Day,
    period: Period = "month",
    meter: Annotated[MeterText | None, Query()] = None,
) -> Statistics:
    """Energy of one meter, or of all together, over the period that ends before a day."""
    first = past(day, period)
    if meter is None:
        (line,) = lines(await asyncio.to_thread(service.book.energy_of_all, first, day))
    else:
        number = service.directory.meter(meter)
        found = lines(await asyncio.to_thread(service.book.energy, first, day, meter=number))
        line = found[0] if found else _NOTHING | {"days": 0}
    total = Energy.of(line)
    return Statistics(
        meter=None if meter is None else service.directory.name(number),
        period=period,
        first=first,
        end=day,
        meters=line["meters"] if meter is None else int(line["days"] > 0),
        days=line["days"],
        total=total,
        per_day=total.per(line["days"]),
    )


@router.post("/statistics")
async def note_days(service: Asked, asked: DaysAsked) -> DaysAsked:
    """Note the energy of days from the readings, in place of what was noted of them."""
    if not FIRST_DAY <= asked.first < asked.end <= LAST_DAY:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "end must be later than first", field="end"
        )
    if asked.end - asked.first > timedelta(days=DAYS_MAX):
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"ask for at most {DAYS_MAX} days at a time",
            field="end",
        )
    await service.billing.note_days(asked.first, asked.end)
    return asked


@router.post("/virtual-meters")
async def note_virtual_meters(service: Asked, asked: Records) -> RecordsNoted:
    """Note what partitions of batteries took in and gave out; a record sent again is ignored."""
    try:
        records = [record.checked() for record in asked.records]
    except ValueError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), field="records") from error
    return RecordsNoted(added=await service.note_virtual_meters(records))
