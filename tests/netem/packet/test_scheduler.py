"""The emulated links under a clock moved by hand; judged by formulae, not by the code itself."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import fmean, pstdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netem.lab import Direction
from netem.model.delay import NANOSECONDS
from netem.packet.scheduler import Bounds
from tests.netem.packet.building import ICMP, MS, TCP, Links, frame, profile

NORMAL = {"latency": "600 ms", "jitter": "200 ms", "distribution": "normal"}
CONSTANT = {"latency": "100 ms"}
LIMITED = {"packet_rate": {"per_second": 10, "burst": 5, "burst_other": 2}}


def test_a_perfect_link_passes_frames_as_they_are_at_once() -> None:
    links = Links([profile()])
    sent = links.frame(mark=7)
    links.scheduler.arrive(5, sent)
    assert links.scheduler.take(5) == [sent]
    assert links.scheduler.due_ns is None


def test_a_constant_delay_is_met_to_the_nanosecond() -> None:
    links = Links([profile(**CONSTANT)])
    links.send(3, mark=1)
    assert links.scheduler.take(100 * MS + 2) == []
    assert links.releases() == [(100 * MS + 3, 1)]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_the_concentrators_class_decides_in_both_directions(direction: Direction) -> None:
    classes = [profile(latency="10 ms"), profile(latency="20 ms")]
    links = Links(classes, [1, 0, 1], direction=direction)
    for number in range(3):
        links.send(0, number, mark=number)
    assert links.releases() == [(10 * MS, 1), (20 * MS, 0), (20 * MS, 2)]


@pytest.mark.parametrize("order", ["link", "netem"])
def test_delays_are_normal_and_cut_at_zero(order: str) -> None:
    links = Links([profile(latency="800 ms", jitter="400 ms", distribution="normal")], order=order)
    # One packet at a time, so that none has to wait for another.
    for mark in range(10_000):
        links.send(mark * 10 * NANOSECONDS, mark=mark)
    delays = [at_ns - mark * 10 * NANOSECONDS for at_ns, mark in links.releases()]
    drawn = np.maximum(0, np.random.default_rng(1).normal(800, 400, 1_000_000))
    assert fmean(delays) / MS == pytest.approx(drawn.mean(), rel=0.015)
    assert pstdev(delays) / MS == pytest.approx(drawn.std(), rel=0.02)


def test_a_link_keeps_its_order_and_netem_does_not() -> None:
    overtaken = {}
    for order in ("link", "netem"):
        links = Links([profile(**NORMAL)], [0, 0], order=order)
        for mark in range(2_000):
            links.send(mark * 33 * MS, mark % 2, mark=mark)
        of_one = [mark for _, mark in links.releases() if mark % 2]
        overtaken[order] = sum(after < before for before, after in pairwise(of_one))
    # Two draws 66 ms apart swap with the chance that their difference, of deviation
    # 200 ms * sqrt(2), is below -66 ms: 41 %.
    assert overtaken["link"] == 0
    assert overtaken["netem"] == pytest.approx(0.41 * 1_000, rel=0.15)


@pytest.mark.parametrize("share", [0.1, 5, 30])
def test_random_loss_is_within_its_interval(share: float) -> None:
    links = Links([profile(loss=f"{share} %")], range_of(10))
    count = 20_000
    for mark in range(count):
        links.send(mark, mark % 10, mark=mark)
    lost = count - len(links.releases())
    p = share / 100
    assert abs(lost - count * p) < 2.58 * sqrt(count * p * (1 - p))
    assert links.scheduler.counts[0].drawn.lost == lost


def range_of(count: int) -> list[int]:
    """Return the classes of ``count`` concentrators of class 0."""
    return [0] * count


def test_gilbert_elliott_loss_comes_in_bursts() -> None:
    loss = {"kind": "gilbert-elliott", "to_bad": "1 %", "to_good": "25 %"}
    links = Links([profile(loss=loss)])
    count = 60_000
    for mark in range(count):
        links.send(mark, mark=mark)
    arrived = {mark for _, mark in links.releases()}
    lost = [mark not in arrived for mark in range(count)]
    bursts = sum(now and not before for before, now in pairwise(lost))
    assert sum(lost) / count == pytest.approx(0.01 / 0.26, rel=0.1)
    assert sum(lost) / bursts == pytest.approx(4, rel=0.1)


def test_the_same_packets_meet_the_same_fate_and_another_seed_another() -> None:
    def fates(seed: int, pause_ns: int, others: int) -> list[int]:
        links = Links([profile(loss="20 %")], range_of(2), seed=seed)
        for mark in range(500):
            links.send(mark * pause_ns, 0, mark=mark)
            for _ in range(others):
                links.send(mark * pause_ns, 1, mark=10_000)
        return [mark for _, mark in links.releases() if mark < 10_000]

    assert fates(1, MS, 0) == fates(1, 77, 3)
    assert fates(1, MS, 0) != fates(2, MS, 0)


def test_up_and_down_have_draws_of_their_own() -> None:
    kept = []
    directions: tuple[Direction, ...] = ("up", "down")
    for direction in directions:
        links = Links([profile(loss="50 %")], direction=direction)
        for mark in range(200):
            links.send(0, mark=mark)
        kept.append([mark for _, mark in links.releases()])
    assert kept[0] != kept[1]


@pytest.mark.parametrize(("protocol", "burst"), [(TCP, 5), (ICMP, 2)])
@pytest.mark.parametrize("order", ["link", "netem"])
def test_packets_beyond_the_burst_wait_for_their_turn(
    protocol: int, burst: int, order: str
) -> None:
    links = Links([profile(**LIMITED)], order=order)
    for mark in range(8):
        links.send(0, mark=mark, protocol=protocol)
    waits = [max(0, mark - burst + 1) * 100 * MS for mark in range(8)]
    assert links.releases() == [(wait, mark) for mark, wait in enumerate(waits)]


def test_a_policer_drops_what_a_shaper_holds() -> None:
    links = Links([profile(**LIMITED)], limit="police")
    for mark in range(8):
        links.send(0, mark=mark, protocol=TCP)
    links.send(100 * MS, mark=8, protocol=TCP)
    links.send(110 * MS, mark=9, protocol=TCP)
    assert [mark for _, mark in links.releases()] == [0, 1, 2, 3, 4, 8]
    assert links.scheduler.counts[0].drawn.policed == 4


def test_each_connection_has_a_packet_rate_of_its_own() -> None:
    links = Links([profile(**LIMITED)])
    for mark in range(6):
        links.send(0, mark=mark, protocol=TCP, ports=(1, 1))
    links.send(0, mark=6, protocol=TCP, ports=(2, 1))
    assert links.releases()[-2:] == [(0, 6), (100 * MS, 5)]


@pytest.mark.parametrize("order", ["link", "netem"])
def test_the_bit_rate_is_of_the_whole_link(order: str) -> None:
    links = Links([profile(rate="8 kbit/s")], range_of(2), order=order)
    links.send(0, 0, mark=1, octets=100, ports=(1, 1))
    links.send(0, 0, mark=2, octets=200, ports=(2, 1))
    links.send(0, 1, mark=3, octets=100)
    assert links.releases() == [(100 * MS, 1), (100 * MS, 3), (300 * MS, 2)]


def test_netem_limits_behind_the_delay() -> None:
    links = Links([profile(**NORMAL, **LIMITED)], order="netem")
    for mark in range(50):
        links.send(0, mark=mark)
    times = [at_ns for at_ns, _ in links.releases()]
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps[2:]) >= 100 * MS


def test_time_does_not_go_back() -> None:
    links = Links([profile(**CONSTANT)])
    links.send(50 * MS, mark=0)
    links.send(10 * MS, mark=1)
    assert links.releases() == [(150 * MS, 0), (150 * MS, 1)]


@pytest.mark.parametrize("order", ["link", "netem"])
def test_limit_and_delay_add_up(order: str) -> None:
    links = Links([profile(**CONSTANT, **LIMITED)], order=order)
    for mark in range(6):
        links.send(0, mark=mark, protocol=TCP)
    assert [at_ns for at_ns, _ in links.releases()] == [100 * MS] * 5 + [200 * MS]


@pytest.mark.parametrize("order", ["link", "netem"])
def test_the_links_of_a_cell_share_their_rate(order: str) -> None:
    cells = profile(shared={"rate": "80 kbit/s", "cell": 2, "queue": "2500 B"})
    links = Links([cells], range_of(4), order=order)
    for number in range(3):
        links.send(0, number, mark=number, octets=1_000)
    links.send(0, 1, mark=3, octets=1_000)
    links.send(0, 0, mark=4, octets=500)
    assert links.releases() == [(100 * MS, 0), (100 * MS, 2), (200 * MS, 1), (250 * MS, 4)]
    assert links.scheduler.counts[0].summary().overflowed == 1
    links.scheduler.change(0, profile(), [1])
    links.send(NANOSECONDS, 1, mark=5)
    assert links.releases() == [(NANOSECONDS, 5)]


def test_a_cell_forgets_what_is_over() -> None:
    links = Links([profile(shared={"rate": "80 kbit/s", "cell": 2})], range_of(2))
    for mark in range(1_000):
        links.send(mark * 20 * MS, mark % 2, mark=mark)
    (cell,) = links.scheduler.counts[0].media._cells.values()
    assert len(cell.turns) < 100


def test_a_link_follows_its_trace(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("100\n", encoding="ascii")
    links = Links([profile(trace={"file": str(trace)})])
    for mark in range(3):
        links.send(0, mark=mark, octets=1_500)
    times = [at_ns for at_ns, _ in links.releases()]
    assert [after - before for before, after in pairwise(times)] == [100 * MS] * 2


def test_a_trace_that_is_gone_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    links = Links([profile()])
    with pytest.raises(ValueError, match="gone"):
        links.scheduler.change(0, profile(trace={"file": str(tmp_path / "gone")}))
    links.send(0, mark=5)
    assert links.releases() == [(0, 5)]


def test_a_link_holds_no_more_than_its_bound() -> None:
    links = Links([profile(**CONSTANT)], range_of(3), bounds=Bounds(on_link=4, in_all=7))
    for mark in range(6):
        links.send(0, 0, mark=mark)
    assert links.scheduler.counts[0].overflowed == 2
    for mark in range(6, 12):
        links.send(0, 1 + mark % 2, mark=mark)
    assert links.scheduler.counts[0].overflowed == 2 + 3
    assert [mark for _, mark in links.releases()] == [0, 1, 2, 3, 6, 7, 8]
    links.send(NANOSECONDS, 0, mark=12)
    assert [mark for _, mark in links.releases()] == [12]


def test_a_changed_class_has_the_new_laws_from_the_next_packet_on() -> None:
    links = Links([profile(**CONSTANT), profile(**CONSTANT)], [0, 1])
    links.send(0, 0, mark=0)
    links.scheduler.change(0, profile(loss="100 %"))
    links.send(0, 0, mark=1)
    links.send(0, 1, mark=2)
    assert [mark for _, mark in links.releases()] == [0, 2]
    links.scheduler.change(0, profile(latency="1 ms"))
    links.send(NANOSECONDS, 0, mark=3)
    assert links.releases() == [(NANOSECONDS + MS, 3)]


def test_some_of_a_class_change_and_the_rest_do_not() -> None:
    links = Links([profile()], range_of(3))
    links.scheduler.change(0, profile(loss="100 %"), [2, 0])
    for number in range(3):
        links.send(0, number, mark=number)
    assert [mark for _, mark in links.releases()] == [1]


def test_what_gets_faster_overtakes_nothing_that_is_under_way() -> None:
    links = Links([profile(**CONSTANT)])
    links.send(0, mark=0)
    links.scheduler.change(0, profile(latency="1 ms"))
    links.send(0, mark=1)
    assert [mark for _, mark in links.releases()] == [0, 1]


def test_packets_that_wait_for_their_turn_meet_the_new_laws() -> None:
    links = Links([profile(**LIMITED)])
    for mark in range(8):
        links.send(0, mark=mark, protocol=TCP)
    links.scheduler.change(0, profile(loss="100 %"))
    assert [mark for _, mark in links.releases()] == [0, 1, 2, 3, 4]
    assert links.scheduler.counts[0].summary().backlog == 0


@pytest.mark.parametrize(("category", "numbers"), [(2, None), (-1, None), (0, [1]), (0, [9])])
def test_a_change_of_what_is_not_there_is_refused_and_changes_nothing(
    category: int, numbers: list[int] | None
) -> None:
    links = Links([profile(), profile()], [0, 1])
    with pytest.raises(ValueError, match="link class"):
        links.scheduler.change(category, profile(loss="100 %"), numbers)
    links.send(0, 0, mark=5)
    assert links.releases() == [(0, 5)]


@pytest.mark.parametrize("octets", [b"", b"\x00" * 60, b"\xff" * 12 + b"\x86\xdd" + b"\x60" * 60])
def test_frames_of_no_concentrator_pass_at_once(octets: bytes) -> None:
    links = Links([profile(**CONSTANT)])
    links.scheduler.arrive(0, octets)
    assert links.scheduler.take(0) == [octets]
    assert (links.scheduler.other, links.scheduler.unclassified) == (1, 0)


@given(data=st.binary(max_size=80), cut=st.integers(0, 120), at=st.integers(0, 60))
def test_no_frame_stops_the_links(data: bytes, cut: int, at: int) -> None:
    links = Links([profile(**CONSTANT, **LIMITED)])
    whole = links.frame()
    odd = (whole[:at] + data + whole[at + len(data) :])[:cut]
    links.scheduler.arrive(0, odd)
    assert links.scheduler.take(NANOSECONDS) == [odd]


def test_packets_of_an_address_that_nobody_has_are_counted() -> None:
    links = Links([profile(**CONSTANT)])
    stray = frame("10.9.0.1", "172.31.255.1")
    links.scheduler.arrive(0, stray)
    assert links.scheduler.take(0) == [stray]
    assert (links.scheduler.other, links.scheduler.unclassified) == (0, 1)


def test_every_packet_is_accounted_for() -> None:
    figures = NORMAL | {"loss": "10 %"} | LIMITED
    links = Links([profile(**figures)], range_of(5), limit="police", bounds=Bounds(on_link=5))
    for mark in range(2_000):
        links.send(mark * 10 * MS, mark % 5, mark=mark, protocol=TCP)
    counts = links.scheduler.counts[0]
    assert counts.summary().backlog == links.scheduler.held > 0
    assert min(counts.drawn.lost, counts.drawn.policed, counts.overflowed) > 0
    came = len(links.releases())
    assert counts.summary().backlog == links.scheduler.held == 0
    assert counts.delivered == came
    assert counts.delivered_octets == came * 114
    assert counts.packets == 2_000
