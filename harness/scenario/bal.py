"""The battery abstraction layer of a scenario: ours or somebody's own, and who asks it what."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, StrictBool, model_validator

from harness.bal.model.refresh import RefreshMode
from harness.bal.model.values import Policy
from harness.bal.tls import TlsFiles
from harness.scenario.base import (
    Part,
    ScenarioFile,
    ScenarioTime,
    reference_by_default,
)
from netem.units import Duration, PartsPerMillion

WHOLE_PPM: Final = 1_000_000

Rate = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


class BalShare(Part):
    """One partition of every virtual battery."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
    """What comes behind the name of the virtual battery: ``"house"`` makes ``virtual-1/house``."""
    share: Annotated[PartsPerMillion, Field(gt=0)]
    """Its part of the virtual battery."""


class BalFace(Part):
    """One more way in which other systems reach the layer's batteries, on the loopback device."""

    speaks: Literal["v1", "v2", "v3", "sunspec"]
    """A dialect of networked batteries, or SunSpec over Modbus TCP."""
    port: Annotated[int, Field(ge=1, le=65_535)]
    """Where it listens."""
    units: tuple[Annotated[str, Field(min_length=1)], ...] = Field(default=(), max_length=247)
    """Names of the batteries that are Modbus units, from unit 1 on; ``sunspec`` needs some."""
    certificate: ScenarioFile | None = None
    """PEM file with its certificate; ``v3`` needs this, ``key`` and ``authorities``."""
    key: ScenarioFile | None = None
    """PEM file with the certificate's private key."""
    authorities: ScenarioFile | None = None
    """PEM file with the certificates of those who sign its clients' certificates."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        files = (self.certificate, self.key, self.authorities)
        if bool(self.units) != (self.speaks == "sunspec"):
            raise ValueError('"units" are of speaks = "sunspec", which needs them')
        if any(file is None for file in files) and (self.speaks == "v3" or any(files)):
            raise ValueError('give "certificate", "key" and "authorities"; v3 needs all three')
        return self


class BalLoad(Part):
    """What Locust's users ask of the layer, at times set beforehand."""

    status_per_s: Rate = 0.0
    """Snapshots asked for in a real second."""
    commands_per_s: Rate = 0.0
    """Currents set in a real second, each of its own command."""
    current: Annotated[int, Field(ge=1, le=10_000_000)] = 5_000
    """Largest current that is asked for, mA; drawn evenly from charging with it to discharging."""

    @property
    def asks(self) -> bool:
        """Whether anything is asked."""
        return bool(self.status_per_s or self.commands_per_s)


class BalSetPoint(Part):
    """A current that a battery is to do in a window of time, told as the run begins."""

    battery: Annotated[str, Field(min_length=1)]
    """Whose: the name of a battery that no other is made of."""
    current: Annotated[int, Field(ge=-10_000_000, le=10_000_000)]
    """In mA; positive discharges."""
    at: ScenarioTime
    """Scenario time since the start at which it begins."""
    lasts: Duration = Field(alias="for", gt=0)
    """Scenario time it lasts. Of windows that overlap, the later one in the list wins."""


class ReferenceBal(Part):
    """This project's battery layer, started and stopped by the run."""

    kind: Literal["reference"] = "reference"
    """Which system under test."""


class ExternalBal(Part):
    """Somebody's own: we export batteries, what is made of them and the clock, and ask it."""

    kind: Literal["external"]
    """Which system under test."""
    url: Annotated[str, Field(pattern=r"^(https?://|v[123]://[^/]+:[0-9]+$)")]
    """Where its HTTP API is, which has the paths of ours, or where it speaks a dialect of networked
    batteries: ``"v1://127.0.0.1:4004"``, ``v2`` or ``v3``. The run waits for it to listen."""
    token_file: ScenarioFile | None = None
    """File with the bearer token for ``url``, if that is HTTP."""
    certificate: ScenarioFile | None = None
    """PEM file with its users' certificate; ``v3`` needs this, ``key`` and ``authorities``."""
    key: ScenarioFile | None = None
    """PEM file with the certificate's private key."""
    authorities: ScenarioFile | None = None
    """PEM file with the certificates of those who sign its own certificate."""

    @property
    def tls(self) -> TlsFiles | None:
        """Who its users are to one that speaks v3."""
        if self.certificate is None or self.key is None or self.authorities is None:
            return None
        return TlsFiles(certificate=self.certificate, key=self.key, authorities=self.authorities)

    @property
    def has_api(self) -> bool:
        """Whether it is asked over HTTP."""
        return self.url.startswith("http")

    @model_validator(mode="after")
    def _who_its_users_are(self) -> Self:
        if self.token_file is not None and not self.has_api:
            raise ValueError("dialects of networked batteries know no token")
        files = (self.certificate, self.key, self.authorities)
        if self.url.startswith("v3://") != any(files) or any(files) != all(files):
            raise ValueError('"certificate", "key" and "authorities" are of v3, which needs all')
        return self


BalTarget = Annotated[
    ReferenceBal | ExternalBal,
    Field(discriminator="kind"),
    BeforeValidator(reference_by_default),
]


class Bal(Part):
    """A battery abstraction layer over the emulated batteries of the scenario."""

    target: BalTarget = ReferenceBal()
    """The system under test."""
    virtual: Annotated[int | None, Field(ge=1, le=100_000)] = None
    """Virtual batteries: the emulated ones are shared out among so many aggregates, in order."""
    partitions: tuple[BalShare, ...] = ()
    """Into what each virtual battery is divided; left out, it is one."""
    policy: Policy = Policy.PROPORTIONAL
    """Who bears it when a virtual battery is not what is expected of it."""
    topology: ScenarioFile | None = None
    """A TOML file with a topology of your own, instead of ``virtual`` and ``partitions``."""
    refresh: RefreshMode = RefreshMode.LAZY
    """Whether batteries are read when somebody asks, or all the time."""
    staleness: ScenarioTime = Field(default="15 min", validate_default=True)
    """Scenario time after which a reading is too old to answer with."""
    timeout: Duration = Field(default="30 s", gt=0, validate_default=True)
    """Wall time an answer of a battery may take."""
    obeys_within: Duration = Field(default="60 s", gt=0, validate_default=True)
    """Wall time from the answer to a command until the batteries behind must do it, whatever their
    links; `batteries.disobeyed` counts what takes longer. Of a layer that is not ours, the run
    waits so long after the drain, for the last ones."""
    api: StrictBool = True
    """Whether its HTTP API is served; the load needs it."""
    faces: tuple[BalFace, ...] = ()
    """How else other systems reach its batteries."""
    schedule: tuple[BalSetPoint, ...] = Field(default=(), max_length=1_000)
    """Set points that the layer is given as the run begins."""
    load_driver: BalLoad = Field(default=BalLoad(), alias="load")
    """Who asks it what."""

    @model_validator(mode="after")
    def _one_topology(self) -> Self:
        if (self.topology is None) == (self.virtual is None):
            raise ValueError('say how many batteries are "virtual", or name a "topology" file')
        if self.topology is not None and self.partitions:
            raise ValueError('"partitions" are of "virtual" ones: write them into the topology')
        ports = [face.port for face in self.faces]
        if len(ports) != len(set(ports)):
            raise ValueError("two faces cannot have one port")
        total = sum(partition.share for partition in self.partitions)
        if total > WHOLE_PPM:
            raise ValueError(
                f"the partitions take {total / 10_000:g} % of a battery: 100 % at most"
            )
        if not self.api and self.load_driver.asks:
            raise ValueError('the load goes through the API: leave "api" on')
        return self

    @model_validator(mode="after")
    def _only_what_is_ours(self) -> Self:
        if isinstance(self.target, ExternalBal) and (self.faces or not self.api):
            raise ValueError('"faces" and "api" are of our layer; [bal.target] names another')
        if isinstance(self.target, ExternalBal) and self.schedule and not self.target.has_api:
            raise ValueError('a "schedule" goes to a layer of others over HTTP only')
        return self
