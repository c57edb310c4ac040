"""Hours of the day, as people write them: ``"18:00-22:00"``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final

from netem.units import Spelled

DAY_S: Final = 86_400
_CLOCK: Final = r"([01]?[0-9]|2[0-4]):([0-5][0-9])"
_PATTERN: Final = re.compile(rf"\s*{_CLOCK}\s*-\s*{_CLOCK}\s*")


@dataclass(frozen=True, slots=True)
class Hours:
    """From a time of day to another; over midnight where the second is the earlier one."""

    from_s: int
    """Seconds after midnight."""
    until_s: int

    @classmethod
    def parse(cls, value: object) -> Hours:
        """Return the hours of a text; raises `ValueError`."""
        if isinstance(value, Hours):
            return value
        found = _PATTERN.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError('write from when to when, such as "18:00-22:00"')
        numbers = [int(part) for part in found.groups()]
        begins_s, ends_s = (60 * (60 * h + m) for h, m in (numbers[:2], numbers[2:]))
        if max(begins_s, ends_s) > DAY_S:
            raise ValueError("the day ends at 24:00")
        if begins_s % DAY_S == ends_s % DAY_S and (begins_s, ends_s) != (0, DAY_S):
            raise ValueError('takes no time; write "00:00-24:00" for the whole day')
        return cls(begins_s, ends_s)

    @property
    def lasts_s(self) -> int:
        """How long they last."""
        return self.until_s - self.from_s + (DAY_S if self.until_s < self.from_s else 0)

    def __str__(self) -> str:
        """Return them as they are written."""
        return f"{_clock(self.from_s)}-{_clock(self.until_s)}"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}"


HoursText = Annotated[
    Hours, Spelled(Hours.parse, rf"^\s*{_CLOCK}\s*-\s*{_CLOCK}\s*$", "18:00-22:00")
]
