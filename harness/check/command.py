"""`meterstorm check`: judge a recorded run and write its verdict and views anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from emulator.delivery_record import DeliveryRecord
from emulator.run_folder import RunFolder
from harness.check.recorded import RecordedRun
from harness.check.recovery import RecoveryAccount
from harness.check.series import completeness, replace_series
from harness.check.stores import open_stores, stored_events, stores_size_bytes
from harness.check.verdict import conclude, unreadable
from harness.errors import ExitCode
from harness.ledger.fingerprint import (
    Fingerprint,
    changed_slots,
    read_fingerprint,
    write_fingerprint,
)
from harness.ledger.reconcile import Ledger
from harness.read_back import doubts_of
from harness.recorded_folder import reading, telling_damage
from harness.store.errors import StoreError
from reports.recording import Sample, Verdict, write_verdict
from reports.terminal import print_summary
from reports.views import write_views

EXIT_CODES: Final = {
    "passed": ExitCode.PASSED,
    "failed": ExitCode.FAILED,
    "inconclusive": ExitCode.INCONCLUSIVE,
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What judging a run brought.

    Attributes:
        verdict: the verdict.
        samples: completeness over time, for the recorded series.
        fingerprint: of the store, where the run had none yet.
    """

    verdict: Verdict
    samples: tuple[Sample, ...] = ()
    fingerprint: Fingerprint | None = None


def judge_run(path: Path, progress: Callable[[int], None] = lambda interval: None) -> Judgement:
    """Return the verdict on the run recorded in ``path``, and what else follows from its record.

    Nothing is written. A store that cannot be read makes the run inconclusive: it must not look
    like a passed one.

    Args:
        path: the run directory.
        progress: called with each interval before it is judged.

    Raises:
        UnreadableRunError: the record lacks a part or is damaged; says which.
    """
    with reading(path):
        run = RecordedRun.open(path)
        records = run.delivery_records()
        before = read_fingerprint(run.folder.ledger)
    try:
        with telling_damage(path):
            return _judge(run, records, before, progress)
    except StoreError as error:
        return Judgement(unreadable(run, str(error)))


def _judge(
    run: RecordedRun,
    records: list[DeliveryRecord],
    before: Fingerprint | None,
    progress: Callable[[int], None],
) -> Judgement:
    recovery = RecoveryAccount(run)
    with open_stores(run) as reader:
        ledger = Ledger(
            grid=run.grid,
            schedule=run.schedule,
            truth=run.truth,
            records=records,
            reader=reader,
            profile=run.truth.profile.number,
            times=run.times(),
            steps_opened=run.steps_opened(),
            groups=run.groups(),
            events=run.events,
            progress=progress,
            watch=recovery.note,
            watch_history=recovery.note_history,
        )
        found = ledger.reconcile()
        conflicts, journal = len(reader.conflicts()), reader.commands()
        events = stored_events(reader)
        run = run.doubting(doubts_of(reader))
    changed = [] if before is None else changed_slots(before, found.fingerprint)
    verdict = replace(
        conclude(run, found, journal, conflicts, stores_size_bytes(run), changed, events),
        recoveries=recovery.recoveries(found),
        last_stored=recovery.last_stored(found),
    )
    return Judgement(
        verdict,
        tuple(completeness(run, found, recovery.planned_per_step, events.registrations)),
        found.fingerprint if before is None else None,
    )


def publish(path: Path, judgement: Judgement) -> ExitCode:
    """Write a judgement and the views into the run directory and print the summary.

    Raises:
        UnreadableRunError: a part of the record is damaged.
    """
    with reading(path):
        replace_series(path, judgement.samples)
        write_verdict(path, judgement.verdict)
        if judgement.fingerprint is not None:
            write_fingerprint(RunFolder(path).ledger, judgement.fingerprint)
        record = write_views(path)
    print_summary(record)
    return EXIT_CODES[judgement.verdict.verdict]


def check_run(path: Path) -> ExitCode:
    """Judge a recorded run anew."""
    return publish(path, judge_run(path))
