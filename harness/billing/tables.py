"""The tables of billing's book: integers throughout, so money and energy are exact.

Months are numbers such as 202603, days count from 1970-01-01, prices are millionths per kWh.
"""

from __future__ import annotations

from typing import Final

from harness.store.schema import Table

BILLS: Final = Table(
    "bills",
    {
        "meter": "u4",
        "month": "i8",
        "amount_cents": "i8",
        "base_cents": "i8",
        "next_base_cents": "i8",
        "days": "u1",
        "month_days": "u1",
        "peak_wh": "i8",
        "off_peak_wh": "i8",
        "export_wh": "i8",
        "readings": "i8",
        "missing": "i8",
        "created_at": "i8",
    },
    key=("meter", "month"),
)
"""``base_cents`` is the base bill of a whole month, of which ``days`` of ``month_days`` were due.
``missing`` of the month's captures were estimated. ``created_at``: POSIX microseconds (UTC)."""

WITHHELD: Final = Table(
    "withheld", {"meter": "u4", "month": "i8", "reason": "u1", "at_s": "i8"}, key=("meter", "month")
)
"""Bills that could not be made: `harness.billing.errors.Reason`, and the capture at fault."""

RATES: Final = Table(
    "rates",
    {
        "month": "i8",
        "peak_micro": "i8",
        "off_peak_micro": "i8",
        "peak_from_s": "i8",
        "peak_until_s": "i8",
    },
    key=("month",),
)
"""``peak_from_s`` and ``peak_until_s``: seconds after local midnight."""

DAILY: Final = Table(
    "daily",
    {"meter": "u4", "day": "i8", "import_wh": "i8", "export_wh": "i8"},
    key=("meter", "day"),
)
"""What came in and went out on each local day."""

VIRTUAL_METERS: Final = Table(
    "virtual_meters",
    {
        "meter": "u4",
        "from_ms": "i8",
        "to_ms": "i8",
        "day": "i8",
        "charged_mwh": "i8",
        "discharged_mwh": "i8",
    },
    key=("meter", "from_ms"),
)
"""What partitions of batteries behind meters took in and gave out; ``day`` is where it begins."""

BILL_RUNS: Final = Table(
    "bill_runs", {"month": "i8", "began_at": "i8", "ended_at": "i8"}, key=("month", "began_at")
)
"""When bills of a month were made, POSIX microseconds (UTC): each time one went into the book, from
when somebody set out to make them to the last of them."""

TABLES: Final = (BILLS, WITHHELD, RATES, DAILY, VIRTUAL_METERS, BILL_RUNS)
EXPORTED: Final = {table.name: table for table in TABLES}
