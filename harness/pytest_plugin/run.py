"""A run as a test sees it: what was concluded, and what may be demanded of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from reports.recording import Check, Readings, RunRecord, Verdict

REPLAYS: Final = "replays.json"


class RunNotMadeError(Exception):
    """There is no verdict; the message holds the exit status and what ``meterstorm`` said."""


@dataclass(frozen=True, slots=True)
class Replays:
    """What became of recorded pushes that were sent again.

    ``tried`` reached the head-end; ``accepted`` of them were confirmed as if they were new;
    ``unreachable`` did not get there. ``accounts`` tells of each.
    """

    tried: int
    accepted: int
    unreachable: int
    accounts: tuple[str, ...] = ()


@dataclass(eq=False)
class MeterstormRun:
    """A recorded run.

    Attributes:
        path: its folder, with report, record and store.
        exit_status: of ``meterstorm run``.
        command: the words that make it again.
        test: the node of the test that made it.
        timed_out_s: the bound it overran, if it did; it was drained then.
        replay: of how many concentrators pushes were replayed.
    """

    path: Path
    exit_status: int
    command: tuple[str, ...]
    test: str
    timed_out_s: float | None = None
    replay: int = 0
    skip_inconclusive: bool = False
    _judgement: Verdict | None = field(default=None, init=False, repr=False)

    @property
    def judgement(self) -> Verdict:
        """Everything that was concluded: ``verdict.json``."""
        if self._judgement is None:
            from reports.recording import load_verdict

            self._judgement = load_verdict(self.path / "verdict.json")
        return self._judgement

    @property
    def verdict(self) -> str:
        """``"passed"``, ``"failed"`` or ``"inconclusive"``."""
        return self.judgement.verdict

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is no better than that, in words."""
        return self.judgement.reasons

    @property
    def seed(self) -> int:
        """What everything was drawn from."""
        return self.judgement.seed

    @property
    def readings(self) -> Readings:
        """The account of all readings."""
        return self.judgement.readings

    @property
    def checks(self) -> Mapping[str, Check]:
        """Every check, by name."""
        return {check.name: check for check in self.judgement.checks}

    @property
    def failed_checks(self) -> tuple[str, ...]:
        """Names of the checks that did not hold."""
        return tuple(name for name, check in self.checks.items() if check.passed is False)

    def record(self) -> RunRecord:
        """Return the whole record: events, series, latencies. Raises `RecordError`."""
        from reports.recording import RunRecord

        return RunRecord.load(self.path)

    def facts(self) -> dict[str, Any]:
        """Return ``run.json``: counters of the head-end, doubts, versions, host."""
        facts: dict[str, Any] = json.loads((self.path / "run.json").read_text())
        return facts

    def replays(self) -> Replays:
        """Return what became of the pushes that were replayed; all zero where none were."""
        file = self.path / REPLAYS
        if not file.is_file():
            return Replays(0, 0, 0)
        found = json.loads(file.read_text())
        return Replays(**found | {"accounts": tuple(found["accounts"])})

    def properties(self) -> dict[str, str]:
        """Return what a JUnit file should say of the run."""
        told = {"verdict": self.verdict, "seed": str(self.seed), "run": str(self.path)}
        if self.replay:
            told["replays_accepted"] = str(self.replays().accepted)
        return told

    def assert_passed(self) -> None:
        """Demand that the run passed, in time, and that no replay was accepted.

        A run that proves nothing fails, or is skipped where the settings say so.
        """
        __tracebackhide__ = True
        if self.verdict == "inconclusive" and self.skip_inconclusive:
            pytest.skip(self._headline())
        if self.verdict != "passed":
            pytest.fail(self._headline(), pytrace=False)
        if self.timed_out_s is not None:
            pytest.fail(f"the run took more than {self.timed_out_s:g} s", pytrace=False)
        if self.replay:
            self.assert_replays_refused()

    def assert_check(self, name: str) -> None:
        """Demand that one check held, whatever the others say."""
        __tracebackhide__ = True
        check = self._check(name)
        if check.passed is not True:
            found = "not measured" if check.passed is None else str(check.measured)
            pytest.fail(f"{name} is {found}, the limit is {check.limit}", pytrace=False)

    def assert_failed(self, *names: str) -> None:
        """Demand that the run failed, and these checks with it: for planted defects."""
        __tracebackhide__ = True
        if self.verdict != "failed":
            pytest.fail(f"wanted a failed run; {self._headline()}", pytrace=False)
        held = [name for name in names if self._check(name).passed is not False]
        if held:
            pytest.fail(f"these checks held: {', '.join(held)}", pytrace=False)

    def assert_replays_refused(self) -> None:
        """Demand that replays were tried, and that the head-end took none for new.

        A duplicate in the store is a failure of the run itself (``readings.duplicated``).
        """
        __tracebackhide__ = True
        found = self.replays()
        if found.accepted:
            told = "\n".join(found.accounts)
            message = f"{found.accepted} of {found.tried} replayed pushes were accepted\n{told}"
            pytest.fail(message, pytrace=False)
        if not found.tried:
            reason = f"{found.unreachable} did not reach the head-end"
            pytest.fail(f"no push was replayed: {reason}", pytrace=False)

    def _check(self, name: str) -> Check:
        __tracebackhide__ = True
        if name not in self.checks:
            pytest.fail(f"the run has no check {name}: {', '.join(self.checks)}", pytrace=False)
        return self.checks[name]

    def _headline(self) -> str:
        lines = [f"{self.judgement.scenario} is {self.verdict}", *self.reasons]
        return "\n  ".join(lines)
