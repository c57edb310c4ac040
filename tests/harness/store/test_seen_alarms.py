"""The duplicate filter of alarms."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.store.rows import Alarms
from harness.store.seen_alarms import SeenAlarms
from tests.support.stores import Alarm, alarms_of

ALARMS: st.SearchStrategy[Alarm] = st.tuples(
    st.sampled_from([0, 1, 255, 256, 2**32 - 1]),
    st.sampled_from([0, 1]),
    st.sampled_from([0, 1, 256]),
    st.sampled_from([0, 1, 2**24]),
    st.just(0),
    st.sampled_from([0, 1]),
)


@given(batches=st.lists(st.lists(ALARMS, max_size=20), max_size=8))
def test_it_tells_what_a_set_tells(batches: list[list[Alarm]]) -> None:
    seen, known = SeenAlarms(Alarms.empty()), set[tuple[int, ...]]()
    for batch in batches:
        alarms = alarms_of(batch)
        expected = []
        for alarm in batch:
            expected.append(alarm[:4] not in known)
            known.add(alarm[:4])
        first = seen.first_arrivals(alarms)
        assert first.tolist() == expected
        seen.add(alarms.take(first))


def test_what_is_not_committed_stays_new() -> None:
    seen, alarms = SeenAlarms(Alarms.empty()), alarms_of([(1, 0, 5, 1, 900, 0)])
    assert seen.first_arrivals(alarms).tolist() == [True]
    assert seen.first_arrivals(alarms).tolist() == [True]


def test_many_commits_leave_few_runs() -> None:
    seen = SeenAlarms(Alarms.empty())
    for number in range(1000):
        seen.add(alarms_of([(number, 0, 5, 1, 900, 0)]))
    assert len(seen._runs) <= 10
    assert sum(map(len, seen._runs)) == 1000
