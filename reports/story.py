"""What a run's record says, in the words that all views share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reports.recording import (
    Check,
    Grid,
    Readings,
    Registrations,
    RunRecord,
    Storm,
    Verdict,
    Warned,
)
from reports.text import count, counted, measured, seconds, share

__all__ = [
    "Account",
    "AccountLine",
    "Tone",
    "account",
    "alarm_line",
    "check_mark",
    "check_words",
    "concluded",
    "distrust",
    "headline",
    "order_checks",
    "registration_line",
    "scale",
]


class Tone(StrEnum):
    """How a figure should look."""

    GOOD = "good"
    BAD = "bad"
    DOUBT = "doubt"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One line of the account of readings; ``of_owed`` is its share as text."""

    label: str
    value: int
    of_owed: str
    meaning: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Account:
    """The account of readings: what was owed splits into ``split``; ``besides`` is counted apart.

    ``difference`` is what the split leaves unexplained: zero in every sound record.
    """

    captured: int
    deferred: int
    owed: int
    split: tuple[AccountLine, ...]
    besides: tuple[AccountLine, ...]
    difference: int


_LATE: Final = "stored after the deadline"
_CHECKS: Final = {
    "readings.lost": "Readings that were owed, went out on the link and are not in the store.",
    "readings.wrong": "Readings in the store whose value is not what the meter registered.",
    "readings.duplicated": "Readings stored more than once.",
    "readings.invented": "Rows in the store that no meter ever owed.",
    "readings.conflicts": "Readings that arrived a second time with another value.",
    "readings.late": "Readings stored after their deadline, one step after their window opened.",
    "readings.unattempted": "Readings the load generator never handed to the link.",
    "readings.complete": "The share of owed readings that are in the store with the right value.",
}


def concluded(record: RunRecord) -> Verdict:
    """Return the verdict; for a run cut short before it, an inconclusive one that says so."""
    if record.verdict is not None:
        return record.verdict
    started = record.started
    return Verdict(
        verdict="inconclusive",
        reasons=("the run ended before its readings were reconciled, so there is no verdict",),
        scenario=started.scenario if started else record.directory.name,
        seed=started.seed if started else 0,
        speed=started.speed if started else 1.0,
        grid=Grid(concentrators=0, meters=0, steps=0),
    )


def headline(verdict: Verdict) -> str:
    """Say in one or two sentences what the run showed."""
    readings = verdict.readings
    if verdict.verdict == "inconclusive":
        reason = verdict.reasons[0] if verdict.reasons else "the measurement cannot be trusted"
        return f"This run proves nothing either way: {reason.rstrip('.')}."
    broken = _broken(readings)
    if broken:
        return f"Of {counted(readings.owed, 'reading')} owed, {_enumerate(broken)}."
    if verdict.verdict == "failed":
        return _failed_checks(verdict)
    if readings.owed == 0:
        return "No reading was owed in this run."
    return (
        f"Every one of the {count(readings.owed)} readings owed is in the store, with the value "
        + ("its meter registered." + _late(readings))
    )


def scale(verdict: Verdict) -> str:
    """Say how large the run was and what draws it again."""
    grid = verdict.grid
    beside = verdict.batteries
    batteries = "" if beside is None else f"{counted(beside.batteries, 'battery', 'batteries')}, "
    size = (
        f"{counted(grid.meters, 'meter')} behind {counted(grid.concentrators, 'concentrator')}, "
        f"{batteries}{counted(grid.steps, 'step')} at "
    )
    return f"{size if grid.meters else ''}{verdict.speed:g} x real time, seed {verdict.seed}"


def _late(readings: Readings) -> str:
    if readings.late is None:
        return " When they were stored is not known."
    if not readings.late:
        return " None came late."
    part = share(readings.late, readings.owed)
    return f" {count(readings.late)} ({part}) came late, within the limit."


def _broken(readings: Readings) -> list[str]:
    kinds = (
        (readings.lost, "lost"),
        (readings.wrong, "stored with a wrong value"),
        (readings.duplicated, "stored more than once"),
        (readings.conflicts, "contradicted by a second arrival"),
        (readings.invented, "in the store though no meter registered it"),
    )
    return [f"{count(n)} {'is' if n == 1 else 'are'} {what}" for n, what in kinds if n]


def _failed_checks(verdict: Verdict) -> str:
    names = [check.name for check in verdict.checks if check.passed is False]
    if not names:
        return (
            f"The run failed: {verdict.reasons[0].rstrip('.')}." if verdict.reasons else "Failed."
        )
    total = counted(len(verdict.checks), "check")
    return f"{len(names)} of {total} failed: {_enumerate(names)}."


def _enumerate(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def account(readings: Readings) -> Account:
    """Reconcile what was owed with what is in the store."""
    r = readings
    split = (
        _line(r, "Stored, correct", r.correct, "equal to what the meter registered", Tone.GOOD),
        _line(r, "Stored, wrong", r.wrong, "in the store with another value", Tone.BAD),
        _line(r, "Lost", r.lost, _lost_words(r), Tone.BAD),
        _line(r, "Unattempted", r.unattempted, "never handed to the link", Tone.DOUBT),
    )
    late = () if r.late is None else (_line(r, "Late", r.late, _LATE, Tone.DOUBT),)
    besides = (
        *late,
        _line(r, "Duplicated", r.duplicated, "stored more than once", Tone.BAD),
        _line(r, "Conflicting", r.conflicts, "came again with another value", Tone.BAD),
        _line(r, "Invented", r.invented, "stored, though never registered", Tone.BAD),
    )
    difference = r.owed - sum(line.value for line in split)
    return Account(r.owed + r.deferred, r.deferred, r.owed, split, besides, difference)


def _lost_words(readings: Readings) -> str:
    if not readings.lost_acknowledged:
        return "handed to the link, not in the store"
    return f"not in the store; {count(readings.lost_acknowledged)} had been acknowledged"


def _line(readings: Readings, label: str, value: int, meaning: str, tone: Tone) -> AccountLine:
    shown = tone if value else Tone.PLAIN
    return AccountLine(label, value, share(value, readings.owed), meaning, shown)


def alarm_line(verdict: Verdict) -> str:
    """Say in one line what became of the alarms; empty where there were none."""
    alarms = verdict.alarms
    if alarms is None:
        return ""
    kinds = (
        (alarms.lost, "lost"),
        (alarms.unattempted, "never sent"),
        (alarms.wrong, "wrong"),
        (alarms.duplicated, "stored more than once"),
        (alarms.conflicts, "contradicted by a second arrival"),
        (alarms.invented, "invented"),
    )
    broken = [f"{count(n)} {what}" for n, what in kinds if n]
    fate = _enumerate(broken) if broken else "all of them stored as their meters noted them"
    by_severity = Counter({kind.severity: 0 for kind in alarms.kinds})
    for kind in alarms.kinds:
        by_severity[kind.severity] += kind.stored
    stored = ", ".join(f"{count(n)} {severity}" for severity, n in by_severity.items() if n)
    line = f"{counted(alarms.owed, 'alarm')} owed, {fate}"
    return f"{line} (stored: {stored})" if stored else line


def registration_line(verdict: Verdict) -> str:
    """Say in one line what registrations cost; empty where no node registered."""
    found = verdict.registrations
    if found is None:
        return ""
    parts = [
        f"{counted(found.nodes, 'node')} registered",
        *(f"{count(n)} {what}" for n, what in _troubles(found) if n),
        *map(_storm, found.storms),
    ]
    return ", ".join(parts)


def _troubles(found: Registrations) -> tuple[tuple[int, str], ...]:
    return (
        (found.expired, "registrations expired"),
        (found.refused, "refused"),
        (found.retried, "retried"),
    )


def _storm(storm: Storm) -> str:
    if storm.last_s is None:
        return (
            f"after outage {storm.number} {count(storm.again)} of {counted(storm.nodes, 'node')} "
            "came back"
        )
    return (
        f"{counted(storm.nodes, 'node')} back {seconds(storm.last_s)} after outage {storm.number}"
    )


def check_words(check: Check) -> str:
    """Say what ``check`` measured, for a reader who did not write it."""
    if check.explanation:
        return check.explanation
    meaning = _CHECKS.get(check.name, "")
    if check.passed:
        return meaning
    if check.passed is None:
        return f"{meaning} Could not be decided.".strip()
    return f"{meaning} Measured {measured(check.measured)}; allowed is {check.limit}.".strip()


def check_mark(check: Check) -> Tone:
    """Return how the outcome of ``check`` looks."""
    if check.passed is None:
        return Tone.DOUBT
    return Tone.GOOD if check.passed else Tone.BAD


def order_checks(verdict: Verdict) -> tuple[Check, ...]:
    """Return the checks, failed ones first, then undecided, then passed; else as given."""
    rank = {False: 0, None: 1, True: 2}
    return tuple(sorted(verdict.checks, key=lambda check: rank[check.passed]))


def distrust(record: RunRecord, verdict: Verdict) -> tuple[str, ...]:
    """List what a reader should know before believing the figures, each once."""
    found: list[str] = []
    if verdict.verdict == "inconclusive":
        found += verdict.reasons
    found += verdict.distrust
    found += [event.text for event in record.events if isinstance(event, Warned)]
    difference = account(verdict.readings).difference
    if difference:
        found.append(f"The account of readings does not balance: {count(difference)} unexplained.")
    if record.missing:
        found.append(f"Parts of the record are missing: {', '.join(record.missing)}.")
    return tuple(dict.fromkeys(found))
