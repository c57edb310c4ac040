"""What energy costs, month by month: the part ``[billing]`` of a scenario or configuration."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from harness.billing.calendar import QUARTER_S, Month, zone_of
from harness.billing.errors import NoRatesError
from harness.hours import HoursText
from harness.parts import Part

PRICE_PLACES: Final = 6
_MICRO: Final = 10**PRICE_PLACES


def _zone(name: str) -> str:
    zone_of(name)
    return name


MonthText = Annotated[
    Any,
    BeforeValidator(Month.parse),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"}),
]
"""A month, from ``"2026-03"``."""
Price = Annotated[Decimal, Field(ge=0, le=100, decimal_places=PRICE_PLACES, allow_inf_nan=False)]
Money = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=2, allow_inf_nan=False)]
ZoneName = Annotated[str, AfterValidator(_zone)]


class Rates(Part):
    """What energy costs in one month."""

    month: MonthText
    """The month, such as ``"2026-03"``."""
    peak: Price
    """Price of a kilowatt-hour that comes in within the peak hours."""
    off_peak: Price
    """Price of one that comes in at other times, and of each that goes out."""
    peak_hours: HoursText
    """When the peak hours are, every day, by the customers' clock, such as ``"07:00-22:00"``."""

    @field_validator("peak_hours")
    @classmethod
    def _whole_quarters(cls, hours: Any) -> Any:  # noqa: ANN401
        if hours.from_s % QUARTER_S or hours.until_s % QUARTER_S:
            raise ValueError("peak hours begin and end at a quarter of an hour")
        return hours

    @property
    def peak_micro(self) -> int:
        """`peak` in millionths."""
        return int(self.peak * _MICRO)

    @property
    def off_peak_micro(self) -> int:
        """`off_peak` in millionths."""
        return int(self.off_peak * _MICRO)


class Tariffs(Part):
    """What customers pay, and by which clock."""

    time_zone: ZoneName = "UTC"
    """Where the customers live: a name of the IANA database, such as ``"Europe/Berlin"``."""
    base_bill: Money = Decimal("10.00")
    """What each month costs before any energy, at first, and never more than that."""
    rates: Annotated[tuple[Rates, ...], Field(min_length=1)]
    """Prices, a month each."""

    @field_validator("rates")
    @classmethod
    def _in_order(cls, rates: tuple[Rates, ...]) -> tuple[Rates, ...]:
        # A base bill follows from the months before, so nobody should bill them in another order.
        return tuple(sorted(rates, key=lambda item: item.month))

    @model_validator(mode="after")
    def _each_month_once(self) -> Self:
        months = [rates.month for rates in self.rates]
        for month in months:
            if months.count(month) > 1:
                raise ValueError(f"{month} has rates twice")
        return self

    def of(self, month: Month) -> Rates:
        """Return the rates of a month. Raises `NoRatesError`."""
        for rates in self.rates:
            if rates.month == month:
                return rates
        raise NoRatesError(month)

    @property
    def base_cents(self) -> int:
        """`base_bill` in cents."""
        return int(self.base_bill * 100)
