"""What the API tells and takes. Money and energy are decimals in strings, exact; days are local."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from harness.api.times import moment_text, moment_us_text
from harness.billing.calendar import Month, Period
from harness.billing.engine import Outcome
from harness.billing.errors import Reason, WithheldError
from harness.billing.recovering import Standing
from harness.billing.service import VirtualMeterRecord
from harness.billing.tariffs import PRICE_PLACES, MonthText
from harness.headend.api.directory import Directory
from harness.store.usage import NEVER

RECORDS_MAX: Final = 1000
_MWH_MAX: Final = 2**50
S_MAX: Final = 253_000_000_000
"""In the year 9987: calendars end in 9999, and periods, months and clocks go on from here."""
RATE_MAX: Final = 100_000
Line = Mapping[str, int]


class _Taken(BaseModel):
    model_config = ConfigDict(extra="forbid")


def lines(columns: Mapping[str, NDArray[np.int64]]) -> list[dict[str, int]]:
    """Return columns as lines."""
    cells = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, line, strict=True)) for line in cells]


def _units(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _wh(mwh: int) -> Decimal:
    return Decimal(mwh).scaleb(-3)


class Bill(BaseModel):
    """What one meter's customer pays for a month.

    ``missing`` of the month's readings were estimated.
    """

    meter: str
    month: str
    amount: Decimal
    base_bill: Decimal
    next_base_bill: Decimal
    days: int
    month_days: int
    peak_wh: int
    off_peak_wh: int
    export_wh: int
    readings: int
    missing: int
    created_at: str

    @classmethod
    def of(cls, line: Line, directory: Directory) -> Self:
        """Return a line of the book."""
        same = ("days", "month_days", "peak_wh", "off_peak_wh", "export_wh", "readings", "missing")
        return cls(
            meter=directory.name(line["meter"]),
            month=str(Month.of_number(line["month"])),
            amount=_units(line["amount_cents"]),
            base_bill=_units(line["base_cents"]),
            next_base_bill=_units(line["next_base_cents"]),
            created_at=moment_us_text(line["created_at"]),
            **{name: line[name] for name in same},
        )


class Bills(BaseModel):
    """Bills by meter and month; ``next`` is what ``after`` is to be for the next page."""

    bills: list[Bill]
    next: int | None


class Withheld(BaseModel):
    """A bill that could not be made, and why; ``at`` is the capture at fault."""

    meter: str
    month: str
    reason: Literal[
        "no_readings", "no_opening", "no_closing", "register_fell", "no_earlier_bill", "gaps"
    ]
    at: str | None
    message: str

    @classmethod
    def of(cls, line: Line, directory: Directory) -> Self:
        """Return a line of the book."""
        reason, at_s = Reason(line["reason"]), line["at_s"]
        month = Month.of_number(line["month"])
        when = None if at_s == NEVER else moment_text(at_s)
        error = WithheldError(line["meter"], month, reason, at_s, when or "")
        return cls.model_validate(
            {
                "meter": directory.name(line["meter"]),
                "month": str(month),
                "reason": reason.name.lower(),
                "at": when,
                "message": str(error),
            }
        )


class WithheldBills(BaseModel):
    """Bills of a month that could not be made, by meter."""

    withheld: list[Withheld]
    next: int | None


class MonthAsked(_Taken):
    """Which month is to be billed."""

    month: MonthText


class MonthBilled(BaseModel):
    """What became of a month: bills made by this request, there before, and withheld."""

    month: str
    issued: int
    already: int
    withheld: int

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """Return an outcome."""
        return cls(
            month=str(outcome.month),
            issued=outcome.issued,
            already=outcome.already,
            withheld=outcome.withheld,
        )


class MonthStanding(BaseModel):
    """One month's bills, added up."""

    month: str
    bills: int
    withheld: int
    amount: Decimal
    peak_wh: int
    off_peak_wh: int
    export_wh: int
    missing: int
    made_s: float | None
    """Real seconds that making them took, up to the last one; null without any."""


class BillingStatus(BaseModel):
    """How billing is. ``failure`` is what it could not do last by itself, "" for nothing."""

    meters: int
    time_zone: str
    scenario_time: str | None
    noted_until: date | None
    failure: str
    months: list[MonthStanding]


class RatesTold(BaseModel):
    """What energy costs in a month; peak hours by the customers' clock."""

    month: str
    peak: Decimal
    off_peak: Decimal
    peak_from_s: int
    peak_until_s: int

    @classmethod
    def of(cls, line: Line) -> Self:
        """Return a line of the book."""
        return cls(
            month=str(Month.of_number(line["month"])),
            peak=Decimal(line["peak_micro"]).scaleb(-PRICE_PLACES),
            off_peak=Decimal(line["off_peak_micro"]).scaleb(-PRICE_PLACES),
            peak_from_s=line["peak_from_s"],
            peak_until_s=line["peak_until_s"],
        )


class Energy(BaseModel):
    """Energy in Wh.

    ``generated``: what the property's sources gave: what went out, and what its batteries gave.
    ``consumed``: what came in and what batteries gave, without what they took in.
    ``contributed``: what went out to others.
    """

    generated: Decimal
    consumed: Decimal
    contributed: Decimal

    @classmethod
    def of(cls, line: Line) -> Self:
        """Return sums of the book."""
        given, taken = line["discharged_mwh"], line["charged_mwh"]
        return cls(
            generated=_wh(line["export_wh"] * 1000 + given),
            consumed=_wh(line["import_wh"] * 1000 + given - taken),
            contributed=_wh(line["export_wh"] * 1000),
        )

    def per(self, count: int) -> Energy:
        """Return the average, to the milliwatt-hour, half-up; of nothing it is 0."""
        place = Decimal("0.001")
        return Energy(
            **{
                name: (value / max(count, 1)).quantize(place, ROUND_HALF_UP)
                for name, value in self.__dict__.items()
            }
        )


class Statistics(BaseModel):
    """Energy over the days [first, end). ``days`` of all ``meters`` together are known."""

    meter: str | None
    period: Period
    first: date
    end: date
    meters: int
    days: int
    total: Energy
    per_day: Energy
    """The average of a meter's day."""


class DaysAsked(_Taken):
    """Which days' energy is to be noted anew: from ``first`` to the one before ``end``."""

    first: date
    end: date


class Record(_Taken):
    """What a partition of a battery took in and gave out in [from_ms, to_ms), POSIX ms."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    from_ms: Annotated[int, Field(ge=0, le=S_MAX * 1000)]
    to_ms: Annotated[int, Field(ge=0, le=S_MAX * 1000)]
    charged_mwh: Annotated[int, Field(ge=0, le=_MWH_MAX)]
    discharged_mwh: Annotated[int, Field(ge=0, le=_MWH_MAX)]

    def checked(self) -> VirtualMeterRecord:
        """Return it as the service takes it. Raises `ValueError` if it ends before it begins."""
        if self.from_ms >= self.to_ms:
            raise ValueError(f"{self.name}: to_ms must be later than from_ms")
        return VirtualMeterRecord(**self.model_dump())


class Records(_Taken):
    """Records of virtual meters."""

    records: Annotated[list[Record], Field(min_length=1, max_length=RECORDS_MAX)]


class RecordsNoted(BaseModel):
    """How many records were new."""

    added: int


class Triple(_Taken):
    """The scenario clock: CLOCK_MONOTONIC, scenario POSIX seconds, rate."""

    triple: tuple[float, float, Annotated[float, Field(gt=0, le=RATE_MAX)]]


class Recovery(BaseModel):
    """What of a month's readings is fetched again, or still to be.

    ``missing`` readings behind ``concentrators`` are gaps that the head-end fills by itself. The
    rest is about the last recovery that was asked for: of the readings looked for so far, ``lost``
    were not in the store, ``read_again`` of these are back, and ``given_up`` their concentrators do
    not have or could not be asked for. The month's bills are made when it is over.
    """

    month: str
    missing: int
    concentrators: int
    state: Literal["none", "under way", "over"] = "none"
    lost: int = 0
    read_again: int = 0
    given_up: int = 0
    asked_at: str | None = None
    ended_at: str | None = None
    seconds: float | None = None

    def with_standing(self, standing: Standing | None) -> Recovery:
        """Return it with how far the last recovery is."""
        if standing is None:
            return self
        ended_us = standing.ended_at_us
        lasted_us = None if ended_us is None else ended_us - standing.asked_at_us
        return self.model_copy(
            update={
                "state": "under way" if ended_us is None else "over",
                "lost": standing.missing,
                "read_again": standing.read,
                "given_up": standing.given_up,
                "asked_at": moment_us_text(standing.asked_at_us),
                "ended_at": None if ended_us is None else moment_us_text(ended_us),
                "seconds": None if lasted_us is None else lasted_us / 1_000_000,
            }
        )
