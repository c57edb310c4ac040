"""What is said over the API of a battery layer, as its documentation shows it.

Currents are milliamperes, positive when a battery discharges. Charges are milliampere-milliseconds
(3,600,000 of them are a milliampere-hour), so that nothing is rounded on the way. Times are POSIX
milliseconds of the scenario clock.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=200)]
# Strict: neither true nor "5" is a current.
Milliamperes = Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)]
Magnitude = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Positive = Annotated[int, Field(strict=True, ge=1, le=2**53)]
Moment = Annotated[int, Field(strict=True, ge=0, le=2**53, description="POSIX milliseconds")]
SharePpm = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
CommandName = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=100,
        description="name of the command: sent again under it, it is not executed again",
    ),
]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: CommandName = None


class ForgetFlows(_Asked):
    """What virtual meters registered before a moment has been exported: let go of it."""

    before_ms: Moment


class SetCurrent(_Asked):
    """Let a battery do a current until further notice."""

    current_ma: Milliamperes


class SetMagnitude(_Asked):
    """Charge or discharge a battery with a current, a magnitude."""

    current_ma: Magnitude


class ScheduleCurrent(_Asked):
    """Let a battery do a current in [start_ms, end_ms); a later one wins in its own window."""

    current_ma: Milliamperes
    start_ms: Moment
    end_ms: Moment


class MakeBattery(_Asked):
    """A physical or networked battery; it is reached where the layer's configuration says."""

    name: Name
    kind: Literal["physical", "networked"] = "physical"
    interface: str = Field(default="", max_length=200)
    voltage_mv: Positive
    capacity_mah: Positive
    max_charge_ma: Magnitude
    max_discharge_ma: Magnitude
    point: Name | None = None


class MakeAggregator(_Asked):
    """One battery of several."""

    name: Name
    sources: Annotated[list[Name], Field(min_length=1, max_length=10_000)]


class SharePart(BaseModel):
    """One partition of a splitter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    share_ppm: SharePpm


class MakeSplitter(_Asked):
    """Several batteries of one, named from the top down."""

    source: Name
    policy: Literal["proportional", "tranched", "reserved"] = "proportional"
    partitions: Annotated[list[SharePart], Field(min_length=1, max_length=10_000)]


class Accepted(BaseModel):
    """A command that is durable: it happens, whatever becomes of the layer."""

    id: str | None


class Values(BaseModel):
    """What a battery is, or is expected to be, at one moment."""

    voltage_mv: int
    current_ma: int
    max_charge_ma: int
    max_discharge_ma: int
    charge_ma_ms: int
    capacity_ma_ms: int
    power_uw: int
    charged_ppm: int


class Status(BaseModel):
    """One atomic snapshot.

    ``current`` is what can be reached now; ``expected`` what would be, were all sources well. Their
    readings are from ``oldest_ms`` to ``newest_ms``.
    """

    name: str
    kind: str
    expected: Values
    current: Values
    oldest_ms: int | None
    newest_ms: int | None
    sources: int
    sources_online: int


class Listed(BaseModel):
    """One battery, by name and kind."""

    name: str
    kind: str


class Batteries(BaseModel):
    """All batteries in the order in which they were made, a page at a time."""

    batteries: list[Listed]
    total: int
    next: int | None


class Flow(BaseModel):
    """What the virtual meter of a partition registered in [from_ms, to_ms).

    Exactly: opening + charged - discharged + adjusted = closing. Energies are nanojoules.
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


class Located(BaseModel):
    """Where a battery is connected; ``centre``: it is the middle of what the battery is made of."""

    point: str
    centre: bool


class Counts(BaseModel):
    """How the layer is, and what it has counted since it started."""

    counts: dict[str, int]
    commits: int
    batteries: int
    sources: int
    sources_online: int
