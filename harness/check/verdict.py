"""From the ledger to the verdict.

Precedence: a wrong, invented, duplicated, conflicting or lost-after-acknowledge reading or alarm is
*failed*, whatever else happened; then everything that makes the run prove nothing is
*inconclusive*; then the scenario's limits decide.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from harness.check.alarms import (
    FATAL_ALARMS,
    account_of,
    alarm_measurements,
    told,
    with_alarm_checks,
)
from harness.check.bal import (
    UnreadableError,
    battery_figures,
    battery_measurements,
    battery_notes,
    with_battery_checks,
)
from harness.check.billed import bill_figures, bill_measurements, with_bill_checks
from harness.check.commands import count_commands
from harness.check.lab import lab_doubts, lab_notes
from harness.check.latency import by_series, latencies
from harness.check.links import links
from harness.check.operations import (
    operation_failures,
    operation_figures,
    operation_measurements,
    operation_notes,
)
from harness.check.recorded import RecordedRun
from harness.check.registrations import count_registrations
from harness.check.replays import replay_measurements, with_replay_check
from harness.check.stores import NO_EVENTS, StoredEvents
from harness.judging import judge, measurements
from harness.ledger.fates import Counts
from harness.ledger.reconcile import Example, Reconciliation
from harness.load.clients.config import UNSENT
from harness.run.clients import asks_systems
from harness.run.facts import RunFacts
from harness.scenario import Reference
from harness.store.commands import Command
from reports.recording import (
    BatteryFigures,
    BillFigures,
    Check,
    ClassCounts,
    Environment,
    FailureCause,
    Generator,
    Grid,
    LatencyPercentiles,
    LinkMeasurement,
    Outcome,
    Readings,
    Throughput,
    Verdict,
    percentiles,
)

MIB: Final = 1024 * 1024
CHANGES_TOLD: Final = 10
FATAL: Final = {
    "wrong": "readings stored with other values than the meter registered",
    "invented": "readings stored that nobody sent",
    "duplicated": "rows stored more than once",
    "conflicts": "second arrivals with other values than the first",
    "lost_acknowledged": "readings acknowledged and not stored",
    "preloaded_wrong": "readings of before the run that the store lacks or has otherwise",
}
FLEET_FAILURES: Final = ("push.failed: ", "push.refused: ", "served.refused: ", "served.failed: ")
HEAD_END_FAILURES: Final = ("refused: ", "reading failed: ", "conversations failed: ")
"""How the counters that tell of failures begin."""


def conclude(
    run: RecordedRun,
    found: Reconciliation,
    journal: Sequence[Command],
    conflicts: int,
    store_bytes: int,
    changed: Sequence[int],
    events: StoredEvents = NO_EVENTS,
) -> Verdict:
    """Return the verdict on a run.

    Args:
        run: the recorded run.
        found: what the ledger says.
        journal: the commands journal of the head-end.
        conflicts: conflicting arrivals the store kept aside.
        store_bytes: what the store takes on disk, 0 where unknown.
        changed: capture times at which the store is not what it was when first judged.
        events: what else the store holds.
    """
    commands, command_latency = count_commands(run, journal)
    merged = latencies(run)
    series = by_series(merged)
    if command_latency.total_count:
        series["command"] = command_latency
    working = [*run.summaries(), *run.client_summaries()]
    lag_s = max((summary["lag_s_max"] for summary in working), default=0.0)
    (batteries, bills), doubts = _beside(run)
    operations = operation_figures(run)
    draft = Verdict(
        verdict="inconclusive",
        scenario=run.scenario.name,
        seed=run.scenario.seed,
        speed=run.scenario.speed,
        grid=_grid(run),
        readings=_readings(found.counts, conflicts),
        throughput=_throughput(run, found.counts),
        latency_s={name: percentiles(histogram) for name, histogram in series.items()},
        resources=_resources(run.facts, store_bytes),
        generator=Generator(lag_s_max=lag_s),
        classes=_classes(run, found, merged),
        links=links(run),
        commands=commands,
        alarms=account_of(found.alarms, events.alarm_conflicts),
        registrations=count_registrations(run, events.registrations),
        batteries=batteries,
        bills=bills,
        operations=operations,
        failures=_failures(run),
        distrust=(
            *_distrust(run, found, changed),
            *battery_notes(batteries),
            *operation_notes(operations),
        ),
        environment=_environment(run.facts),
    )
    replays = replay_measurements(run.folder.path, run.scenario.probes.replay)
    limits = with_alarm_checks(run.scenario.checks, draft.alarms)
    checks = judge(
        with_bill_checks(with_battery_checks(with_replay_check(limits, replays), batteries), bills),
        measurements(draft)
        | alarm_measurements(found.alarms, draft.alarms)
        | battery_measurements(batteries)
        | bill_measurements(bills)
        | operation_measurements(operations)
        | (replays or {}),
    )
    outcome, reasons = decide(draft, checks, [*_doubts(run, draft), *doubts])
    return replace(draft, verdict=outcome, reasons=tuple(reasons), checks=checks)


def unreadable(run: RecordedRun, reason: str) -> Verdict:
    """Return the verdict on a run whose store cannot be read: it proves nothing."""
    return Verdict(
        verdict="inconclusive",
        reasons=(reason, *run.facts.doubts),
        scenario=run.scenario.name,
        seed=run.scenario.seed,
        speed=run.scenario.speed,
        grid=_grid(run),
        environment=_environment(run.facts),
    )


def decide(
    verdict: Verdict, checks: Sequence[Check], doubts: Sequence[str]
) -> tuple[Outcome, list[str]]:
    """Return the outcome and the reasons for it, the deciding ones first."""
    fatal = [
        f"{count:,} {meaning}"
        for account, meanings in ((verdict.readings, FATAL), (verdict.alarms, FATAL_ALARMS))
        for name, meaning in meanings.items()
        if (count := getattr(account, name, 0))
    ]
    failed = [
        f"{check.name} is {check.measured}, the limit is {check.limit}"
        for check in checks
        if check.passed is False
    ]
    undecided = [f"{check.name} was not measured" for check in checks if check.passed is None]
    if fatal:
        return "failed", [*fatal, *failed, *doubts]
    if doubts or undecided:
        return "inconclusive", [*doubts, *undecided, *failed]
    return ("failed", failed) if failed else ("passed", [])


def _doubts(run: RecordedRun, verdict: Verdict) -> list[str]:
    doubts = list(run.facts.doubts)
    if not run.facts.ended_at:
        doubts.append("the run was cut off before its end")
    bound_s = run.scenario.limits.lag
    if verdict.generator.lag_s_max > bound_s:
        doubts.append(
            f"the generator fell {verdict.generator.lag_s_max:.2f} s behind its plan; "
            f"the bound is {bound_s:g} s"
        )
    if verdict.readings.unattempted:
        doubts.append(f"{verdict.readings.unattempted:,} owed readings were never handed to a link")
    doubts += [
        f"link {link.link} was not what it was set to: {link.quantity} {_found(link):.4g}, "
        f"not {link.set:.4g}"
        for link in verdict.links
        if link.agrees is False
    ]
    doubts += lab_doubts(run.lab, run.facts.doubts)
    if len(run.summaries()) < run.fleet.shards:
        doubts.append("not every fleet shard wrote its summary")
    clients = run.client_summaries()
    if asks_systems(run.scenario) and not clients:
        doubts.append("nobody asked the systems beside the head-end what the scenario says")
    unsent = sum(summary["counts"].get(UNSENT, 0) for summary in clients)
    if unsent:
        doubts.append(f"{unsent:,} requests to systems beside the head-end were never sent")
    return doubts


def _beside(
    run: RecordedRun,
) -> tuple[tuple[BatteryFigures | None, BillFigures | None], list[str]]:
    """Return the accounts of the systems beside the head-end, and why one is not there."""
    doubts: list[str] = []
    batteries: BatteryFigures | None = None
    bills: BillFigures | None = None
    try:
        if run.scenario.bal is not None:
            batteries = battery_figures(run.folder.path)
    except UnreadableError as error:
        doubts.append(str(error))
    try:
        if run.scenario.billing is not None:
            bills = bill_figures(run)
    except UnreadableError as error:
        doubts.append(str(error))
    return (batteries, bills), doubts


def _found(link: LinkMeasurement) -> float:
    """Return what a link was: as measured from outside, else as drawn."""
    found = link.drawn if link.measured is None else link.measured
    return math.nan if found is None else found


def _grid(run: RecordedRun) -> Grid:
    return Grid(
        concentrators=run.grid.concentrators,
        meters=run.grid.meters,
        steps=run.schedule.plan.steps,
    )


def _readings(counts: Counts, conflicts: int) -> Readings:
    return Readings(
        owed=counts.owed,
        deferred=counts.deferred,
        unattempted=counts.unattempted,
        sent=counts.sent,
        acknowledged=counts.acknowledged,
        stored=counts.stored,
        correct=counts.correct,
        late=None if counts.untimed else counts.late,
        lost=counts.lost,
        duplicated=counts.duplicated,
        wrong=counts.wrong,
        invented=counts.invented,
        conflicts=conflicts,
        lost_acknowledged=counts.lost_after_acknowledge,
        preloaded=counts.preloaded,
        preloaded_wrong=counts.preloaded_wrong,
    )


def _throughput(run: RecordedRun, counts: Counts) -> Throughput:
    lasted_s = run.steps_opened() * run.fleet.behaviour.step_s / run.scenario.speed
    readings_per_s = counts.stored / lasted_s if lasted_s else 0.0
    real_time_per_s = run.grid.meters / run.fleet.behaviour.step_s
    return Throughput(
        readings_per_s=readings_per_s, times_real_time=readings_per_s / real_time_per_s
    )


def _resources(facts: RunFacts, store_bytes: int) -> dict[str, dict[str, int | float]]:
    resources: dict[str, dict[str, int | float]] = {}
    for name, cpu_s in facts.cpu_s.items():
        part = resources.setdefault(name.partition("-")[0], {"cpu_s": 0.0, "rss_mib_max": 0.0})
        part["cpu_s"] += cpu_s
        part["rss_mib_max"] += facts.rss_bytes_max.get(name, 0) / MIB
    resources["store"] = {"bytes": store_bytes}
    return resources


def _classes(
    run: RecordedRun, found: Reconciliation, merged: dict[tuple[str, str], Any]
) -> dict[str, tuple[ClassCounts, ...]]:
    owner = run.grid.concentrator_of(np.arange(run.grid.meters))
    classes: dict[str, list[ClassCounts]] = {}
    for group in run.groups():
        counts = found.by_group[group.kind, group.name]
        push = merged.get(("push", group.name)) if group.kind == "link" else None
        latency: LatencyPercentiles | None = percentiles(push) if push is not None else None
        classes.setdefault(group.kind, []).append(
            ClassCounts(
                name=group.name,
                concentrators=len(np.unique(owner[group.meters])),
                meters=int(np.count_nonzero(group.meters)),
                owed=counts.owed,
                deferred=counts.deferred,
                stored=counts.stored,
                correct=counts.correct,
                late=None if counts.untimed else counts.late,
                lost=counts.lost,
                wrong=counts.wrong,
                duplicated=counts.duplicated,
                push_p50_s=latency.p50 if latency else None,
                push_p99_s=latency.p99 if latency else None,
            )
        )
    return {kind: tuple(items) for kind, items in classes.items()}


def _failures(run: RecordedRun) -> tuple[FailureCause, ...]:
    causes: Counter[tuple[str, str]] = Counter()
    for summary in run.summaries():
        for name, count in summary["counts"].items():
            if name.startswith(FLEET_FAILURES):
                causes["fleet", name] += count
    for name, count in run.facts.head_end.items():
        if name.startswith(HEAD_END_FAILURES):
            causes["headend", name] += count
    told = [FailureCause(cause=name, where=at, count=n) for (at, name), n in causes.items()]
    told += operation_failures(run)
    return tuple(sorted(told, key=lambda failure: -failure.count))


def _distrust(run: RecordedRun, found: Reconciliation, changed: Sequence[int]) -> tuple[str, ...]:
    notes = []
    if changed:
        notes.append(
            "The store has changed since the run was first judged, at these capture times: "
            f"{', '.join(map(str, changed[:CHANGES_TOLD]))}"
            + (f" and {len(changed) - CHANGES_TOLD:,} more" if changed[CHANGES_TOLD:] else "")
        )
    if found.counts.untimed:
        notes.append("The store does not say when it stored a reading: lateness is unknown.")
    if run.fleet.link == "model":
        notes.append(
            "The links are modelled in the emulator: the head-end sees no packet loss, only the "
            "delays it causes."
        )
    notes.extend(lab_notes(run.lab))
    if run.fleet.behaviour.mode == "push" and not run.fleet.confirmed:
        notes.append("Pushes were not confirmed: acknowledged does not apply.")
    if run.fleet.behaviour.mode == "pull":
        notes.append("Readings were pulled: acknowledged does not apply.")
    if isinstance(run.scenario.target, Reference):
        notes.append("The head-end under test is Meterstorm's own reference head-end.")
    notes.extend(_told(run, example) for example in found.examples)
    if found.alarms is not None:
        notes.extend(told(example) for example in found.alarms.examples)
    return tuple(notes)


def _told(run: RecordedRun, example: Example) -> str:
    text = f"{example.fate}: meter {example.meter}, captured at {example.captured_at_s}"
    if example.expected:
        names = ("status", *run.truth.profile.names)
        differing = [
            f"{name} {found} instead of {expected}"
            for name, expected, found in zip(names, example.expected, example.found, strict=True)
            if expected != found
        ]
        text += ": " + ", ".join(differing)
    return text


def _environment(facts: RunFacts) -> Environment:
    return Environment(
        started_at=facts.started_at,
        ended_at=facts.ended_at,
        wall_s=facts.wall_s,
        command=facts.command,
        versions=facts.versions,
        host=facts.host,
    )
