"""Alarms: what the ledger found, with names, for the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from harness.headend.alarms import describe_alarm
from harness.ledger.alarms import AlarmAccount, AlarmExample
from harness.limits import ALARM_CHECKS, MEASURES, Limit, parse_limit
from protocols.c12.tables.status import Severity
from protocols.readings import EventSource
from reports.recording import AlarmKind, Alarms
from reports.recording import Severity as SeverityName

SEVERITIES: Final[Mapping[Severity, SeverityName]] = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.ALARM: "alarm",
    Severity.CRITICAL: "critical",
}
FATAL_ALARMS: Final = {
    "wrong": "alarms stored that say something else than the meter noted",
    "invented": "alarms stored that no meter raised",
    "duplicated": "alarms stored more than once",
    "conflicts": "second arrivals of alarms that say something else than the first",
    "lost_acknowledged": "alarms acknowledged and not stored",
}


def account_of(found: AlarmAccount | None, conflicts: int) -> Alarms | None:
    """Return the account for the verdict; None where there is nothing to account for.

    ``conflicts`` are the conflicting arrivals the store kept aside.
    """
    if found is None or (found.is_empty and not conflicts):
        return None
    counts = asdict(found.counts)
    counts["lost_acknowledged"] = counts.pop("lost_after_acknowledge")
    return Alarms(**counts, conflicts=conflicts, kinds=_kinds(found))


def _kinds(found: AlarmAccount) -> tuple[AlarmKind, ...]:
    kinds = []
    for (source, code), counts in sorted(found.kinds.items()):
        named = describe_alarm(source, code)
        kind = AlarmKind(
            source="log" if source == EventSource.LOG else "status",
            code=code,
            name=named.name,
            severity=SEVERITIES[named.severity],
            **asdict(counts),
        )
        kinds.append((-named.severity, kind))
    return tuple(kind for _, kind in sorted(kinds, key=lambda item: item[0]))


def with_alarm_checks(checks: Mapping[str, Limit], alarms: Alarms | None) -> dict[str, Limit]:
    """Return a scenario's checks and, where there are alarms, those on them that it leaves out."""
    usual = {} if alarms is None else ALARM_CHECKS
    added = {name: parse_limit(text, MEASURES[name]) for name, text in usual.items()}
    return {**checks, **{name: limit for name, limit in added.items() if name not in checks}}


def alarm_measurements(found: AlarmAccount | None, alarms: Alarms | None) -> dict[str, float]:
    """Return what the account says about each measure of alarms.

    Where the ledger found none, every count is 0; where it could not look, nothing is measured.
    """
    if found is None:
        return {}
    counts = asdict(alarms or Alarms())
    return {
        f"alarms.{name}": value for name, value in counts.items() if f"alarms.{name}" in MEASURES
    }


def told(example: AlarmExample) -> str:
    """Return one failed alarm in words."""
    name = describe_alarm(example.source, example.code).name
    kind = "event" if example.source == EventSource.LOG else "status bit"
    return (
        f"{example.fate}: {kind} {example.code} ({name}) of meter {example.meter}, number "
        f"{example.sequence}, raised at {example.raised_at_s}"
    )
