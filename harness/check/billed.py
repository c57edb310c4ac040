"""Bills as something a run is judged by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.check.bal import UnreadableError
from harness.check.billed_run import billing_truth
from harness.check.bills import BillsError, DeliveredBills, check_bills, told
from harness.check.recorded import RecordedRun
from harness.check.stores import open_stores
from harness.limits import MEASURES, Limit, parse_limit
from harness.store.errors import StoreError
from reports.recording import BillFigures

BILLS: Final = (Path("billing") / "bills.parquet", Path("billing") / "bills.csv")
"""Where bills are: ours are Parquet, somebody's own may be either."""
FINISHED: Final = Path("billing") / "finished.json"
CHECKS: Final = ("bills.wrong", "bills.missing", "bills.twice", "bills.invented")
"""What must be nothing where there is billing, unless a scenario says otherwise."""


def bill_figures(run: RecordedRun) -> BillFigures:
    """Return the account of the bills of a run.

    Raises `UnreadableError`: what billing left cannot be read, or the plan covers no whole month.
    """
    billing = run.scenario.billing
    assert billing is not None, "there is billing"
    try:
        truth = billing_truth(run, billing.time_zone, billing.rates, billing.base_bill)
        delivered = DeliveredBills.read(_bills(run.folder.path))
        with open_stores(run) as reader:
            account = check_bills(delivered, truth, reader)
        finished = json.loads((run.folder.path / FINISHED).read_text())
        months, made_s = tuple(finished["months"]), finished["made_s"]
    except (BillsError, StoreError, OSError, KeyError, TypeError, ValueError) as error:
        raise UnreadableError(f"the bills cannot be judged: {error}") from error
    return BillFigures(
        months=months,
        due=account.due,
        correct=account.correct,
        wrong=account.wrong,
        missing=account.missing,
        twice=account.twice,
        invented=account.invented,
        explained=account.explained,
        made_s=made_s,
        examples=tuple(told(example, truth) for example in account.examples),
    )


def _bills(run: Path) -> Path:
    files = [run / name for name in BILLS]
    return next((file for file in files if file.is_file()), files[0])


def with_bill_checks(checks: Mapping[str, Limit], figures: BillFigures | None) -> dict[str, Limit]:
    """Return a scenario's checks and, where there is billing, those of bills."""
    if figures is None:
        return dict(checks)
    return {name: parse_limit("== 0", MEASURES[name]) for name in CHECKS} | dict(checks)


def bill_measurements(figures: BillFigures | None) -> dict[str, float]:
    """Return what the figures say about each measure of bills."""
    if figures is None:
        return {}
    return {name: getattr(figures, name.removeprefix("bills.")) for name in ("bills.due", *CHECKS)}
