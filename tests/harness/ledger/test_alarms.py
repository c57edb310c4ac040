"""Every alarm that was raised, against every alarm that was stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emulator.meter_events import RaisedEvents
from harness.ledger.alarms import ALARM_EXAMPLES_MAX, AlarmAccount, AlarmCounts, AlarmLedger
from harness.ledger.fates import Interval
from harness.store.rows import StoredAlarms
from tests.support.stores import Alarm, alarms_of

METERS, STEPS = 4, 2
RAISED: list[list[Alarm]] = [
    [(meter, 0, 11, 1, 900 + meter, 5) for meter in range(METERS)],
    [(0, 0, 11, 2, 1800, 5), (0, 1, 8, 1900, 1900, 0), (3, 1, 8, 1900, 1900, 0)],
]
"""What is raised in each interval."""
ALL = [alarm for alarms in RAISED for alarm in alarms]
ROWS: st.SearchStrategy[Alarm] = st.one_of(
    st.sampled_from(ALL),
    st.sampled_from(ALL).map(lambda alarm: (*alarm[:5], alarm[5] + 1)),
    st.sampled_from(ALL).map(lambda alarm: (*alarm[:4], alarm[4] - 1, alarm[5])),
    st.sampled_from([(0, 0, 11, 3, 900, 5), (4, 0, 11, 1, 900, 5), (2, 1, 11, 1, 900, 5)]),
)
FLAGS = st.lists(st.booleans(), min_size=METERS, max_size=METERS)


def raised_of(alarms: Sequence[Alarm]) -> RaisedEvents:
    columns = alarms_of(alarms)
    meters = columns.meter.astype(np.int64)
    return RaisedEvents(
        meters,
        meters,
        columns.source,
        columns.code,
        columns.sequence,
        columns.raised_at_s,
        columns.argument,
    )


def interval_of(
    owed: Sequence[bool], sent: Sequence[bool], acknowledged: Sequence[bool], pulled: bool = False
) -> Interval:
    return Interval(
        delivery_step=np.where(owed, 0, STEPS).astype(np.int32),
        steps=STEPS,
        sent=np.array(sent),
        acknowledged=np.array(acknowledged),
        deadline_us=np.zeros(METERS, np.int64),
        pulled=pulled,
    )


EVERY = [True] * METERS
ALL_WELL = interval_of(EVERY, EVERY, EVERY)


def judged(rows: Sequence[Alarm], interval: Interval = ALL_WELL) -> AlarmAccount:
    stored = StoredAlarms(alarms_of(rows), np.zeros(len(rows), np.int64))
    ledger = AlarmLedger(stored, STEPS)
    for number, alarms in enumerate(RAISED):
        ledger.judge(number, interval, raised_of(alarms))
    return ledger.finish()


def walk(rows: Sequence[Alarm], interval: Interval) -> AlarmCounts:
    """Judge one alarm after the other, from the definitions alone."""
    counts = AlarmCounts()
    keys = {alarm[:4] for alarm in ALL}
    strangers = [row for row in rows if row[:4] not in keys]
    counts.invented += len(strangers)
    counts.stored += len({row[:4] for row in strangers})
    for alarm in ALL:
        found = [row for row in rows if row[:4] == alarm[:4]]
        is_right = all(row == alarm for row in found)
        meter = alarm[0]
        is_owed = bool(interval.delivery_step[meter] < interval.steps)
        is_offered = bool(interval.sent[meter]) or interval.pulled
        is_acknowledged = bool(interval.acknowledged[meter])
        counts.owed += is_owed
        counts.deferred += not is_owed
        counts.sent += bool(interval.sent[meter])
        counts.acknowledged += is_acknowledged
        counts.stored += bool(found)
        counts.duplicated += max(0, len(found) - 1)
        counts.correct += is_owed and bool(found) and is_right
        counts.wrong += is_owed and not is_right
        counts.invented += not is_owed and not is_right
        counts.lost += is_owed and is_offered and not found
        counts.unattempted += is_owed and not is_offered and not found
        counts.lost_after_acknowledge += is_acknowledged and not found
    return counts


@given(
    rows=st.lists(ROWS, max_size=15),
    owed=FLAGS,
    sent=FLAGS,
    acknowledged=FLAGS,
    pulled=st.booleans(),
)
def test_the_ledger_agrees_with_a_plain_walk(
    rows: list[Alarm],
    owed: list[bool],
    sent: list[bool],
    acknowledged: list[bool],
    pulled: bool,
) -> None:
    interval = interval_of(owed, sent, acknowledged, pulled)
    account = judged(rows, interval)
    assert account.counts == walk(rows, interval)
    counts = account.counts
    assert counts.owed == counts.correct + counts.wrong + counts.lost + counts.unattempted
    assert sum(kind.owed for kind in account.kinds.values()) == counts.owed


def test_a_run_in_which_all_goes_well() -> None:
    account = judged(ALL)
    assert account.counts == AlarmCounts(owed=7, sent=7, acknowledged=7, stored=7, correct=7)
    assert account.examples == []
    assert account.owed_per_interval.tolist() == account.stored_per_interval.tolist() == [4, 3]
    log = account.kinds[0, 11]
    assert (log.owed, log.stored, log.first_s, log.last_s) == (5, 5, 900, 1800)
    assert account.kinds[1, 8].owed == 2
    assert not account.is_empty


def test_each_failure_is_shown_but_not_all_of_them() -> None:
    lost, wrong, twice = ALL[0], (*ALL[1][:5], 6), ALL[2]
    invented = [(9, 0, 11, number, 900, 5) for number in range(20)]
    account = judged([wrong, twice, twice, *ALL[3:], *invented])
    fates = [(example.fate, example.meter) for example in account.examples]
    assert fates[:3] == [("lost", 0), ("lost after acknowledge", 0), ("wrong", 1)]
    assert ("duplicated", 2) in fates
    assert ("invented", 9) in fates
    assert len(fates) == ALARM_EXAMPLES_MAX
    assert lost[0] == 0


def test_of_nothing_there_is_nothing() -> None:
    account = AlarmLedger(StoredAlarms(alarms_of([]), np.zeros(0, np.int64)), STEPS).finish()
    assert account.is_empty
    assert account.counts == AlarmCounts()
