"""The packet limit of a connection, and changes of links that carry traffic."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import trio

from netem.kernel import open_kernel_lab
from netem.lab import Lab, LabError, LabPlan
from netem.profiles import LinkDirection, LinkOptions, LinkProfile
from tests.support.kernel_vm_probing import Fleet, lines, probe, steady_rate, udp

pytestmark = pytest.mark.in_kernel

SENT = 420
INTERVAL_S = 1 / 60


def profile(mtu: int = 1500, **figures: object) -> LinkProfile:
    both = LinkDirection.model_validate(figures)
    return LinkProfile(
        name="probed", description="for a test", sources=(), mtu=mtu, up=both, down=both
    )


def plan(one: LinkProfile, concentrators: int, *, limit: str = "shape") -> LabPlan:
    options = LinkOptions.model_validate({"order": "link", "limit": limit})
    return LabPlan((one,), np.zeros(concentrators, dtype=np.uint8), options, seed=4)


async def test_as_a_shaper_each_concentrator_has_fifteen_packets_a_second_after_its_burst(
    record_property: Callable[[str, object], None],
) -> None:
    """Small and full packets alike, both ways; nothing is lost, what is too much waits."""
    limit = {"per_second": 15, "burst": 5, "burst_other": 5}
    async with open_kernel_lab(plan(profile(latency="20 ms", packet_rate=limit), 2)) as lab:
        made = [*lines(lab, [0, 1], "up"), *lines(lab, [0], "down")]
        await trio.to_thread.run_sync(
            partial(probe, made, count=120, interval_s=INTERVAL_S, drain_s=6.5)
        )
        backlog = (await lab.counters()).links[0, "up"]
    assert (backlog.lost, backlog.backlog) == (0, 0)
    for line in made:
        arrivals = sorted(line.sample.arrivals)
        # 60 a second come in and 15 go out: of the first 100 ms, the burst and one or two more.
        at_once = int(np.count_nonzero(np.array(arrivals) < arrivals[0] + 0.1))
        record_property("shaper", f"{steady_rate(arrivals, 8):.3f}/s, {at_once} at first")
        assert line.sample.lost == 0
        assert 5 <= at_once <= 7
        assert steady_rate(arrivals, 8) == pytest.approx(15, rel=0.02)


async def test_the_burst_of_tcp_is_not_that_of_the_rest() -> None:
    """Datagrams after a pause pass one by one; the fifth segment of a connection at once."""
    limit = {"per_second": 15, "burst": 5, "burst_other": 1}
    async with open_kernel_lab(plan(profile(latency="20 ms", packet_rate=limit), 1)) as lab:
        made = lines(lab, [0], "up")
        await trio.to_thread.run_sync(partial(probe, made, count=6, interval_s=0.0, drain_s=0.6))
        gaps = np.diff(sorted(made[0].sample.arrivals))
        assert gaps[0] > 0.04
        assert np.all(gaps[1:] > 0.06)
        took = await trio.to_thread.run_sync(partial(upload, lab, 0, segments=4))
        assert took < 0.06
        assert await trio.to_thread.run_sync(partial(upload, lab, 0, segments=9)) > 0.2


def upload(lab: Lab, number: int, segments: int) -> float:
    """Return how long after the first of so many full segments the last one arrived."""
    fleet = Fleet(lab)
    with fleet.namespace.entered():
        client = socket.socket()
        client.bind((lab.addresses.address(number), 0))
    fleet.namespace.close()
    with socket.create_server((lab.head_end_address, 0)) as server, client:
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        with accepted:
            # The bucket fills up again after the handshake.
            time.sleep(0.5)
            octets = segments * client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
            client.sendall(bytes(octets))
            received = len(accepted.recv(65_536))
            start = time.monotonic()
            while received < octets:
                received += len(accepted.recv(65_536))
            return time.monotonic() - start


async def test_as_a_policer_each_flow_has_fifteen_packets_a_second_and_the_rest_is_dropped(
    record_property: Callable[[str, object], None],
) -> None:
    limit = {"per_second": 15, "burst": 5, "burst_other": 5}
    one = profile(latency="20 ms", packet_rate=limit)
    async with open_kernel_lab(plan(one, 2, limit="police")) as lab:
        made = [*lines(lab, [0, 1], "up"), *lines(lab, [0], "down")]
        await trio.to_thread.run_sync(
            partial(probe, made, count=SENT, interval_s=INTERVAL_S, drain_s=0.3)
        )
        counted = await lab.counters()
    for line in made:
        rate = steady_rate(line.sample.arrivals, 5)
        record_property("policer", f"{rate:.3f}/s, {line.sample.lost} dropped")
        assert rate == pytest.approx(15, rel=0.02)
        assert np.median(line.sample.delays) == pytest.approx(0.02, abs=0.01)
    up, down = counted.links[0, "up"], counted.links[0, "down"]
    assert up.limited == made[0].sample.lost + made[1].sample.lost > 0
    assert down.limited == made[2].sample.lost
    assert (up.lost, down.lost) == (0, 0)


async def test_links_change_while_they_carry_traffic() -> None:
    """Before, an outage of one concentrator, then of the class, then a slower link for both."""
    sound, slow = profile(latency="20 ms"), profile(latency="200 ms")
    out = profile(latency="20 ms", loss="100 %")
    async with open_kernel_lab(plan(sound, 2)) as lab:

        def change(one: LinkProfile, numbers: list[int] | None = None) -> Callable[[], None]:
            return lambda: trio.from_thread.run(lab.change, 0, one, numbers)

        made = lines(lab, [0, 1], "up")
        steps = {
            50: change(out, [1]),
            100: change(out),
            150: change(slow),
            200: change(sound, [0]),
        }
        await trio.to_thread.run_sync(
            partial(probe, made, count=250, interval_s=0.01, drain_s=0.3, at=steps)
        )
        first, second = (dict(zip(m.sample.numbers, m.sample.delays, strict=True)) for m in made)
    assert set(first) == {*range(100), *range(150, 250)}
    assert set(second) == {*range(50), *range(150, 250)}
    assert np.median([first[number] for number in range(100)]) == pytest.approx(0.02, abs=0.01)
    assert np.median([first[number] for number in range(150, 200)]) == pytest.approx(0.2, abs=0.01)
    assert np.median([first[number] for number in range(200, 250)]) == pytest.approx(0.02, abs=0.01)
    assert np.median([second[number] for number in range(150, 250)]) == pytest.approx(0.2, abs=0.01)


async def test_a_change_leaves_nothing_of_what_was_there() -> None:
    """Rate, bursts of loss, jitter and its table all go, and come back when they are set again."""
    bursts = {"kind": "gilbert-elliott", "to_bad": "90 %", "to_good": "1 %"}
    bad = profile(
        latency="300 ms", jitter="10 ms", distribution="normal", rate="4 kbit/s", loss=bursts
    )
    async with open_kernel_lab(plan(bad, 1)) as lab:
        for _ in range(2):
            await lab.change(0, profile(latency="20 ms"))
            made = lines(lab, [0], "up")
            await trio.to_thread.run_sync(
                partial(probe, made, count=100, interval_s=0.002, drain_s=0.2)
            )
            assert made[0].sample.lost == 0
            assert np.median(made[0].sample.delays) == pytest.approx(0.02, abs=0.005)
            await lab.change(0, bad)
            made = lines(lab, [0], "up")
            await trio.to_thread.run_sync(
                partial(probe, made, count=100, interval_s=0.002, drain_s=0.0)
            )
            assert not made[0].sample.numbers


async def test_a_policer_changes_with_its_class_and_keeps_its_count() -> None:
    limit = {"per_second": 15, "burst": 5, "burst_other": 5}
    one = profile(latency="20 ms", packet_rate=limit)
    async with open_kernel_lab(plan(one, 1, limit="police")) as lab:
        counts = []
        for wanted in (one, profile(latency="20 ms"), one):
            await lab.change(0, wanted)
            made = lines(lab, [0], "up")
            await trio.to_thread.run_sync(
                partial(probe, made, count=40, interval_s=0.0, drain_s=0.1)
            )
            counts.append((await lab.counters()).links[0, "up"].limited)
            assert (made[0].sample.lost > 0) == (wanted is one)
    assert counts[0] is not None
    assert counts == [counts[0], counts[0], pytest.approx(2 * counts[0], abs=4)]


async def test_what_shares_a_queue_cannot_be_changed_apart() -> None:
    options = LinkOptions(order="netem")
    shared = LabPlan(
        (profile(latency="20 ms"),), np.zeros(3, dtype=np.uint8), options, 4, individually=False
    )
    async with open_kernel_lab(shared) as lab:
        with pytest.raises(LabError, match="individually=True"):
            await lab.change(0, profile(loss="100 %"), [1])
        with pytest.raises(LabError, match="share one queue"):
            await lab.change(0, profile(rate="100 kbit/s"))
        await lab.change(0, profile(loss="100 %"))


async def test_tcp_knows_the_largest_packet_of_its_link_at_both_ends() -> None:
    async with open_kernel_lab(plan(profile(mtu=600), 1)) as lab:
        sizes = await trio.to_thread.run_sync(segment_sizes, lab)
    assert sizes == (548, 548)  # 600 less 20, 20 and 12 of headers


def segment_sizes(lab: Lab) -> tuple[int, int]:
    fleet = Fleet(lab)
    with fleet.namespace.entered():
        client = socket.socket()
        client.bind((lab.addresses.address(0), 0))
    fleet.namespace.close()
    with socket.create_server((lab.head_end_address, 0)) as server, client:
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        with accepted:
            ends = (client, accepted)
            client.sendall(bytes(5_000))
            accepted.sendall(bytes(5_000))
            for end in ends:
                while len(end.recv(5_000, socket.MSG_PEEK)) < 5_000:
                    pass
            sizes = [end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for end in ends]
            return sizes[0], sizes[1]


async def test_what_no_class_claims_is_counted() -> None:
    async with open_kernel_lab(plan(profile(latency="20 ms"), 1)) as lab:
        fleet = Fleet(lab)
        with fleet.udp("172.31.255.2") as source, udp(lab.head_end_address) as sink:
            source.sendto(b"", sink.getsockname())
            fleet.namespace.close()
            assert (await lab.counters()).unclassified == 1
