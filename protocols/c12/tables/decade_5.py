"""Decade 5, time: ST51, ST52 and ST55."""

from __future__ import annotations

from typing import Final

from protocols.c12.tables.dimensions import CALENDAR, TIME_FLAGS_1, TIME_FLAGS_2, Dimensions
from protocols.c12.tables.formats.bits import Bits
from protocols.c12.tables.formats.field import Declaration
from protocols.c12.tables.record import present, record
from protocols.c12.tables.types import Types

DAY_OF_WEEK_UNDEFINED: Final = 7
QUALIFIER: Final[dict[str, Bits]] = {
    "day_of_week": (0, 2),
    "daylight_saving": 3,
    "universal_time": 4,
    "time_zone_applied": 5,
    "daylight_saving_applied": 6,
    "daylight_saving_supported": 7,
}
"""TIME_DATE_QUAL: how the clock's time is to be taken; day 0 is Sunday, 7 undefined."""
_TIERS_TOGETHER: Final[dict[str, Bits]] = {"tier": (0, 2)}
_TIERS_APART: Final[dict[str, Bits]] = {"summation_tier": (0, 2), "demand_tier": (3, 5)}
_SCHEDULE: Final[dict[str, Bits]] = {
    "tier_drive": (6, 7),
    "special_schedule": (8, 11),
    "season": (12, 15),
}


def actual_time_of_use(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST51."""
    return record(
        "flags_1" / types.bit_field(1, TIME_FLAGS_1),
        "flags_2" / types.bit_field(1, TIME_FLAGS_2),
        "calendar" / types.bit_field(1, CALENDAR),
        "non_recurring_dates" / types.uint8,
        "recurring_dates" / types.uint8,
        "tier_switches" / types.uint16,
        "calendar_size" / types.uint16,
    )


def clock(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST52."""
    return record(
        present(True, "clock", types.ltime),
        "qualifier" / types.bit_field(1, QUALIFIER),
    )


def clock_state(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST55; without ST51, summations and demands share their tiers."""
    time_of_use = dimensions.time_of_use
    apart = time_of_use is not None and time_of_use.separate_summations_and_demands
    return record(
        present(True, "clock", types.ltime),
        "qualifier" / types.bit_field(1, QUALIFIER),
        "status"
        / types.bit_field(2, {**(_TIERS_APART if apart else _TIERS_TOGETHER), **_SCHEDULE}),
    )
