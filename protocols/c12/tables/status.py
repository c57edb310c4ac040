"""ST3: the modes of an end device and its standard status, with this project's severities.

The standards give no severity. Ours, for every flag and event of the ANSI world:

* ``INFO``      what a healthy meter does in a normal day;
* ``WARNING``   somebody should look, the readings are good;
* ``ALARM``     readings may be incomplete, or somebody may be cheating;
* ``CRITICAL``  the device can no longer be trusted to measure or to remember.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Severity(IntEnum):
    """How much an event or a status flag matters; greater is worse."""

    INFO = 0
    WARNING = 1
    ALARM = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True)
class StatusFlag:
    """One bit of ED_STD_STATUS1, its name in full and how much it matters."""

    bit: int
    key: str
    name: str
    severity: Severity


MODES: Final = {"metering": 0, "test": 1, "meter_shop": 2, "factory": 3}
"""The bits of ED_MODE."""

STATUS_FLAGS: Final = (
    StatusFlag(0, "unprogrammed", "Unprogrammed", Severity.ALARM),
    StatusFlag(1, "configuration_error", "Configuration error", Severity.ALARM),
    StatusFlag(2, "self_check_error", "Self-check error", Severity.CRITICAL),
    StatusFlag(3, "ram_failure", "RAM failure", Severity.CRITICAL),
    StatusFlag(4, "rom_failure", "ROM failure", Severity.CRITICAL),
    StatusFlag(5, "nonvolatile_memory_failure", "Nonvolatile memory failure", Severity.CRITICAL),
    StatusFlag(6, "clock_error", "Clock error", Severity.ALARM),
    StatusFlag(7, "measurement_error", "Measurement error", Severity.CRITICAL),
    StatusFlag(8, "low_battery", "Low battery", Severity.WARNING),
    StatusFlag(9, "low_loss_potential", "Low loss potential", Severity.WARNING),
    StatusFlag(10, "demand_overload", "Demand overload", Severity.WARNING),
    StatusFlag(11, "power_failure", "Power failure", Severity.WARNING),
    StatusFlag(12, "tamper_detected", "Tamper detected", Severity.ALARM),
    StatusFlag(13, "reverse_rotation", "Reverse rotation", Severity.ALARM),
)
"""ED_STD_STATUS1, bit by bit."""

STANDARD_STATUS: Final = {flag.key: flag.bit for flag in STATUS_FLAGS}
"""The bits of ED_STD_STATUS1 by key."""


def status_word(keys: Iterable[str]) -> int:
    """Return ED_STD_STATUS1 with the flags ``keys`` set; raises `KeyError` for an unknown one."""
    return sum(1 << STANDARD_STATUS[key] for key in set(keys))


def flags_of(word: int) -> tuple[StatusFlag, ...]:
    """Return the flags that are set in ED_STD_STATUS1; bits without a name are left out."""
    return tuple(flag for flag in STATUS_FLAGS if word >> flag.bit & 1)
