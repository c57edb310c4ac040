"""Everything a battery layer's process needs to know, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.bal.faces.config import FaceConfig
from harness.bal.model.refresh import RefreshMode
from harness.bal.tls import TlsFiles

SILENCE_S: Final = 60.0


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Endpoint(_Frozen):
    """Where a battery is, and what it speaks: a host and a port, or a serial device."""

    driver: Literal["jbd", "sunspec", "v1", "v2", "v3"]
    """v1, v2 and v3 are the dialects of networked batteries."""
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    device: Annotated[str, Field(pattern="^/")] | None = None
    """Path of a terminal device, for ``jbd``: ``/dev/ttyUSB0``."""
    unit: Annotated[int, Field(ge=0, le=255)] = 1
    """Modbus unit."""
    battery: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """What another node calls its battery; as we do if None."""
    tls: TlsFiles | None = None
    """Certificates for a line that is TLS."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.device is not None:
            if self.driver != "jbd":
                raise ValueError(f"{self.driver} is spoken over TCP: give host and port")
            if (self.host, self.port, self.tls) != (None, None, None):
                raise ValueError("a device has no host, no port and no TLS: leave them out")
        elif self.host is None or self.port is None:
            raise ValueError("give host and port, or the device of a serial line")
        return self

    @property
    def place(self) -> str:
        """Where that is, for people."""
        return self.device or f"{self.host}:{self.port}"


class Refresh(_Frozen):
    """When batteries are read."""

    mode: RefreshMode = RefreshMode.LAZY
    max_staleness_ms: Annotated[int, Field(ge=1)] = 1_000
    """How old a reading may be that an answer rests on; scenario time."""


class BalConfig(_Frozen):
    """One battery layer."""

    control_socket: Path
    journal: Path
    """SQLite file; made where there is none, gone on with where there is one."""
    topology: Path | None = None
    """TOML file of batteries, aggregates and splitters, for a journal that is new."""
    faces: tuple[FaceConfig, ...] = ()
    """How other systems see the batteries, beside the control socket."""
    endpoints: dict[str, Endpoint] = {}
    """By name of a physical or networked battery; one without is reached where its interface says
    (`harness.bal.interface`), or never online."""
    tls: TlsFiles | None = None
    """Who we are to nodes that speak v3 and are named by an interface."""
    refresh: Refresh = Refresh()
    timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """Real seconds that an answer of a battery may take."""
    circle_s: Annotated[float, Field(gt=0)] = 3.0
    """Real seconds that a question of another node waits for a battery of another node that is
    being asked already. Then it is taken for one that goes in a circle: the battery is lost."""
    concurrency: Annotated[int, Field(ge=1)] = 512
    """Batteries that are read at once, for readings that nobody waits for."""
    journal_events: Annotated[int, Field(ge=1)] | None = 1_000_000
    """Newest events that the journal keeps for whoever reads it, beside what a restart needs; older
    ones are dropped now and then. None: it keeps all, as the record of a run."""
    group_commit_s: Annotated[float, Field(ge=0)] = 0.01
    """How long a commit waits for company, real seconds."""
