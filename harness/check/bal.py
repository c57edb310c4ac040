"""A battery layer as something a run is judged by: its clients, its journal, the batteries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from emulator.batteries.config import FOLDER as RECORDS
from emulator.batteries.record import Entry, RecordError, read_record
from harness.bal.journal import Event, JournalError, Order, read_journal
from harness.bal.model.values import FlowRecord
from harness.check.batteries import (
    EXAMPLES_MAX,
    BatteryAccount,
    BatteryFinding,
    account_of_batteries,
)
from harness.check.battery_parts import read_parts
from harness.check.conservation import Conservation, conservation_of
from harness.check.held import held_by_name
from harness.check.snapshots import Rules, Snapshots, look_at_snapshots
from harness.limits import MEASURES, Limit, parse_limit
from harness.load.clients.summary import read_commands, read_seen
from harness.run.battery_files import FLOWS
from reports.recording import BatteryFigures

FOLDER: Final = Path("bal")
JOURNAL: Final = FOLDER / "journal.sqlite"
TOPOLOGY: Final = FOLDER / "topology.toml"
REQUESTS_MAX: Final = 4
"""Requests that one reading of a battery is made of, each of which may take as long as allowed."""
MILLISECONDS: Final = 1_000
CHECKS: Final = (
    "batteries.beyond_limits",
    "batteries.unaccounted",
    "batteries.lost",
    "batteries.twice",
    "batteries.invented",
    "batteries.commands_lost",
)
"""What must be nothing where there are batteries, unless a scenario says otherwise."""
TOLD_CHECKS: Final = ("batteries.unconserved", "batteries.mixed_snapshots")
"""The same, of what the layer tells of itself."""


class UnreadableError(Exception):
    """The record of batteries or of their layer cannot be read; says which part and why."""


def battery_figures(run: Path) -> BatteryFigures:
    """Return the account of the batteries of a run.

    Raises `UnreadableError`: a part of the record lacks or is damaged.
    """
    try:
        events, orders = read_journal(run / JOURNAL)
        entries = list(_entries(run))
        account = account_of_batteries(entries, orders)
        commanded = read_commands(run)
        conserved = _conserved(run, events, orders)
        snapshots = _snapshots(run, events, entries)
    except (OSError, RecordError, JournalError, ValueError, TypeError, KeyError) as error:
        raise UnreadableError(f"the batteries cannot be judged: {error}") from error
    known = {event.command for event in events}
    accepted = [one for one in commanded if one.accepted]
    fates: Counter[str] = Counter(order.fate or "open" for order in orders)
    return BatteryFigures(
        batteries=account.batteries,
        virtual=len({one.subject for one in commanded}),
        commands_asked=len(commanded),
        commands_accepted=len(accepted),
        commands_lost=sum(one.command not in known for one in accepted),
        commands_refused=sum(400 <= one.status < 500 for one in commanded),
        executed=account.commands,
        orders=dict(fates),
        beyond_limits=account.beyond_limits,
        unaccounted=account.unaccounted,
        lost=account.lost,
        twice=account.twice,
        invented=account.invented,
        accounts=None if conserved is None else conserved.accounts,
        unconserved=0 if conserved is None else len(conserved.findings),
        snapshots=snapshots.held,
        mixed_snapshots=len(snapshots.findings),
        examples=(
            *_told(account),
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
    """Return what the figures say about each measure of batteries."""
    if figures is None:
        return {}
    names = (*CHECKS, *TOLD_CHECKS)
    found = {name: getattr(figures, name.removeprefix("batteries.")) for name in names}
    if figures.accounts is None:
        # Nobody said what the virtual meters had registered: the run says why.
        del found["batteries.unconserved"]
    return found


def _entries(run: Path) -> Iterator[Entry]:
    paths = sorted((run / RECORDS).glob("process-*.ndjson"))
    if not paths:
        raise OSError(f"{run / RECORDS} holds no record of a battery")
    for path in paths:
        yield from read_record(path)


def _conserved(run: Path, events: Sequence[Event], orders: Sequence[Order]) -> Conservation | None:
    """Return what was found; None where nobody said what the virtual meters registered."""
    path = run / FOLDER / FLOWS
    if not path.is_file():
        return None
    flows = [FlowRecord(**one) for one in json.loads(path.read_text())]
    return conservation_of(read_parts(run / TOPOLOGY), events, orders, flows)


def _speed(run: Path) -> float:
    return float(json.loads((run / "resolved.json").read_text())["speed"])


def _snapshots(run: Path, events: Sequence[Event], entries: Iterable[Entry]) -> Snapshots:
    seen = read_seen(run)
    if not seen:
        return Snapshots()
    layer = json.loads((run / FOLDER / "bal.json").read_text())
    speed = _speed(run)
    rules = Rules(
        staleness_ms=int(layer["refresh"]["max_staleness_ms"]),
        reading_ms=round(float(layer["timeout_s"]) * REQUESTS_MAX * speed * MILLISECONDS),
        speed=speed,
    )
    held = held_by_name(entries, events)
    return look_at_snapshots(read_parts(run / TOPOLOGY), events, held, seen, rules)


def _told(account: BatteryAccount) -> Iterator[str]:
    for kind, findings in account.examples.items():
        yield from _examples(kind, findings)


def _examples(kind: str, findings: Sequence[BatteryFinding]) -> Iterator[str]:
    for finding in findings[:EXAMPLES_MAX]:
        yield f"{kind}: {finding.battery} at {finding.at_ms} ms: {finding.what}"
