"""What is said about batteries: snapshots, readings, orders, shares.

Units. Current is in milliamperes and positive when the battery discharges. Charge is in
milliampere-milliseconds, so that current times time is exact in integers; `mas` and `mah` show it
to people. Limits of current are magnitudes, never negative. Time is POSIX milliseconds of the
scenario clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

MA_MS_PER_MAS: Final = 1_000
MA_MS_PER_MAH: Final = 3_600_000
NJ_PER_MWH: Final = 3_600_000_000
"""Nanojoules in a milliwatt-hour: milliamperes x millivolts x milliseconds is nanojoules."""
PPM: Final = 1_000_000
"""A whole, in the unit of shares (parts per million)."""


def mas(charge_ma_ms: int) -> int:
    """Return a charge in whole milliampere-seconds, rounded down."""
    return charge_ma_ms // MA_MS_PER_MAS


def mah(charge_ma_ms: int) -> int:
    """Return a charge in whole milliampere-hours, rounded down."""
    return charge_ma_ms // MA_MS_PER_MAH


class Kind(Enum):
    """What a battery is to the layer."""

    PHYSICAL = "physical"
    """A battery management system that a driver reads and commands."""
    NETWORKED = "networked"
    """A battery of another node, which reports it and takes commands for it."""
    AGGREGATE = "aggregate"
    """Several batteries that act as one."""
    PARTITION = "partition"
    """A share of one battery."""


class Policy(Enum):
    """Who among the partitions bears it when the source is not what was expected."""

    PROPORTIONAL = "proportional"
    """Everybody, in proportion."""
    TRANCHED = "tranched"
    """Deficits from the bottom, surpluses to the top."""
    RESERVED = "reserved"
    """Both at the bottom, so that the top is the most dependable."""


@dataclass(frozen=True, slots=True)
class Values:
    """What a battery is, or is expected to be, at one moment."""

    voltage_mv: int
    current_ma: int
    """Positive when discharging."""
    max_charge_ma: int
    max_discharge_ma: int
    charge_ma_ms: int
    capacity_ma_ms: int

    @property
    def power_uw(self) -> int:
        """Voltage times current, in microwatts; positive when discharging."""
        return self.voltage_mv * self.current_ma

    @property
    def room_ma_ms(self) -> int:
        """The charge that still fits in."""
        return max(0, self.capacity_ma_ms - self.charge_ma_ms)

    @property
    def charged_ppm(self) -> int:
        """The state of charge in parts per million, rounded down; 0 when there is no capacity."""
        return self.charge_ma_ms * PPM // self.capacity_ma_ms if self.capacity_ma_ms else 0


NOTHING: Final = Values(0, 0, 0, 0, 0, 0)
"""What a battery that cannot be reached amounts to now."""


@dataclass(frozen=True, slots=True)
class Nameplate:
    """What a physical battery is made for: the values expected of it, and bounds of commands."""

    voltage_mv: int
    max_charge_ma: int
    max_discharge_ma: int
    capacity_ma_ms: int

    @classmethod
    def of(
        cls, *, voltage_mv: int, max_charge_ma: int, max_discharge_ma: int, capacity_mah: int
    ) -> Nameplate:
        """Return the nameplate of a capacity in milliampere-hours."""
        return cls(voltage_mv, max_charge_ma, max_discharge_ma, capacity_mah * MA_MS_PER_MAH)


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer of a battery, all of whose values belong together.

    ``oldest_ms`` and ``newest_ms`` say when: one moment of a physical battery, an interval of a
    networked one that is made of others. ``expected`` is what a networked one says about itself
    were all its sources well.
    """

    values: Values
    oldest_ms: int
    newest_ms: int
    expected: Values | None = None

    @classmethod
    def at(cls, at_ms: int, values: Values) -> Reading:
        """Return the reading of a physical battery at one moment."""
        return cls(values, at_ms, at_ms)


@dataclass(frozen=True, slots=True)
class Status:
    """One atomic snapshot of a battery.

    ``current`` is what is there now and can be reached. ``expected`` is what would be, if all
    sources were well and in balance; its current is the one ordered. Neither mixes two readings of
    one source. ``oldest_ms`` and ``newest_ms`` span the moments at which the sources behind it were
    read; both are None before the first reading.
    """

    name: str
    kind: Kind
    expected: Values
    current: Values
    oldest_ms: int | None
    newest_ms: int | None
    sources: int
    """Physical and networked batteries behind it."""
    sources_online: int

    @property
    def online(self) -> bool:
        """Whether anything behind it can be reached."""
        return self.sources_online > 0

    @property
    def complete(self) -> bool:
        """Whether everything behind it can be reached."""
        return self.sources_online == self.sources


@dataclass(frozen=True, slots=True)
class SourceOrder:
    """What a physical or networked battery is to be told: from now on, this current."""

    source: str
    current_ma: int


@dataclass(frozen=True, slots=True)
class Share:
    """One partition of a splitter: its name and its part of the source, in parts per million."""

    name: str
    share_ppm: int

    @classmethod
    def percent(cls, name: str, percent: int) -> Share:
        """Return a share of whole per cent."""
        return cls(name, percent * PPM // 100)


@dataclass(frozen=True, slots=True)
class FlowRecord:
    """What a partition's virtual meter registered in ``[from_ms, to_ms)``.

    The account is exact: ``opening + charged - discharged + adjusted = closing``. ``adjusted`` is
    what a settlement with the source's measured charge gave (positive) or took. Energies are
    magnitudes in nanojoules at the voltage of the source's readings.
    """

    name: str
    source: str
    from_ms: int
    to_ms: int
    opening_ma_ms: int
    charged_ma_ms: int
    discharged_ma_ms: int
    adjusted_ma_ms: int
    closing_ma_ms: int
    charged_nj: int
    discharged_nj: int

    @property
    def charged_mwh(self) -> int:
        """Energy taken in, in whole milliwatt-hours, rounded down."""
        return self.charged_nj // NJ_PER_MWH

    @property
    def discharged_mwh(self) -> int:
        """Energy given out, in whole milliwatt-hours, rounded down."""
        return self.discharged_nj // NJ_PER_MWH
