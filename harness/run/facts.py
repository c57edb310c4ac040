"""What a run was, for whoever judges it: ``run.json`` in the run directory.

Written once before the load starts and again at the end. With ``resolved.json``, ``fleet.json``,
the ledger and the store it is all that `harness.check` needs, a year later too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from emulator.clock import ScenarioClock
from reports.recording import write_atomically

FACTS_FILE: Final = "run.json"


class IssuedCommand(BaseModel):
    """A command the run gave to the head-end, and when it was due (POSIX microseconds)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: int
    meter: int
    kind: str
    parameter: int
    due_us: int


class TcpFacts(BaseModel):
    """What TCP did for congestion control."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wanted: str | None = None
    """What the scenario names; ``None``: it leaves that to the kernel."""
    used: dict[str, dict[str, int]] = {}
    """How many connections used what, as the kernel said, by side: ``fleet``, ``head-end``."""


class RunFacts(BaseModel):
    """Facts of one run that are not in its scenario."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clock: tuple[float, float, float]
    """The scenario clock: CLOCK_MONOTONIC, scenario POSIX seconds, rate."""
    realtime_offset_s: float
    """POSIX seconds minus CLOCK_MONOTONIC at the start."""
    began_s: float = 0.0
    """CLOCK_MONOTONIC when the run began: what wall times in the record count from."""
    started_at: str
    """ISO 8601, UTC."""
    ended_at: str = ""
    wall_s: float = 0.0
    command: str
    """What reproduces the run."""
    versions: dict[str, str]
    host: dict[str, str]
    stores: tuple[str, ...]
    """Addresses of the reference stores, without passwords; empty for an external target. The
    path of an embedded store is relative to the run directory, which may be moved."""
    commands: tuple[IssuedCommand, ...] = ()
    head_end: dict[str, int] = {}
    """Counters of all head-end shards, added up over their incarnations."""
    latencies: tuple[dict[str, str], ...] = ()
    """What the head-end measured of itself: series, link and encoded histogram, each."""
    congestion: TcpFacts = TcpFacts()
    """TCP congestion control: wanted and used."""
    locust: dict[str, int] = {}
    """What Locust counted: requests and failures by name."""
    doubts: tuple[str, ...] = ()
    """Reasons for which the run itself cannot be trusted: the verdict is inconclusive."""
    interrupted: bool = False
    drain_began_s: float | None = None
    """CLOCK_MONOTONIC when the drain began; ``None`` while the timeline goes on."""
    cpu_s: dict[str, float] = {}
    """CPU seconds spent by each process."""
    rss_bytes_max: dict[str, int] = {}
    """Largest resident memory of each process."""

    @property
    def scenario_clock(self) -> ScenarioClock:
        """The scenario clock of the run."""
        return ScenarioClock(*self.clock)

    def write(self, folder: Path) -> None:
        """Write or replace ``run.json``."""
        write_atomically(folder / FACTS_FILE, self.model_dump_json(indent=1).encode() + b"\n")

    @classmethod
    def load(cls, folder: Path) -> RunFacts:
        """Read ``run.json``. Raises `OSError` or pydantic's ValidationError."""
        return cls.model_validate_json((folder / FACTS_FILE).read_bytes())
