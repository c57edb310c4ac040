"""What alarms are called, and how much they matter."""

from __future__ import annotations

from typing import Any

import pytest

from harness.headend.alarms import describe_alarm, kinds_below, kinds_from, tell_alarms
from harness.store.interface import Store
from harness.store.rows import Rows
from protocols.c12.tables.status import Severity
from protocols.readings import EventSource
from tests.support.stores import Alarm, alarms_of


def test_codes_of_the_log_and_status_bits_have_names_of_their_own() -> None:
    assert describe_alarm(EventSource.LOG, 11).name == "End device programmed"
    assert describe_alarm(EventSource.STATUS, 11).name == "Power failure"
    assert describe_alarm(EventSource.STATUS, 12).severity is Severity.ALARM


def test_what_has_no_name_is_told_by_its_number() -> None:
    assert describe_alarm(EventSource.LOG, 2000).name == "Standard event 2000"
    assert describe_alarm(EventSource.STATUS, 15).name == "Status bit 15"
    assert describe_alarm(EventSource.STATUS, 15).severity is Severity.WARNING


def test_kinds_are_divided_by_severity() -> None:
    kinds = kinds_from(Severity.CRITICAL)
    assert (EventSource.LOG, 38) in kinds
    assert (EventSource.STATUS, 2) in kinds
    assert all(describe_alarm(*kind).severity is Severity.CRITICAL for kind in kinds)
    assert {*kinds_below(Severity.ALARM)}.isdisjoint(kinds_from(Severity.ALARM))
    assert len(kinds_below(Severity.ALARM)) + len(kinds_from(Severity.ALARM)) == 77 + 14


TOLD: list[Alarm] = [
    (1, 0, 21, 1, 900, 0),
    (1, 0, 2000, 2, 901, 0),
    (2, 0, 38, 1, 902, 0),
    (2, 1, 12, 1800, 1800, 0),
]
"""Self-read (info), nameless (warning), self-check (critical), tamper bit (alarm)."""


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        pytest.param({}, TOLD, id="all"),
        pytest.param({"severity": 1}, TOLD[1:], id="nameless kinds are warnings"),
        pytest.param({"severity": 2}, TOLD[2:], id="alarms and worse"),
        pytest.param({"severity": 3}, TOLD[2:3], id="critical"),
        pytest.param({"meter": 1}, TOLD[:2], id="of a meter"),
        pytest.param({"source": 1, "code": 12}, TOLD[3:], id="of a kind"),
        pytest.param({"from_s": 901, "to_s": 1800}, TOLD[1:3], id="of a time"),
        pytest.param({"count": 1, "after": [901, 1, 0, 2000, 2]}, TOLD[2:3], id="a page"),
    ],
)
async def test_a_shard_tells_alarms_as_asked(
    store: Store, question: dict[str, Any], expected: list[Alarm]
) -> None:
    store.put(Rows.empty(len(store.registers)), {}, 7, alarms=alarms_of(TOLD))
    told = await tell_alarms(store, {"from_s": 0, "to_s": 9000, "count": 10} | question)
    assert told.pop("stored_at_us") == [7] * len(expected)
    assert list(zip(*told.values(), strict=True)) == expected


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 10_001}, {"severity": 9}])
async def test_a_bad_question_is_refused(store: Store, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        await tell_alarms(store, {"from_s": 0, "to_s": 9000, "count": 10} | wrong)
