"""Who is billed: a meter each, with its base bill and the days it was a customer's."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from harness.billing.calendar import Month, day_number, day_numbered, midnight_s

Int64Array = NDArray[np.int64]
ALWAYS: Final = 0
FOREVER: Final = 2**31
_COLUMNS: Final = ["meter", "base_bill", "since", "until"]
_CENT: Final = Decimal("0.01")
_MOST: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Stay:
    """Some meters that were customers' for the same part of a month.

    ``from_s`` and ``to_s`` are POSIX seconds, ``days`` of ``month_days`` local days.
    """

    meters: Int64Array
    from_s: int
    to_s: int
    days: int
    month_days: int

    @property
    def share(self) -> Fraction:
        """The part of the month."""
        return Fraction(self.days, self.month_days)


@dataclass(frozen=True, slots=True)
class Accounts:
    """All accounts, by number of their meters, shape (n,) each.

    ``initial_cents`` is the base bill at first; the account is the customer's on the days
    ``since_day`` up to the one before ``until_day`` (numbers of days from 1970-01-01).
    """

    initial_cents: Int64Array
    since_day: Int64Array
    until_day: Int64Array

    @classmethod
    def alike(cls, meters: int, base_cents: int) -> Self:
        """Return accounts of so many meters that differ in nothing."""
        return cls(
            np.full(meters, base_cents, np.int64),
            np.full(meters, ALWAYS, np.int64),
            np.full(meters, FOREVER, np.int64),
        )

    @classmethod
    def load(
        cls, path: Path, number_of: Callable[[str], int], meters: int, base_cents: int
    ) -> Self:
        """Return accounts of which a CSV file tells what is special.

        Its columns are meter (name or number), base_bill, since (first day), until (the day after
        the last one); what is empty is as with all others.

        Raises:
            OSError: it cannot be read.
            LookupError: there is no such meter.
            ValueError: it is no such file; the message names file and line.
        """
        accounts = cls.alike(meters, base_cents)
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != _COLUMNS:
                raise ValueError(f"{path}:1: the columns must be {', '.join(_COLUMNS)}")
            for line in reader:
                try:
                    accounts._note(number_of(line["meter"]), line)
                except (ValueError, InvalidOperation, TypeError) as error:
                    raise ValueError(f"{path}:{reader.line_num}: {error}") from error
        return accounts

    def __len__(self) -> int:
        return len(self.initial_cents)

    def stays(self, month: Month, zone: ZoneInfo) -> Iterator[Stay]:
        """Yield who was a customer in a month, together who was for the same days."""
        first, end = day_number(month.first), day_number(month.end)
        since = np.maximum(self.since_day, first)
        # Who had left before has no day of it; a key has no room for fewer.
        until = np.maximum(np.minimum(self.until_day, end), first)
        key = since * 2**32 + until
        for value in np.unique(key).tolist():
            begin_day, end_day = divmod(value, 2**32)
            if begin_day < end_day:
                yield Stay(
                    np.flatnonzero(key == value),
                    midnight_s(day_numbered(begin_day), zone),
                    midnight_s(day_numbered(end_day), zone),
                    end_day - begin_day,
                    end - first,
                )

    def _note(self, meter: int, line: dict[str, str]) -> None:
        if line["base_bill"]:
            base = Decimal(line["base_bill"])
            if not 0 <= base <= _MOST or base != base.quantize(_CENT):
                raise ValueError(f"base_bill must be 0 to {_MOST} in whole cents, not {base}")
            self.initial_cents[meter] = int(base * 100)
        if line["since"]:
            self.since_day[meter] = day_number(date.fromisoformat(line["since"]))
        if line["until"]:
            self.until_day[meter] = day_number(date.fromisoformat(line["until"]))
        if self.since_day[meter] >= self.until_day[meter]:
            raise ValueError("until must be later than since")
