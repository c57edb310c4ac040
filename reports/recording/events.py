"""What happened during a run, one typed event a line in ``events.ndjson.zst``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from reports.recording.times import RunTime

__all__ = [
    "RECORD_VERSION",
    "CommandDone",
    "Event",
    "FaultBegan",
    "FaultEnded",
    "FramesRefused",
    "GapFilled",
    "Note",
    "PhaseEnded",
    "PhaseStarted",
    "ProcessDied",
    "ProcessRestarted",
    "ProcessStarted",
    "RunStarted",
    "Warned",
    "dump_event",
    "parse_event",
]

RECORD_VERSION: Final = 1
"""Raised whenever a reader of the older record would misread the newer one."""

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    """Base of all events: when it happened."""

    __pydantic_config__ = _STRICT

    at: RunTime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(_Timed):
    """The first event of every run. ``started_at`` is ISO 8601 in UTC."""

    kind: Literal["run_started"] = "run_started"
    record_version: int = RECORD_VERSION
    scenario: str
    seed: int
    speed: float
    started_at: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStarted(_Timed):
    """A phase of the run began: set-up, timeline, drain, reconciliation."""

    kind: Literal["phase_started"] = "phase_started"
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEnded(_Timed):
    """A phase of the run is over."""

    kind: Literal["phase_ended"] = "phase_ended"
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultBegan(_Timed):
    """A fault was put in. ``fault`` names this occurrence and pairs with `FaultEnded`."""

    kind: Literal["fault_began"] = "fault_began"
    fault: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultEnded(_Timed):
    """A fault was taken out."""

    kind: Literal["fault_ended"] = "fault_ended"
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStarted(_Timed):
    """A process of the run is up."""

    kind: Literal["process_started"] = "process_started"
    process: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessDied(_Timed):
    """A process ended before it was asked to; ``status`` as waitpid gives it (-9 is SIGKILL)."""

    kind: Literal["process_died"] = "process_died"
    process: str
    pid: int
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRestarted(_Timed):
    """A process that died is up again under a new ``pid``."""

    kind: Literal["process_restarted"] = "process_restarted"
    process: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GapFilled(_Timed):
    """The head-end found readings missing and fetched them from the concentrator's buffer."""

    kind: Literal["gap_filled"] = "gap_filled"
    concentrator: int
    readings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesRefused(_Timed):
    """Frames refused since the last such event, for one cause at one side."""

    kind: Literal["frames_refused"] = "frames_refused"
    where: str
    cause: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDone(_Timed):
    """One command to one meter came to its end; ``latency_s`` counts from when it was due."""

    kind: Literal["command_done"] = "command_done"
    command: str
    meter: int
    link: str
    outcome: Literal["executed", "failed"]
    latency_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(_Timed):
    """Something worth a line in the timeline."""

    kind: Literal["note"] = "note"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(_Timed):
    """A reason to distrust the figures, in one sentence."""

    kind: Literal["warned"] = "warned"
    text: str


Event = (
    RunStarted
    | PhaseStarted
    | PhaseEnded
    | FaultBegan
    | FaultEnded
    | ProcessStarted
    | ProcessDied
    | ProcessRestarted
    | GapFilled
    | FramesRefused
    | CommandDone
    | Note
    | Warned
)

_EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def dump_event(event: Event) -> bytes:
    """Return ``event`` as one line of JSON, its newline included."""
    return _EVENT.dump_json(event) + b"\n"


def parse_event(line: bytes) -> Event:
    """Return the event in one line of JSON.

    Raises:
        pydantic.ValidationError: it is none.
    """
    return _EVENT.validate_json(line)
