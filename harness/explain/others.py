"""Checks that are not about single readings: alarms, commands, latencies, links, the generator."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from emulator.identity import concentrator_name, meter_name
from harness.check.lab import lab_doubts
from harness.check.recorded import RecordedRun
from harness.check.replays import RESULT
from harness.check.stores import open_stores
from harness.explain.reading_story import Known, reading_story, when
from harness.explain.readings import FoundReading, trace
from harness.explain.story import Moment, Subject
from harness.explain.surroundings import Span, moments_of, since_began_s
from harness.explain.topics import figure, link_check
from harness.ledger.alarms import AlarmExample
from harness.store.commands import Command
from reports.recording import (
    LabRecord,
    LatencyPercentiles,
    RunRecord,
    Verdict,
    latencies_at,
)
from reports.text import counted

SLOWEST: Final = 3
CONFLICTS: Final = "conflicts"
ALARM_FATES: Final = {"lost_acknowledged": "lost after acknowledge"}
FIELDS: Final = {"lost_acknowledged": "lost_after_acknowledge"}
MOMENTS_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Told:
    """What was found: sentences, the first subjects, and how many more there are."""

    found: tuple[str, ...] = ()
    subjects: tuple[Subject, ...] = ()
    more: int = 0
    all_acknowledged: bool = False


def alarms(known: Known, fate: str, most: int) -> Told:
    """Tell of the alarms of one fate, each with the reading it rides with. Raises `StoreError`."""
    run = known.run
    with open_stores(run) as reader:
        _, found = trace(run, reader, "lost", 0)
    if found.alarms is None:
        return Told(("the store does not tell what alarms it has",))
    wanted = ALARM_FATES.get(fate, fate)
    examples = [one for one in found.alarms.examples if one.fate == wanted]
    subjects = tuple(_alarm(known, one) for one in examples[:most])
    count = int(getattr(found.alarms.counts, fate, len(examples)))
    return Told(
        (f"{count} alarms; the ledger names the first few",), subjects, count - len(subjects)
    )


def _alarm(known: Known, one: AlarmExample) -> Subject:
    plan = known.run.schedule.plan
    captures = plan.captured_at(np.arange(plan.steps))
    interval = int(np.searchsorted(captures, one.raised_at_s))
    title = (
        f"alarm of {meter_name(one.meter).decode()}: source {one.source}, code {one.code}, "
        f"number {one.sequence}, raised at {when(one.raised_at_s)}"
    )
    if one.meter >= known.run.grid.meters or interval >= plan.steps:
        return Subject(title, ("no reading of this run carries it",))
    values, status = known.run.truth.registers(np.array([one.meter]), interval)
    expected = (int(status[0]), *values[0].tolist())
    at_s = int(captures[interval])
    story = reading_story(known, FoundReading(one.meter, interval, at_s, True, True, expected))
    facts = (f"it rides with the reading captured at {when(at_s)}", story.facts[0])
    moments = tuple(it for it in story.moments if it.what != "the row was stored")
    return Subject(title, facts, moments, story.exchange, story.unheard, story.commands)


def replays(known: Known) -> Told:
    """Tell what became of each push that was sent again."""
    file = known.run.folder.path / RESULT
    if not file.is_file():
        return Told(("the replay probe has left nothing; its log is logs/replay-probe.log",))
    found = json.loads(file.read_text())
    tried, accepted, away = (found[name] for name in ("tried", "accepted", "unreachable"))
    return Told(
        (
            f"{tried} confirmed pushes were sent again over other connections, {accepted} of them "
            f"were confirmed once more; {away} did not reach the head-end",
            *found["accounts"],
        )
    )


def commands(known: Known, fate: str, most: int) -> Told:
    """Tell of the commands that a check is about. Raises `StoreError`."""
    run = known.run
    with open_stores(run) as reader:
        journal = {command.id: command for command in reader.commands()}
    done = Counter((one["meter"], one["counter"]) for one in run.executions())
    by_meter = Counter(one["meter"] for one in run.executions())
    chosen = []
    for issued in run.facts.commands:
        command = journal.get(issued.id)
        times = done[issued.meter, command.invocation_counter] if command else 0
        if _is_concerned(fate, command, times):
            chosen.append((issued, command))
    subjects = tuple(
        _command(known, issued.due_us, issued.id, issued.meter, issued.kind, command, by_meter)
        for issued, command in chosen[:most]
    )
    return Told(
        (f"{len(chosen)} of {len(run.facts.commands)} commands",),
        subjects,
        len(chosen) - len(subjects),
    )


def _is_concerned(fate: str, command: Command | None, times: int) -> bool:
    match fate:
        case "lost" | "executed":
            return command is None or command.state not in ("done", "failed")
        case "failed":
            return command is not None and command.state == "failed"
        case "repeated":
            return times > 1
    return True


def _command(
    known: Known,
    due_us: int,
    number: int,
    meter: int,
    kind: str,
    command: Command | None,
    executed: Mapping[int, int],
) -> Subject:
    run, owner = known.run, known.concentrator_of(meter)
    name = concentrator_name(owner).decode()
    moments = [Moment(since_began_s(run, due_us), "plan", "it is due")]
    facts = [
        f"meter {meter} behind {name}; it carried out {executed.get(meter, 0)} commands in all"
    ]
    if command is None:
        facts.append("the head-end's journal does not have it: it was never accepted")
    else:
        facts.append(
            f"journal: {command.state}, sent {command.attempts} times, "
            f"outcome: {command.outcome or 'none'}"
        )
        for at_us, what in ((command.sent_at_us, "sent, latest"), (command.done_at_us, "over")):
            if at_us is not None:
                moments.append(Moment(since_began_s(run, at_us), "head-end", what))
    span = Span(moments[0].at_s - 2.0, max(it.at_s for it in moments) + 2.0)
    moments += moments_of(known.events, span, owner)
    near = known.exchanges.around(owner, moments[-1].at_s)
    exchange = tuple(map(known.exchanges.message, near))
    return Subject(
        f"command {number}: {kind} of {meter_name(meter).decode()}",
        tuple(facts),
        tuple(sorted(moments, key=lambda moment: moment.at_s)),
        exchange,
        "" if exchange else known.exchanges.unheard(owner),
        tuple(known.exchanges.wireshark(owner, exchange)),
    )


def latency(known: Known, record: RunRecord, series: str, most: int) -> Told:
    """Tell when a latency was worst, on which links, and what happened then."""
    verdict = record.verdict
    measured = verdict.latency_s.get(series) if verdict else None
    found = []
    if measured is not None:
        found.append(percentiles_told(measured))
    if verdict is not None and series == "push":
        found += [
            f"link {one.name}: p50 {one.push_p50_s:.3f} s, p99 {one.push_p99_s:.3f} s"
            for one in verdict.classes.get("link", ())
            if one.push_p50_s is not None and one.push_p99_s is not None
        ]
    return Told(tuple(found), tuple(_slowest(known, record, series, most)))


def percentiles_told(at: LatencyPercentiles) -> str:
    """Return the percentiles of a whole series in a line."""
    return (
        f"all: p50 {at.p50:.3f} s, p90 {at.p90:.3f} s, p99 {at.p99:.3f} s, "
        f"p99.9 {at.p99_9:.3f} s, max {at.max:.3f} s"
    )


def _slowest(known: Known, record: RunRecord, series: str, most: int) -> Iterator[Subject]:
    """Yield the spans of the run in which the longest latencies of a series ended."""
    intervals = [
        one
        for one in record.latency
        if one.series.partition("/")[0].partition(":")[0] == series and one.histogram.total_count
    ]
    intervals.sort(key=lambda one: -one.histogram.get_max_value())
    for one in intervals[:most]:
        (half_s,) = latencies_at(one.histogram, (50.0,))
        longest_s = one.histogram.get_max_value() / 1e6
        moments = moments_of(known.events, Span(one.start_s - longest_s, one.end_s), None)
        yield Subject(
            f"{one.series}, from {one.start_s:.1f} s to {one.end_s:.1f} s of the run",
            (f"{one.histogram.total_count} ended; p50 {half_s:.3f} s, max {longest_s:.3f} s",),
            tuple(sorted(moments, key=lambda moment: moment.at_s)[:MOMENTS_MAX]),
        )


def generator(known: Known) -> Told:
    """Tell how far each fleet shard fell behind, and what the machine was."""
    found = [
        f"fleet shard {number}: {summary['lag_s_max']:.3f} s"
        for number, summary in enumerate(known.run.summaries())
    ]
    host = known.run.facts.host
    if host:
        found.append("machine: " + ", ".join(f"{name} {value}" for name, value in host.items()))
    cpu = known.run.facts.cpu_s
    if cpu:
        found.append("CPU: " + ", ".join(f"{name} {value:.1f} s" for name, value in cpu.items()))
    return Told(tuple(found))


def link(run: RecordedRun, verdict: Verdict, check: str) -> Told:
    """Tell all that was measured of the link that a check is about, and what its lab counted."""
    mine = next((one for one in verdict.links if link_check(one) == check), None)
    if mine is None:
        return Told()
    return Told(
        tuple(
            f"{one.quantity}: set {figure(one.set, one.unit)}"
            + _seen("drawn", one.drawn, one.unit)
            + _seen("measured from outside", one.measured, one.unit)
            + {True: "", False: "  <- not what was set", None: "  (not judged)"}[one.agrees]
            for one in verdict.links
            if one.link == mine.link
        )
        + tuple(_counted(run.lab, mine.link))
        + tuple(lab_doubts(run.lab))
    )


def _counted(lab: LabRecord | None, name: str) -> Iterator[str]:
    """Yield what became of all packets of a link, those of the run and those of probes."""
    for one in lab.samples[-1].links if lab is not None and lab.samples else ():
        if one.link == name:
            fates = {"lost": one.lost, "limited": one.limited, "overflowed": one.overflowed}
            told = "".join(f", {count:,} {what}" for what, count in fates.items() if count)
            yield f"counted {one.direction}: {one.packets:,} packets came through{told}"


def bills(verdict: Verdict, fate: str, most: int) -> Told:
    """Tell of the bills that a check is about, with the readings that explain them."""
    figures = verdict.bills
    if figures is None:
        return Told(("this run has no account of bills: the reasons of its verdict say why",))
    found = (
        f"{counted(figures.due, 'bill')} due, {figures.correct:,} right to the cent; of the wrong "
        f"and missing ones {figures.explained:,} follow from readings that the store lacks or has "
        "otherwise"
    )
    examples = [one for one in figures.examples if one.startswith(f"{fate}: ")]
    subjects = tuple(Subject(one.partition(": ")[2]) for one in examples[:most])
    return Told((found,), subjects, int(getattr(figures, fate)) - len(subjects))


def _seen(how: str, value: float | None, unit: str) -> str:
    return "" if value is None else f", {how} {figure(value, unit)}"


def resources(verdict: Verdict) -> Told:
    """Tell what the parts of the run took."""
    return Told(
        tuple(
            f"{part}: " + ", ".join(f"{name} {value:,.1f}" for name, value in figures.items())
            for part, figures in verdict.resources.items()
        )
    )
