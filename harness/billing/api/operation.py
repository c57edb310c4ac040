"""How billing is, its clock, and what of a month is fetched, or read again after a loss."""

from __future__ import annotations

import asyncio
import math
from dataclasses import asdict
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter

from emulator.clock import ScenarioClock
from harness.api.problems import ProblemError
from harness.api.times import moment_text
from harness.billing.api.asked import Asked, MonthName, month_of
from harness.billing.api.models import (
    S_MAX,
    BillingStatus,
    MonthAsked,
    MonthStanding,
    Recovery,
    Triple,
)
from harness.billing.calendar import Month, month_span
from harness.billing.service import BillingService

router: Final = APIRouter(tags=["operation"])


@router.get("/status")
async def status(service: Asked) -> BillingStatus:
    """How billing is, and each month that has rates."""
    tariffs, standing, now_s = service.config.tariffs, service.standing, service.now_s
    months = sorted(rates.month for rates in tariffs.rates)
    return BillingStatus(
        meters=service.directory.first_meters[-1],
        time_zone=tariffs.time_zone,
        scenario_time=None if now_s is None else moment_text(math.floor(now_s)),
        noted_until=standing.noted_until,
        failure=standing.failure,
        months=[await _standing(service, month) for month in months],
    )


@router.post("/clock")
async def set_clock(service: Asked, asked: Triple) -> Triple:
    """Start the scenario clock: from now on months and days end."""
    # What is not finite is within no bounds.
    if not 0 <= ScenarioClock(*asked.triple).now_s() <= S_MAX:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the clock would show no time from 1970 to 9987",
            field="triple",
        )
    service.clock.start(*asked.triple)
    return asked


@router.post("/recovery", status_code=HTTPStatus.ACCEPTED)
async def recover(service: Asked, asked: MonthAsked) -> Recovery:
    """Have the readings of a month that the store lacks read again from the concentrators.

    After a loss of storage: what the head-end believed to have, it does not look for by itself. Ask
    as often as you like; `GET /recovery` says how far it is. Until it is over the month's bills
    wait.
    """
    if not service.clients:
        raise ProblemError(
            HTTPStatus.CONFLICT, "no head-end runs over these stores: start it, to be asked"
        )
    await service.recover(asked.month)
    return await _recovery(service, asked.month)


@router.get("/recovery")
async def recovery(service: Asked, month: MonthName) -> Recovery:
    """What of a month the head-end still fetches from the concentrators, and what is back."""
    return await _recovery(service, month_of(month))


async def _recovery(service: BillingService, month: Month) -> Recovery:
    begins_s, ends_s = month_span(month, service.billing.zone)
    answers = await asyncio.gather(*(client.ask("gaps") for client in service.clients))
    gaps = [
        gap
        for answer in answers
        for gap in answer
        if gap["to_s"] >= begins_s and gap["from_s"] <= ends_s
    ]
    missing = sum(gap["missing"] for gap in gaps)
    told = Recovery(month=str(month), missing=missing, concentrators=len(gaps))
    return told.with_standing(await service.recovering.standing(*service.readings_of(month)))


async def _standing(service: BillingService, month: Month) -> MonthStanding:
    totals = asdict(await asyncio.to_thread(service.book.totals, month))
    made_us = await asyncio.to_thread(service.book.made_us, month)
    amount = totals.pop("amount_cents")
    return MonthStanding.model_validate(
        {
            "month": str(month),
            "amount": f"{amount // 100}.{amount % 100:02}",
            "made_s": None if made_us is None else made_us / 1_000_000,
            **totals,
        }
    )
