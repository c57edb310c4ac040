from __future__ import annotations

import pytest

from harness.check.verdict import decide
from reports.recording import Check, Grid, Outcome, Readings, Verdict

KEPT = Check(name="readings.lost", limit="== 0", measured=0, passed=True)
BROKEN = Check(name="readings.late", limit="<= 1 %", measured="2 %", passed=False)
UNDECIDED = Check(name="pull.latency.p99", limit="<= 1 s", measured=None, passed=None)
DOUBT = "fleet-0 ended with status -9 before it was asked to"


def outcome(
    readings: Readings, checks: list[Check], doubts: list[str]
) -> tuple[Outcome, list[str]]:
    draft = Verdict(
        verdict="inconclusive",
        scenario="x",
        seed=1,
        speed=1.0,
        grid=Grid(concentrators=1, meters=1, steps=1),
        readings=readings,
    )
    return decide(draft, checks, doubts)


@pytest.mark.parametrize(
    ("checks", "doubts", "expected"),
    [
        pytest.param([KEPT], [], "passed", id="all kept"),
        pytest.param([], [], "passed", id="nothing asked"),
        pytest.param([KEPT, BROKEN], [], "failed", id="a limit broken"),
        pytest.param([KEPT, UNDECIDED], [], "inconclusive", id="a limit undecided"),
        pytest.param([BROKEN, UNDECIDED], [], "inconclusive", id="undecided before broken"),
        pytest.param([KEPT], [DOUBT], "inconclusive", id="a doubt"),
        pytest.param([BROKEN], [DOUBT], "inconclusive", id="a doubt before a limit"),
    ],
)
def test_doubts_come_before_limits(
    checks: list[Check], doubts: list[str], expected: Outcome
) -> None:
    assert outcome(Readings(owed=9, correct=9), checks, doubts)[0] == expected


@pytest.mark.parametrize(
    "readings",
    [
        Readings(wrong=1),
        Readings(invented=1),
        Readings(duplicated=1),
        Readings(conflicts=1),
        Readings(lost_acknowledged=1),
        Readings(preloaded_wrong=1),
    ],
)
@pytest.mark.parametrize("checks", [[KEPT], [BROKEN], [UNDECIDED]])
@pytest.mark.parametrize("doubts", [[], [DOUBT]])
def test_what_no_head_end_may_do_fails_whatever_else_happened(
    readings: Readings, checks: list[Check], doubts: list[str]
) -> None:
    found, reasons = outcome(readings, checks, doubts)
    assert found == "failed"
    assert reasons[0].startswith("1 ")


@pytest.mark.parametrize("readings", [Readings(lost=1), Readings(late=5), Readings(unattempted=2)])
def test_what_a_scenario_limits_is_left_to_its_limits(readings: Readings) -> None:
    assert outcome(readings, [KEPT], []) == ("passed", [])


def test_the_deciding_reasons_come_first() -> None:
    _, reasons = outcome(Readings(wrong=2), [BROKEN], [DOUBT])
    assert reasons == [
        "2 readings stored with other values than the meter registered",
        "readings.late is 2 %, the limit is <= 1 %",
        DOUBT,
    ]
