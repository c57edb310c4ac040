"""What a lab counted during a run: ``links.json``, only of runs whose links carry real packets.

Counters only grow from sample to sample; the last sample is that of the end of the run. A long run
keeps fewer samples, evenly spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from reports.recording.errors import RecordError, explain
from reports.recording.files import RunFiles
from reports.recording.recorder import write_atomically
from reports.recording.times import RunTime

__all__ = ["FaultCount", "LabRecord", "LabSample", "LinkCount", "ListenCount", "TrackingCount"]

_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCount:
    """One direction of one link class since the lab was opened; None: the tier cannot tell.

    ``category`` is the place of the class in the grid, ``link`` the name of its profile.
    ``packets`` and their ``octets`` (Ethernet headers included) came through; ``lost`` by the loss
    law, ``limited`` by the packet limit, ``overflowed`` where a queue was full. ``backlog`` packets
    are under way now.
    """

    __pydantic_config__ = _STRICT

    category: int
    link: str
    direction: Literal["up", "down"]
    packets: int
    octets: int
    lost: int | None
    limited: int | None
    overflowed: int | None
    backlog: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingCount:
    """Connection tracking of one side of the lab."""

    __pydantic_config__ = _STRICT

    side: str
    count: int
    max: int
    drop: int
    early_drop: int
    insert_failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenCount:
    """Connections that full accept queues have cost one side of the lab."""

    __pydantic_config__ = _STRICT

    side: str
    overflows: int
    drops: int
    request_queue_full: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCount:
    """How often the tier itself did otherwise than its links were set, such as a frame missed."""

    __pydantic_config__ = _STRICT

    fault: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSample:
    """All counters of a lab at one moment. ``unclassified`` packets belonged to no link class."""

    __pydantic_config__ = _STRICT

    at: RunTime
    links: tuple[LinkCount, ...]
    unclassified: int
    tracking: tuple[TrackingCount, ...]
    listening: tuple[ListenCount, ...]
    faults: tuple[FaultCount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRecord:
    """What a lab was and what it counted.

    ``profiles`` are the names of the link profiles, by category. ``notes`` say where the tier did
    otherwise than was asked; ``failed`` why the lab ended before the run, empty where it did not.
    """

    __pydantic_config__ = _STRICT

    tier: Literal["packet", "netem"]
    profiles: tuple[str, ...]
    notes: tuple[str, ...] = ()
    failed: str = ""
    samples: tuple[LabSample, ...] = ()

    def write(self, run_dir: Path) -> None:
        """Write or replace ``links.json`` of a run."""
        write_atomically(RunFiles(run_dir).links, _RECORD.dump_json(self) + b"\n")

    @classmethod
    def load(cls, run_dir: Path) -> LabRecord | None:
        """Read ``links.json``; None: the run had no lab. Raises `RecordError`."""
        path = RunFiles(run_dir).links
        try:
            return _RECORD.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise RecordError(explain(error), path=path) from None


_RECORD: Final = TypeAdapter(LabRecord)
