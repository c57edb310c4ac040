"""A battery layer as something a run is judged by: its clients, the batteries, and its journal.

The journal is there where the layer is ours. What needs it is not measured of another: an order
that was *lost*, given *twice* or *invented*, a command that was forgotten, meters that do not add
up. Whether batteries did what clients told is seen without it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from emulator.batteries.config import BATTERIES_FILE, BatteryFleetConfig
from emulator.batteries.config import FOLDER as RECORDS
from emulator.batteries.record import Entry, RecordError, read_record
from emulator.clock import ScenarioClock
from harness.bal.happenings import SCHEDULE, SET_CURRENT, SETTLE
from harness.bal.journal import Event, JournalError, Order, read_journal
from harness.bal.model.values import FlowRecord
from harness.check.ability import Ability, Split, read_splits
from harness.check.away import away_for, cut_off, killed, said_lost
from harness.check.batteries import (
    EXAMPLES_MAX,
    BatteryAccount,
    BatteryFinding,
    account_of_batteries,
)
from harness.check.battery_parts import Component, Parts, read_parts, touched
from harness.check.conservation import Conservation, conservation_of
from harness.check.held import held_by_name
from harness.check.obedience import Obedience, obedience_of
from harness.check.snapshots import Rules, Snapshots, look_at_snapshots
from harness.check.told import told_by_clients
from harness.limits import MEASURES, Limit, parse_limit
from harness.load.clients.commanded import Commanded
from harness.load.clients.seen import Seen
from harness.load.clients.summary import read_commands, read_seen
from harness.run.battery_files import FLOWS
from harness.run.facts import RunFacts
from harness.run.set_points import SetPoint, read_set_points
from harness.scenario import Scenario
from harness.scenario.bal import Bal, ExternalBal
from reports.recording import BatteryFigures

FOLDER: Final = Path("bal")
JOURNAL: Final = FOLDER / "journal.sqlite"
TOPOLOGY: Final = FOLDER / "topology.toml"
REQUESTS_MAX: Final = 4
"""Requests that one reading of a battery is made of, each of which may take as long as allowed."""
CAPACITY_TOLD: Final = 1_000
"""Of a layer whose readings nobody sees: it may take a capacity for less by one in so many."""
MILLISECONDS: Final = 1_000
CHECKS: Final = (
    "batteries.beyond_limits",
    "batteries.unaccounted",
    "batteries.disobeyed",
    "batteries.lost",
    "batteries.twice",
    "batteries.invented",
    "batteries.commands_lost",
    "batteries.unconserved",
    "batteries.mixed_snapshots",
)
"""What must be nothing where there are batteries, unless a scenario says otherwise; those that need
the journal of the layer only where it is ours."""


class UnreadableError(Exception):
    """The record of batteries or of their layer cannot be read; says which part and why."""


def battery_figures(run: Path) -> BatteryFigures:
    """Return the account of the batteries of a run.

    Raises `UnreadableError`: a part of the record lacks or is damaged.
    """
    try:
        recorded = _Recorded.read(run)
        account = account_of_batteries(recorded.entries, recorded.orders)
        conserved = _conserved(run, recorded)
        snapshots = _snapshots(recorded, read_seen(run))
        obedience = _obedience(recorded)
    except (OSError, RecordError, JournalError, ValueError, TypeError, KeyError) as error:
        raise UnreadableError(f"the batteries cannot be judged: {error}") from error
    fates: Counter[str] = Counter(order.fate or "open" for order in recorded.orders)
    ours, commanded = recorded.ours, recorded.commanded
    return BatteryFigures(
        journal=ours,
        batteries=account.batteries,
        virtual=len({one.subject for one in commanded}),
        commands_asked=len(commanded),
        commands_accepted=sum(one.accepted for one in commanded),
        commands_lost=_forgotten(recorded) if ours else None,
        commands_refused=sum(400 <= one.status < 500 for one in commanded),
        executed=account.commands,
        orders=dict(fates),
        beyond_limits=account.beyond_limits,
        unaccounted=account.unaccounted,
        lost=account.lost if ours else None,
        twice=account.twice if ours else None,
        invented=account.invented if ours else None,
        accounts=None if conserved is None else conserved.accounts,
        unconserved=None if conserved is None else len(conserved.findings),
        snapshots=snapshots.held,
        # A layer of others may tell none that could be held against anything.
        mixed_snapshots=len(snapshots.findings) if ours or snapshots.held else None,
        obeyed=obedience.obeyed,
        disobeyed=len(obedience.findings),
        unjudged=obedience.unjudged,
        examples=(
            *(_told(account) if ours else ()),
            *_examples("disobeyed", obedience.findings),
            *_examples("unconserved", [] if conserved is None else conserved.findings),
            *_examples("mixed_snapshots", snapshots.findings),
        ),
    )


def with_battery_checks(
    checks: Mapping[str, Limit], figures: BatteryFigures | None
) -> dict[str, Limit]:
    """Return a scenario's checks and, where there are batteries, those of theirs."""
    if figures is None:
        return dict(checks)
    measured = battery_measurements(figures)
    return {name: parse_limit("== 0", MEASURES[name]) for name in measured} | dict(checks)


def battery_measurements(figures: BatteryFigures | None) -> dict[str, float]:
    """Return what the figures say about each measure of batteries; what nobody can say lacks."""
    if figures is None:
        return {}
    found = {name: getattr(figures, name.removeprefix("batteries.")) for name in CHECKS}
    return {name: value for name, value in found.items() if value is not None}


def battery_notes(figures: BatteryFigures | None) -> Iterator[str]:
    """Yield what cannot be said of a battery layer that is not ours, for who reads a verdict."""
    if figures is None or figures.journal:
        return
    yield (
        "The battery layer is not Meterstorm's own, and no journal of it was read: whether orders "
        "to batteries were lost, given twice or given by nobody, and whether virtual meters add "
        "up, was not checked. That nobody but the run's users commanded it was taken for granted."
    )
    if figures.unjudged:
        told = figures.obeyed + (figures.disobeyed or 0) + figures.unjudged
        yield (
            f"Of {told:,} times that virtual batteries were told something, {figures.unjudged:,} "
            "could not be judged: told anew, cut off or unanswered before it was certain."
        )


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What a run with batteries has left; of a layer that is not ours no events and no orders."""

    scenario: Scenario
    bal: Bal
    clock: ScenarioClock
    fleet: BatteryFleetConfig
    parts: Parts
    splits: Mapping[str, Split]
    entries: Sequence[Entry]
    events: Sequence[Event]
    orders: Sequence[Order]
    commanded: Sequence[Commanded]
    points: Sequence[SetPoint]

    @classmethod
    def read(cls, run: Path) -> _Recorded:
        """Read it. Raises as the parts of it do."""
        scenario = Scenario.from_resolved((run / "resolved.json").read_text())
        if scenario.bal is None:
            raise ValueError("its scenario has no battery layer")
        ours = not isinstance(scenario.bal.target, ExternalBal)
        events, orders = read_journal(run / JOURNAL) if ours else ([], [])
        return cls(
            scenario=scenario,
            bal=scenario.bal,
            clock=RunFacts.load(run).scenario_clock,
            fleet=BatteryFleetConfig.model_validate_json((run / BATTERIES_FILE).read_bytes()),
            parts=read_parts(run / TOPOLOGY),
            splits=read_splits(run / TOPOLOGY),
            entries=list(_entries(run)),
            events=events,
            orders=orders,
            commanded=read_commands(run),
            points=read_set_points(run / FOLDER),
        )

    @property
    def ours(self) -> bool:
        """Whether the layer was ours, so that there is a journal."""
        return not isinstance(self.bal.target, ExternalBal)

    def scenario_ms(self, client_us: int) -> int:
        """Return the scenario time at a client's microseconds since it began."""
        at_s = self.clock.scenario_s + client_us / 1_000_000 * self.clock.rate
        return int(at_s * MILLISECONDS)

    def real_ms(self, real_s: float) -> int:
        """Return a length of real seconds in milliseconds of scenario time."""
        return round(real_s * self.scenario.speed * MILLISECONDS)


def _entries(run: Path) -> Iterator[Entry]:
    paths = sorted((run / RECORDS).glob("process-*.ndjson"))
    if not paths:
        raise OSError(f"{run / RECORDS} holds no record of a battery")
    for path in paths:
        yield from read_record(path)


def _forgotten(recorded: _Recorded) -> int:
    known = {event.command for event in recorded.events}
    return sum(one.accepted and one.command not in known for one in recorded.commanded)


def _conserved(run: Path, recorded: _Recorded) -> Conservation | None:
    """Return what was found; None where nobody said what flowed, or there is no journal."""
    path = run / FOLDER / FLOWS
    if not recorded.ours or not path.is_file():
        return None
    flows = [FlowRecord(**one) for one in json.loads(path.read_text())]
    return conservation_of(recorded.parts, recorded.events, recorded.orders, flows)


def _snapshots(recorded: _Recorded, seen: Sequence[Seen]) -> Snapshots:
    if not seen:
        return Snapshots()
    reading_ms = recorded.real_ms(recorded.bal.timeout * REQUESTS_MAX)
    rules = Rules(
        staleness_ms=max(1, round(recorded.bal.staleness * MILLISECONDS)),
        reading_ms=reading_ms,
        speed=recorded.scenario.speed,
    )
    held = held_by_name(recorded.entries, recorded.events)
    if not recorded.ours:
        # Nobody sees its readings: each may have been stamped when it was asked for.
        for one in held.values():
            one.late_ms = reading_ms
            one.capacity_ma_ms -= one.capacity_ma_ms // CAPACITY_TOLD
    return look_at_snapshots(recorded.parts, recorded.events, held, seen, rules)


def _obedience(recorded: _Recorded) -> Obedience:
    told = told_by_clients(recorded.commanded, recorded.points, recorded.scenario_ms)
    held = held_by_name(recorded.entries, recorded.events)
    everybody = cut_off(recorded.fleet, recorded.scenario.speed)
    everybody += killed(recorded.scenario, recorded.fleet.first_s)
    lost = said_lost(recorded.events, recorded.real_ms(recorded.bal.timeout * REQUESTS_MAX))

    def could(component: Component) -> Ability:
        away = away_for(component.leaves, everybody, lost)
        return Ability(recorded.parts, recorded.splits, held, component, told, away)

    return obedience_of(
        recorded.parts,
        held,
        told,
        could,
        within_ms=recorded.real_ms(recorded.bal.obeys_within),
        left_out=touched(recorded.events) | _commanded_by_others(recorded),
    )


def _commanded_by_others(recorded: _Recorded) -> frozenset[str]:
    """Return the batteries that somebody else commanded, as far as there is a journal to say."""
    known = {one.command for one in recorded.commanded} | {one.id for one in recorded.points}
    return frozenset(
        event.details["name"]
        for event in recorded.events
        if event.kind in (SET_CURRENT, SCHEDULE, SETTLE) and event.command not in known
    )


def _told(account: BatteryAccount) -> Iterator[str]:
    for kind, findings in account.examples.items():
        yield from _examples(kind, findings)


def _examples(kind: str, findings: Sequence[BatteryFinding]) -> Iterator[str]:
    for finding in findings[:EXAMPLES_MAX]:
        yield f"{kind}: {finding.battery} at {finding.at_ms} ms: {finding.what}"
