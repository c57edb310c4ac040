"""A battery layer as something a run is judged by: its clients, its journal, the batteries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from emulator.batteries.config import FOLDER as RECORDS
from emulator.batteries.record import Entry, RecordError, read_record
from harness.bal.journal import JournalError, read_journal
from harness.check.batteries import BatteryAccount, account_of_batteries
from harness.limits import MEASURES, Limit, parse_limit
from harness.load.clients.summary import read_commands
from reports.recording import BatteryFigures

JOURNAL: Final = Path("bal") / "journal.sqlite"
CHECKS: Final = (
    "batteries.beyond_limits",
    "batteries.unaccounted",
    "batteries.lost",
    "batteries.twice",
    "batteries.invented",
    "batteries.commands_lost",
)
"""What must be nothing where there are batteries, unless a scenario says otherwise."""


class UnreadableError(Exception):
    """The record of batteries or of their layer cannot be read; says which part and why."""


def battery_figures(run: Path) -> BatteryFigures:
    """Return the account of the batteries of a run.

    Raises `UnreadableError`: a part of the record lacks or is damaged.
    """
    try:
        events, orders = read_journal(run / JOURNAL)
        account = account_of_batteries(_entries(run), orders)
        commanded = read_commands(run)
    except (OSError, RecordError, JournalError, ValueError, TypeError) as error:
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
        examples=tuple(_told(account)),
    )


def with_battery_checks(
    checks: Mapping[str, Limit], figures: BatteryFigures | None
) -> dict[str, Limit]:
    """Return a scenario's checks and, where there are batteries, those of theirs."""
    if figures is None:
        return dict(checks)
    return {name: parse_limit("== 0", MEASURES[name]) for name in CHECKS} | dict(checks)


def battery_measurements(figures: BatteryFigures | None) -> dict[str, float]:
    """Return what the figures say about each measure of batteries."""
    if figures is None:
        return {}
    return {name: getattr(figures, name.removeprefix("batteries.")) for name in CHECKS}


def _entries(run: Path) -> Iterator[Entry]:
    paths = sorted((run / RECORDS).glob("process-*.ndjson"))
    if not paths:
        raise OSError(f"{run / RECORDS} holds no record of a battery")
    for path in paths:
        yield from read_record(path)


def _told(account: BatteryAccount) -> Iterator[str]:
    for kind, findings in account.examples.items():
        for finding in findings:
            yield f"{kind}: {finding.battery} at {finding.at_ms} ms: {finding.what}"
