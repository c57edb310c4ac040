"""Moments as the API reads and writes them: ISO 8601 or POSIX seconds in, ISO 8601 in UTC out."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

MOMENT_MAX_S: Final = 253_402_300_799
"""The last second of the year 9999."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLUS_LOST = re.compile(r"^(\S+T\S+) (\d\d:?\d\d)$")


def parse_moment(value: object) -> int:
    """Return a moment as whole POSIX seconds, rounded up. Raises `ValueError`.

    A time without offset is UTC.
    """
    text = str(value).strip()
    if re.fullmatch(r"\d{1,12}", text):
        moment_s = int(text)
    else:
        # A plus sign that nobody encoded arrives as a space.
        try:
            moment = datetime.fromisoformat(_PLUS_LOST.sub(r"\1+\2", text))
        except ValueError:
            raise ValueError(
                "give an ISO 8601 time such as 2026-01-31T14:00:00Z, or POSIX seconds"
            ) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment_s = math.ceil((moment - _EPOCH) / timedelta(seconds=1))
    if not 0 <= moment_s <= MOMENT_MAX_S:
        raise ValueError("the time must lie in the years 1970 to 9999")
    return moment_s


Moment = Annotated[
    int,
    BeforeValidator(parse_moment),
    WithJsonSchema({"type": "string", "examples": ["2026-01-31T14:00:00Z", "1769868000"]}),
]
"""A moment in a question; whole POSIX seconds once it is read."""


def moment_text(posix_s: int) -> str:
    """Return a moment in ISO 8601, UTC."""
    return moment_us_text(posix_s * 1_000_000)


def moment_us_text(posix_us: int) -> str:
    """Return a moment given in POSIX microseconds in ISO 8601, UTC."""
    return (_EPOCH + timedelta(microseconds=posix_us)).isoformat().replace("+00:00", "Z")
