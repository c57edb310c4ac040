"""The sentences that every view shares."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from reports.recording import Check, Readings, RunRecord
from reports.story import account, check_words, concluded, distrust, headline, order_checks
from tests.support.canned import (
    failed_verdict,
    inconclusive_verdict,
    passed_verdict,
    record_run,
)


def test_a_passed_run_says_that_everything_owed_is_there() -> None:
    assert headline(passed_verdict()) == (
        "Every one of the 200,200 readings owed is in the store, with the value its meter"
        " registered. 168 (0.0839 %) came late, within the limit."
    )


def test_a_run_that_lost_readings_says_how_many() -> None:
    assert headline(failed_verdict()) == (
        "Of 200,200 readings owed, 412 are lost and 1 is stored with a wrong value."
    )


def test_a_run_that_only_broke_a_limit_names_the_check() -> None:
    slow = Check(name="push.latency.p99", limit="<= 3 s", measured="5.1 s", passed=False)
    verdict = replace(passed_verdict(), verdict="failed", checks=(slow,))
    assert headline(verdict) == "1 of 1 check failed: push.latency.p99."


def test_an_inconclusive_run_says_why_before_anything_else() -> None:
    assert headline(inconclusive_verdict()).startswith("This run proves nothing either way: ")


def test_nothing_owed_is_not_called_a_success() -> None:
    assert headline(replace(passed_verdict(), readings=Readings())) == (
        "No reading was owed in this run."
    )


@given(*[st.integers(0, 10**9)] * 4)
def test_the_account_balances_when_every_owed_reading_ended_somewhere(
    correct: int, wrong: int, lost: int, unattempted: int
) -> None:
    owed = correct + wrong + lost + unattempted
    readings = Readings(owed=owed, correct=correct, wrong=wrong, lost=lost, unattempted=unattempted)
    assert account(readings).difference == 0
    assert account(replace(readings, owed=owed + 3)).difference == 3


def test_an_account_that_does_not_balance_is_distrusted(tmp_path: Path) -> None:
    verdict = replace(passed_verdict(), readings=Readings(owed=10, correct=8))
    record = RunRecord.load(record_run(tmp_path, verdict))
    assert any("does not balance: 2 unexplained" in note for note in distrust(record, verdict))


def test_warnings_of_the_run_are_distrusted_once(tmp_path: Path) -> None:
    busy = "The machine was busy: load average 3.1 on 2 cores."
    verdict = replace(passed_verdict(), distrust=(busy,))
    record = RunRecord.load(record_run(tmp_path, verdict))
    assert distrust(record, verdict) == (busy,)


def test_failed_checks_come_first_and_undecided_ones_next() -> None:
    checks = tuple(
        Check(name=name, limit="", measured=0, passed=passed)
        for name, passed in (("a", True), ("b", None), ("c", False), ("d", True))
    )
    ordered = order_checks(replace(passed_verdict(), checks=checks))
    assert [check.name for check in ordered] == ["c", "b", "a", "d"]


def test_a_failed_check_without_words_of_its_own_gets_them() -> None:
    check = Check(name="readings.duplicated", limit="== 0", measured=2, passed=False)
    assert check_words(check) == "Readings stored more than once. Measured 2; allowed is == 0."


def test_a_run_without_a_verdict_is_inconclusive(tmp_path: Path) -> None:
    verdict = concluded(RunRecord.load(record_run(tmp_path, None)))
    assert verdict.verdict == "inconclusive"
    assert verdict.seed == 7


def test_an_empty_run_is_inconclusive(tmp_path: Path) -> None:
    assert concluded(RunRecord.load(tmp_path)).verdict == "inconclusive"
