"""What one head-end shard is told when it starts; one JSON file a shard in the run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from harness.headend.hooks import Point

Positive: TypeAlias = Annotated[int, Field(ge=1)]
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
SIX_MONTHS_S: Final = 180 * 86_400
"""What is kept for six months is kept for this long at least, whichever months they are."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KillHook(_Part):
    """Test hook: die by SIGKILL at a point, the ``count``-th time it is reached."""

    point: Point
    count: Positive = 1


class GapFillingRules(_Part):
    """When missing readings are fetched."""

    enabled: bool = True
    after_s: Seconds = 1200.0
    """Scenario seconds after capture until absence counts as a gap."""
    within_s: Seconds = SIX_MONTHS_S
    """Scenario seconds after capture until it no longer does: older readings are not kept, so
    fetching them would bring back what was forgotten."""
    attempts: Annotated[int, Field(ge=1, le=255)] = 5


class HeadEndConfig(_Part):
    """One shard of the reference head-end."""

    shard: Annotated[int, Field(ge=0)]
    listen_host: str = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=0, le=65_535)]
    """Where pushes in the first protocol are taken."""
    also: dict[str, int] = {}
    """Ports for pushes in further protocols, by name."""
    congestion: str | None = None
    """TCP congestion control of every connection; the kernel's own choice when left out."""
    control_socket: Path
    provisioning: Path
    """Folder with the exported devices."""
    store_url: str
    recoveries: Path | None = None
    """File that keeps what is to be read again, and how far back readings were forgotten; it is
    forgotten with the process when left out."""
    protocol: str = "dlms"
    """The plug-in that all concentrators use; ``mix``: what provisioning says of each."""
    authentication: Literal["none", "lls", "gmac"] = "gmac"
    protection: Literal["ciphered", "authenticated", "clear"] = "ciphered"
    confirmed: bool = True
    particular: dict[str, str | int | float | bool | None] = {}
    """What only one protocol understands: switches, by name."""
    registrations_per_s: Positive | None = None
    """Registrations of nodes that are taken in a real second; no bound when left out."""
    mode: Literal["push", "pull"] = "push"
    clock: tuple[float, float, float] | None = None
    """The scenario clock: CLOCK_MONOTONIC, scenario POSIX seconds, rate. Left out, it comes over
    the control socket."""
    realtime_offset_s: float
    """POSIX seconds minus CLOCK_MONOTONIC, fixed at the start of the run."""
    group_commit_s: Seconds = 0.1
    rows_waiting_max: Positive = 2_000_000
    connections_max: Positive | None = None
    """Concentrators connected at the same time; left out, what the limit of open files allows."""
    gap_filling: GapFillingRules = GapFillingRules()
    concurrency: Positive = 200
    """Conversations with concentrators at the same time."""
    timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    """Real seconds to wait for one answer of a concentrator."""
    drain_s: Seconds = 10.0
    """Real seconds that a stop leaves what is under way to be stored and acknowledged."""
    freeze_after_s: Seconds = 5.0
    """Real seconds until the concentrators have connected and the collector is kept off them."""
    acknowledge_before_store: bool = False
    """Deliberate defect: confirm on arrival."""
    kill: KillHook | None = None
