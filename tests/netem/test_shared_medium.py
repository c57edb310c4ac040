from __future__ import annotations

from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from netem.links import open_links
from netem.model import LinkIdentity, LinkModel, LinkStatistics, set_and_drawn
from netem.model.path import Path as LinkPath
from netem.model.path import path_rule
from netem.model.statistics import DirectionStatistics
from netem.profiles import (
    LinkDirection,
    LinkOptions,
    LinkProfile,
    ProfileError,
    TierUnfitError,
    load_profiles,
)
from netem.raw import RawStream
from netem.shared_medium import CellSplitError, Media, check_whole_cells

SECOND = 1_000_000_000


def shared(rate: str, cell: int, queue: str = "1 MB") -> dict[str, Any]:
    return {"rate": rate, "cell": cell, "queue": queue}


def profile(**direction: Any) -> LinkProfile:
    return LinkProfile.model_validate(
        {"name": "x", "description": "x", "sources": (), "up": direction, "down": {}}
    )


def model(link: LinkProfile, statistics: LinkStatistics, concentrator: int) -> LinkModel:
    return LinkModel(link, LinkOptions(), LinkIdentity(1, concentrator, "push"), statistics)


# -- packets of a cell --------------------------------------------------------------------------


def paths(count: int, **direction: Any) -> tuple[list[LinkPath], Media]:
    """Return the ways up of ``count`` concentrators."""
    way = LinkDirection.model_validate(direction)
    media = Media()
    rule = path_rule(way, LinkOptions())
    ways = [
        LinkPath(rule, DirectionStatistics(), media.medium("up", way, 1, number))
        for number in range(count)
    ]
    return ways, media


def enter(one: LinkPath, at_ns: int, octets: int) -> int | None:
    return one.enter(one.data, at_ns, octets, 0)


def test_neighbours_wait_for_each_other_and_other_cells_do_not() -> None:
    (first, second, third), media = paths(3, shared=shared("8 kbit/s", 2))
    assert enter(first, 0, 1_000) == SECOND
    assert enter(second, 0, 500) == 3 * SECOND // 2
    assert enter(first, SECOND, 500) == 2 * SECOND
    assert enter(third, 0, 1_000) == SECOND
    assert sorted(media.statistics) == ["up cell 0", "up cell 1"]
    cell = media.statistics["up cell 0"]
    assert (cell.packets, cell.octets, cell.used, cell.offered) == (
        3,
        2_000,
        2 * SECOND,
        2 * SECOND,
    )
    assert (cell.delay_sum_us, cell.delay_most_us) == (3_500_000, 1_500_000)


def test_a_packet_goes_before_what_a_neighbour_is_to_send_later() -> None:
    # The neighbour's second round trip is worked out already; it has not arrived yet.
    (first, second), _ = paths(2, shared=shared("8 kbit/s", 2))
    assert enter(first, 0, 1_000) == SECOND
    assert enter(first, 5 * SECOND, 1_000) == 6 * SECOND
    assert enter(second, 4 * SECOND + SECOND // 2, 1_000) == 5 * SECOND + SECOND // 2
    # It is put off by half a second, which who comes behind it meets.
    assert enter(second, 5 * SECOND + SECOND // 2, 1_000) == 7 * SECOND + SECOND // 2


def test_a_packet_takes_the_time_that_its_own_link_needs() -> None:
    (quick, slow), media = paths(2, shared=shared("8 kbit/s", 2))
    way = LinkDirection.model_validate({"shared": shared("2 kbit/s", 2)})
    slow.become(path_rule(way, LinkOptions()), media.medium("up", way, 1, 1))
    assert enter(slow, 0, 1_000) == 4 * SECOND
    assert enter(quick, 0, 1_000) == 5 * SECOND


def test_a_full_queue_drops_and_the_bound_is_in_octets() -> None:
    ways, media = paths(5, shared=shared("8 kbit/s", 5, queue="3000 B"))
    assert [enter(one, 0, 1_000) for one in ways] == [SECOND, 2 * SECOND, 3 * SECOND, None, None]
    assert media.statistics["up cell 0"].dropped == 2
    assert [one.statistics.overflowed for one in ways] == [0, 0, 0, 1, 1]
    # Half a packet's time later there is room for half a packet.
    assert enter(ways[3], SECOND // 2, 501) is None
    assert enter(ways[3], SECOND // 2, 500) == 7 * SECOND // 2


@pytest.mark.parametrize("load", [0.3, 0.6, 0.85])
def test_the_wait_is_that_of_an_m_d_1_queue(load: float) -> None:
    """Pollaczek and Khinchine: random arrivals, equal packets, one server."""
    count, service_s = 40_000, 0.4
    draws = np.random.default_rng(11)
    at_ns = (np.cumsum(draws.exponential(service_s / load, count)) * 1e9).astype(np.int64)
    who = draws.integers(0, 50, count)
    ways, media = paths(50, shared=shared("20 kbit/s", 50))
    for at, number in zip(at_ns.tolist(), who.tolist(), strict=True):
        ways[number].forget(at)
        assert enter(ways[number], at, 1_000) is not None
    cell = media.statistics["up cell 0"]
    wait_s = cell.delay_sum_us / 1e6 / count - service_s
    assert cell.utilisation == pytest.approx(load, rel=0.02)
    assert wait_s == pytest.approx(load * service_s / 2 / (1 - load), rel=0.1)


def test_what_a_busy_cell_remembers_stays_short() -> None:
    ways, _ = paths(50, shared=shared("20 kbit/s", 50))
    for step in range(5_000):
        one = ways[step * 7 % 50]
        one.forget(step * SECOND)
        enter(one, step * SECOND, 1_000)
        medium = one._medium
        assert medium is not None
        assert len(medium.cell.turns) <= 34


# -- connections of a cell ----------------------------------------------------------------------


def test_uploads_that_meet_take_as_long_as_the_line_needs_for_all_of_them() -> None:
    link = profile(latency="500 ms", shared=shared("2 Mbit/s", 10))
    statistics = LinkStatistics("x")
    models = [model(link, statistics, number) for number in range(10)]
    began_ns = max(one.connect(0).established_ns for one in models)
    ends_s = [
        one.transfer("up", began_ns, 10_000).releases[-1][0] / SECOND - began_ns / SECOND - 0.5
        for one in models
    ]
    # Each sends 7 segments, with 52 octets of headers on each.
    alone_s = (10_000 + 7 * 52) * 8 / 2_000_000
    # Before them the last handshake's acknowledgement.
    first_s = 52 * 8 / 2_000_000
    assert ends_s == pytest.approx([first_s + alone_s * n for n in range(1, 11)], rel=1e-6)
    cell = statistics.media.statistics["up cell 0"]
    assert cell.octets == 10 * (10_000 + 7 * 52 + 2 * 52)
    assert statistics.up.retransmitted == 0
    # The uploads, and the handshakes' half second of silence before them.
    assert cell.utilisation == pytest.approx(10 * alone_s / (10 * alone_s + 0.5), rel=0.01)


def test_a_queue_that_overflows_costs_retransmissions_and_loses_nothing() -> None:
    link = profile(latency="50 ms", shared=shared("80 kbit/s", 10, queue="6 kB"))
    statistics = LinkStatistics("x")
    for number in range(10):
        transfer = model(link, statistics, number).transfer("up", 0, 20_000)
        assert sum(octets for _, octets in transfer.releases) == 20_000
    assert statistics.up.overflowed > 10
    assert statistics.up.retransmitted >= statistics.up.overflowed
    assert statistics.media.statistics["up cell 0"].dropped == statistics.up.overflowed


def test_acknowledgements_share_the_way_they_go() -> None:
    way = {"shared": shared("8 kbit/s", 1)}
    link = LinkProfile.model_validate(
        {"name": "x", "description": "x", "sources": (), "up": {}, "down": way}
    )
    statistics = LinkStatistics("x")
    one = model(link, statistics, 0)
    one.transfer("up", 0, 3 * 1448)
    assert statistics.media.statistics["down cell 0"].octets == 3 * 52
    # Behind three acknowledgements of 52 ms each.
    assert one.transfer("down", 0, 948).releases[-1][0] == 1_156_000_000


def test_the_same_arrivals_give_the_same_times() -> None:
    link = profile(
        latency="600 ms",
        jitter="200 ms",
        distribution="normal",
        loss="2 %",
        shared=shared("20 kbit/s", 7),
    )

    def times() -> tuple[list[Any], LinkStatistics]:
        statistics = LinkStatistics("x")
        models = [model(link, statistics, number) for number in range(20)]
        moved = [one.transfer("up", step * SECOND, 2_000) for step in range(5) for one in models]
        return moved, statistics

    assert times() == times()


def test_delay_and_loss_drawn_are_those_set_however_full_the_cell_is() -> None:
    loss = {"kind": "gilbert-elliott", "to_bad": "1 %", "to_good": "25 %", "in_bad": "60 %"}
    link = profile(
        latency="600 ms",
        jitter="100 ms",
        distribution="uniform",
        loss=loss,
        shared=shared("20 kbit/s", 10),
    )
    statistics = LinkStatistics("x")
    for concentrator in range(2_000):
        one = model(link, statistics, concentrator)
        one.transfer("up", concentrator * SECOND, 4_000)
    assert statistics.media.statistics["up cell 3"].utilisation > 0.9
    up = set_and_drawn(link, statistics)["up"]
    for name in ("delay_mean_s", "delay_sigma_s"):
        assert up[name]["drawn"] == pytest.approx(up[name]["set"], rel=0.05)
    assert up["loss_share"]["set"] == pytest.approx(0.6 * 0.01 / 0.26)
    off = abs(up["loss_share"]["drawn"] - up["loss_share"]["set"])
    assert off < 3 * up["loss_share"]["error"]


def test_a_link_may_enter_a_cell_and_leave_it_again() -> None:
    open_, crowded = profile(), profile(shared=shared("8 kbit/s", 2))
    statistics = LinkStatistics("x")
    one = model(open_, statistics, 0)
    one.become(crowded)
    assert one.transfer("up", 0, 948).releases[-1][0] == SECOND
    neighbour = model(crowded, statistics, 1)
    assert neighbour.transfer("up", 0, 948).releases[-1][0] == 2 * SECOND
    one.become(open_)
    assert one.transfer("up", 3 * SECOND, 948).releases[-1][0] == 3 * SECOND


def test_utilisation_travels_and_merges() -> None:
    link = profile(shared=shared("8 kbit/s", 2))
    whole = LinkStatistics("x")
    for shard in range(2):
        part = LinkStatistics("x")
        for number in (2 * shard, 2 * shard + 1):
            model(link, part, number).transfer("up", 0, 948)
        whole.merge(LinkStatistics.from_dict(msgpack.unpackb(msgpack.packb(part.as_dict()))))
    assert sorted(whole.media.statistics) == ["up cell 0", "up cell 1"]
    assert whole.media.statistics["up cell 1"].utilisation == 1
    before = whole.media.statistics["up cell 1"].packets
    whole.merge(part)
    assert whole.media.statistics["up cell 1"].packets == 2 * before
    assert whole.media.statistics["up cell 1"].delay_most_us == 2_000_000


async def test_streams_of_one_cell_share_it(autojump_clock: MockClock) -> None:
    links_of = {"cell": profile(shared=shared("8 kbit/s", 2))}
    arrived_s: dict[int, float] = {}

    async with open_links(links_of, LinkOptions(), seed=1) as links, trio.open_nursery() as nursery:
        began_s = trio.current_time()

        async def send(number: int) -> None:
            near, far = memory_stream_pair()

            async def opener() -> RawStream:
                return near

            stream = await links.connect(opener, "cell", number)
            await stream.send_all(bytes(948))
            await far.receive_some()
            arrived_s[number] = round(trio.current_time() - began_s, 3)

        for number in (0, 1, 2):
            nursery.start_soon(send, number)
    # Two packets of 1,000 octets, each behind the 52 of its handshake's acknowledgement, and both
    # behind two SYNs; the third has its cell alone.
    assert sorted(arrived_s[number] for number in (0, 1)) == [1.156, 2.208]
    assert arrived_s[2] == 1.104


# -- as a profile -------------------------------------------------------------------------------

PROFILE = """
[profiles.line]
description = "our power line"
sources = [{ figure = "all", text = "our own probe", confidence = "measured" }]
both = { latency = "40 ms", shared = { rate = "20 kbit/s", cell = 50 } }
"""


def loaded(folder: Path, text: str) -> LinkProfile:
    file = folder / "links.toml"
    file.write_text(text, encoding="utf-8")
    return load_profiles(file)["line"]


def test_a_profile_shares_a_capacity_and_says_in_what_cells(tmp_path: Path) -> None:
    line = loaded(tmp_path, PROFILE)
    assert line.up.shared is not None
    assert (line.up.shared.rate, line.up.shared.cell, line.up.shared.queue) == (20_000, 50, 150_000)
    assert line.cell == 50
    assert load_profiles()["seed-1"].cell == 1
    assert LinkProfile.model_validate_json(line.model_dump_json()) == line
    with pytest.raises(TierUnfitError, match=r"line: up.shared: the kernel's netem"):
        line.check_tier("netem")


def test_cells_are_in_one_process_each() -> None:
    profiles = [profile(shared=shared("8 kbit/s", 5)), load_profiles()["seed-1"]]
    for whole in (range(23), range(10), range(5, 15), range(20, 23)):
        check_whole_cells(profiles, whole, 23)
    for split in (range(12), range(12, 23), range(5, 22)):
        with pytest.raises(CellSplitError, match=r"link profile x: .* whole cells of 5"):
            check_whole_cells(profiles, split, 23)
    check_whole_cells(profiles[1:], range(12), 23)


def test_ways_with_cells_of_their_own_sizes_meet_at_their_least_common_multiple() -> None:
    both = {"up": {"shared": shared("8 kbit/s", 4)}, "down": {"shared": shared("8 kbit/s", 6)}}
    link = LinkProfile.model_validate({"name": "x", "description": "x", "sources": ()} | both)
    assert link.cell == 12


@pytest.mark.parametrize(
    ("old", "new", "key", "problem"),
    [
        ("cell = 50", "cell = 0", "profiles.line.down.shared.cell", "greater than 0"),
        ("cell = 50", "sell = 50", "profiles.line.down.shared.sell", "did you mean cell?"),
        (", cell = 50", "", "profiles.line.down.shared.cell", "Field required"),
        ("cell = 50", 'cell = 50, queue = "1 kB"', "profiles.line", "a full packet of 1500 B"),
        ("shared", 'trace = "x", shared', "profiles.line.down.trace.file", "No such file"),
    ],
)
def test_a_bad_cell_is_refused_by_file_and_key(
    tmp_path: Path, old: str, new: str, key: str, problem: str
) -> None:
    with pytest.raises(ProfileError) as caught:
        loaded(tmp_path, PROFILE.replace(old, new))
    assert caught.value.key.replace(".up.", ".down.") == key
    assert problem in caught.value.problem


def test_a_direction_has_either_a_trace_or_a_cell(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1\n")
    with pytest.raises(ProfileError, match="either a shared rate or a trace"):
        loaded(tmp_path, PROFILE.replace("shared", 'trace = "x", shared'))
