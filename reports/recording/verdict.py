"""The verdict of a run: the contract that the outside reads as ``verdict.json``.

The keys of `Verdict` up to ``generator`` are the published contract. The blocks after it explain
the verdict, are empty when nothing was measured, and may grow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from reports.recording.alarms import Alarms, Registrations
from reports.recording.batteries import BatteryFigures
from reports.recording.bills import BillFigures
from reports.recording.errors import RecordError, explain
from reports.recording.operations import OperationFigures
from reports.recording.recovery import Recovery
from reports.recording.times import RunTime

__all__ = [
    "Check",
    "ClassCounts",
    "CommandCounts",
    "Environment",
    "FailureCause",
    "Generator",
    "Grid",
    "LatencyPercentiles",
    "LinkMeasurement",
    "Outcome",
    "Readings",
    "Throughput",
    "Verdict",
    "dump_verdict",
    "load_verdict",
]

Outcome = Literal["passed", "failed", "inconclusive"]
Number = int | float

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """How large the emulated grid was."""

    __pydantic_config__ = _STRICT

    concentrators: int
    meters: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule of the scenario and what was measured against it.

    ``passed`` is None when the check could not be decided: the verdict is then inconclusive.
    ``explanation`` says in words what a failure means, for a reader who did not write the check.
    """

    __pydantic_config__ = _STRICT

    name: str
    limit: str
    measured: int | float | str | None
    passed: bool | None
    explanation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """The account of all readings. One reading is one meter's capture at one interval.

    ``owed`` splits into correct, wrong, lost and unattempted. ``stored`` counts distinct rows, the
    invented and the deferred ones included. ``late``, ``duplicated`` and ``conflicts`` are counted
    besides; ``late`` is None where the store does not say when it stored.
    ``lost_acknowledged`` counts readings that the head-end had acknowledged and has not.
    ``preloaded`` counts readings of before the run that the store was given and has as their meters
    registered them, ``preloaded_wrong`` those it lacks or has otherwise; neither is owed or stored.
    """

    __pydantic_config__ = _STRICT

    owed: int = 0
    deferred: int = 0
    unattempted: int = 0
    sent: int = 0
    acknowledged: int = 0
    stored: int = 0
    correct: int = 0
    late: int | None = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    invented: int = 0
    conflicts: int = 0
    lost_acknowledged: int = 0
    preloaded: int = 0
    preloaded_wrong: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Stored readings per wall second, and that divided by what real time asks for."""

    __pydantic_config__ = _STRICT

    readings_per_s: float = 0.0
    times_real_time: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPercentiles:
    """Latency counted from the intended time, in seconds of wall time."""

    __pydantic_config__ = _STRICT

    p50: float
    p90: float
    p99: float
    p99_9: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """How far the load generator fell behind its own plan, in wall seconds."""

    __pydantic_config__ = _STRICT

    lag_s_max: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCounts:
    """The readings of one class of concentrators or meters; ``late`` None: nobody knows."""

    __pydantic_config__ = _STRICT

    name: str
    concentrators: int
    meters: int
    owed: int
    deferred: int = 0
    stored: int = 0
    correct: int = 0
    late: int | None = 0
    lost: int = 0
    wrong: int = 0
    duplicated: int = 0
    push_p50_s: float | None = None
    push_p99_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMeasurement:
    """One property of a link class: what the profile set, what was drawn, what was measured.

    ``drawn`` is the statistic of the values that the shaper drew; ``measured`` is what a probe saw
    from outside. None where nobody looked. ``agrees`` is None when it was not judged.
    """

    __pydantic_config__ = _STRICT

    link: str
    quantity: str
    unit: str
    set: float
    drawn: float | None = None
    measured: float | None = None
    agrees: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCounts:
    """Commands of one kind over one link class; ``link`` is empty for all of them."""

    __pydantic_config__ = _STRICT

    kind: str
    link: str = ""
    issued: int
    executed: int
    repeated: int = 0
    failed: int = 0
    latency_s: LatencyPercentiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCause:
    """Failures that share a cause, with when they happened (wall seconds) and one example."""

    __pydantic_config__ = _STRICT

    cause: str
    where: str
    count: int
    first_s: float | None = None
    last_s: float | None = None
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where and how the run was made: enough to make it again.

    ``started_at`` and ``ended_at`` are ISO 8601 in UTC; ``command`` reproduces the run.
    """

    __pydantic_config__ = _STRICT

    started_at: str = ""
    ended_at: str = ""
    wall_s: float = 0.0
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    host: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run concluded, and the numbers behind it.

    ``resources`` maps a component to its figures, units in their names (``cpu_s``,
    ``rss_mib_max``, ``bytes``). ``latency_s`` maps a series ("push", "pull", "command") to its
    percentiles; a series without a sample is left out. ``alarms``, ``registrations``,
    ``batteries`` and ``bills`` are None where there were none, or where nobody can tell.
    ``recoveries`` tell of the times at which the timeline cut concentrators off, the first hundred
    of them, and ``last_stored`` is when the last owed reading was stored; nothing and None where
    nobody knows when. ``classes`` maps a dimension
    ("link", "concentrator accessibility", "meter accessibility") to its classes. ``distrust``
    lists, one sentence each, what a reader should know before believing the figures.
    """

    __pydantic_config__ = _STRICT

    verdict: Outcome
    reasons: tuple[str, ...] = ()
    scenario: str
    seed: int
    speed: float
    grid: Grid
    checks: tuple[Check, ...] = ()
    readings: Readings = field(default_factory=Readings)
    throughput: Throughput = field(default_factory=Throughput)
    latency_s: dict[str, LatencyPercentiles] = field(default_factory=dict)
    resources: dict[str, dict[str, int | float]] = field(default_factory=dict)
    generator: Generator = field(default_factory=Generator)
    classes: dict[str, tuple[ClassCounts, ...]] = field(default_factory=dict)
    links: tuple[LinkMeasurement, ...] = ()
    commands: tuple[CommandCounts, ...] = ()
    alarms: Alarms | None = None
    registrations: Registrations | None = None
    batteries: BatteryFigures | None = None
    bills: BillFigures | None = None
    operations: tuple[OperationFigures, ...] = ()
    recoveries: tuple[Recovery, ...] = ()
    last_stored: RunTime | None = None
    failures: tuple[FailureCause, ...] = ()
    distrust: tuple[str, ...] = ()
    environment: Environment = field(default_factory=Environment)


_VERDICT: Final = TypeAdapter(Verdict)


def dump_verdict(verdict: Verdict) -> bytes:
    """Return ``verdict`` as the bytes of ``verdict.json``."""
    return _VERDICT.dump_json(verdict, indent=2) + b"\n"


def load_verdict(path: Path) -> Verdict:
    """Read ``verdict.json``.

    Raises:
        RecordError: the file is no verdict; the message names the key.
        FileNotFoundError: there is none.
    """
    try:
        return _VERDICT.validate_json(path.read_bytes())
    except ValidationError as error:
        raise RecordError(explain(error), path=path) from None
