"""`meterstorm check`: judge a recorded run and write its verdict and views anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.check.recorded import RecordedRun
from harness.check.stores import open_stores, stores_size_bytes
from harness.check.verdict import conclude, unreadable
from harness.errors import ArgumentsError, ExitCode
from harness.ledger.reconcile import Ledger
from harness.store.errors import StoreError
from reports.recording import Verdict, write_verdict
from reports.terminal import print_summary
from reports.views import write_views

EXIT_CODES: Final = {
    "passed": ExitCode.PASSED,
    "failed": ExitCode.FAILED,
    "inconclusive": ExitCode.INCONCLUSIVE,
}


def judge_run(path: Path, progress: Callable[[int], None] = lambda interval: None) -> Verdict:
    """Return the verdict on the run recorded in ``path``.

    A store that cannot be read makes the run inconclusive: it must not look like a passed one.

    Args:
        path: the run directory.
        progress: called with each interval before it is judged.

    Raises:
        ArgumentsError: the record lacks a part or is damaged; says which.
    """
    try:
        run = RecordedRun.open(path)
    except (OSError, ValueError) as error:
        raise ArgumentsError(f"{path} cannot be judged: {error}") from error
    try:
        return _judge(run, progress)
    except StoreError as error:
        return unreadable(run, str(error))


def _judge(run: RecordedRun, progress: Callable[[int], None]) -> Verdict:
    with open_stores(run) as reader:
        ledger = Ledger(
            grid=run.grid,
            schedule=run.schedule,
            truth=run.truth,
            records=run.delivery_records(),
            reader=reader,
            profile=run.truth.profile.number,
            times=run.times(),
            groups=run.groups(),
            progress=progress,
        )
        found = ledger.reconcile()
        conflicts, journal = len(reader.conflicts()), reader.commands()
    return conclude(run, found, journal, conflicts, stores_size_bytes(run))


def publish(path: Path, verdict: Verdict) -> ExitCode:
    """Write a verdict and its views into the run directory and print the summary."""
    write_verdict(path, verdict)
    print_summary(write_views(path))
    return EXIT_CODES[verdict.verdict]


def check_run(path: Path) -> ExitCode:
    """Judge a recorded run anew."""
    return publish(path, judge_run(path))
