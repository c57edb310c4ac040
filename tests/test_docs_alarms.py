"""The page of alarms is the tables of events and status bits, with what raises each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from emulator.event_kinds import TRACES
from protocols.c12.tables.events import EVENTS
from protocols.c12.tables.status import STATUS_FLAGS, Severity

PAGE: Final = Path(__file__).parent.parent / "docs/reference/alarms.md"


def section(title: str) -> str:
    (text,) = [
        part
        for part in PAGE.read_text(encoding="utf-8").split("\n## ")
        if part.startswith(f"{title}\n")
    ]
    return text


def rows(title: str) -> list[str]:
    return [line for line in section(title).splitlines() if line.startswith("| ")][1:]


def row(number: int, name: str, severity: Severity, kinds: list[str]) -> str:
    raised_by = ", ".join(f"`{kind}`" for kind in kinds)
    return f"| {number} | {name} | `{severity.name.lower()}` | {raised_by} |"


def test_every_event_code_has_its_row() -> None:
    assert rows("Event codes") == [
        row(
            event.code,
            event.name,
            event.severity,
            [kind for kind, trace in TRACES.items() if event.code in trace.begins + trace.ends],
        )
        for event in EVENTS.values()
    ]


def test_every_status_bit_has_its_row() -> None:
    assert rows("Status bits") == [
        row(
            flag.bit,
            flag.name,
            flag.severity,
            [kind for kind, trace in TRACES.items() if flag.bit in trace.status_bits],
        )
        for flag in STATUS_FLAGS
    ]


@pytest.mark.parametrize("severity", Severity)
def test_every_severity_is_explained(severity: Severity) -> None:
    assert f"\n| `{severity.name.lower()}` | " in PAGE.read_text(encoding="utf-8")
