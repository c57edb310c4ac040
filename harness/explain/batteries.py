"""Checks of batteries: from a finding to the layer's journal and the battery's own record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from emulator.batteries.config import FOLDER as RECORDS
from emulator.batteries.record import Begun, Ended, Entry, Executed, read_record
from harness.bal.happenings import LOST, READ
from harness.bal.journal import Event, JournalError, Order, read_journal
from harness.check.bal import JOURNAL
from harness.check.batteries import BatteryFinding, account_of_batteries
from harness.check.recorded import RecordedRun
from harness.explain.others import Told, percentiles_told
from harness.explain.reading_story import Known
from harness.explain.story import Moment, Subject
from harness.explain.surroundings import Span, moments_of
from harness.load.clients.commanded import Commanded
from harness.load.clients.summary import read_commands
from harness.run.battery_files import COUNTS
from harness.scenario.bal import ExternalBal
from reports.recording import BatteryFigures, Verdict
from reports.text import counted

NEAREST: Final = 14
"""Moments of a battery told: those nearest to what was found."""
AROUND_S: Final = 2.0
COMMANDS_LOST: Final = "commands_lost"


@dataclass(frozen=True, slots=True)
class _Layer:
    """What the journal has of all batteries, and what the records have of each."""

    run: RecordedRun
    events: Mapping[int, Event]
    orders: Sequence[Order]
    entries: Sequence[Entry]

    @classmethod
    def of(cls, run: RecordedRun) -> _Layer:
        """Read records and, of our own layer, its journal.

        Raises `OSError`, `ValueError`: one of them cannot be read.
        """
        bal = run.scenario.bal
        ours = bal is None or not isinstance(bal.target, ExternalBal)
        try:
            events, orders = read_journal(run.folder.path / JOURNAL) if ours else ([], [])
        except JournalError as error:
            raise ValueError(str(error)) from error
        paths = sorted((run.folder.path / RECORDS).glob("process-*.ndjson"))
        entries = [entry for path in paths for entry in read_record(path)]
        return cls(run, {event.sequence: event for event in events}, orders, entries)

    def at_s(self, at_ms: int) -> float:
        """Return the wall seconds since the run began at a scenario time."""
        return self.run.wall_s(at_ms / 1_000 - self.run.fleet.first_s)


def batteries(known: Known, verdict: Verdict, fate: str, most: int) -> Told:
    """Tell of the batteries that a check is about.

    Raises `OSError`, `ValueError`: a part of the record cannot be read.
    """
    figures = verdict.batteries
    if figures is None:
        return Told(("this run has no account of batteries: the reasons of its verdict say why",))
    layer = _Layer.of(known.run)
    if fate == COMMANDS_LOST:
        subjects = list(_lost_commands(known, layer, most))
    else:
        account = account_of_batteries(layer.entries, layer.orders)
        findings = account.examples.get(fate, [])[:most]
        subjects = [_story(known, layer, finding) for finding in findings]
        # What is found of virtual batteries is in no single record: the verdict says what it was.
        examples = [one for one in figures.examples if one.startswith(f"{fate}: ")]
        subjects = subjects or [Subject(one.partition(": ")[2]) for one in examples[:most]]
    count = int(getattr(figures, fate, 0) or 0)
    return Told(tuple(_sums(figures)), tuple(subjects), count - len(subjects))


def asked(known: Known, verdict: Verdict, series: str, most: int) -> Told:
    """Tell how long the layer took to answer, which commands longest, and what it was busy with."""
    measured = verdict.latency_s.get(series)
    found = [] if measured is None else [percentiles_told(measured)]
    found += _counts(known.run)
    slowest = sorted(
        (one for one in read_commands(known.run.folder.path) if one.operation == series),
        key=lambda one: one.due_us - one.answered_us,
    )
    subjects = tuple(_command(known, one) for one in slowest[:most])
    return Told(tuple(found), subjects, max(0, len(slowest) - len(subjects)))


def _sums(figures: BatteryFigures) -> Iterator[str]:
    yield (
        f"{counted(figures.batteries, 'battery', 'batteries')}; of "
        f"{counted(figures.commands_asked, 'command')} by clients "
        f"{figures.commands_accepted:,} were accepted and {figures.commands_refused:,} refused"
    )
    orders = ", ".join(f"{count:,} {fate}" for fate, count in sorted(figures.orders.items()))
    yield f"orders to batteries: {orders or 'none'}; executed on their own record: " + (
        f"{figures.executed:,}"
    )


def _counts(run: RecordedRun) -> Iterator[str]:
    """Yield what the layer counted since it last started."""
    file = run.folder.path / JOURNAL.parent / COUNTS
    if not file.is_file():
        return
    counts: Mapping[str, Any] = json.loads(file.read_text()).get("bal", {}).get("counts", {})
    told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    yield f"the layer counted, since it last started: {told or 'nothing'}"


# One battery


def _story(known: Known, layer: _Layer, finding: BatteryFinding) -> Subject:
    """Return what the journal and a battery's own record say around a finding."""
    begun = next(
        (one for one in layer.entries if isinstance(one, Begun) and one.name == finding.battery),
        None,
    )
    own = [one for one in layer.entries if begun is not None and one.battery == begun.battery]
    orders = [order for order in layer.orders if order.source == finding.battery]
    told = [*_of_orders(layer, orders), *_of_record(own), *_of_readings(layer, finding.battery)]
    told.sort(key=lambda one: abs(one[0] - finding.at_ms))
    moments = [Moment(layer.at_s(at_ms), who, what) for at_ms, who, what in told[:NEAREST]]
    at_s = layer.at_s(finding.at_ms)
    moments += moments_of(known.events, _span(at_s, moments), None)
    return Subject(
        f"{finding.battery}, {at_s:.3f} s after the run began: {finding.what}",
        tuple(_facts(begun, orders, own)),
        tuple(sorted(moments, key=lambda moment: moment.at_s)),
        commands=tuple(_commands(layer, finding.battery, begun)),
    )


def _span(at_s: float, moments: Sequence[Moment]) -> Span:
    times = [at_s, *(moment.at_s for moment in moments)]
    return Span(min(times) - AROUND_S, max(times) + AROUND_S)


def _facts(begun: Begun | None, orders: Sequence[Order], own: Sequence[Entry]) -> Iterator[str]:
    if begun is not None:
        yield (
            f"battery {begun.battery}, {begun.interface}: built for {begun.charge_ma_max:,} mA of "
            f"charge and {begun.discharge_ma_max:,} mA of discharge, "
            f"{begun.capacity_ma_ms // 3_600_000:,} mAh"
        )
    fates = Counter(order.fate or "open" for order in orders)
    told = ", ".join(f"{count:,} {fate}" for fate, count in sorted(fates.items()))
    executed = sum(isinstance(entry, Executed) for entry in own)
    yield f"orders to it: {told or 'none'}; on its own record: {executed:,} executed"


def _of_orders(layer: _Layer, orders: Iterable[Order]) -> Iterator[tuple[int, str, str]]:
    for order in orders:
        event = layer.events.get(order.event)
        if event is not None:
            why = f"{_named(event)}, event {event.sequence}"
            yield event.at_ms, "journal", f"order {order.sequence}: {order.current_ma} mA ({why})"
        if order.fate_ms is not None:
            sent = "" if order.sent is None else f", {order.sent} went over the line"
            yield order.fate_ms, "journal", f"order {order.sequence}: {order.fate}{sent}"


def _named(event: Event) -> str:
    """Return what happened and to which battery, and under whose name."""
    told = " ".join(filter(None, (event.kind, str(event.details.get("name", "")))))
    return f"{told}, command {event.command}" if event.command else told


def _of_record(own: Iterable[Entry]) -> Iterator[tuple[int, str, str]]:
    for entry in own:
        match entry:
            case Executed(sequence=sequence, kind=kind, asked=wanted, changed=changed):
                yield (
                    changed.at_ms,
                    "record",
                    f"executed {sequence}: {kind} {wanted}; from {changed.current_before_ma} mA to "
                    f"{changed.current_ma} mA, charge {changed.charge_ma_ms} mA ms",
                )
            case Ended(commands=count, changed=changed):
                what = f"its process ended, {counted(count, 'command')} carried out"
                yield changed.at_ms, "record", what
            case Begun(at_ms=at_ms, charge_ma_ms=charge):
                yield at_ms, "record", f"it began, charge {charge} mA ms"
            case _:
                what = f"refused {entry.kind} {entry.asked}: {entry.cause}"
                yield entry.at_ms, "record", what


def _of_readings(layer: _Layer, name: str) -> Iterator[tuple[int, str, str]]:
    for event in layer.events.values():
        if event.details.get("name") != name:
            continue
        if event.kind == READ:
            _, current_ma, _, _, charge_ma_ms, _ = event.details["values"]
            what = f"read: {current_ma} mA, charge {charge_ma_ms} mA ms, event {event.sequence}"
            yield event.at_ms, "journal", what
        elif event.kind == LOST:
            yield event.at_ms, "journal", f"out of reach, event {event.sequence}"


def _commands(layer: _Layer, name: str, begun: Begun | None) -> Iterator[str]:
    folder = layer.run.folder.path
    yield f"sqlite3 {folder / JOURNAL} \"SELECT * FROM orders WHERE source = '{name}'\""
    if begun is not None:
        yield f"grep '\"battery\":{begun.battery},' {folder / RECORDS}/process-*.ndjson"


# Commands of clients


def _lost_commands(known: Known, layer: _Layer, most: int) -> Iterator[Subject]:
    """Yield the first commands that were accepted and are in no event of the journal."""
    journal = {event.command for event in layer.events.values()}
    lost = (
        one
        for one in read_commands(known.run.folder.path)
        if one.accepted and one.command not in journal
    )
    for _, one in zip(range(most), lost, strict=False):
        yield _command(known, one)


def _command(known: Known, one: Commanded) -> Subject:
    """Return when a client gave a command, and what else happened until it was answered."""
    run = known.run
    start_s = run.facts.clock[0] - run.facts.began_s
    due_s, answered_s = start_s + one.due_us / 1e6, start_s + one.answered_us / 1e6
    status = str(one.status) if one.status else "none came in time"
    moments = [
        Moment(due_s, "plan", "it is due"),
        Moment(answered_s, "client", f"has its answer: {status}"),
        *moments_of(known.events, Span(due_s - AROUND_S, answered_s + AROUND_S), None),
    ]
    asked_for = ", ".join(f"{name} {value}" for name, value in one.body.items() if name != "id")
    tries = "" if one.attempts == 1 else f", sent {one.attempts} times"
    return Subject(
        f"command {one.command} to {one.subject}: {asked_for}",
        (
            f"answered {answered_s - due_s:.3f} s after it was due{tries}",
            f"the answer: {json.dumps(one.answer)}",
        ),
        tuple(sorted(moments, key=lambda moment: moment.at_s)),
        commands=(
            f"sqlite3 {run.folder.path / JOURNAL} "
            f"\"SELECT * FROM events WHERE command = '{one.command}'\"",
        ),
    )
