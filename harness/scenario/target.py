"""The system under test: this project's reference systems, or somebody's own."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool

from harness.headend.hooks import Point
from harness.scenario.base import Part, reference_by_default
from netem.units import Duration

READ_BACK_COLUMNS: Final = ("meter", "captured_at", "stored_at", "status")
"""What a foreign store may say of a reading beside its registers."""


class DuckDbStore(Part):
    """The embedded store; nothing to install."""

    kind: Literal["duckdb"] = "duckdb"
    """Which store."""


class PostgreSqlStore(Part):
    """A PostgreSQL server; each run makes a schema of its own in the database and leaves it."""

    kind: Literal["postgresql"]
    """Which store."""
    url: str = Field(pattern=r"^postgres(ql)?://")
    """Connection URL. A password is better left to PGPASSFILE: the scenario is in the report."""


Store = Annotated[DuckDbStore | PostgreSqlStore, Field(discriminator="kind")]


class GapFilling(Part):
    """Fetching what is missing from the concentrators' buffers."""

    enabled: StrictBool = True
    """Whether the head-end looks for gaps at all."""
    after: Duration = Field(default="20 min", validate_default=True)
    """Scenario time from a reading's capture until its absence counts as a gap."""
    attempts: int = Field(default=5, ge=1, le=1000)
    """How often one gap is fetched before it is given up."""


class Pull(Part):
    """How the head-end reads concentrators that do not push."""

    concurrency: int = Field(default=200, ge=1, le=20_000)
    """Concentrators read at the same time, per head-end shard."""
    timeout: Duration = Field(default="30 s", validate_default=True)
    """Wall time one request may take before the exchange is given up."""


class Api(Part):
    """The head-end's HTTP API, in a process of its own."""

    enabled: StrictBool = True
    """Whether it is started."""
    host: str = "127.0.0.1"
    """Address it listens on; loopback unless told otherwise."""
    port: int = Field(default=0, ge=0, le=65_535)
    """Port it listens on; 0 lets the system choose, and the run says which."""


class KillHook(Part):
    """A SIGKILL that head-end shard 0 sends itself at one place in its work."""

    point: Point
    """Where in the life of a push."""
    count: int = Field(default=1, ge=1)
    """Which arrival at that place kills it; 1 is the first."""


class Defects(Part):
    """Ways to break the reference head-end on purpose, to see that the checks notice."""

    acknowledge_before_store: StrictBool = False
    """Acknowledge a push on arrival, before it is durable."""
    kill: KillHook | None = None
    """Die at one place in its work, and be started again."""


class Reference(Part):
    """This project's head-end and store, started and stopped by the run."""

    kind: Literal["reference"] = "reference"
    """Which system under test."""
    store: Store = DuckDbStore()
    """Where readings are kept."""
    shards: int | None = Field(default=None, ge=1, le=1000)
    """Head-end processes; computed from the descriptor limit when left out."""
    group_commit: Duration = Field(default="100 ms", validate_default=True)
    """Wall time over which arrivals are gathered into one durable commit."""
    gap_filling: GapFilling = GapFilling()
    """Fetching what is missing."""
    pull: Pull = Pull()
    """Reading by request."""
    api: Api = Api()
    """The HTTP API."""
    defects: Defects = Defects()
    """Deliberate faults of the head-end itself."""


class Address(Part):
    """Where somebody's head-end listens."""

    host: str
    """Host name or address."""
    port: int = Field(ge=1, le=65_535)
    """TCP port."""


class ReadBackSql(Part):
    """Reading what was stored by a query."""

    kind: Literal["sql"]
    """How stored readings are read back."""
    url: str = Field(pattern=r"^(postgres(ql)?://|sqlite:///|duckdb:///)")
    """Database URL: ``postgresql://...``, ``sqlite:///absolute/path`` or ``duckdb:///...``."""
    query: str
    """Query giving meter, captured_at and one column for each register name, in any order, and
    stored_at and status if there are any. ``{first_s}`` and ``{end_s}`` in it stand for the time of
    the first reading and the end of the last step, POSIX seconds."""


class ReadBackFiles(Part):
    """Reading what was stored from exported files."""

    kind: Literal["files"]
    """How stored readings are read back."""
    folder: str
    """Folder that the head-end fills; relative to the scenario."""
    format: Literal["csv", "parquet"] = "csv"
    """Format of every file in it."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our name (meter, captured_at, stored_at, status, register names) to the name in the files,
    where different."""


ReadBack = Annotated[ReadBackSql | ReadBackFiles, Field(discriminator="kind")]


def _regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return text


class LogWatch(Part):
    """A log file of the foreign system and what to count in it."""

    file: str
    """Path of the log file, relative to the scenario; it need not exist yet."""
    count: Annotated[str, AfterValidator(_regular_expression)]
    """Regular expression; lines matching it are counted over time."""


class Watch(Part):
    """What to observe of the foreign system while it runs."""

    processes: tuple[int, ...] = ()
    """Process ids whose CPU and memory are recorded."""
    prometheus: str | None = Field(default=None, pattern=r"^https?://")
    """URL of a Prometheus text endpoint that is recorded."""
    logs: tuple[LogWatch, ...] = ()
    """Log files that are followed."""


class External(Part):
    """Somebody's own head-end: we export devices, keys and plan, and read back what it stored."""

    kind: Literal["external"]
    """Which system under test."""
    push: Address | None = None
    """Where concentrators push to; needed when the plan pushes."""
    read_back: ReadBack
    """How to learn what it stored."""
    watch: Watch = Watch()
    """What to observe of it."""
    settle: Duration = Field(default="10 s", validate_default=True)
    """Wall time it gets after the drain to finish storing before it is read back."""


Target = Annotated[
    Reference | External,
    Field(discriminator="kind"),
    BeforeValidator(reference_by_default),
]
