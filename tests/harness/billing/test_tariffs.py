"""The part ``[billing]``: what is taken, and what is refused by name."""

from __future__ import annotations

import tomllib
from decimal import Decimal

import pytest
from pydantic import ValidationError

from harness.billing.calendar import Month
from harness.billing.errors import NoRatesError
from harness.billing.tariffs import Tariffs

TEXT = """
time_zone = "Europe/Berlin"
base_bill = 12.5
[[rates]]
month = "2026-03"
peak = 0.3412
off_peak = "0.21"
peak_hours = "07:00-22:00"
"""


def test_prices_are_exact_however_they_are_written() -> None:
    tariffs = Tariffs.model_validate(tomllib.loads(TEXT))
    rates = tariffs.of(Month(2026, 3))
    assert (tariffs.base_cents, rates.peak_micro, rates.off_peak_micro) == (1250, 341_200, 210_000)
    assert rates.peak == Decimal("0.3412")
    again = Tariffs.model_validate_json(tariffs.model_dump_json())
    assert again == tariffs


def test_a_month_without_rates_is_named() -> None:
    with pytest.raises(NoRatesError, match=r"2026-04.*add the month"):
        Tariffs.model_validate(tomllib.loads(TEXT)).of(Month(2026, 4))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("time_zone", '"Mars/Base"', "no time zone"),
        ("base_bill", "-1", "greater than or equal"),
        ("base_bill", '"1.005"', "decimal places"),
        ("peak", "nan", "finite"),
        ("peak", "-0.1", "greater than or equal"),
        ("peak", "101", "less than or equal"),
        ("off_peak", '"0.0000001"', "decimal places"),
        ("month", '"2026-13"', "write a month"),
        ("peak_hours", '"07:10-22:00"', "quarter of an hour"),
        ("peak_hours", '"07:00-07:00"', "takes no time"),
        ("peak_hours", '"24:00-00:00"', "takes no time"),
    ],
)
def test_values_without_sense_are_refused(key: str, value: str, reason: str) -> None:
    lines = [
        f"{key} = {value}" if line.startswith(f"{key} =") else line for line in TEXT.split("\n")
    ]
    with pytest.raises(ValidationError, match=reason):
        Tariffs.model_validate(tomllib.loads("\n".join(lines)))


def test_a_month_twice_and_no_month_at_all_are_refused() -> None:
    rates = TEXT[TEXT.index("[[") :]
    with pytest.raises(ValidationError, match="2026-03 has rates twice"):
        Tariffs.model_validate(tomllib.loads(TEXT + rates))
    with pytest.raises(ValidationError, match="at least 1"):
        Tariffs.model_validate({"rates": []})


def test_months_come_in_order_however_they_are_written() -> None:
    # A base bill follows from the months before: in another order its bills would be wrong.
    earlier = TEXT[TEXT.index("[[") :].replace("2026-03", "2025-12")
    months = [rates.month for rates in Tariffs.model_validate(tomllib.loads(TEXT + earlier)).rates]
    assert months == [Month(2025, 12), Month(2026, 3)]
