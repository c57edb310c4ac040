"""A scenario: everything a run depends on, in one immutable value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from emulator.batteries.parameters import BatteryParameters
from emulator.behaviour_parameters import BehaviourParameters
from emulator.fleet_config import LinkTier
from emulator.grid_parameters import GridParameters
from harness.limits import DEFAULT_CHECKS, LIMIT_PATTERN, MEASURES, Limit, parse_limit
from harness.nearest import nearest
from harness.scenario.bal import Bal
from harness.scenario.base import (
    Part,
    ScenarioFile,
    ScenarioTime,
    complaint,
    folder_of,
)
from harness.scenario.billing import Billing
from harness.scenario.c12 import C12
from harness.scenario.consistency import complaints
from harness.scenario.document import read_document
from harness.scenario.problems import explain
from harness.scenario.spoken import with_protocols
from harness.scenario.target import Reference, Target
from harness.scenario.timeline import TimelineEvent
from netem.profiles import LinkOptions
from netem.units import ByteSize, Duration, PartsPerMillion

WHOLE_PPM: Final = 1_000_000


def _read_checks(value: object) -> Mapping[str, Limit]:
    if not isinstance(value, Mapping):
        raise ValueError("write a table of limits: [checks]")
    wrong = []
    limits: dict[str, Limit] = {}
    for name, text in {**DEFAULT_CHECKS, **value}.items():
        if name not in MEASURES:
            meant = nearest(name, MEASURES)
            wrong.append(complaint((name,), text, "nothing of this name is measured", meant))
            continue
        try:
            limits[name] = text if isinstance(text, Limit) else parse_limit(text, MEASURES[name])
        except ValueError as error:
            wrong.append(complaint((name,), text, str(error)))
    if wrong:
        raise ValidationError.from_exception_data("checks", wrong)
    return limits


Checks = Annotated[
    Mapping[str, Any],
    BeforeValidator(_read_checks),
    PlainSerializer(
        lambda limits: {name: str(limit) for name, limit in limits.items()}, when_used="json"
    ),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                name: {"type": "string", "pattern": LIMIT_PATTERN, "description": measure.meaning}
                for name, measure in MEASURES.items()
            },
            "additionalProperties": False,
        }
    ),
]


class Security(Part):
    """How concentrators and head-end trust each other: DLMS security suite 0, C12.22 EAX'."""

    suite: Literal[0] = 0
    """DLMS security suite: 0 is AES-GCM-128. ANSI C12.22 has one of its own, AES-128 in EAX'."""
    authentication: Literal["none", "lls", "gmac"] = "gmac"
    """How a client of a DLMS concentrator's own listener proves who it is: not at all, by the
    low-level secret, or by HLS mechanism 5 (GMAC). For ANSI meters see ``c12.authentication``."""
    push: Literal["ciphered", "authenticated", "clear"] = "ciphered"
    """Protection of pushed data: encrypted and authenticated, authenticated only, or none. In
    C12.22 security modes 2, 1 and 0, of everything that is said, not of pushes only."""
    confirmed: bool = True
    """Whether the head-end confirms each push when it is durable: data-notification-confirm, or
    the response to a notification write."""
    keys: ScenarioFile | None = None
    """Key file (JSON) of a real fleet. Left out: test keys from the seed, no secret."""


class CommandKinds(Part):
    """How the commands of a run are shared out among their kinds; the shares sum to 100 %."""

    disconnect: PartsPerMillion = Field(default="25 %", validate_default=True)
    """Opening the supply (remote_disconnect of the disconnect control)."""
    reconnect: PartsPerMillion = Field(default="25 %", validate_default=True)
    """Closing it again (remote_reconnect)."""
    segment: PartsPerMillion = Field(default="20 %", validate_default=True)
    """Switching one consumption segment of the customer."""
    tariff: PartsPerMillion = Field(default="15 %", validate_default=True)
    """Writing another activity calendar."""
    time: PartsPerMillion = Field(default="15 %", validate_default=True)
    """Setting the clock."""

    @model_validator(mode="after")
    def _shares_make_a_whole(self) -> Self:
        total = sum(self.model_dump().values())
        if total != WHOLE_PPM:
            raise ValueError(f"the shares of the kinds sum to {total / 10_000:g} %, not 100 %")
        return self


class Window(Part):
    """A span of scenario time."""

    start: ScenarioTime = Field(default="00:00", alias="from", validate_default=True)
    """Scenario time since the start at which it opens."""
    lasts: ScenarioTime | None = Field(default=None, alias="for")
    """Scenario time it stays open; to the end of the last step when left out."""


class Commands(Part):
    """Commands to single meters, given through the head-end."""

    count: int = Field(default=0, ge=0, le=10_000_000)
    """How many; meters and moments are drawn from the seed."""
    kinds: CommandKinds = CommandKinds()
    """Which."""
    window: Window = Window()
    """When they are given, evenly spread."""


class Load(Part):
    """How Locust drives the fleet."""

    users: int | None = Field(default=None, ge=1, le=100_000)
    """Locust users; each owns a slice of the concentrators. One per fleet shard when left out."""
    workers: int = Field(default=0, ge=0, le=256)
    """Locust worker processes; 0 runs everything under one local runner."""


class Capture(Part):
    """Keeping the octets that cross the links, for other tools to read."""

    concentrators: int = Field(default=0, ge=0, le=200_000)
    """How many concentrators' octets are kept, counted from the first; 0: nobody's."""
    size: ByteSize = Field(default="16 MiB", gt=0, validate_default=True)
    """Size at which the file of one fleet shard is full; what comes after is not kept."""


class Probes(Part):
    """What a stranger tries on the head-end while the run goes on."""

    replay: int = Field(default=0, ge=0, le=1_000)
    """Of how many concentrators a confirmed push is recorded and sent again, octet for octet, over
    a connection of somebody else's; 0: nobody's. ``replays.accepted`` is then judged by ``== 0``
    unless ``checks`` says otherwise. Needs DLMS pushes that are protected and confirmed; their
    concentrators are captured."""


class Links(LinkOptions):
    """How the figures of link profiles are read and applied, and what TCP does over the links."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    congestion: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_-]{0,14}$")
    """TCP congestion control of every connection, such as ``cubic``; the kernel's own choice,
    which differs from machine to machine, when left out. The run records what was used."""

    @property
    def options(self) -> LinkOptions:
        """Only what is about profiles."""
        return LinkOptions.model_validate(self.model_dump(exclude={"congestion"}))


class Limits(Part):
    """Bounds of the run itself: beyond them it says *inconclusive* or stops."""

    lag: Duration = Field(default="2 s", gt=0, validate_default=True)
    """Wall time the generator may start work after it was due; more is *inconclusive*."""
    drain: Duration = Field(default="30 s", validate_default=True)
    """Wall time after the last step for exchanges and stores under way to end."""
    memory: ByteSize | None = None
    """Resident memory of all the run's processes at which it stops; no bound when left out."""


class Scenario(Part):
    """A Meterstorm scenario."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Name of the scenario, part of the run folder's name."""
    description: str = ""
    """What the scenario is for, in a sentence or two; it stands in the report."""
    seed: int = Field(default=1, ge=0, lt=2**63)
    """Where every draw of the run comes from: the same seed owes the same readings."""
    speed: float = Field(default=1.0, gt=0, le=100_000, allow_inf_nan=False)
    """Scenario seconds per wall second. Protocol timeouts and link delays are never scaled."""
    protocol: Literal["dlms", "c12", "mix"] = "dlms"
    """What the fleet speaks: DLMS/COSEM, ANSI C12, or each concentrator one of them, by
    ``grid.protocols`` (half and half when left out)."""
    link: LinkTier = "model"
    """What stands between fleet and head-end: the built-in link model; real IP packets through an
    emulator of ours (``packet``; no root), or through the kernel's netem (``netem``); or bare
    loopback (``none``)."""
    grid: GridParameters
    """The grid topology generator."""
    behaviour: BehaviourParameters = BehaviourParameters()
    """The grid behaviour generator: the plan."""
    links: Links = Links()
    """How link profiles are applied."""
    link_profiles: ScenarioFile | None = None
    """A TOML file with link profiles of your own, beside the built-in ones."""
    security: Security = Security()
    """Association and push security."""
    c12: C12 = C12()
    """What only ANSI concentrators and meters read."""
    target: Target = Reference()
    """The system under test."""
    commands: Commands = Commands()
    """Commands to single meters."""
    batteries: BatteryParameters | None = None
    """Emulated batteries; none when left out."""
    bal: Bal | None = None
    """The battery abstraction layer over them; none when left out."""
    billing: Billing | None = None
    """The billing back end, ours or somebody's own; none when left out."""
    timeline: tuple[TimelineEvent, ...] = ()
    """What happens while the run goes on."""
    load_driver: Load = Field(default=Load(), alias="load")
    """How Locust drives it."""
    capture: Capture = Capture()
    """Keeping octets."""
    probes: Probes = Probes()
    """What a stranger tries."""
    limits: Limits = Limits()
    """Bounds of the run itself."""
    checks: Checks = Field(default_factory=dict, validate_default=True)
    """Limits by which the run is judged, beside those every run is judged by."""

    @model_validator(mode="before")
    @classmethod
    def _one_word_on_protocols(cls, values: object) -> object:
        return with_protocols(values)

    @model_validator(mode="after")
    def _parts_fit_together(self, info: ValidationInfo) -> Self:
        wrong = complaints(self, folder_of(info))
        if wrong:
            raise ValidationError.from_exception_data("scenario", wrong)
        return self

    @property
    def span_s(self) -> float:
        """Scenario time from the first step to the end of the last."""
        return self.behaviour.steps * self.behaviour.step

    @classmethod
    def load(cls, path: Path, overrides: Iterable[str] = (), seed: int | None = None) -> Self:
        """Return the scenario of a TOML file, changed by ``overrides`` such as ``"speed=60"``.

        Raises:
            ScenarioError: anything is wrong with it; all that is wrong is reported together.
        """
        document = read_document(path, overrides, seed)
        try:
            return cls.model_validate(document.values, context={"folder": document.folder})
        except ValidationError as error:
            raise explain(error, json_schema(), document) from None

    def resolved_json(self) -> str:
        """Return the whole scenario, defaults included, as JSON text."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_resolved(cls, text: str) -> Self:
        """Return the scenario that `resolved_json` wrote.

        Files it names need not exist any more. Raises pydantic's ValidationError for other text.
        """
        return cls.model_validate_json(text)


@cache
def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario file."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return head | Scenario.model_json_schema(by_alias=True, mode="validation")


def json_schema_text() -> str:
    """Return the JSON Schema as it is checked in beside the ready scenarios."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
