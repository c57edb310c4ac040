"""Daily patterns: the shape of consumption and feed-in over a day, a week and a year, in integers.

A pattern gives 96 relative weights for a date. What a scenario needs of it is a prefix sum: the
part of a year's energy that has flowed by each interval, in units of 2**-31 of a year. A year is
the calendar year of the first interval in local time, so a meter's annual energy is what it counts
from that 1 January to the next.

Sources: the German standard load profiles in the data folder (see its README for the attribution),
files of 96 values, and a photovoltaic curve. The daily dynamisation of the household profiles is
the BDEW's polynomial, rounded to four decimals as the method says.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.day_kinds import DayKind, day_kind
from emulator.grid_parameters import ConsumptionPattern
from emulator.parameters import DAY_S, QUARTER_S, QUARTERS
from emulator.sun import sun_weights

Int64Array = NDArray[np.int64]

YEAR_BITS: Final = 31
"""A prefix sum of 2**31 is one year's energy."""
YEARS_MAX: Final = 4

DATA: Final = Path(__file__).parent / "data"
DYNAMIC_PROFILES: Final = frozenset({"h0", "h25", "p25", "s25"})
_SEASONS: Final = ("winter", "transition", "summer")
_DAYS_1999: Final = {"workday": 0, "saturday": 1, "sunday": 2}
_DAYS_2025: Final = {"WT": DayKind.WORKDAY, "SA": DayKind.SATURDAY, "FT": DayKind.SUNDAY}
_EPOCH: Final = date(1970, 1, 1)


class PatternError(ValueError):
    """A file of 96 values cannot be used; the message names file and line."""


class DailyPattern(Protocol):
    """Anything that knows the weights of a day."""

    def weights(self, day: date) -> Int64Array:
        """Return (96,) relative weights, 0 <= weight < 2**31, of the quarter-hours of ``day``."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class FixedPattern:
    """The same 96 weights every day."""

    values: Int64Array

    def weights(self, day: date) -> Int64Array:
        """Return the 96 weights."""
        return self.values


@dataclass(frozen=True, slots=True)
class SunPattern:
    """Photovoltaic feed-in at a latitude, in thousandths of a degree."""

    latitude_mdeg: int

    def weights(self, day: date) -> Int64Array:
        """Return the 96 weights of ``day``."""
        return sun_weights(self.latitude_mdeg, day)


@dataclass(frozen=True, slots=True, eq=False)
class LoadProfile:
    """A standard load profile.

    ``table`` is (12, 3, 96) by month, or (3, 3, 96) by season (winter, transition, summer); then
    kind of day, then quarter-hour.
    """

    table: Int64Array
    dynamic: bool

    def weights(self, day: date) -> Int64Array:
        """Return the 96 weights of ``day``."""
        period = day.month - 1 if len(self.table) == 12 else season(day)
        weights: Int64Array = self.table[period, day_kind(day)]
        return weights * dynamisation(day.timetuple().tm_yday) if self.dynamic else weights


def season(day: date) -> int:
    """Return the season of the 1999 profiles: 0 winter, 1 transition, 2 summer.

    Winter is 1 November to 20 March, summer 15 May to 14 September.
    """
    month_and_day = (day.month, day.day)
    if month_and_day >= (11, 1) or month_and_day <= (3, 20):
        return 0
    return 2 if (5, 15) <= month_and_day <= (9, 14) else 1


def dynamisation(day_of_year: int) -> int:
    """Return the daily factor of the household profiles in ten-thousandths; day 1..366.

    -3.92e-10 d**4 + 3.20e-7 d**3 - 7.02e-5 d**2 + 2.10e-3 d + 1.24 (VDEW/BDEW).
    """
    d = day_of_year
    trillionths = (
        -392 * d**4 + 320_000 * d**3 - 70_200_000 * d**2 + 2_100_000_000 * d + 124 * 10**10
    )
    return (trillionths + 5 * 10**7) // 10**8


def consumption_pattern(pattern: ConsumptionPattern, folder: Path) -> DailyPattern:
    """Return what meters of this category consume; files are relative to ``folder``.

    Raises:
        PatternError: a file cannot be used.
    """
    if pattern.values is not None:
        return FixedPattern(np.array(pattern.values, np.int64))
    return _pattern(str(pattern.source), folder)


def export_pattern(pattern: ConsumptionPattern, folder: Path) -> DailyPattern | None:
    """Return what meters of this category feed in, or None where they do not.

    Raises:
        PatternError: a file cannot be used.
    """
    return None if pattern.export is None else _pattern(pattern.export, folder)


def _pattern(source: str, folder: Path) -> DailyPattern:
    kind, _, argument = source.partition(":")
    if kind == "csv":
        return FixedPattern(read_values(folder / argument))
    if kind == "sun":
        return SunPattern(int(Decimal(argument) * 1000))
    return load_profile(argument)


def read_values(path: Path) -> Int64Array:
    """Return the 96 values of a user's file in thousandths.

    One value a line or all in one line, comma or semicolon between; ``#`` begins a comment. Each
    is at least 0, below 1,000,000, with at most three decimals; they are relative.

    Raises:
        PatternError: the file cannot be read or holds something else.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PatternError(f"{path}: {error}") from None
    values = [
        _value(path, number, cell)
        for number, line in enumerate(lines, 1)
        for cell in line.partition("#")[0].replace(";", ",").split(",")
        if cell.strip()
    ]
    if len(values) != QUARTERS or not any(values):
        raise PatternError(f"{path}: {len(values)} values, or all zero: a day has {QUARTERS}")
    return np.array(values, np.int64)


def _value(path: Path, line: int, cell: str) -> int:
    try:
        thousandths = Decimal(cell.strip()) * 1000
        if 0 <= thousandths < 10**9 and thousandths == int(thousandths):
            return int(thousandths)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    raise PatternError(
        f'{path}, line {line}: "{cell.strip()}" is no value from 0 to 999,999.999 '
        "with at most three decimals"
    )


@cache
def load_profile(name: str) -> LoadProfile:
    """Return a standard load profile, such as ``h25`` (2025 edition) or ``g0`` (1999 edition)."""
    table = _table_2025(name) if name.endswith("25") else _table_1999(name)
    table.flags.writeable = False
    return LoadProfile(table, name in DYNAMIC_PROFILES)


def _table_1999(name: str) -> Int64Array:
    table = np.zeros((len(_SEASONS), len(DayKind), QUARTERS), np.int64)
    with (DATA / "bdew_slp_1999.csv").open(newline="", encoding="utf-8") as file:
        for profile, part, day, *cells in csv.reader(file):
            if profile == name:
                table[_SEASONS.index(part), _DAYS_1999[day]] = _scaled(cells, 10**5)
    return table


def _table_2025(name: str) -> Int64Array:
    table = np.zeros((12, len(DayKind), QUARTERS), np.int64)
    with (DATA / f"bdew_{name}.csv").open(newline="", encoding="utf-8") as file:
        _, kinds, *rows = csv.reader(file)
    for quarter, (_, *cells) in enumerate(rows):
        for column, value in enumerate(_scaled(cells, 10**3)):
            table[column // 3, _DAYS_2025[kinds[column + 1]], quarter] = value
    return table


def _scaled(cells: Sequence[str], factor: int) -> list[int]:
    return [int(Decimal(cell) * factor) for cell in cells]


@dataclass(frozen=True, slots=True)
class Span:
    """The time of a scenario as patterns see it.

    ``first_local_s`` is the local time of interval 0 in seconds since 1970-01-01T00:00 local time.
    """

    first_local_s: int
    step_s: int
    steps: int


def prefix_sums(pattern: DailyPattern, span: Span, rates: Sequence[frozenset[int]]) -> Int64Array:
    """Return (rates, steps + 1) the energy that flowed since interval 0, in 2**-31 of a year.

    Each rate counts the energy of its quarter-hours of the day, 0..95. Sums are non-decreasing,
    begin at 0 and end at 2**33 at most. A step that is no whole number of quarter-hours takes its
    part of them.

    Raises:
        ValueError: the pattern is zero throughout the year, or the span outgrows `YEARS_MAX`.
    """
    # The day on which the span ends is counted in, even where that is its first moment.
    first_day, last_s = span.first_local_s // DAY_S, span.first_local_s + span.steps * span.step_s
    days = range(first_day, last_s // DAY_S + 1)
    weights = np.stack([pattern.weights(_date(day)) for day in days])
    year = year_weight(pattern, _date(first_day).year) * QUARTER_S
    elapsed_s = span.first_local_s - first_day * DAY_S + np.arange(span.steps + 1) * span.step_s
    sums = np.empty((len(rates), span.steps + 1), np.int64)
    for row, rate in zip(sums, rates, strict=True):
        flowed = _flowed(weights * np.isin(np.arange(QUARTERS), list(rate)), elapsed_s)
        # Integers of Python: the products reach 2**89.
        row[:] = [(value << YEAR_BITS) // year for value in (flowed - flowed[0]).tolist()]
    if sums.max() > YEARS_MAX << YEAR_BITS:
        raise ValueError(f"the scenario holds more than {YEARS_MAX} times the first year's energy")
    return sums


def _flowed(weights: Int64Array, elapsed_s: Int64Array) -> Int64Array:
    """Return the weight that flowed by each moment after the first day's midnight, times 900 s.

    Weights (days, 96) are below 2**31; times 900 s and 1,100 days of 96 they stay below 2**58.
    """
    flat = weights.reshape(-1)
    before = np.concatenate([[0], np.cumsum(flat)]) * QUARTER_S
    quarter, rest_s = np.divmod(elapsed_s, QUARTER_S)
    flowed: Int64Array = before[quarter] + flat[quarter] * rest_s
    return flowed


@lru_cache(maxsize=64)
def year_weight(pattern: DailyPattern, year: int) -> int:
    """Return the sum of a pattern's weights over a calendar year; a process asks again and again.

    Raises:
        ValueError: it is zero.
    """
    days = range((date(year, 1, 1) - _EPOCH).days, (date(year + 1, 1, 1) - _EPOCH).days)
    total = sum(int(pattern.weights(_date(day)).sum()) for day in days)
    if total == 0:
        raise ValueError(f"the pattern has no energy in {year}")
    return total


def _date(day: int) -> date:
    return _EPOCH + timedelta(day)
