"""What a networked battery is asked and what it says, whatever the dialect.

Currents are milliamperes, positive when the battery discharges; times are POSIX milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_CURRENT_MA: Final = 1_000_000_000
"""No current of a battery is a megaampere: what says so is refused before anybody sees it."""

MAX_QUANTITY: Final = 1_000_000_000_000
"""Nor is anything else that a battery says of itself more than this many thousandths: not ten
thousand batteries together hold a gigaampere-hour."""

MAX_NAME_SIZE: Final = 255
"""Octets of a battery's name in UTF-8."""


@dataclass(frozen=True, slots=True)
class Status:
    """One snapshot of a battery. ``at_ms`` is its age, ``None`` in a dialect that does not say.

    ``charge_mah`` is what is stored, ``capacity_mah`` what it is when full.
    """

    voltage_mv: int
    current_ma: int
    charge_mah: int
    capacity_mah: int
    max_charge_current_ma: int
    max_discharge_current_ma: int
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Connect:
    """This connection is about the battery ``name`` from now on (v3)."""

    name: str


@dataclass(frozen=True, slots=True)
class GetStatus:
    """Say how ``name`` is, as fresh as its own rules want it."""

    name: str


@dataclass(frozen=True, slots=True)
class Refresh:
    """Read ``name`` anew and say how it is (v2)."""

    name: str


@dataclass(frozen=True, slots=True)
class SetCurrent:
    """Have ``name`` hold ``current_ma`` in [``start_ms``, ``end_ms``); ``None``: now, for ever.

    ``is_greater`` says that it may be more than that (v2, whose servers never heeded it).
    """

    name: str
    current_ma: int
    start_ms: int | None = None
    end_ms: int | None = None
    is_greater: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Let there be no battery ``name`` any more (v3)."""

    name: str


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Let ``status`` be what ``name`` says of itself (v3, of batteries without a device)."""

    name: str
    status: Status


@dataclass(frozen=True, slots=True)
class SetSchedule:
    """Take a client's private ``schedule`` for ``name`` (v3); what it holds is not for us."""

    name: str
    schedule: bytes


Request: TypeAlias = Connect | GetStatus | Refresh | SetCurrent | Remove | SetStatus | SetSchedule


@dataclass(frozen=True, slots=True)
class Done:
    """It was done."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """It was not done, and why; v2 has no room for reasons."""

    reason: str


Reply: TypeAlias = Status | Done | Refusal


def wants_status(request: Request) -> bool:
    """Say whether a `Status` answers ``request``; `Done` answers the others."""
    return isinstance(request, GetStatus | Refresh)
