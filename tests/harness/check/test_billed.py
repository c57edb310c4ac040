"""Where the bills of a run are looked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.check.bal import UnreadableError
from harness.check.billed import bill_figures
from harness.check.recorded import RecordedRun
from tests.support.recorded_run import RecordedFolder

BILLING = {
    "rates": [{"month": "2026-03", "peak": "0.3", "off_peak": "0.2", "peak_hours": "07:00-22:00"}],
    "target": {"kind": "external", "bills": "theirs.csv"},
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedRun:
    """A run of an hour, which owes no bill; billing did not say how long it took."""
    monkeypatch.chdir(tmp_path)
    folder = RecordedFolder(tmp_path, {"billing": BILLING}).path
    (folder / "billing").mkdir()
    (folder / "billing" / "finished.json").write_text(json.dumps({"months": [], "made_s": None}))
    return RecordedRun.open(folder)


def test_bills_of_others_may_be_csv(run: RecordedRun) -> None:
    bills = run.folder.path / "billing" / "bills.csv"
    bills.write_text("meter,month,amount\n3,2026-03,12.50\n")
    figures = bill_figures(run)
    assert (figures.due, figures.invented, figures.made_s) == (0, 1, None)


def test_bills_that_are_not_there_are_named(run: RecordedRun) -> None:
    with pytest.raises(UnreadableError, match=r"the bills cannot be judged: .*bills\.parquet"):
        bill_figures(run)


@pytest.mark.parametrize("text", ["{}", "[]", '{"months": 3, "made_s": 1}', "", "{"])
def test_what_billing_did_not_finish_cannot_be_judged(run: RecordedRun, text: str) -> None:
    (run.folder.path / "billing" / "bills.csv").write_text("meter,month,amount\n")
    (run.folder.path / "billing" / "finished.json").write_text(text)
    with pytest.raises(UnreadableError, match="the bills cannot be judged"):
        bill_figures(run)
