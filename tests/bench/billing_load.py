"""The readings that a benchmark of bills rests on, and what the bills are by plain decimals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from harness.billing.calendar import Month
from harness.store.rows import Rows

ZONE: Final = ZoneInfo("Europe/Berlin")
MARCH: Final = Month(2026, 3)
BEGIN: Final = datetime(2026, 3, 1, tzinfo=ZONE)
END: Final = datetime(2026, 4, 1, tzinfo=ZONE)
PEAK, OFF_PEAK, BASE = Decimal("0.3245"), Decimal("0.2387"), Decimal("12.50")


@dataclass(frozen=True)
class Load:
    """So many meters, read at the bounds of peak hours and every so many seconds between."""

    meters: int
    every_s: int | None = None

    @cached_property
    def moments(self) -> list[int]:
        """The captures, POSIX seconds."""
        days = [BEGIN + timedelta(days=day) for day in range((END - BEGIN).days)]
        bounds = [day.replace(hour=hour) for day in days for hour in (7, 22)]
        moments = {int(moment.timestamp()) for moment in (BEGIN, END, *bounds)}
        if self.every_s:
            moments |= set(range(int(BEGIN.timestamp()), int(END.timestamp()), self.every_s))
        return sorted(moments)

    def rows(self, place: int, meters: range) -> Rows:
        """Return the readings of one capture, by its place in the month."""
        numbers = np.arange(meters.start, meters.stop, dtype=np.uint32)
        ones = np.ones(len(meters), np.uint8)
        values = np.stack([_imported(numbers, place), _exported(numbers, place)], axis=1)
        at_s = np.full(len(meters), self.moments[place], np.int64)
        return Rows(numbers, ones, at_s, 0 * ones, values.astype(np.uint32), 0 * ones)

    def cents(self, meter: int) -> int:
        """Return what a meter's bill is, by another way than billing's."""
        peak_wh = off_peak_wh = 0
        for place, (from_s, _) in enumerate(pairwise(self.moments)):
            rise_wh = int(_imported(meter, place + 1)) - int(_imported(meter, place))
            if 7 <= datetime.fromtimestamp(from_s, ZONE).hour < 22:
                peak_wh += rise_wh
            else:
                off_peak_wh += rise_wh
        off_peak_wh -= int(_exported(meter, len(self.moments) - 1))
        amount = BASE + (PEAK * peak_wh + OFF_PEAK * off_peak_wh) / 1000
        return max(0, int((amount * 100).quantize(Decimal(1), ROUND_HALF_UP)))


def _imported(meter: np.ndarray | int, place: int) -> np.ndarray | int:
    return meter % 1000 * place + place * place // 3


def _exported(meter: np.ndarray | int, place: int) -> np.ndarray | int:
    return meter % 7 * 200 * place
