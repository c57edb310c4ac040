"""What the actual-limit tables say: the sizes that the tables of their decade have.

ST11, ST21, ST51, ST61 (with ST62, whose interval format ST64 needs) and ST71, as frozen values;
`protocols.c12.tables.registry` reads them out of the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, ClassVar, Final, Self, TypeAlias

from protocols.c12.tables.formats.bits import Bits

LOAD_PROFILE_TABLES: Final = (64, 65, 66, 67)
"""Load profile set n is table 63 + n."""


Groups: TypeAlias = "Mapping[str, Mapping[str, Bits]]"


class IntervalFormat(IntEnum):
    """INT_FMT_CDE of ST62: the type of interval data."""

    UINT8 = 1
    UINT16 = 2
    UINT32 = 4
    INT8 = 8
    INT16 = 16
    INT32 = 32
    NUMBER_1 = 64
    NUMBER_2 = 128


class _FromTable:
    """A dataclass whose fields are those of a table, bit fields flattened (``_groups``)."""

    __slots__ = ()
    _groups: ClassVar[Groups] = {}

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Return the dimensions out of a parsed table; what is not known is left out."""
        flat = dict(values)
        for group in cls._groups:
            flat |= flat.pop(group)
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        return cls(**{name: value for name, value in flat.items() if name in known})

    def values(self) -> dict[str, Any]:
        """Return the values that build the table."""
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        flat = {name: getattr(self, name) for name in names}
        for group, bits in self._groups.items():
            flat[group] = {name: flat.pop(name) for name in bits}
        return flat


SOURCE_FLAGS: Final[dict[str, Bits]] = {
    "power_fail_exclude": 0,
    "reset_exclude": 1,
    "block_demand": 2,
    "sliding_demand": 3,
    "thermal_demand": 4,
    "set_1_present": 5,
    "set_2_present": 6,
    "conversion_algorithm": 7,
}


@dataclass(frozen=True, slots=True)
class Sources(_FromTable):
    """ST11: what describes the sources of measurement. ``constants_selector`` 2 is electricity."""

    _groups: ClassVar[Groups] = {"flags": SOURCE_FLAGS}

    power_fail_exclude: bool = False
    reset_exclude: bool = False
    block_demand: bool = False
    sliding_demand: bool = False
    thermal_demand: bool = False
    set_1_present: bool = False
    set_2_present: bool = False
    conversion_algorithm: bool = False
    units: int = 0
    demand_controls: int = 0
    data_control_length: int = 0
    data_controls: int = 0
    constants: int = 0
    constants_selector: int = 2
    sources: int = 0


REGISTER_FLAGS_1: Final[dict[str, Bits]] = {
    "season": 0,
    "date_time": 1,
    "demand_reset_counter": 2,
    "demand_reset_lock": 3,
    "cumulative_demand": 4,
    "continuous_cumulative_demand": 5,
    "time_remaining": 6,
}
REGISTER_FLAGS_2: Final[dict[str, Bits]] = {
    "self_read_inhibit_overflow": 0,
    "self_read_sequence": 1,
    "daily_self_read": 2,
    "weekly_self_read": 3,
    "self_read_demand_reset": (4, 5),
}


@dataclass(frozen=True, slots=True)
class Registers(_FromTable):
    """ST21: which registers there are, and what each block of them carries."""

    _groups: ClassVar[Groups] = {"flags_1": REGISTER_FLAGS_1, "flags_2": REGISTER_FLAGS_2}

    season: bool = False
    date_time: bool = False
    demand_reset_counter: bool = False
    demand_reset_lock: bool = False
    cumulative_demand: bool = False
    continuous_cumulative_demand: bool = False
    time_remaining: bool = False
    self_read_inhibit_overflow: bool = False
    self_read_sequence: bool = False
    daily_self_read: bool = False
    weekly_self_read: bool = False
    self_read_demand_reset: int = 0
    self_reads: int = 0
    summations: int = 0
    demands: int = 0
    coincident_values: int = 0
    occurrences: int = 0
    tiers: int = 0
    present_demands: int = 0
    present_values: int = 0


TIME_FLAGS_1: Final[dict[str, Bits]] = {
    "tou_self_read": 0,
    "season_self_read": 1,
    "season_demand_reset": 2,
    "season_change_armed": 3,
    "sort_dates": 4,
    "anchor_date": 5,
}
TIME_FLAGS_2: Final[dict[str, Bits]] = {
    "automatic_daylight_saving": 0,
    "separate_weekdays": 1,
    "separate_summations_and_demands": 2,
    "sort_tier_switches": 3,
    "time_zone_offset": 4,
}
CALENDAR: Final[dict[str, Bits]] = {"seasons": (0, 3), "special_schedules": (4, 7)}


@dataclass(frozen=True, slots=True)
class TimeOfUse(_FromTable):
    """ST51: the clock's and the time-of-use calendar's sizes."""

    _groups: ClassVar[Groups] = {
        "flags_1": TIME_FLAGS_1,
        "flags_2": TIME_FLAGS_2,
        "calendar": CALENDAR,
    }

    tou_self_read: bool = False
    season_self_read: bool = False
    season_demand_reset: bool = False
    season_change_armed: bool = False
    sort_dates: bool = False
    anchor_date: bool = False
    automatic_daylight_saving: bool = False
    separate_weekdays: bool = False
    separate_summations_and_demands: bool = False
    sort_tier_switches: bool = False
    time_zone_offset: bool = False
    seasons: int = 0
    special_schedules: int = 0
    non_recurring_dates: int = 0
    recurring_dates: int = 0
    tier_switches: int = 0
    calendar_size: int = 0


LOAD_PROFILE_FLAGS: Final[dict[str, Bits]] = {
    **{f"inhibit_overflow_{n}": n - 1 for n in range(1, 5)},
    "block_end_read": 4,
    "block_end_pulse": 5,
    **{f"scalars_and_divisors_{n}": n + 5 for n in range(1, 5)},
    "extended_status": 10,
    "simple_status": 11,
    "block_end_read_indicator": 12,
}
INTERVAL_FORMATS: Final[dict[str, Bits]] = {
    member.name.lower(): index for index, member in enumerate(IntervalFormat)
}


@dataclass(frozen=True, slots=True)
class LoadProfileSet:
    """One load profile of ST61: ``blocks`` of ``intervals`` (per block) of ``channels``."""

    blocks: int
    intervals: int
    channels: int
    interval_min: int


@dataclass(frozen=True, slots=True)
class ChannelSource:
    """LP_SOURCE_SEL_RCD of ST62: what one channel records, and what its block end reading reads."""

    source: int
    end_reading: bool = False
    end_reading_source: int = 0


@dataclass(frozen=True, slots=True)
class LoadProfileControl:
    """ST62 for one set; ``scalars`` and ``divisors`` are empty when ST61 has none for the set."""

    channels: tuple[ChannelSource, ...]
    interval_format: IntervalFormat
    scalars: tuple[int, ...] = ()
    divisors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """ST61. ``sets`` holds set n at n - 1, ``None`` where ST0 has no table 63 + n.

    ``formats`` are the interval formats that the device can use.
    """

    memory_octets: int = 0
    inhibit_overflow: frozenset[int] = frozenset()
    block_end_read: bool = False
    block_end_pulse: bool = False
    scalars_and_divisors: frozenset[int] = frozenset()
    extended_status: bool = False
    simple_status: bool = False
    block_end_read_indicator: bool = False
    formats: frozenset[IntervalFormat] = frozenset()
    sets: tuple[LoadProfileSet | None, ...] = (None, None, None, None)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> LoadProfile:
        """Return the dimensions out of a parsed ST61."""
        flags, formats = values["flags"], values["formats"]
        numbers = range(1, 5)
        return cls(
            memory_octets=values["memory_octets"],
            inhibit_overflow=frozenset(n for n in numbers if flags[f"inhibit_overflow_{n}"]),
            scalars_and_divisors=frozenset(
                n for n in numbers if flags[f"scalars_and_divisors_{n}"]
            ),
            formats=frozenset(f for f in IntervalFormat if formats[f.name.lower()]),
            sets=tuple(
                LoadProfileSet(**values[f"set_{n}"]) if f"set_{n}" in values else None
                for n in numbers
            ),
            **{name: flags[name] for name in _PLAIN_LOAD_PROFILE_FLAGS},
        )

    def values(self) -> dict[str, Any]:
        """Return the values that build ST61."""
        flags = {name: getattr(self, name) for name in _PLAIN_LOAD_PROFILE_FLAGS}
        flags |= {f"inhibit_overflow_{n}": True for n in self.inhibit_overflow}
        flags |= {f"scalars_and_divisors_{n}": True for n in self.scalars_and_divisors}
        return {
            "memory_octets": self.memory_octets,
            "flags": flags,
            "formats": {member.name.lower(): True for member in self.formats},
            **{
                f"set_{n}": {name: getattr(one, name) for name in _SET_FIELDS}
                for n, one in enumerate(self.sets, 1)
                if one is not None
            },
        }


_PLAIN_LOAD_PROFILE_FLAGS: Final = (
    "block_end_read",
    "block_end_pulse",
    "extended_status",
    "simple_status",
    "block_end_read_indicator",
)
_SET_FIELDS: Final = ("blocks", "intervals", "channels", "interval_min")

LOG_FLAGS: Final[dict[str, Bits]] = {
    "event_number": 0,
    "history_date_time": 1,
    "history_sequence": 2,
    "history_inhibit_overflow": 3,
    "event_inhibit_overflow": 4,
}


@dataclass(frozen=True, slots=True)
class Log(_FromTable):
    """ST71: the sizes of the history and event logs.

    ``standard_event_octets`` and ``manufacturer_event_octets`` are the octets of the sets of events
    in ST72, ST73 and ST75. The last two exist from standard version 2 on.
    """

    _groups: ClassVar[Groups] = {"flags": LOG_FLAGS}

    event_number: bool = False
    history_date_time: bool = True
    history_sequence: bool = False
    history_inhibit_overflow: bool = False
    event_inhibit_overflow: bool = False
    standard_event_octets: int = 0
    manufacturer_event_octets: int = 0
    history_argument_size: int = 0
    event_argument_size: int = 0
    history_entries: int = 0
    event_entries: int = 0
    extended_flags: int = 0
    program_tables: int = 0


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The sizes that variable tables need; ``None`` where the device has no such table."""

    sources: Sources | None = None
    registers: Registers | None = None
    time_of_use: TimeOfUse | None = None
    load_profile: LoadProfile | None = None
    load_profile_controls: tuple[LoadProfileControl | None, ...] = (None, None, None, None)
    log: Log | None = None


NO_DIMENSIONS: Final = Dimensions()
