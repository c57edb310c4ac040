"""What the billing process is told when it starts: one JSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from harness.api.config import ListeningConfig
from harness.billing.tariffs import Tariffs

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class BillingConfig(ListeningConfig):
    """The billing back end beside one head-end. Exactly one of its two sources is named."""

    provisioning: Path
    """Folder with the exported devices: which meters there are."""
    tariffs: Tariffs
    accounts: Path | None = None
    """CSV file of what is special about single accounts (`harness.billing.accounts`)."""
    book: str
    """Where bills and statistics are kept: a path, or ``postgresql://...``."""
    control_sockets: tuple[Path, ...] = ()
    """Source: control socket of every head-end shard, in order of their numbers."""
    shared_store: bool = False
    """Whether all shards write one database, rather than each a store of its own."""
    stores: tuple[str, ...] = ()
    """Source: addresses of stores that no process has open, or of one PostgreSQL database."""
    folder: Path
    """Folder for files under way, to a client or from a shard; made if missing."""
    virtual_meters: Annotated[dict[str, int], Field(default_factory=dict)]
    """The meter each partition of a battery is behind."""
    clock: tuple[float, float, float] | None = None
    """The scenario clock: CLOCK_MONOTONIC, scenario POSIX seconds, rate. Left out, it comes by
    ``POST /clock``; until then nothing happens by itself."""
    realtime_offset_s: float
    """POSIX seconds minus CLOCK_MONOTONIC, as the head-end has it."""
    automatic: bool = True
    """Whether bills, statistics and forgetting happen by themselves as months and days end."""
    after_s: Seconds = 2700.0
    """Scenario seconds after a month's or day's end until it is billed or noted: readings are under
    way that long in normal operation."""
    estimate_after_s: Seconds = 432_000.0
    """Scenario seconds after a month's end until readings that are still missing at the beginning
    or end of peak hours are estimated: after a long outage all are back that late."""
    again_s: Seconds = 30.0
    """Real seconds until bills withheld for want of readings that may come are tried again."""
    reading_months: Annotated[int, Field(ge=1, le=1200)] = 6
    """How long readings are kept."""
    statistics_months: Annotated[int, Field(ge=1, le=1200)] = 60
    """How long rates and statistics are kept."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.control_sockets) == bool(self.stores):
            raise ValueError("name either control_sockets or stores")
        return self
