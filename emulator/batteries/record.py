"""The batteries' own record: what every battery of a process was told, did, and held in the end.

One file a process, one JSON line an entry, appended and with the kernel before the command is
answered; what it says happened even where the answer was lost or the process was killed. It is what
a battery layer under test is held against after a run, so it knows nothing of one.

A battery's entries are one unbroken chain: each says since when which current had been set, and
the charge then and now, so that every line can be checked from itself and the one before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from emulator.append_log import AppendLog

CommandKind: TypeAlias = Literal["current", "power", "disabled"]
"""What was asked for: a current in mA; a power in mW, which a current was made of; or to disable
directions, bit 0 charge and bit 1 discharge. Currents and powers are positive to discharge."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A battery as it was when the scenario began; charge in mA ms, currents in mA."""

    battery: int
    name: str
    interface: str
    at_ms: int
    charge_ma_ms: int
    capacity_ma_ms: int
    charge_ma_max: int
    discharge_ma_max: int
    efficiency_ppm: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What had gone on since the last entry, up to ``at_ms``, and what goes on from then."""

    since_ms: int
    at_ms: int
    charge_before_ma_ms: int
    """At ``since_ms``."""
    charge_ma_ms: int
    """At ``at_ms``."""
    current_before_ma: int
    """That flowed from ``since_ms`` on, until the battery was full or empty."""
    current_ma: int
    """That flows from ``at_ms`` on."""


@dataclass(frozen=True, slots=True)
class Executed:
    """A battery carried out its ``sequence``-th command, counted from 1."""

    battery: int
    sequence: int
    kind: CommandKind
    asked: int
    changed: Changed


@dataclass(frozen=True, slots=True)
class Refused:
    """A battery did not carry out a command, and nothing changed."""

    battery: int
    kind: CommandKind
    asked: int
    at_ms: int
    cause: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A battery when its process ended, after ``commands`` commands."""

    battery: int
    commands: int
    changed: Changed


Entry: TypeAlias = Begun | Executed | Refused | Ended
_KINDS: Final = {kind.__name__.lower(): kind for kind in (Begun, Executed, Refused, Ended)}


class RecordError(ValueError):
    """A record is not what this writes; names file and line."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        super().__init__(f"{path}, line {line}: {problem}: it was not written by a battery process")
        self.path = path
        self.line = line


class BatteryRecord:
    """The file of one process, open for appending. Raises `OSError`: it cannot be."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._log = AppendLog(path)

    def write(self, *entries: Entry) -> None:
        """Append entries; they are with the kernel when this returns.

        Raises `OSError`: they could not be written, and none of them was.
        """
        self._log.append(b"".join(_encode(entry) for entry in entries))

    def close(self) -> None:
        """Close the file."""
        self._log.close()


def read_record(path: Path) -> Iterator[Entry]:
    """Yield the entries of a record in the order of their writing.

    A last line without its end is left out: its process was killed over it, and answered nothing.

    Raises:
        OSError: the file cannot be read.
        RecordError: a line is none of this module's.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _decode(line)
            except (ValueError, TypeError, KeyError) as problem:
                raise RecordError(path, number, str(problem)) from problem


def _encode(entry: Entry) -> bytes:
    fields = {"is": type(entry).__name__.lower(), **asdict(entry)}
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _decode(line: bytes) -> Entry:
    fields = json.loads(line)
    kind = _KINDS[fields.pop("is")]
    if "changed" in fields:
        fields["changed"] = Changed(**fields["changed"])
    entry: Entry = kind(**fields)
    return entry
