"""What the API tells and takes: the documented shapes of its JSON. Times are ISO 8601, UTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, field_validator
from pydantic import ValidationInfo as Info

from harness.api.times import MOMENT_MAX_S, moment_text, moment_us_text
from harness.headend.alarms import describe_alarm
from harness.headend.api.directory import METER_PATTERN, Directory
from harness.store.commands import CommandState
from protocols.plugin import CommandKind

PARAMETERS: Final = {
    CommandKind.DISCONNECT: range(1),
    CommandKind.RECONNECT: range(1),
    CommandKind.SEGMENT: range(2, 18),
    CommandKind.TARIFF: range(1, 3),
    CommandKind.TIME: range(MOMENT_MAX_S + 1),
}
"""What each kind of command takes (`protocols.plugin.Command`)."""
Via = Literal["push", "gap filling", "pull", "preloaded"]
VIA: Final[tuple[Via, ...]] = ("push", "gap filling", "pull", "preloaded")
"""By number, as in `harness.store.rows.Via`."""
SourceName = Literal["log", "status"]
SOURCES: Final[tuple[SourceName, ...]] = ("log", "status")
"""By number, as in `protocols.readings.EventSource`."""
SeverityName = Literal["info", "warning", "alarm", "critical"]
SEVERITIES: Final[tuple[SeverityName, ...]] = ("info", "warning", "alarm", "critical")
"""By number, as in `protocols.c12.tables.status.Severity`."""


def _as_text(value: object) -> object:
    return str(value) if type(value) is int else value


MeterText = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(pattern=METER_PATTERN, description="logical device name, or number"),
]


class Reading(BaseModel):
    """One capture of one meter. ``status`` is the profile's status octet; energies are in Wh."""

    captured_at: str
    profile: int
    status: int
    via: Via
    stored_at: str
    values: dict[str, int]


class Readings(BaseModel):
    """The readings of one meter in order of capture."""

    meter: str
    readings: list[Reading]

    @classmethod
    def of(cls, meter: str, columns: Mapping[str, Any]) -> Self:
        """Return them from the columns that a shard tells."""
        names = columns["registers"]
        parts = ("captured_at_s", "profile", "status", "via", "stored_at_us", "values")
        rows = zip(*(columns[part] for part in parts), strict=True)
        readings = [
            Reading(
                captured_at=moment_text(captured_at_s),
                profile=profile,
                status=status,
                via=VIA[via],
                stored_at=moment_us_text(stored_at_us),
                values=dict(zip(names, values, strict=True)),
            )
            for captured_at_s, profile, status, via, stored_at_us, values in rows
        ]
        return cls(meter=meter, readings=readings)


class Device(BaseModel):
    """A concentrator and the meters behind it, ``first_meter`` the first of them."""

    number: int
    name: str
    address: str
    link: str
    shard: int
    first_meter: str
    meters: int


class Devices(BaseModel):
    """A page of concentrators; ``next`` is the ``first`` of the next page."""

    devices: list[Device]
    total: int
    next: int | None


class Gap(BaseModel):
    """Readings missing behind one concentrator, captured in [first, last], and still fetched."""

    concentrator: int
    first: str
    last: str
    missing: int


class Gaps(BaseModel):
    """A page of gaps; ``missing`` counts the readings of all pages."""

    gaps: list[Gap]
    missing: int
    next: int | None


class Alarm(BaseModel):
    """Something a meter noted: an entry of its event log, or a status bit that was raised.

    ``code`` is that of the entry, or the number of the bit; ``sequence`` the number of the entry,
    or what tells one raising of the bit from the next.
    """

    meter: str
    severity: SeverityName
    name: str
    source: SourceName
    code: int
    sequence: int
    raised_at: str
    argument: int
    stored_at: str

    @classmethod
    def of(cls, row: Mapping[str, Any], directory: Directory) -> Self:
        """Return it from one row of the columns that a shard tells."""
        named = describe_alarm(row["source"], row["code"])
        return cls(
            meter=directory.name(row["meter"]),
            severity=SEVERITIES[named.severity],
            name=named.name,
            source=SOURCES[row["source"]],
            code=row["code"],
            sequence=row["sequence"],
            raised_at=moment_text(row["raised_at_s"]),
            argument=row["argument"],
            stored_at=moment_us_text(row["stored_at_us"]),
        )


class Alarms(BaseModel):
    """A page of alarms by when they were raised; ``next`` is the ``after`` of the next page."""

    alarms: list[Alarm]
    next: str | None


class Node(BaseModel):
    """One line of the registration table.

    ``title`` is what the node is called on the wire, ``address`` where it is reached, both in
    hexadecimal digits; ``meter`` is None for a concentrator. ``expires_at`` is when the
    registration ends or, where ``registered`` is false, ended.
    """

    title: str
    shard: int
    concentrator: int
    meter: str | None
    address: str
    period_s: int
    registered: bool
    registered_at: str
    expires_at: str

    @classmethod
    def of(cls, line: Mapping[str, Any], shard: int, directory: Directory) -> Self:
        """Return it from a line that a shard tells."""
        return cls(
            title=line["title"],
            shard=shard,
            concentrator=line["concentrator"],
            meter=None if line["meter"] is None else directory.name(line["meter"]),
            address=line["address"],
            period_s=line["period_s"],
            registered=line["registered"],
            registered_at=moment_us_text(line["registered_at_us"]),
            expires_at=moment_us_text(line["expires_at_us"]),
        )


class Nodes(BaseModel):
    """A page of nodes that ever registered, ``total`` of them, ``registered`` of them now.

    ``next`` is the ``first`` of the next page.
    """

    nodes: list[Node]
    total: int
    registered: int
    next: int | None


class Order(BaseModel):
    """A command to a single meter."""

    model_config = ConfigDict(extra="forbid")

    meter: MeterText
    kind: CommandKind
    parameter: StrictInt = Field(
        default=0,
        validate_default=True,
        description=(
            "segment: number of the consumption segment (1 to 8) times two, plus 1 to close it; "
            "tariff: the rate, 1 or 2; time: POSIX seconds; otherwise 0"
        ),
    )

    @field_validator("parameter")
    @classmethod
    def _suits_the_kind(cls, value: int, info: Info) -> int:
        kind = info.data.get("kind")
        if kind is None:
            return value  # which is what is wrong, and said already
        allowed = PARAMETERS[kind]
        if value not in allowed:
            takes = f"{allowed.start} to {allowed.stop - 1}" if len(allowed) > 1 else "none"
            raise ValueError(f"the parameter of {kind} is {takes}")
        return value


class Taken(BaseModel):
    """A command that is in the journal, durably, and will be executed exactly once."""

    id: str
    meter: str
    location: str


class CommandStanding(BaseModel):
    """A command and what became of it. ``sent`` is in doubt until its answer has come.

    ``id`` is text, because the numbers of JavaScript end at 2**53.
    """

    id: str
    meter: str
    kind: str
    parameter: int
    state: CommandState
    created_at: str
    sent_at: str | None
    done_at: str | None
    attempts: int
    outcome: str

    @classmethod
    def of(cls, line: Mapping[str, Any], directory: Directory) -> Self:
        """Return it from a line of the journal that a shard tells."""
        return cls(
            id=str(line["id"]),
            meter=directory.name(line["meter"]),
            kind=line["kind"],
            parameter=int(line["parameter"] or 0),
            state=line["state"],
            created_at=moment_us_text(line["created_at_us"]),
            sent_at=_if_known(line["sent_at_us"]),
            done_at=_if_known(line["done_at_us"]),
            attempts=line["attempts"],
            outcome=line["outcome"],
        )


class CommandPage(BaseModel):
    """Commands in order of their ids; ``next`` is the ``after`` of the next page."""

    commands: list[CommandStanding]
    next: str | None


class ShardStanding(BaseModel):
    """How one shard is. What it counted is since it started; nothing where it is away."""

    shard: int
    up: bool
    reason: str = ""
    counts: dict[str, int] = {}
    commits: dict[str, int] = {}
    missing: int | None = None
    conflicts: int | None = None
    store_bytes: int | None = None


class Status(BaseModel):
    """How the head-end is. Where shards share a store, each tells of the whole store."""

    shards: list[ShardStanding]
    shared_store: bool
    first_capture: str
    step_s: int
    steps: int
    meters: int
    registers: list[str]


def _if_known(posix_us: int | None) -> str | None:
    return None if posix_us is None else moment_us_text(posix_us)
