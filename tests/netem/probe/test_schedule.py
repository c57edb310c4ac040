"""When probes are sent and what becomes of them, under a clock moved by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from netem.probe.config import ProbeConfig, ProbeLink
from netem.probe.measurement import SECOND_NS, Bucket, Train
from netem.probe.schedule import Due, ProbeSchedule

START = 1_000 * SECOND_NS
CONFIG = ProbeConfig(
    fleet_namespace="/f",
    head_end_namespace="/h",
    head_end_address="172.31.255.1",
    links=(ProbeLink(0, "10.1.1.0"), ProbeLink(0, "10.1.1.1"), ProbeLink(1, "10.2.1.0")),
    interval_s=0.5,
    bucket_s=5.0,
    patience_s=10.0,
)
TRAINS = ProbeConfig(
    **{
        **{name: getattr(CONFIG, name) for name in ProbeConfig.__slots__},
        "links": (ProbeLink(3, "10.4.1.0", train=True),),
    }
)


def arrive(schedule: ProbeSchedule, due: Due, sent_ns: int, delay_ns: int) -> None:
    schedule.arrived(
        due.link,
        due.direction,
        due.first,
        span_ns=due.span_ns,
        sent_ns=sent_ns,
        delay_ns=delay_ns,
    )


def played(schedule: ProbeSchedule, until_ns: int) -> list[tuple[int, Due]]:
    sent = []
    while (at_ns := schedule.next_at_ns) is not None and at_ns < until_ns:
        sent += [(at_ns, due) for due in schedule.due(at_ns)]
    return sent


def test_every_link_sends_both_ways_every_interval_and_never_all_at_once() -> None:
    sent = played(ProbeSchedule(CONFIG, START), START + 5 * SECOND_NS)
    counts = Counter((due.link, due.direction) for _, due in sent)
    assert set(counts.values()) == {10}
    assert len(counts) == 6
    assert len({at_ns for at_ns, _ in sent}) == len(sent)
    numbers = [due.first for _, due in sent if (due.link, due.direction) == (1, "down")]
    assert numbers == list(range(10))


def test_what_is_late_is_not_made_up_for() -> None:
    schedule = ProbeSchedule(CONFIG, START)
    assert len(list(schedule.due(START + 60 * SECOND_NS))) == 6
    assert list(schedule.due(START + 60 * SECOND_NS - 1)) == []


def test_a_span_is_given_out_when_its_last_datagram_is_there_or_lost() -> None:
    schedule = ProbeSchedule(CONFIG, START)
    for at_ns, due in played(schedule, START + 5 * SECOND_NS):
        if due.direction == "up" and due.link != 1:
            arrive(schedule, due, at_ns, 600_000_000)
    assert list(schedule.finished(START + 15 * SECOND_NS - 1)) == []
    found = {(it.category, it.direction): it for it in schedule.finished(START + 15 * SECOND_NS)}
    assert all(isinstance(it, Bucket) for it in found.values())
    up, down = found[0, "up"], found[0, "down"]
    assert isinstance(up, Bucket)
    assert isinstance(down, Bucket)
    assert (up.sent, up.received) == (20, 10)
    assert up.mean_s == pytest.approx(0.6)
    assert (down.sent, down.received) == (20, 0)
    assert list(schedule.finished(START + 15 * SECOND_NS)) == []


def test_overtaking_is_counted_by_link() -> None:
    schedule = ProbeSchedule(CONFIG, START)
    first, second = [
        (at_ns, due)
        for at_ns, due in played(schedule, START + SECOND_NS)
        if (due.link, due.direction) == (0, "up")
    ]
    for at_ns, due in (second, first):
        arrive(schedule, due, at_ns, 2 * SECOND_NS)
    (bucket,) = [
        it
        for it in schedule.finished(START + 60 * SECOND_NS)
        if isinstance(it, Bucket) and (it.category, it.direction) == (0, "up")
    ]
    assert bucket.overtaken == 1


@pytest.mark.parametrize(("link", "number"), [(9, 0), (0, -1), (0, 99)])
def test_what_nobody_sent_changes_nothing(link: int, number: int) -> None:
    schedule = ProbeSchedule(CONFIG, START)
    played(schedule, START + SECOND_NS)
    arrive(schedule, Due(link, "up", number, 1, START), START, 0)
    results = list(schedule.finished(START + 60 * SECOND_NS))
    assert sum(it.received for it in results) == 0


def test_a_datagram_that_came_twice_counts_once() -> None:
    schedule = ProbeSchedule(CONFIG, START)
    played(schedule, START + SECOND_NS // 4)
    for _ in range(3):
        arrive(schedule, Due(0, "up", 0, 1, START), START, 1_000)
    results = list(schedule.finished(START + 60 * SECOND_NS))
    assert max(it.received - it.sent for it in results) == 0


def test_a_train_shows_the_rate() -> None:
    schedule = ProbeSchedule(TRAINS, START)
    up, down = played(schedule, START + SECOND_NS)
    assert {due.count for _, due in (up, down)} == {60}
    at_ns, due = up
    for number in range(60):
        one = Due(0, "up", due.first + number, 1, at_ns)
        arrive(schedule, one, at_ns, number * SECOND_NS // 15)
    trains = {it.direction: it for it in schedule.finished(START + 60 * SECOND_NS)}
    train = trains["up"]
    assert isinstance(train, Train)
    assert (train.category, train.sent, train.received) == (3, 60, 60)
    assert train.packets_per_s == pytest.approx(15, rel=1e-6)
    assert trains["down"].received == 0


def test_it_is_complete_once_stopped_and_given_out() -> None:
    schedule = ProbeSchedule(CONFIG, START)
    played(schedule, START + SECOND_NS)
    schedule.stop()
    assert schedule.next_at_ns is None
    assert not schedule.complete
    assert not schedule.all_arrived
    list(schedule.finished(START + 60 * SECOND_NS))
    assert schedule.complete


def test_the_configuration_travels_as_a_line() -> None:
    assert ProbeConfig.from_line(TRAINS.to_line()) == TRAINS
    with pytest.raises(TypeError):
        ProbeConfig.from_line('{"links": [], "strange": 1}')
